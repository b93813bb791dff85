"""Truth on disk: a folder of ``view{v}_frame{f:04d}.png`` (RGBA, straight alpha) and ``views.json``.

``stag4d render`` writes such folders. Of ``views.json`` only ``views`` is needed: without ``frames`` the
numbers come from the files' names, without ``num_frames`` the last of them ends the clip.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..geometry import OrbitPose
from ..geometry.pose_json import check_version, poses_from_json, read_json_object, whole_number
from ..progress import Monitor, silent
from ..types import Cameras, RenderOutput, frame_times
from .flicker import FlickerMeter
from .metrics import on_white, psnr, silhouette_iou, ssim, summarize

_NEWEST_VERSION = 1
_FILE = re.compile(r"view([0-9]+)_frame([0-9]+)\.png")


@dataclass(frozen=True)
class RenderFolder:
    """Renders of V views at T frames, on disk.

    Attributes:
        files: Files by view and frame number.
        poses: V cameras.
        frames: T frame numbers, ascending, from 0.
        num_frames: Frames of the whole clip; frame f is at time f / (num_frames - 1).
        size: Pixels on a side of every picture.
    """

    files: Mapping[tuple[int, int], Path]
    poses: tuple[OrbitPose, ...]
    frames: tuple[int, ...]
    num_frames: int
    size: int

    @property
    def frame_times(self) -> Tensor:
        """Return the times of the frames, [T], 0..1."""
        return frame_times(self.num_frames)[list(self.frames)]

    @property
    def cameras(self) -> Cameras:
        """Return the V cameras at the size of the pictures."""
        return Cameras.from_poses(self.poses, self.size, self.size)

    def read(self, view: int, frame: int) -> tuple[Tensor, Tensor]:
        """Return one picture: straight colors [S, S, 3] and alpha [S, S].

        Args:
            view: From 0.
            frame: A number out of ``frames``.

        Raises:
            ValueError: if the file is damaged, has no alpha or is of another size.
        """
        path = self.files[view, frame]
        pixels = _read_rgba(path)
        if pixels.shape[:2] != (self.size, self.size):
            raise ValueError(
                f"{path}: {pixels.shape[1]}x{pixels.shape[0]} pixels; expected {self.size}x{self.size}, as "
                "the first picture has."
            )
        return pixels[..., :3], pixels[..., 3]


def read_render_folder(folder: str | Path, num_frames: int | None = None) -> RenderFolder:
    """Find the renders in a folder; the pictures themselves are read when asked for.

    Args:
        folder: As ``stag4d render`` writes it.
        num_frames: Frames of the whole clip, used when ``views.json`` does not say.

    Returns:
        What is there.

    Raises:
        FileNotFoundError: if the folder, ``views.json`` or a picture is missing.
        ValueError: if ``views.json`` is malformed or newer, or the first picture is damaged or not square.
    """
    root = Path(folder)
    if not (root / "views.json").is_file():
        what = "has no views.json" if root.exists() else "does not exist"
        raise FileNotFoundError(f"truth: {root} {what}; expected a folder as `stag4d render` writes it.")
    document = read_json_object(root / "views.json")
    if "version" in document:
        check_version(document, _NEWEST_VERSION, "views.json")
    poses = poses_from_json(document.get("views"), "views.json: views")
    if not poses:
        raise ValueError("views.json: no views; expected one or more.")
    found, frames = _find_pictures(root, len(poses), document)
    last = frames[-1]
    clip_length = whole_number(document.get("num_frames", num_frames or last + 1), "views.json: num_frames")
    if clip_length <= last:
        raise ValueError(f"truth: {root} has frame {last}, the clip {clip_length} frames; expected more.")
    first = found[0, frames[0]]
    height, width = _read_rgba(first).shape[:2]
    if height != width:
        raise ValueError(f"{first}: {width}x{height} pixels; expected a square picture.")
    return RenderFolder(found, poses, frames, clip_length, height)


def evaluate_folder(
    render: Callable[[Cameras, float], RenderOutput],
    truth_folder: str | Path,
    num_frames: int | None = None,
    monitor: Monitor = silent,
) -> dict[str, Any]:
    """Measure renders against a truth folder, one frame at a time.

    Args:
        render: Gives the scene from C cameras at a time 0..1, composited on white.
        truth_folder: As ``stag4d render`` writes it.
        num_frames: Frames of the whole clip, used when the folder does not say.
        monitor: Called after each frame.

    Returns:
        ``psnr``, ``ssim``, ``iou`` and, of more than one frame, ``flicker``: means over frames and then
        views; and ``per_view``, lists of V.

    Raises:
        FileNotFoundError: if the folder or a part of it is missing.
        ValueError: if a part of it is malformed.
    """
    truth = read_render_folder(truth_folder, num_frames)
    cameras = truth.cameras
    by_frame: dict[str, list[Tensor]] = {"psnr": [], "ssim": [], "iou": []}
    meter = FlickerMeter()
    for done, (frame, time) in enumerate(zip(truth.frames, truth.frame_times.tolist(), strict=True), start=1):
        output = render(cameras, time)
        pictures = [truth.read(view, frame) for view in range(len(truth.poses))]
        alphas = torch.stack([alpha for _, alpha in pictures])  # [V, S, S]
        images = on_white(torch.stack([image for image, _ in pictures]), alphas)  # [V, S, S, 3]
        rendered, rendered_alphas = output.images.detach().cpu().clamp(0, 1), output.alphas.detach().cpu()
        by_frame["psnr"].append(psnr(rendered, images))  # [V]
        by_frame["ssim"].append(ssim(rendered, images))
        by_frame["iou"].append(silhouette_iou(rendered_alphas, alphas))
        meter.add(rendered, images)
        monitor("evaluate", done, len(truth.frames))
    scores = {name: torch.stack(values, dim=1) for name, values in by_frame.items()}  # of [V, T]
    if len(truth.frames) > 1:
        scores["flicker"] = meter.values()[:, None]
    return summarize(scores)


def _find_pictures(
    root: Path, num_views: int, document: Mapping[str, Any]
) -> tuple[dict[tuple[int, int], Path], tuple[int, ...]]:
    """Return the pictures by view and frame, and the frames, ascending; raises when one is missing."""
    matches = [match for entry in root.iterdir() if (match := _FILE.fullmatch(entry.name))]
    found = {(int(match[1]), int(match[2])): root / match[0] for match in matches}
    if not found:
        raise FileNotFoundError(f"truth: {root} has no pictures; expected view0_frame0000.png, ...")
    listed = document.get("frames")
    if listed is None:
        numbers = {frame for _, frame in found}
    elif isinstance(listed, list) and listed:
        numbers = {whole_number(frame, f"views.json: frames[{i}]") for i, frame in enumerate(listed)}
    else:
        raise ValueError("views.json: frames must be an array of one frame number or more.")
    frames = tuple(sorted(numbers))
    for view, frame in itertools.product(range(num_views), frames):
        if (view, frame) not in found:
            path = root / f"view{view}_frame{frame:04d}.png"
            raise FileNotFoundError(f"truth: {path} is missing; expected every frame from every view.")
    return found, frames


def _read_rgba(path: Path) -> Tensor:
    """Return a picture with alpha, float32 [H, W, 4]; raises ValueError naming the file when it is none."""
    try:
        with Image.open(path) as image:
            image.verify()  # checksums and the end; loading alone lets a lost end pass
        with Image.open(path) as image:
            has_alpha = image.has_transparency_data
            pixels = np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, IndexError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: unreadable or cut short ({error}); expected a whole PNG file.") from error
    if not has_alpha:
        raise ValueError(f"{path}: no alpha; expected RGBA with straight alpha.")
    return torch.from_numpy(pixels.astype(np.float32) / 255)
