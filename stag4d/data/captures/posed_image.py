"""One image of a capture with its camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

_SAME_CAMERA = 1e-6  # largest difference of the entries of two matrices, relative to the largest entry


@dataclass(frozen=True, eq=False, kw_only=True)
class PosedImage:
    """An image file and its camera.

    Attributes:
        path: The file, below the folder of the capture.
        relative: The same path, as the source names it.
        viewmat: [4, 4] world-to-camera, float64, OpenCV axes.
        K: [3, 3] intrinsics, float64, pixels.
        width: Image width for which ``K`` is, pixels.
        height: Image height for which ``K`` is, pixels.
        mask: Its mask file, if the source names one.
        camera: Name of the camera, if the source tells.
        time: When it was taken, in any unit, if the source tells.
    """

    path: Path
    relative: PurePath
    viewmat: np.ndarray
    K: np.ndarray
    width: int
    height: int
    mask: Path | None = None
    camera: str | None = None
    time: float | None = None


def is_static(images: Sequence[PosedImage]) -> bool:
    """Return whether images have the same camera."""
    return all(
        _is_same(image.viewmat, images[0].viewmat) and _is_same(image.K, images[0].K) for image in images
    )


def _is_same(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two matrices are equal but for rounding."""
    return bool(np.abs(first - second).max() <= _SAME_CAMERA * max(1.0, np.abs(second).max()))
