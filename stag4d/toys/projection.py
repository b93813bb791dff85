"""The arrays that the ray caster's kernel reads: posed solids as one camera sees them, and materials."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..types import Cameras
from .materials import Materials
from .shapes import BOUND_MARGIN, ELLIPSOID, FRUSTUM, ROUNDED_CONE, Solids, frustum_side, rounded_cone_side


class ProjectedSolids(NamedTuple):
    """P solids as one camera sees them; float64."""

    kinds: np.ndarray  # [P] int64
    sizes: np.ndarray  # [P, 3]
    sides: np.ndarray  # [P, 4] of cones, see ``shapes.rounded_cone_side``
    units: np.ndarray  # [P, 3] half extents of ellipsoids, which are unit spheres in the kernels; else 1
    starts: np.ndarray  # [P, 3, 3] the ray's start in the solid's frame, in these units, of pixels (u, v, 1)
    headings: np.ndarray  # [P, 3, 3] the ray's direction there, of pixels (u, v, 1)
    bounds: np.ndarray  # [P, 4] int64: first column, column after the last, first row, row after the last


class MaterialArrays(NamedTuple):
    """The fields of ``Materials``, float64; patterns int64."""

    patterns: np.ndarray  # [P]
    colors: np.ndarray  # [P, 2, 3]
    axes: np.ndarray  # [P, 3]
    cells: np.ndarray  # [P]
    phases: np.ndarray  # [P]


def project(solids: Solids, camera: Cameras) -> ProjectedSolids:
    """Return posed solids as one camera sees them.

    In camera axes the ray through the pixel coordinates p = (u, v, 1) is t K^-1 p for a pinhole camera, and
    K^-1 p with t in place of its z for an orthographic one: t is the depth of its points.
    """
    viewmat, K = camera.viewmats[0].double().numpy(), camera.Ks[0].double().numpy()
    rotations, centers = solids.rotations.double().numpy(), solids.centers.double().numpy()
    sizes = solids.sizes.double().numpy()
    kinds, units = solids.kinds.numpy(), np.where(solids.kinds.numpy()[:, None] == ELLIPSOID, sizes, 1.0)
    to_solid = np.swapaxes(rotations, 1, 2) @ viewmat[:3, :3].T  # [P, 3, 3] from camera axes to the solid's
    in_camera = centers @ viewmat[:3, :3].T + viewmat[:3, 3]  # [P, 3]
    radii = BOUND_MARGIN * solids.bounding_radii().double().numpy()
    pixel_range = {"pinhole": _pixel_range, "ortho": _ortho_pixel_range}[camera.projection]
    columns, rows = (
        pixel_range(in_camera[:, axis], in_camera[:, 2], radii, (K[axis, axis], K[axis, 2]), size)
        for axis, size in ((0, camera.width), (1, camera.height))
    )
    rays = np.linalg.inv(K)
    origins = np.zeros((3, 3))
    if camera.projection == "ortho":
        origins[:2] = rays[:2]
        rays = np.diag([0.0, 0.0, 1.0])
    starts = to_solid @ origins
    starts[..., 2] -= np.einsum("pij,pj->pi", to_solid, in_camera)
    return ProjectedSolids(
        kinds=kinds,
        sizes=sizes,
        sides=_cone_sides(solids),
        units=units,
        starts=np.ascontiguousarray(starts / units[..., None]),
        headings=np.ascontiguousarray(to_solid @ rays / units[..., None]),
        bounds=np.stack([*columns, *rows], axis=1),
    )


def material_arrays(materials: Materials) -> MaterialArrays:
    """Return the materials as kernels read them."""
    floats = (materials.colors, materials.axes, materials.cells, materials.phases)
    return MaterialArrays(materials.patterns.numpy(), *(tensor.double().numpy() for tensor in floats))


def _pixel_range(
    offsets: np.ndarray, depths: np.ndarray, radii: np.ndarray, lens: tuple[float, float], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first pixel along an axis onto which each sphere projects, and the one after the last.

    The slopes s of the tangents from the camera to the circle around (offset, depth) are the roots of
    (depth^2 - r^2) s^2 - 2 offset depth s + offset^2 - r^2.

    Args:
        offsets: [P] camera x or y of the centers.
        depths: [P] camera z of the centers.
        radii: [P].
        lens: Focal length and principal point along the axis, pixels.
        size: Pixels along the axis.
    """
    is_in_front = depths > radii  # else the camera sees the sphere at any angle
    denominators = np.where(is_in_front, depths**2 - radii**2, 1.0)
    spreads = radii * np.sqrt(np.maximum(offsets**2 + depths**2 - radii**2, 0.0))
    edges = [
        np.floor(lens[0] * (offsets * depths + sign * spreads) / denominators + lens[1]) for sign in (-1, 1)
    ]
    first, last = (np.clip(edge, -1, size).astype(np.int64) for edge in edges)
    return np.where(is_in_front, np.maximum(first, 0), 0), np.where(
        is_in_front, np.minimum(last + 1, size), size
    )


def _ortho_pixel_range(
    offsets: np.ndarray, depths: np.ndarray, radii: np.ndarray, lens: tuple[float, float], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for an orthographic camera, whose focal length is in pixels per world unit."""
    edges = [np.floor(lens[0] * (offsets + sign * radii) + lens[1]) for sign in (-1, 1)]
    first, last = (np.clip(edge, -1, size).astype(np.int64) for edge in edges)
    return np.maximum(first, 0), np.minimum(last + 1, size)


def _cone_sides(solids: Solids) -> np.ndarray:
    """Return intercept, slope, lowest and highest y of the sides of cones [P, 4]; of other solids 0."""
    sides = np.zeros((len(solids.kinds), 4))
    for solid, (kind, sizes) in enumerate(zip(solids.kinds.tolist(), solids.sizes.tolist(), strict=True)):
        if kind in (ROUNDED_CONE, FRUSTUM):
            line, heights = (rounded_cone_side if kind == ROUNDED_CONE else frustum_side)(*sizes)
            sides[solid] = *line, *heights
    return sides
