"""The ray caster that Numba compiles: rows of an image of posed solids, antialiased by supersampling.

The rays of a row are traced together, one solid after the other, in loops that LLVM vectorizes. A ray is
parameterized by its camera z. From a pinhole camera it starts at the center, and its direction is the
camera's forward direction plus what the pixel adds to that; from an orthographic one it starts beside the
center and goes forward. So the first hit has the smallest parameter, which is the depth. A solid is tested by
the rays of the pixels onto which its bounding sphere projects.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..geometry import OrbitPose
from ..kernels.compilation import compiled, inlined
from ..kernels.threads import run_chunks
from ..types import Cameras
from .materials import PATTERNS, SPOT_RADIUS, Material, Materials
from .numba_solids import Vector, hit_solid, row_of, vector_at
from .projection import MaterialArrays, ProjectedSolids, material_arrays, project
from .shapes import ELLIPSOID, Solids

_STRIPES, _CHECKS, _SPOTS, _TWO_TONE = (
    PATTERNS.index(pattern) for pattern in ("stripes", "checks", "spots", "two_tone")
)


class Render(NamedTuple):
    """Rows of an image that is being rendered; float32."""

    colors: np.ndarray  # [h, W, 3] straight, white where nothing is hit
    alphas: np.ndarray  # [h, W]
    depths: np.ndarray  # [h, W] camera z


class Workspace(NamedTuple):
    """Memory for one row of each chunk."""

    depths: np.ndarray  # [chunks, R] camera z of the first hits of the R rays of a row
    ids: np.ndarray  # [chunks, R] int64 solids of these hits, -1 for a miss
    sums: np.ndarray  # [chunks, W, 5] RGB, number of hits, camera z, summed over a pixel's rays


class RowTracer:
    """Renders rows of an image, on all threads that torch may use.

    Args:
        solids: Posed solids.
        materials: Their materials.
        camera: One camera, outside of every solid.
        supersample: Rays along each side of a pixel.
    """

    def __init__(self, solids: Solids, materials: Materials, camera: Cameras, supersample: int) -> None:
        self._solids, self._materials = project(solids, camera), material_arrays(materials)
        self._width, self._supersample = camera.width, supersample

    def __call__(self, first: int, last: int) -> tuple[Tensor, Tensor, Tensor]:
        """Render the rows from ``first`` up to but excluding ``last``.

        Returns:
            Straight colors [h, W, 3], white where nothing is hit, alphas [h, W] and mean camera z [h, W].
        """
        num_rows, width = last - first, self._width
        rays = (num_rows, width * self._supersample)  # there is at most one chunk per row
        workspace = Workspace(np.empty(rays), np.empty(rays, np.int64), np.empty((num_rows, width, 5)))
        shapes = ((num_rows, width, 3), (num_rows, width), (num_rows, width))
        render = Render(*(np.empty(shape, np.float32) for shape in shapes))
        run_chunks(
            trace_rows, num_rows, first, self._solids, self._materials, self._supersample, workspace, render
        )
        colors, alphas, depths = map(torch.from_numpy, render)
        return colors, alphas, depths


def warm_up() -> None:
    """Compile the kernel, or load it from the cache, by rendering a sphere."""
    sphere = Solids(torch.tensor([ELLIPSOID]), torch.ones(1, 3), torch.eye(3)[None], torch.zeros(1, 3))
    camera = Cameras.from_poses([OrbitPose(azimuth_deg=0.0)], 2, 2)
    RowTracer(sphere, Materials.from_list([Material((1.0, 1.0, 1.0))]), camera, 1)(0, 2)


@inlined
def choose_color(materials: MaterialArrays, solid: int, point: Vector) -> int:
    """Return which of its two colors a solid has at a point in its frame; see ``Materials.colors_at``."""
    pattern, axis = materials.patterns[solid], row_of(materials.axes, solid)
    cell, phase = materials.cells[solid], materials.phases[solid]
    x, y, z = point
    along = (x * axis[0] + y * axis[1] + z * axis[2]) / cell + phase
    x, y, z = x / cell + phase, y / cell + phase, z / cell + phase
    if pattern == _STRIPES:
        return int(along - math.floor(along) < 0.5)
    if pattern == _CHECKS:
        index = math.floor(2.0 * x) + math.floor(2.0 * y) + math.floor(2.0 * z)
        return int(index % 2 == 0)
    if pattern == _SPOTS:
        x, y, z = x - math.floor(x) - 0.5, y - math.floor(y) - 0.5, z - math.floor(z) - 0.5
        return int(x * x + y * y + z * z < SPOT_RADIUS * SPOT_RADIUS)
    return int(pattern == _TWO_TONE and along > 0.0)


@inlined
def add_color(
    solids: ProjectedSolids,
    materials: MaterialArrays,
    hit: tuple[int, float],
    ray: tuple[float, float],
    sums: np.ndarray,
    column: int,
) -> None:
    """Add a hit's color, 1 and camera z to the sums of a pixel.

    Args:
        solids: The solids.
        materials: Their materials.
        hit: The solid and the camera z.
        ray: Pixel coordinates.
        sums: [W, 5].
        column: The pixel.
    """
    solid, depth = hit
    unit = row_of(solids.units, solid)
    start = vector_at(solids.starts, solid, ray[0], ray[1])
    heading = vector_at(solids.headings, solid, ray[0], ray[1])
    point = (
        unit[0] * (start[0] + depth * heading[0]),
        unit[1] * (start[1] + depth * heading[1]),
        unit[2] * (start[2] + depth * heading[2]),
    )
    color = choose_color(materials, solid, point)
    for channel in range(3):
        sums[column, channel] += materials.colors[solid, color, channel]
    sums[column, 3] += 1.0
    sums[column, 4] += depth


@compiled
def trace_rows(
    chunk: int,
    num_chunks: int,
    first_row: int,
    solids: ProjectedSolids,
    materials: MaterialArrays,
    supersample: int,
    workspace: Workspace,
    render: Render,
) -> None:
    """Render one chunk of some rows of an image.

    Args:
        chunk: Index of this chunk, a range of the rows.
        num_chunks: Number of chunks.
        first_row: Row of the image that the first of the rows is.
        solids: The solids.
        materials: Their materials.
        supersample: Rays along each side of a pixel.
        workspace: Overwritten.
        render: Written.
    """
    (num_rows, width), bounds = render.alphas.shape, solids.bounds
    depths, ids, sums = workspace.depths[chunk], workspace.ids[chunk], workspace.sums[chunk]
    half = 0.5 / supersample
    for row in range(num_rows * chunk // num_chunks, num_rows * (chunk + 1) // num_chunks):
        for column in range(width):
            for channel in range(5):
                sums[column, channel] = 0.0
        image_row = first_row + row
        for sample in range(supersample):
            v = image_row + sample / supersample + half
            for ray in range(width * supersample):
                depths[ray], ids[ray] = math.inf, -1
            for solid in range(solids.kinds.shape[0]):
                if bounds[solid, 2] <= image_row < bounds[solid, 3]:
                    first, last = bounds[solid, 0] * supersample, bounds[solid, 1] * supersample
                    rays = bounds[solid, 0] + half, v, 1.0 / supersample
                    hit_solid(solids, solid, rays, depths[first:last], ids[first:last])
            for ray in range(width * supersample):
                if ids[ray] >= 0:
                    u = ray / supersample + half
                    add_color(solids, materials, (ids[ray], depths[ray]), (u, v), sums, ray // supersample)
        for column in range(width):
            num_hits = sums[column, 3]
            for channel in range(3):
                straight = sums[column, channel] / num_hits if num_hits > 0.0 else 1.0
                render.colors[row, column, channel] = min(straight, 1.0)
            render.alphas[row, column] = num_hits / (supersample * supersample)
            render.depths[row, column] = sums[column, 4] / max(num_hits, 1.0)
