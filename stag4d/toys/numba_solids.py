"""First intersections of rays with each kind of solid, for kernels; float64.

A ray is the points ``start + t heading`` in the frame of the solid, t > 0; a heading may have any length but
0. The formulas are those of ``shapes``. Loops over rays have no branches that LLVM cannot turn into
selections, so that they are vectorized.
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels.compilation import inlined
from .projection import ProjectedSolids
from .shapes import BOX, ELLIPSOID, PARALLEL, ROUNDED_CONE

Vector = tuple[float, float, float]
Side = tuple[float, float, float, float]  # intercept, slope, lowest and highest y, see ``shapes``


@inlined
def quadratic_roots(a: float, b: float, c: float) -> tuple[float, float]:
    """Return the roots of a t^2 + 2 b t + c, the lower first; infinity where there are none."""
    discriminant = b * b - a * c
    if discriminant < 0.0:
        return math.inf, math.inf
    # q / a and c / q: accurate for small a too, where (-b +- sqrt) / a cancels digits.
    q = -(b + math.copysign(math.sqrt(discriminant), b))
    first, second = q / (a if a != 0.0 else PARALLEL), c / (q if q != 0.0 else PARALLEL)
    return min(first, second), max(first, second)


@inlined
def enter_sphere(start: Vector, heading: Vector, radius: float, height: float) -> float:
    """Return t at which a ray enters a sphere around (0, height, 0), from outside; infinity for a miss."""
    x, y, z = start[0], start[1] - height, start[2]
    b = x * heading[0] + y * heading[1] + z * heading[2]
    if b >= 0.0:  # the ray departs from the center
        return math.inf
    a = heading[0] * heading[0] + heading[1] * heading[1] + heading[2] * heading[2]
    c = x * x + y * y + z * z - radius * radius
    discriminant = b * b - a * c
    return c / (math.sqrt(discriminant) - b) if discriminant >= 0.0 else math.inf


@inlined
def enter_box(start: Vector, heading: Vector, half: Vector) -> float:
    """Intersect the slabs between opposite faces: enter the last of them before leaving any."""
    near, far = -math.inf, math.inf
    for axis in range(3):
        pace = 1.0 / (heading[axis] if abs(heading[axis]) >= PARALLEL else PARALLEL)
        reach = math.copysign(half[axis], pace)
        near = max(near, (-reach - start[axis]) * pace)
        far = min(far, (reach - start[axis]) * pace)
    return near if near <= far else math.inf


@inlined
def enter_disc(start: Vector, heading: Vector, radius: float, height: float) -> float:
    """Return t at which a ray meets the disc around (0, height, 0) in the plane of x and z."""
    t = (height - start[1]) / (heading[1] if abs(heading[1]) >= PARALLEL else PARALLEL)
    x, z = start[0] + t * heading[0], start[2] + t * heading[2]
    return t if x * x + z * z <= radius * radius else math.inf


@inlined
def enter_cone_side(start: Vector, heading: Vector, side: Side) -> float:
    """Return the first t at x^2 + z^2 = (intercept + slope y)^2 with y from the lowest to the highest."""
    radius, growth = side[0] + side[1] * start[1], side[1] * heading[1]
    a = heading[0] * heading[0] + heading[2] * heading[2] - growth * growth
    b = start[0] * heading[0] + start[2] * heading[2] - radius * growth
    low, high = quadratic_roots(a, b, start[0] * start[0] + start[2] * start[2] - radius * radius)
    if side[2] <= start[1] + low * heading[1] <= side[3]:
        return low
    return high if side[2] <= start[1] + high * heading[1] <= side[3] else math.inf


@inlined
def enter_rounded_cone(start: Vector, heading: Vector, sizes: Vector, side: Side) -> float:
    """Return the smallest t of the side and of the two spheres."""
    bottom, top, half = sizes
    entry = enter_cone_side(start, heading, side)
    entry = min(entry, enter_sphere(start, heading, bottom, -half))
    return min(entry, enter_sphere(start, heading, top, half))


@inlined
def enter_frustum(start: Vector, heading: Vector, sizes: Vector, side: Side) -> float:
    """Return the smallest t of the side and of the two discs."""
    bottom, top, half = sizes
    entry = enter_cone_side(start, heading, side)
    entry = min(entry, enter_disc(start, heading, bottom, -half))
    return min(entry, enter_disc(start, heading, top, half))


@inlined
def row_of(array: np.ndarray, index: int) -> Vector:
    """Return a row of an array [P, 3]; a view of it would cost more than a ray."""
    return array[index, 0], array[index, 1], array[index, 2]


@inlined
def vector_at(matrix: np.ndarray, solid: int, u: float, v: float) -> Vector:
    """Return start or direction of the ray through (u, v), pixels, in the frame of a solid; [P, 3, 3]."""
    return (
        matrix[solid, 0, 0] * u + matrix[solid, 0, 1] * v + matrix[solid, 0, 2],
        matrix[solid, 1, 0] * u + matrix[solid, 1, 1] * v + matrix[solid, 1, 2],
        matrix[solid, 2, 0] * u + matrix[solid, 2, 1] * v + matrix[solid, 2, 2],
    )


@inlined
def along_row(first: Vector, step: Vector, ray: int) -> Vector:
    """Return start or direction of a ray of a row."""
    return first[0] + ray * step[0], first[1] + ray * step[1], first[2] + ray * step[2]


@inlined
def row_vectors(matrix: np.ndarray, solid: int, rays: tuple[float, float, float]) -> tuple[Vector, Vector]:
    """Return the first ray's start or direction and its step from ray to ray, see ``hit_solid``."""
    first = vector_at(matrix, solid, rays[0], rays[1])
    second = vector_at(matrix, solid, rays[0] + rays[2], rays[1])
    return first, (second[0] - first[0], second[1] - first[1], second[2] - first[2])


