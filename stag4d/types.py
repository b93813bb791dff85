"""Values that several packages share: cameras, view sets, renders.

Images are float 0..1, sRGB as decoded; their straight alpha is a tensor of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from .geometry import (
    OrbitPose,
    Projection,
    check_offsets,
    check_projection,
    intrinsics,
    orbit_viewmats,
    project_points,
)

MAX_FRAMES = 2**16  # of a video: 45 minutes at 24 frames per second
DEFAULT_FPS = 8.0  # of images and splats without a frame rate
MAX_FPS = 1e4  # frames per second
_TOLERANCE = 0.01  # of pixels outside 0..1: more than the rounding of bfloat16


@dataclass(frozen=True, eq=False)
class Cameras:
    """C cameras of one image size and projection, OpenCV axes.

    Attributes:
        viewmats: [C, 4, 4] world-to-camera.
        Ks: [C, 3, 3] intrinsics, pixels; pixel centers at +0.5. Focals of orthographic cameras are pixels per
            world unit.
        width: Image width, pixels.
        height: Image height, pixels.
        projection: "pinhole" or "ortho".
    """

    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int
    projection: Projection = "pinhole"

    def __post_init__(self) -> None:
        """Check shapes and projection; raises ValueError with what was found."""
        count = self.viewmats.shape[0] if self.viewmats.ndim == 3 else -1
        if self.viewmats.shape != (count, 4, 4):
            raise ValueError(f"cameras: viewmats have shape {list(self.viewmats.shape)}; expected [C, 4, 4].")
        if self.Ks.shape != (count, 3, 3):
            raise ValueError(f"cameras: Ks have shape {list(self.Ks.shape)}; expected [{count}, 3, 3].")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"cameras: image size {self.width}x{self.height}; expected at least one pixel.")
        check_projection(self.projection, "cameras")

    @classmethod
    def from_poses(cls, poses: Sequence[OrbitPose], width: int, height: int) -> Cameras:
        """Return cameras at C orbit poses, all with the same image size in pixels."""
        return cls(
            orbit_viewmats(poses), intrinsics([pose.fovy_deg for pose in poses], width, height), width, height
        )

    def __len__(self) -> int:
        """Return C."""
        return self.viewmats.shape[0]

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> Cameras:
        """Return the chosen cameras, still as a batch."""
        return replace(self, viewmats=self.viewmats[index], Ks=self.Ks[index])

    def to(self, device: torch.device | str) -> Cameras:
        """Return the same cameras on a device."""
        return replace(self, viewmats=self.viewmats.to(device), Ks=self.Ks.to(device))

    @property
    def centers(self) -> Tensor:
        """Return the camera centers in the world, [C, 3]."""
        return -(self.viewmats[:, :3, :3].transpose(1, 2) @ self.viewmats[:, :3, 3:])[..., 0]

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return pixels [N, 2] and camera z [N] of points [N, 3] in the first camera."""
        return project_points(points, self.viewmats[0], self.Ks[0], self.projection)

    def towards(self, points: Tensor) -> Tensor:
        """Return unit directions [N, 3] from points [N, 3] to the first camera; parallel if orthographic."""
        if self.projection == "ortho":
            return -self.viewmats[0, 2, :3].expand_as(points)
        return normalize(self.centers[:1] - points, dim=-1)


@dataclass(frozen=True, eq=False)
class InputVideo:
    """Prepared frames of a video of one object, see ``matting.crop_video``.

    Attributes:
        images: [F, S, S, 3] straight colors, 0..1.
        alphas: [F, S, S].
        fps: Frames per second.
        elevation_deg: Elevation of the camera, degrees, positive above the object.
        crop_offsets: [F, 2] of the square that followed the object, to the right and down, in units of its
            side, see ``matting.CroppedVideo``; None if the square did not move.
    """

    images: Tensor
    alphas: Tensor
    fps: float = DEFAULT_FPS
    elevation_deg: float = 0.0
    crop_offsets: Tensor | None = None

    def __len__(self) -> int:
        """Return F."""
        return len(self.images)


