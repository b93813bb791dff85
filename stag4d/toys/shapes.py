"""Analytic solids and their first intersections with rays.

A solid is centered in its own frame, with its axis along local y. Its three ``sizes`` are, by kind:

- ellipsoid and box: half extents along x, y, z;
- rounded cone, the hull of two spheres at y = -half and y = +half: their radii (which differ by less than the
  distance between their centers) and half;
- frustum, a flat-ended cone or cylinder: the radii of its bottom and its top, and half its height.

Every solid is convex, so a ray enters it at the smallest distance over the pieces of its boundary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Vector = tuple[float, float, float]

ELLIPSOID, BOX, ROUNDED_CONE, FRUSTUM = range(4)

_MISS = float("inf")
PARALLEL = 1e-12  # replaces zero in a denominator, so that quotients are large but finite
BOUND_MARGIN, _ROUNDING = 1.001, 1e-5  # factor of bounding radii, tolerance of distances: both for float32


@dataclass(frozen=True, eq=False)
class Solids:
    """P posed solids.

    Attributes:
        kinds: [P] int64, one of ``ELLIPSOID``, ``BOX``, ``ROUNDED_CONE``, ``FRUSTUM``.
        sizes: [P, 3], see the module's docstring.
        rotations: [P, 3, 3] from the solid's frame to the world.
        centers: [P, 3] in the world.
    """

    kinds: Tensor
    sizes: Tensor
    rotations: Tensor
    centers: Tensor

    def bounding_radii(self) -> Tensor:
        """Return the radius [P] of a bounding sphere around each center."""
        first, second, third = self.sizes.unbind(-1)
        widest = torch.maximum(first, second)
        diagonal, rim = self.sizes.norm(dim=-1), torch.hypot(widest, third)
        options = torch.stack([torch.maximum(widest, third), diagonal, third + widest, rim])  # [4, P]
        return options.gather(0, self.kinds[None])[0]

    def support_points(self, directions: Tensor) -> Tensor:
        """Return each solid's farthest boundary points along directions, both in its own frame.

        Args:
            directions: [D, 3] unit vectors.

        Returns:
            [P, D, 3].
        """
        sizes, along = self.sizes[:, None], directions[None]  # [P, 1, 3], [1, D, 3]
        sides = torch.where(along < 0, -1.0, 1.0).to(sizes)
        ellipsoid = sizes**2 * along / (sizes * along).norm(dim=-1, keepdim=True)
        box = sizes * sides
        bottom, top, half = sizes.unbind(-1)  # [P, 1]
        up = torch.tensor([0.0, 1.0, 0.0]).to(sizes)
        ends = [(-half)[..., None] * up, half[..., None] * up]
        spheres = [ends[0] + bottom[..., None] * along, ends[1] + top[..., None] * along]
        flat = along * (1 - up)
        radial = flat / flat.norm(dim=-1, keepdim=True).clamp_min(1e-9)
        rims = [ends[0] + bottom[..., None] * radial, ends[1] + top[..., None] * radial]
        cone, frustum = (
            torch.where(((pair[1] - pair[0]) * along).sum(-1, keepdim=True) > 0, pair[1], pair[0])
            for pair in (spheres, rims)
        )
        options = torch.stack([ellipsoid.expand_as(cone), box.expand_as(cone), cone, frustum])  # [4, P, D, 3]
        return options[self.kinds, torch.arange(len(self.kinds))]


@dataclass(frozen=True, eq=False)
class Hits:
    """The first hits of R rays from each of C origins.

    Attributes:
        distances: [C, R] along the ray; infinity for a miss.
        ids: [C, R] int64 index of the solid; -1 for a miss.
        points: [C, R, 3] hit points in the frame of the solid; 0 for a miss.
    """

    distances: Tensor
    ids: Tensor
    points: Tensor


def first_hits(origins: Tensor, directions: Tensor, solids: Solids) -> Hits:
    """Return the first hit of each ray; of equally near solids, the one listed first.

    Args:
        origins: [C, 3], outside of every solid.
        directions: [C, R, 3] unit vectors, R for each origin.
        solids: P solids.

    Returns:
        Hits [C, R].
    """
    num_rays = directions.shape[1]
    headings = directions.reshape(-1, 3).T.contiguous()  # [3, C R]: sums over 3 are then fast
    distances = torch.full_like(headings[0], _MISS)
    ids = torch.full_like(headings[0], -1, dtype=torch.int64)
    points = torch.zeros_like(headings)
    offsets = solids.centers[:, None] - origins  # [P, C, 3]
    # Distances along the rays of their closest points to the centers: a ray hits the bounding sphere if that
    # is no less than the length of the tangent from the origin to the sphere.
    closest = (offsets.transpose(0, 1) @ directions.transpose(1, 2)).transpose(0, 1)  # [P, C, R]
    tangents = (
        ((offsets**2).sum(-1) - (BOUND_MARGIN * solids.bounding_radii()[:, None]) ** 2).clamp_min(0).sqrt()
    )
    near = closest >= tangents[..., None] - _ROUNDING  # [P, C, R]
    for solid, (kind, sizes) in enumerate(zip(solids.kinds.tolist(), solids.sizes.tolist(), strict=True)):
        rays = near[solid].reshape(-1).nonzero()[:, 0]  # [K]
        if len(rays) == 0:
            continue
        to_local = solids.rotations[solid].T
        local_headings = to_local @ headings.index_select(1, rays)  # [3, K]
        # Local rays start at their closest point to the center: float32 is exact enough near it.
        skipped = closest[solid].reshape(-1).index_select(0, rays)
        local_origins = -(to_local @ offsets[solid].T).index_select(1, rays // num_rays)
        local_starts = torch.addcmul(local_origins, local_headings, skipped)
        steps = _ENTRIES[kind](local_starts, local_headings, *sizes)
        found = skipped + steps
        closer = ((found > 0) & (found < distances.index_select(0, rays))).nonzero()[:, 0]
        rays, steps = rays.index_select(0, closer), steps.index_select(0, closer)
        distances[rays] = found.index_select(0, closer)
        ids[rays] = solid
        points[:, rays] = torch.addcmul(
            local_starts.index_select(1, closer), local_headings.index_select(1, closer), steps
        )
    grid = directions.shape[:2]
    return Hits(distances.reshape(grid), ids.reshape(grid), points.T.reshape(*grid, 3))


def rounded_cone_side(
    bottom: float, top: float, half: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the side of a rounded cone: intercept and slope of its radius over y, lowest and highest y.

    It is the tangent line rho cosine + (y + half) sine = bottom in the half plane (rho, y).
    """
    sine = (bottom - top) / (2 * half)
    cosine = math.sqrt(1 - sine**2)
    return ((bottom - half * sine) / cosine, -sine / cosine), (bottom * sine - half, top * sine + half)