@inlined
def keep_nearest(depths: np.ndarray, ids: np.ndarray, ray: int, entry: float, solid: int) -> None:
    """Replace a ray's hit by a nearer one; without a branch, so that the loop over rays is vectorized."""
    is_nearer = (entry > 0.0) & (entry < depths[ray])
    depths[ray] = entry if is_nearer else depths[ray]
    ids[ray] = solid if is_nearer else ids[ray]


@inlined
def hit_solid(
    solids: ProjectedSolids, solid: int, rays: tuple[float, float, float], depths: np.ndarray, ids: np.ndarray
) -> None:
    """Update the hits of adjacent rays by those with one solid.

    Args:
        solids: The solids.
        solid: Index of one.
        rays: Pixel coordinates u and v of the first ray, and the step of u.
        depths: [R] camera z of the first hits.
        ids: [R] solids of the first hits.
    """
    kind, sizes, sides = solids.kinds[solid], row_of(solids.sizes, solid), solids.sides
    side = sides[solid, 0], sides[solid, 1], sides[solid, 2], sides[solid, 3]
    origin, shift = row_vectors(solids.starts, solid, rays)
    first, step = row_vectors(solids.headings, solid, rays)
    if kind == ELLIPSOID:
        for ray in range(depths.shape[0]):
            start, heading = along_row(origin, shift, ray), along_row(first, step, ray)
            keep_nearest(depths, ids, ray, enter_sphere(start, heading, 1.0, 0.0), solid)
    elif kind == BOX:
        for ray in range(depths.shape[0]):
            start, heading = along_row(origin, shift, ray), along_row(first, step, ray)
            keep_nearest(depths, ids, ray, enter_box(start, heading, sizes), solid)
    elif kind == ROUNDED_CONE:
        for ray in range(depths.shape[0]):
            start, heading = along_row(origin, shift, ray), along_row(first, step, ray)
            keep_nearest(depths, ids, ray, enter_rounded_cone(start, heading, sizes, side), solid)
    else:
        for ray in range(depths.shape[0]):
            start, heading = along_row(origin, shift, ray), along_row(first, step, ray)
            keep_nearest(depths, ids, ray, enter_frustum(start, heading, sizes, side), solid)