@dataclass(frozen=True, eq=False)
class ViewSet:
    """F video frames of one object: the input view, and V posed views of every frame.

    Where the crop followed the object, the views are object-centered: the cameras move with the object, by
    ``offsets``, and their poses are those relative to it.

    Attributes:
        images: [F, H, W, 3] input frames.
        alphas: [F, H, W] coverage of the object in them, 0..1.
        view_images: [F, V, h, w, 3]; V may be 0. The size may differ from the input's.
        view_alphas: [F, V, h, w] coverage in the views.
        input_pose: Camera of the input frames.
        view_poses: Cameras of the V views, in their order.
        fps: Frame rate of the video, frames per second.
        offsets: [F, 3] translation of the object in the world at each frame; None if the crop did not move.
    """

    images: Tensor
    alphas: Tensor
    view_images: Tensor
    view_alphas: Tensor
    input_pose: OrbitPose
    view_poses: tuple[OrbitPose, ...]
    fps: float = DEFAULT_FPS
    offsets: Tensor | None = None

    def __post_init__(self) -> None:
        """Check shapes, squareness and ranges; raises ValueError with what was found."""
        frames, num_views = self.images.shape[0], len(self.view_poses)
        if frames < 1:
            raise ValueError("views: no frames; expected at least one.")
        _check_images("views: input frames", self.images, self.alphas, (frames,))
        _check_images("views: posed views", self.view_images, self.view_alphas, (frames, num_views))
        if not 0 < self.fps < MAX_FPS:
            raise ValueError(f"views: fps is {self.fps}; expected above 0 and below {MAX_FPS:g}.")
        if self.offsets is not None:
            check_offsets(self.offsets, frames, "views")

    @property
    def num_frames(self) -> int:
        """Return F."""
        return self.images.shape[0]

    @property
    def num_views(self) -> int:
        """Return V, the input view not counted."""
        return len(self.view_poses)

    @property
    def frame_times(self) -> Tensor:
        """Return the frames' times, [F], 0 to 1 inclusive (0 for a single frame)."""
        return frame_times(self.num_frames)

    def on_white(self, frame: int) -> Tensor:
        """Return a frame and its views on white at the larger of their two sizes, [1 + V, S, S, 3]."""
        size = max(self.images.shape[1], self.view_images.shape[2] if self.num_views else 0)
        pairs = [(self.images[frame], self.alphas[frame])]
        pairs += zip(self.view_images[frame], self.view_alphas[frame], strict=True)
        resized = []
        for image, alpha in pairs:
            white = (image * alpha[..., None] + 1 - alpha[..., None]).permute(2, 0, 1)[None]  # [1, 3, H, W]
            white = interpolate(white, size=(size, size), mode="bilinear", align_corners=False)
            resized.append(white[0].permute(1, 2, 0))
        return torch.stack(resized)


@dataclass(frozen=True, eq=False)
class RenderOutput:
    """Renders of C cameras at one time.

    Attributes:
        images: [C, H, W, 3], composited on the renderer's background.
        alphas: [C, H, W].
        depths: [C, H, W] expected camera z where alpha is positive, else 0; None unless requested.
        meta: The rasterizer's projected Gaussians, such as ``means2d`` and ``radii`` [C, N, 2], pixels.
    """

    images: Tensor
    alphas: Tensor
    depths: Tensor | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def frame_times(num_frames: int) -> Tensor:
    """Return times of F evenly spaced frames, float32 [F], 0 to 1 inclusive; a single frame is at 0."""
    return torch.linspace(0.0, 1.0, num_frames) if num_frames > 1 else torch.zeros(num_frames)


def _check_images(subject: str, images: Tensor, alphas: Tensor, batch: tuple[int, ...]) -> None:
    """Raise ValueError unless images [*batch, S, S, 3] and alphas [*batch, S, S] match and are 0..1."""
    if images.ndim != len(batch) + 3 or images.shape[: len(batch)] != batch or images.shape[-1] != 3:
        raise ValueError(
            f"{subject}: images have shape {list(images.shape)}; expected {[*batch, 'S', 'S', 3]}."
        )
    if alphas.shape != images.shape[:-1]:
        raise ValueError(
            f"{subject}: alphas have shape {list(alphas.shape)}; expected {list(images.shape[:-1])}."
        )
    height, width = images.shape[-3], images.shape[-2]
    if height != width:
        raise ValueError(
            f"{subject}: {width}x{height} pixels; expected square images, as STAG4D Prepare Frames, `python "
            "-m stag4d multiview` and crop_video make them."
        )
    for values, name in ((images, "pixels"), (alphas, "alphas")):
        for part in values if values.numel() else ():  # frame by frame, for the sake of memory
            low, high = (value.item() for value in part.aminmax())  # NaN if a value is
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"{subject}: not-a-number or infinite {name}; every value must be finite.")
            if low < -_TOLERANCE or high > 1 + _TOLERANCE:
                raise ValueError(f"{subject}: {name} from {low:g} to {high:g}; expected 0 to 1.")
