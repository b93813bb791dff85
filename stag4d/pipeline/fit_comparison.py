"""How well a fitted scene agrees with each given view: PSNR of some frames, and images of three of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..evaluation import psnr
from ..optimization import TrainingViews
from ..progress import Monitor, silent
from ..rendering import render
from ..scene import GaussianModel4D
from ..view_set import ViewSet

MAX_FRAMES = 8  # measured of each view
AMPLIFICATION = 4.0  # of the differences that are shown
_TILE, _MIN_TILE = 160, 64  # longer side of the images that are shown, pixels
_FULL_TILES = 14  # views up to which they have that size; more views have smaller ones


@dataclass(frozen=True, eq=False, kw_only=True)
class ViewComparison:
    """One view.

    Attributes:
        name: Of the view.
        azimuth_deg: Of the camera at the first frame, degrees.
        elevation_deg: The same.
        is_reference: Whether it is the input video.
        weight: Mean weight of its images in the losses; 0 if no loss compares it with renders.
        psnr: Mean over the measured frames on white, dB.
        empty_frames: Number of frames, of all, whose alphas are empty although their weights are not 0.
        strips: [T, h, 3 w, 3] uint8: given image, render and amplified absolute difference side by side, at
            each frame that is shown.
    """

    name: str
    azimuth_deg: float
    elevation_deg: float
    is_reference: bool
    weight: float
    psnr: float
    empty_frames: int
    strips: Tensor

    @property
    def label(self) -> str:
        """Name and angles, for messages."""
        return f"{self.name} (azimuth {self.azimuth_deg:.0f}, elevation {self.elevation_deg:.0f})"


@dataclass(frozen=True, eq=False, kw_only=True)
class FitComparison:
    """All views of a fit.

    Attributes:
        num_frames: Of the video.
        frames: Indices of the measured frames.
        shown_frames: Indices of the frames of the strips.
        views: In their order, the input video first.
    """

    num_frames: int
    frames: Sequence[int] = ()
    shown_frames: Sequence[int] = ()
    views: Sequence[ViewComparison] = field(default_factory=list)

    @property
    def by_psnr(self) -> list[ViewComparison]:
        """Return the views, those with the lowest PSNR first."""
        return sorted(self.views, key=lambda view: view.psnr)

    def as_json(self) -> dict[str, Any]:
        """Return the measurements, without the images."""
        return {
            "frames": list(self.frames),
            "views": [
                {
                    "name": view.name,
                    "azimuth": round(view.azimuth_deg, 2),
                    "elevation": round(view.elevation_deg, 2),
                    "reference": view.is_reference,
                    "weight": round(view.weight, 4),
                    "psnr": round(view.psnr, 3),
                    "empty_frames": view.empty_frames,
                }
                for view in self.views
            ],
        }


def shown_frames(num_frames: int) -> list[int]:
    """Return the first, the middle and the last frame, each once."""
    return sorted({0, num_frames // 2, num_frames - 1})


def measured_frames(num_frames: int, max_frames: int = MAX_FRAMES) -> list[int]:
    """Return at most so many evenly spaced frames, with the shown ones."""
    if num_frames <= max_frames:
        return list(range(num_frames))
    spaced = {round(index * (num_frames - 1) / (max_frames - 2)) for index in range(max_frames - 1)}
    return sorted(spaced | {num_frames // 2})


@torch.no_grad()
def compare_views(
    model: GaussianModel4D,
    views: ViewSet,
    resized: TrainingViews,
    *,
    frames: Sequence[int],
    has_view_losses: bool = True,
    backend: str = "auto",
    monitor: Monitor = silent,
) -> FitComparison:
    """Compare renders of a scene with the given images, on white.

    Args:
        model: The fitted scene, on the device on which it is rendered.
        views: The given views.
        resized: The same views at the size of the fit.
        frames: Indices of the frames to measure; the shown ones must be among them.
        has_view_losses: Whether losses compare views other than the input video with renders.
        backend: Rasterizer.
        monitor: Called after each image, as stage ``compare``.

    Raises:
        Interrupted: if the user cancels.
    """
    model = model.object_centered()  # the given cameras move with the object
    tracks = views.views if views.reference is None else (views.reference_track, *views.views)
    scores: list[list[float]] = [[] for _ in tracks]
    strips: list[list[Tensor]] = [[] for _ in tracks]
    shown = shown_frames(views.num_frames)
    tile = _tile_size(len(tracks))
    for done, frame in enumerate(frames):
        gaussians = model.at(model.frame_times[[frame]])[0]
        for index, (rgba, camera) in enumerate(resized.views_at(frame)):
            given = rgba[..., :3] + 1 - rgba[..., 3:]  # [H, W, 3] on white
            rendered = render(gaussians, camera.to(model.device), backend=backend).images[0].cpu().clamp(0, 1)
            scores[index].append(psnr(rendered, given).item())
            if frame in shown:
                strips[index].append(_strip(given, rendered, tile))
            monitor("compare", done * len(tracks) + index + 1, len(frames) * len(tracks))
    empty = resized.empty_frames()
    compared = []
    for index, track in enumerate(tracks):
        azimuth, elevation = track.cameras.angles_deg
        is_reference = views.reference is not None and index == 0
        weights = [track.weight(frame) for frame in range(len(track))]
        compared.append(
            ViewComparison(
                name=track.name,
                azimuth_deg=azimuth,
                elevation_deg=elevation,
                is_reference=is_reference,
                weight=sum(weights) / len(weights) if is_reference or has_view_losses else 0.0,
                psnr=math.fsum(scores[index]) / len(frames),
                empty_frames=sum(
                    frame in empty[index] and weight > 0 for frame, weight in enumerate(weights)
                ),
                strips=torch.stack(strips[index]),
            )
        )
    return FitComparison(
        num_frames=views.num_frames, frames=tuple(frames), shown_frames=tuple(shown), views=compared
    )


def _tile_size(num_views: int) -> int:
    """Return the longer side of the images that are shown, smaller for many views."""
    return max(min(_TILE, round(_TILE * math.sqrt(_FULL_TILES / num_views))), _MIN_TILE)


def _strip(given: Tensor, rendered: Tensor, tile: int) -> Tensor:
    """Return given image, render and difference side by side, [h, 3 w, 3] uint8."""
    difference = ((given - rendered).abs() * AMPLIFICATION).clamp(0, 1)
    images = torch.stack([given, rendered, difference]).permute(0, 3, 1, 2)  # [3, 3, H, W]
    height, width = images.shape[2:]
    scale = tile / max(height, width)
    if scale < 1:
        size = max(1, round(height * scale)), max(1, round(width * scale))
        images = interpolate(images, size=size, mode="bilinear", antialias=True)
    return torch.cat([*(images.clamp(0, 1) * 255).round().byte()], dim=2).permute(1, 2, 0)