def frustum_side(bottom: float, top: float, half: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the side of a frustum; see ``rounded_cone_side``."""
    return ((bottom + top) / 2, (top - bottom) / (2 * half)), (-half, half)


def _quadratic_roots(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return the roots of a t^2 + 2 b t + c, the lower first; infinity where there are none."""
    discriminant = b * b - a * c
    # q / a and c / q: accurate for small a too, where (-b +- sqrt) / a cancels digits.
    q = -(b + torch.copysign(discriminant.clamp_min(0).sqrt(), b))
    first, second = q / a.masked_fill(a == 0, PARALLEL), c / q.masked_fill(q == 0, PARALLEL)
    missed = discriminant < 0
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    return low.masked_fill(missed, _MISS), high.masked_fill(missed, _MISS)


def _enter_sphere(starts: Tensor, headings: Tensor, radius: float, height: float = 0.0) -> Tensor:
    """Return the first distance [K] of rays [3, K] to a sphere around (0, height, 0); infinity for a miss."""
    offsets = starts - starts.new_tensor([[0.0], [height], [0.0]])
    a, b, c = (headings**2).sum(0), (offsets * headings).sum(0), (offsets**2).sum(0) - radius**2
    return _quadratic_roots(a, b, c)[0]


def _enter_ellipsoid(starts: Tensor, headings: Tensor, x: float, y: float, z: float) -> Tensor:
    """Scale space so that the ellipsoid is a unit sphere, which leaves distances along rays unchanged."""
    half_axes = starts.new_tensor([[x], [y], [z]])
    return _enter_sphere(starts / half_axes, headings / half_axes, 1.0)


def _enter_box(starts: Tensor, headings: Tensor, x: float, y: float, z: float) -> Tensor:
    """Intersect the slabs between opposite faces: enter the last of them before leaving any."""
    safe = torch.where(headings.abs() < PARALLEL, PARALLEL, headings)
    reach = starts.new_tensor([[x], [y], [z]]) * safe.sign()
    nears, fars = ((-reach - starts) / safe).amax(0), ((reach - starts) / safe).amin(0)
    return nears.masked_fill(nears > fars, _MISS)


def _enter_rounded_cone(starts: Tensor, headings: Tensor, bottom: float, top: float, half: float) -> Tensor:
    """Return the smallest distance to two spheres and to the cone that is tangent to both, between them."""
    spheres = [_enter_sphere(starts, headings, *end) for end in ((bottom, -half), (top, half))]
    side = _enter_cone_side(starts, headings, *rounded_cone_side(bottom, top, half))
    return torch.minimum(torch.minimum(*spheres), side)


def _enter_frustum(starts: Tensor, headings: Tensor, bottom: float, top: float, half: float) -> Tensor:
    """Return the smallest distance to the two discs and to the side."""
    rise = torch.where(headings[1].abs() < PARALLEL, PARALLEL, headings[1])
    entry = _enter_cone_side(starts, headings, *frustum_side(bottom, top, half))
    for radius, height in ((bottom, -half), (top, half)):
        distance = (height - starts[1]) / rise
        spots = starts[::2] + distance * headings[::2]  # x and z
        entry = torch.minimum(entry, distance.masked_fill((spots**2).sum(0) > radius**2, _MISS))
    return entry


def _enter_cone_side(
    starts: Tensor, headings: Tensor, line: tuple[float, float], heights: tuple[float, float]
) -> Tensor:
    """Return the first distance to x^2 + z^2 = (intercept + slope y)^2 with y between ``heights``."""
    intercept, slope = line
    radius, growth = intercept + slope * starts[1], slope * headings[1]
    a = (headings[::2] ** 2).sum(0) - growth**2
    b = (starts[::2] * headings[::2]).sum(0) - radius * growth
    c = (starts[::2] ** 2).sum(0) - radius**2
    entry = torch.full_like(a, _MISS)
    for root in _quadratic_roots(a, b, c):
        y = starts[1] + root * headings[1]
        entry = torch.minimum(entry, root.masked_fill((y < heights[0]) | (y > heights[1]), _MISS))
    return entry


_ENTRIES: dict[int, Callable[..., Tensor]] = {
    ELLIPSOID: _enter_ellipsoid,
    BOX: _enter_box,
    ROUNDED_CONE: _enter_rounded_cone,
    FRUSTUM: _enter_frustum,
}
