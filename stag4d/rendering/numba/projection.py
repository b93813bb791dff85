"""Projection of Gaussians into cameras, eight Gaussians at a time, in double precision.

Instead of gsplat's conic a splat has the form that suits scanning pixel rows. With the 2D covariance
[[a, b], [b, c]] of (x, y), x given y is normal with mean ``slope * dy``, slope = b / c, and variance
a - b^2 / c, so that

    sigma(dx, dy) = precision_x (dx - slope dy)^2 + precision_y dy^2,    alpha = exp(max_sigma - sigma) / 255
    precision_x = 1 / (2 (a - b^2 / c)),    precision_y = 1 / (2 c),    max_sigma = ln(255 opacity)

and a pixel has alpha >= 1/255 where sigma <= max_sigma: inside the ellipse of these four numbers. Thin splats
lose no digits to cancellation in them, as they do in the inverse covariance.

Conventions and limits are those of gsplat 1.5 and later, packed=False.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...kernels.compilation import compiled
from .cameras import Camera, load_camera
from .layout import TILE_SIZE, Splats
from .simd import DOUBLE, FLOAT, INT32, WIDTH, Array, Lanes, Mask, Matrix, RowBatch, Vector, arrays_at

FAR_PLANE = 1e10
MAX_SIGMA = 0.5 * 3.33**2  # splats end at 3.33 standard deviations
MAX_RADIUS = 2.0**30  # pixels; fits int32
MIN_PRECISION, MAX_PRECISION = 1e-30, 1e30  # products with squared distances stay finite in float32


def dot(left: Vector, right: Vector) -> Lanes:
    """Return the dot product of the first three components."""
    return left[0] * right[0] + left[1] * right[1] + left[2] * right[2]


def _rotation(quat: Vector) -> Matrix:
    """Return the rotation matrix of a unit quaternion."""
    w, x, y, z = quat
    return [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
    ]


class Projection(NamedTuple):
    """Gaussians in a camera, with the intermediate results that the gradient needs."""

    mean_camera: Vector
    inverse_z: Lanes  # 1 if orthographic
    ratios: Vector  # x / z and y / z, clamped for the Jacobian; 0 if orthographic
    inverse_norm: Lanes  # of the quaternion
    quat: Vector
    rotation: Matrix
    world_to_image: Matrix  # 2x3, J W: linearized at the point
    axes: Matrix  # 2x3, J W R: the Gaussian's unit axes in the image
    covariance: Vector  # a, b, c
    ellipse: Vector  # precision_x, slope, precision_y


def project_lanes(camera: Camera, mean: Vector, quat: Vector, scale: Vector) -> Projection:
    """Project Gaussians: means [3], quaternions [4] of any norm, standard deviations [3]."""
    view = zip(camera.rotation, camera.translation, strict=True)
    mean_camera = [dot(row, mean) + offset for row, offset in view]
    inverse_z = (1.0 / mean_camera[2]).where(camera.is_pinhole > 0.0, 1.0)
    ratios = [
        (mean_camera[0] * inverse_z).maximum(camera.min_x).minimum(camera.max_x),
        (mean_camera[1] * inverse_z).maximum(camera.min_y).minimum(camera.max_y),
    ]
    # J = [[fx / z, 0, -fx x / z^2], [0, fy / z, -fy y / z^2]]; orthographic [[fx, 0, 0], [0, fy, 0]].
    forward = camera.rotation[2]
    world_to_image = [
        [focal * inverse_z * (across - ratio * along) for across, along in zip(row, forward, strict=True)]
        for focal, ratio, row in zip((camera.fx, camera.fy), ratios, camera.rotation[:2], strict=True)
    ]
    # The axes J W R S in the image; the covariance is their product with their transpose, blurred by eps2d.
    inverse_norm = 1.0 / (dot(quat, quat) + quat[3] * quat[3]).sqrt()
    quat = [number * inverse_norm for number in quat]
    rotation = _rotation(quat)
    axes = [[dot(row, column) for column in zip(*rotation, strict=True)] for row in world_to_image]
    scaled = [[axis * size for axis, size in zip(row, scale, strict=True)] for row in axes]
    a, c = (dot(row, row) + camera.eps2d for row in scaled)
    b = dot(*scaled)
    slope = b / c
    ellipse = [0.5 / (a - slope * b), slope, 0.5 / c]
    return Projection(
        mean_camera, inverse_z, ratios, inverse_norm, quat, rotation, world_to_image, axes, [a, b, c], ellipse
    )


def _is_visible(camera: Camera, splat: Projection, max_sigma: Lanes, mean2d: Vector, radii: Vector) -> Mask:
    """Return which splats are not culled; every test is false for NaN, so splats that are not finite are."""
    z, (precision_x, _, precision_y) = splat.mean_camera[2], splat.ellipse
    visible = (z >= camera.near_plane) & (z > 0.0) & (z < FAR_PLANE)
    visible = visible & (max_sigma >= 0.0) & (max_sigma < math.inf)
    for precision in (precision_x, precision_y):
        visible = visible & (precision > MIN_PRECISION) & (precision < MAX_PRECISION)
    for center, radius, size in zip(mean2d, radii, (camera.width, camera.height), strict=True):
        visible = visible & (radius > 0.0) & (center + radius > 0.0) & (center - radius < size)
    return visible


@intrinsic
def _project_eight(
    typing_context: Any, gaussians: Any, camera: Any, first: Any, last: Any, outputs: Any
) -> tuple[Any, Callable[..., Any]]:
    """Project eight Gaussians from ``first`` on, up to ``last``; arrays are given by their addresses."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        gaussians = arrays_at(builder, args[0], [FLOAT] * 4)
        camera = load_camera(Array.at(builder, args[1], DOUBLE))
        rows = RowBatch(builder, args[2], args[3])
        mean, quat, scale, (max_sigma,) = (
            rows.gather(table, columns) for table, columns in zip(gaussians, (3, 4, 3, 1), strict=True)
        )
        splat = project_lanes(camera, mean, quat, scale)
        x, y, z = splat.mean_camera
        mean2d = [camera.fx * x * splat.inverse_z + camera.cx, camera.fy * y * splat.inverse_z + camera.cy]
        clamped_sigma = max_sigma.minimum(MAX_SIGMA)
        extents = [(2.0 * clamped_sigma * splat.covariance[index]).sqrt() for index in (0, 2)]
        radii = [extent.minimum(MAX_RADIUS).ceil() for extent in extents]
        visible = _is_visible(camera, splat, max_sigma, mean2d, radii)
        first_row, end_row = (
            (edge * (1.0 / TILE_SIZE)).floor().maximum(0.0).minimum(camera.num_tile_rows)
            for edge in (mean2d[1] - extents[1], mean2d[1] + extents[1] + TILE_SIZE)
        )
        columns = (mean2d, [*splat.ellipse, clamped_sigma], [z], radii, [first_row, end_row - first_row])
        tables = arrays_at(builder, args[4], (FLOAT, FLOAT, FLOAT, INT32, INT32))
        for table, lanes in zip(tables, columns, strict=True):
            rows.scatter(table, [lane.where(visible, 0.0) for lane in lanes])
        return context.get_dummy_value()

    return types.void(gaussians, camera, types.int64, types.int64, outputs), emit


@compiled
def project(
    chunk: int,
    num_chunks: int,
    gaussians: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    cameras: np.ndarray,
    splats: Splats,
) -> None:
    """Project Gaussians into every camera; all outputs are 0 for the culled ones.

    Args:
        chunk: Index of this chunk of Gaussians.
        num_chunks: Number of chunks.
        gaussians: Tuple of means [N, 3], quats [N, 4], scales [N, 3] and ln(255 opacities) [N].
        cameras: [C, CAMERA_SIZE].
        splats: [C, N], written.
    """
    means, quats, scales, max_sigmas = gaussians
    means2d, ellipses, depths, radii, tile_rows = splats
    count = means.shape[0]
    end = count * (chunk + 1) // num_chunks
    inputs = (means.ctypes.data, quats.ctypes.data, scales.ctypes.data, max_sigmas.ctypes.data)
    for c in range(cameras.shape[0]):
        outputs = (
            means2d[c].ctypes.data,
            ellipses[c].ctypes.data,
            depths[c].ctypes.data,
            radii[c].ctypes.data,
            tile_rows[c].ctypes.data,
        )
        for first in range(count * chunk // num_chunks, end, WIDTH):
            _project_eight(inputs, cameras[c].ctypes.data, first, end - 1, outputs)
