"""A capture: posed images of several cameras on disk, as a reader finds them, before any image is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...geometry import check_intrinsics, check_viewmats

Vector = tuple[float, float, float]

_FOCALS = (1e-2, 1e4)  # in sides of the image: from wider than any lens to telescopes
_MAX_OFFSET = 10  # of the principal point from the middle, in sides of the image
_MAX_POSITION = 1e9  # of a camera, units of the source; float32 has no digits beyond


@dataclass(frozen=True, eq=False, kw_only=True)
class CaptureView:
    """Files of one camera of a capture, and the camera, which is a pinhole.

    Attributes:
        name: Name of the camera.
        frames: F image files in the order of time, or one video file.
        masks: As many files, or one video file; None if there are none.
        viewmats: [1 or F, 4, 4] world-to-camera, float64, OpenCV axes, in the world of the source.
        Ks: [1 or F, 3, 3] intrinsics, float64, pixels; pixel centers at +0.5.
        width: Image width for which ``Ks`` are, pixels; files may be larger or smaller by a factor.
        height: Image height for which ``Ks`` are, pixels.
    """

    name: str
    frames: tuple[Path, ...] | Path
    masks: tuple[Path, ...] | Path | None
    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Capture:
    """Posed images of several cameras on disk.

    Attributes:
        format: What was found, one line for the log, such as ``nerfstudio transforms.json``.
        root: Folder of the capture.
        views: One for each camera, in natural order of their names.
        frame_ids: F numbers that the source gives its frames: times, or numbers in file names; empty if the
            frames are those of video files.
        fps: Frames a second; None if the source does not tell.
        up: Direction that is up in the world of the source; None if the source does not tell.
        center: A point of the object in the world of the source; None if the source does not tell.
        reference: Index of the view that is the video's own camera; None if there is none.
        front: Index of the view that is to have azimuth 0 where no view is the reference.
    """

    format: str
    root: Path
    views: tuple[CaptureView, ...]
    frame_ids: tuple[float, ...] = ()
    fps: float | None = None
    up: Vector | None = None
    center: Vector | None = None
    reference: int | None = None
    front: int = 0


def static_reference(views: Sequence[CaptureView]) -> int | None:
    """Return 0, the first camera, if it does not move and is not the only one; else None."""
    return 0 if len(views) > 1 and len(views[0].viewmats) == 1 else None


def checked_view(
    *,
    name: str,
    frames: tuple[Path, ...] | Path,
    masks: tuple[Path, ...] | Path | None,
    viewmats: Sequence[np.ndarray],
    Ks: Sequence[np.ndarray],
    size: tuple[int, int],
    subject: str,
) -> CaptureView:
    """Return the view of one pinhole camera after checking its matrices.

    Args:
        name: Name of the camera.
        frames: F image files, or one video file.
        masks: As many files, or one video file; None if there are none.
        viewmats: 1 or F matrices [4, 4], world-to-camera.
        Ks: As many intrinsics [3, 3], pixels.
        size: Width and height for which they are.
        subject: The source, for messages.

    Raises:
        ValueError: if a matrix is not finite, mirrored, no rotation, or has skew.
    """
    names = [f"{subject}: camera {name}" + (f", frame {index}" if index else "") for index in range(len(Ks))]
    view = CaptureView(
        name=name,
        frames=frames,
        masks=masks,
        viewmats=check_viewmats(torch.from_numpy(np.stack(viewmats)), names),
        Ks=check_intrinsics(torch.from_numpy(np.stack(Ks)), names),
        width=size[0],
        height=size[1],
    )
    for label, viewmat, K in zip(names, view.viewmats, view.Ks, strict=True):
        _check_plausible(viewmat, K, size, label)
    return view


def _check_plausible(viewmat: Tensor, K: Tensor, size: tuple[int, int], subject: str) -> None:
    """Raise ValueError for numbers of a camera that are beyond any lens, image or place."""
    for axis, side in enumerate(size):
        focal, principal = K[axis, axis].item(), K[axis, 2].item()
        if not _FOCALS[0] * side <= focal <= _FOCALS[1] * side:
            raise ValueError(
                f"{subject}: focal length {focal:g} pixels for a side of {side}; expected {_FOCALS[0]:g} to "
                f"{_FOCALS[1]:g} times the side."
            )
        if abs(principal - side / 2) > _MAX_OFFSET * side:
            raise ValueError(
                f"{subject}: principal point at {principal:g} for a side of {side}; expected it near the "
                "image."
            )
    if viewmat[:3, 3].abs().max() > _MAX_POSITION:
        raise ValueError(
            f"{subject}: {viewmat[:3, 3].abs().max().item():g} units from the origin; expected at most "
            f"{_MAX_POSITION:g}."
        )
