"""Ground truth folders: ``view{v}_frame{f:04d}.png`` (RGBA, straight alpha) and ``views.json``.

``stag4d render`` writes such folders. In ``views.json`` only ``views`` is required: ``frames`` defaults to
the frame numbers in the file names, ``num_frames`` to the last of them plus one.
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
from torch import Tensor

from ..data.png import read_image
from ..geometry import OrbitPose
from ..geometry.pose_json import (
    POSE_NAMES,
    check_names,
    check_version,
    poses_from_json,
    read_json_object,
    whole_number,
)
from ..progress import Monitor, silent
from ..types import MAX_FRAMES, Cameras, RenderOutput, frame_times
from .flicker import FlickerMeter
from .learned import LearnedMetrics
from .metrics import masked_psnr, on_white, psnr, silhouette_iou, ssim, summarize

_NEWEST_VERSION = 1
_NAMES = ("version", "fps", "size", "frames", "num_frames", "views")
_FILE = re.compile(r"view([0-9]+)_frame([0-9]+)\.png")


@dataclass(frozen=True)
class RenderFolder:
    """Renders of V views at T frames, on disk.

    Attributes:
        files: Files by view and frame number.
        poses: Cameras of the V views.
        frames: T frame numbers, ascending, counted from 0.
        num_frames: Frames of the whole video; frame f is at time f / (num_frames - 1).
        size: Width and height of every image, pixels.
    """

    files: Mapping[tuple[int, int], Path]
    poses: tuple[OrbitPose, ...]
    frames: tuple[int, ...]
    num_frames: int
    size: int

    @property
    def frame_times(self) -> Tensor:
        """Return the times of the T frames, [T], 0..1."""
        return frame_times(self.num_frames)[list(self.frames)]

    @property
    def cameras(self) -> Cameras:
        """Return the V cameras at the size of the images."""
        return Cameras.from_poses(self.poses, self.size, self.size)

    def read(self, view: int, frame: int) -> tuple[Tensor, Tensor]:
        """Return one image: straight colors [S, S, 3] and alpha [S, S], float32.

        Args:
            view: Number of the view, from 0.
            frame: One of ``frames``.

        Raises:
            ValueError: if the file is damaged, has no alpha or is of another size.
        """
        path = self.files[view, frame]
        pixels = _read_rgba(path)
        if pixels.shape[:2] != (self.size, self.size):
            raise ValueError(
                f"{path}: {pixels.shape[1]}x{pixels.shape[0]} pixels; expected {self.size}x{self.size}, as "
                "the first image has."
            )
        return pixels[..., :3], pixels[..., 3]


def read_render_folder(folder: str | Path, num_frames: int | None = None) -> RenderFolder:
    """Find the renders in a folder; ``RenderFolder.read`` reads the images.

    Args:
        folder: A folder as ``stag4d render`` writes it.
        num_frames: Frames of the whole video, where ``views.json`` has no ``num_frames``.

    Returns:
        Cameras, frames and files of the folder.

    Raises:
        FileNotFoundError: if the folder, ``views.json`` or an image is missing.
        ValueError: if ``views.json`` is malformed, newer or has an unknown entry, or the first image is
            damaged or not square.
    """
    root = Path(folder)
    if not (root / "views.json").is_file():
        problem = "has no views.json" if root.exists() else "does not exist"
        raise FileNotFoundError(f"truth: {root} {problem}; expected a folder as `stag4d render` writes it.")
    document = read_json_object(root / "views.json")
    if "version" in document:
        check_version(document, _NEWEST_VERSION, "views.json")
    check_names(document, _NAMES, "views.json")
    poses = poses_from_json(document.get("views"), "views.json: views")
    for index, pose in enumerate(document["views"]):
        check_names(pose, POSE_NAMES, f"views.json: views[{index}]")
    if not poses:
        raise ValueError("views.json: no views; expected one or more.")
    files, frames = _find_images(root, len(poses), document)
    last = frames[-1]
    length = whole_number(document.get("num_frames", num_frames or last + 1), "views.json: num_frames")
    if length <= last:
        raise ValueError(f"truth: {root} has frame {last}, but the video has {length} frames; expected more.")
    if length > MAX_FRAMES:
        raise ValueError(f"truth: {root} has a video of {length} frames; expected at most {MAX_FRAMES}.")
    first = files[0, frames[0]]
    height, width = _read_rgba(first).shape[:2]
    if height != width:
        raise ValueError(
            f"{first}: {width}x{height} pixels; expected a square image, as `stag4d render` writes them."
        )
    return RenderFolder(files, poses, frames, length, height)


def evaluate_folder(
    render: Callable[[Cameras, float], RenderOutput],
    truth_folder: str | Path,
    num_frames: int | None = None,
    monitor: Monitor = silent,
    learned: LearnedMetrics | None = None,
) -> dict[str, Any]:
    """Measure renders against a ground truth folder, one frame at a time.

    Args:
        render: Renders the scene from C cameras at a time 0..1, composited on white.
        truth_folder: A folder as ``stag4d render`` writes it.
        num_frames: Frames of the whole video, where the folder's ``views.json`` has no ``num_frames``.
        monitor: Progress callback, called after each frame with the stage ``evaluate``.
        learned: Networks of further metrics.

    Returns:
        ``psnr`` and ``psnr_masked`` (decibels), ``ssim``, ``iou``, for more than one frame ``flicker``, and
        ``lpips`` and ``clip_s`` where their networks are given: means over frames, then views, see
        ``summarize``; ``per_view`` has the same names with lists of V means over frames.

    Raises:
        FileNotFoundError: if the folder or a file in it is missing.
        ValueError: if a file in it is malformed, or its images are too small for a metric.
        Interrupted: if the monitor cancels.
    """
    truth = read_render_folder(truth_folder, num_frames)
    cameras = truth.cameras
    learned = learned or LearnedMetrics()
    by_frame: list[dict[str, Tensor]] = []  # [V] each
    meter = FlickerMeter()
    for done, (frame, time) in enumerate(zip(truth.frames, truth.frame_times.tolist(), strict=True), start=1):
        output = render(cameras, time)
        pairs = [truth.read(view, frame) for view in range(len(truth.poses))]
        alphas = torch.stack([alpha for _, alpha in pairs])  # [V, S, S]
        images = on_white(torch.stack([image for image, _ in pairs]), alphas)  # [V, S, S, 3]
        # colors above 1 would be clipped in an image file of the render, so they are clipped here too
        rendered, rendered_alphas = output.images.detach().cpu().clamp(0, 1), output.alphas.detach().cpu()
        by_frame.append(
            {
                "psnr": psnr(rendered, images),
                "psnr_masked": masked_psnr(rendered, images, alphas),
                "ssim": ssim(rendered, images),
                "iou": silhouette_iou(rendered_alphas, alphas),
                **learned.measure(rendered, images),
            }
        )
        meter.add(rendered, images)
        monitor("evaluate", done, len(truth.frames))
    scores = {name: torch.stack([frame[name] for frame in by_frame], dim=1) for name in by_frame[0]}  # [V, T]
    if len(truth.frames) > 1:
        scores["flicker"] = meter.values()[:, None]
    return summarize(scores)


def _find_images(
    root: Path, num_views: int, document: Mapping[str, Any]
) -> tuple[dict[tuple[int, int], Path], tuple[int, ...]]:
    """Return the image files by view and frame, and the frames, ascending; raises if a file is missing."""
    matches = [match for entry in root.iterdir() if (match := _FILE.fullmatch(entry.name))]
    found = {(int(match[1]), int(match[2])): root / match[0] for match in matches}
    if not found:
        raise FileNotFoundError(f"truth: {root} has no images; expected view0_frame0000.png, ...")
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
    """Return an RGBA image, float32 0..1 [H, W, 4]; raises ValueError if it is damaged or has no alpha."""
    colors, alpha = read_image(path)
    if alpha is None:
        raise ValueError(f"{path}: no alpha; expected RGBA with straight alpha.")
    return torch.from_numpy(np.concatenate([colors, alpha[..., None]], axis=-1))
