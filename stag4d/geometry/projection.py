"""Projections of cameras: pinhole and orthographic, with the names of gsplat's ``camera_model``."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

Projection = Literal["pinhole", "ortho"]

PROJECTIONS: tuple[Projection, ...] = get_args(Projection)
_NEAREST = 1e-6  # camera z below which a point counts as behind a pinhole, world units


def project_points(
    points: Tensor, viewmat: Tensor, K: Tensor, projection: Projection = "pinhole"
) -> tuple[Tensor, Tensor]:
    """Return pixel coordinates and depths of points in one camera.

    Args:
        points: [N, 3], world units.
        viewmat: [4, 4] world-to-camera, OpenCV axes.
        K: [3, 3] intrinsics: pixels, for an orthographic camera the focals are pixels per world unit.
        projection: Pinhole ``u = fx x / z + cx``, or orthographic ``u = fx x + cx``.

    Returns:
        Pixel coordinates [N, 2], the first pixel's center at 0.5, and camera z [N]. Behind a pinhole, where z
        is below 1e-6, the coordinates have no meaning.
    """
    # One row per axis: a CPU is several times as fast at long rows as at many rows of two or three.
    in_camera = viewmat[:3, :3] @ points.T + viewmat[:3, 3:]  # [3, N]
    slopes, depths = in_camera[:2], in_camera[2]
    if projection == "pinhole":
        slopes = slopes / depths.clamp_min(_NEAREST)
    return (slopes * K.diagonal()[:2, None] + K[:2, 2:]).T, depths


def check_projection(projection: str, subject: str) -> Projection:
    """Return a projection; raises ValueError unless it is known."""
    for known in PROJECTIONS:
        if projection == known:
            return known
    raise ValueError(
        f"{subject}: unknown projection {projection!r}; expected one of {', '.join(PROJECTIONS)}."
    )
