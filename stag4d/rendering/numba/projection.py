"""Owns the projection of Gaussians into cameras, eight Gaussians at a time, in double precision.

A splat is kept in the form that scanning pixel rows wants. With the 2D covariance [[a, b], [b, c]] of (x, y),
x given y is normal with mean ``slope * dy``, slope = b / c, and variance a - b^2 / c, so that

    alpha(x, y) = exp(reach - precision_x (dx - slope dy)^2 - precision_y dy^2) / 255
    precision_x = 1 / (2 (a - b^2 / c)),    precision_y = 1 / (2 c),    reach = ln(255 opacity)

and a pixel is touched, alpha >= 1/255, where the exponent is not negative. The four numbers are called an
ellipse. Long thin splats lose no digits to cancellation in them, as they do in the inverse covariance.

Conventions and limits are those of gsplat 1.5 and later, packed=False.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .simd import DOUBLE, FLOAT, INT32, WIDTH, Lanes, Mask, Memory, Rows
from .tiling import TILE
from .workers import compiled

Vector: TypeAlias = Sequence[Lanes]
Matrix: TypeAlias = Sequence[Sequence[Lanes]]

FAR_PLANE = 1e10
MAX_REACH = 0.5 * 3.33**2  # splats end at 3.33 standard deviations
FOV_MARGIN = 0.3  # of the tangent of half the field of view
MAX_RADIUS = 2.0**30  # pixels; fits int32
MIN_PRECISION, MAX_PRECISION = 1e-30, 1e30  # products with squares of offsets stay finite in float32


class Camera(NamedTuple):
    """A camera's numbers, each spread over lanes; ``pack_cameras`` lays them out in this order."""

    rotation: Matrix
    translation: Vector
    fx: Lanes
    fy: Lanes
    cx: Lanes
    cy: Lanes
    min_x: Lanes  # the Jacobian is taken at x / z within these, else splats far outside of the image blow up
    max_x: Lanes
    min_y: Lanes
    max_y: Lanes
    width: Lanes
    height: Lanes
    tile_rows: Lanes
    near_plane: Lanes
    eps2d: Lanes


_NUM_VIEW = 12  # numbers of the first three rows of a view matrix
CAMERA_SIZE = _NUM_VIEW + len(Camera._fields) - 2


def pack_cameras(
    viewmats: np.ndarray, intrinsics: np.ndarray, width: int, height: int, near_plane: float, eps2d: float
) -> np.ndarray:
    """Lay out cameras as the kernels of this module take them.

    Args:
        viewmats: World to camera [C, 4, 4].
        intrinsics: Pixels [C, 3, 3].
        width: Image width in pixels.
        height: Image height in pixels.
        near_plane: Least depth.
        eps2d: Added to the diagonal of the 2D covariance, pixels squared.

    Returns:
        Float64 [C, CAMERA_SIZE].
    """
    intrinsics = intrinsics.astype(np.float64)
    fx, fy, cx, cy = intrinsics[:, 0, 0], intrinsics[:, 1, 1], intrinsics[:, 0, 2], intrinsics[:, 1, 2]
    margin_x, margin_y = 0.5 * FOV_MARGIN * width, 0.5 * FOV_MARGIN * height
    cameras = np.empty((len(viewmats), CAMERA_SIZE))
    cameras[:, :_NUM_VIEW] = viewmats[:, :3].reshape(-1, _NUM_VIEW)
    columns = (
        fx,
        fy,
        cx,
        cy,
        -(cx + margin_x) / fx,
        (width - cx + margin_x) / fx,
        -(cy + margin_y) / fy,
        (height - cy + margin_y) / fy,
        width,
        height,
        -(-height // TILE),
        near_plane,
        eps2d,
    )
    for index, column in enumerate(columns, start=_NUM_VIEW):
        cameras[:, index] = column
    return cameras


def load_camera(memory: Memory) -> Camera:
    """Return the camera whose numbers lie in memory."""
    numbers = [memory.load_spread(index) for index in range(CAMERA_SIZE)]
    rows = [numbers[0:4], numbers[4:8], numbers[8:12]]
    return Camera([row[:3] for row in rows], [row[3] for row in rows], *numbers[_NUM_VIEW:])


def dot(left: Vector, right: Vector) -> Lanes:
    """Return the product of the first three components."""
    return left[0] * right[0] + left[1] * right[1] + left[2] * right[2]


def _rotation(quat: Vector) -> Matrix:
    """Return the matrix of a unit quaternion."""
    w, x, y, z = quat
    return [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
    ]


class Projection(NamedTuple):
    """Gaussians in a camera, with what the gradient needs again."""

    point: Vector  # mean in the camera's frame
    inverse_z: Lanes
    ratios: Vector  # x / z and y / z, clamped for the Jacobian
    inverse_norm: Lanes  # of the quaternion
    quat: Vector
    rotation: Matrix
    to_image: Matrix  # 2x3, J W: from the world to the image, linearized at the point
    axes: Matrix  # 2x3, J W R: the Gaussian's unit axes in the image
    covariance: Vector  # a, b, c
    ellipse: Vector  # precision_x, slope, precision_y


def project_lanes(camera: Camera, mean: Vector, quat: Vector, scale: Vector) -> Projection:
    """Project Gaussians: means [3], quaternions [4] of any norm, standard deviations [3]."""
    point = [dot(row, mean) + offset for row, offset in zip(camera.rotation, camera.translation, strict=True)]
    inverse_z = 1.0 / point[2]
    ratios = [
        (point[0] * inverse_z).maximum(camera.min_x).minimum(camera.max_x),
        (point[1] * inverse_z).maximum(camera.min_y).minimum(camera.max_y),
    ]
    # J = [[fx / z, 0, -fx x / z^2], [0, fy / z, -fy y / z^2]].
    forward = camera.rotation[2]
    to_image = [
        [focal * inverse_z * (across - ratio * along) for across, along in zip(row, forward, strict=True)]
        for focal, ratio, row in zip((camera.fx, camera.fy), ratios, camera.rotation[:2], strict=True)
    ]
    inverse_norm = 1.0 / (dot(quat, quat) + quat[3] * quat[3]).sqrt()
    quat = [number * inverse_norm for number in quat]
    rotation = _rotation(quat)
    axes = [[dot(row, column) for column in zip(*rotation, strict=True)] for row in to_image]
    scaled = [[axis * size for axis, size in zip(row, scale, strict=True)] for row in axes]
    a, c = (dot(row, row) + camera.eps2d for row in scaled)
    b = dot(*scaled)
    slope = b / c
    ellipse = [0.5 / (a - slope * b), slope, 0.5 / c]
    return Projection(
        point, inverse_z, ratios, inverse_norm, quat, rotation, to_image, axes, [a, b, c], ellipse
    )


def _visible(camera: Camera, splat: Projection, reach: Lanes, uv: Vector, radii: Vector) -> Mask:
    """Return which splats to keep; every test is false for NaN, so what is not finite is culled."""
    z, (precision_x, _, precision_y) = splat.point[2], splat.ellipse
    kept = (z >= camera.near_plane) & (z > 0.0) & (z < FAR_PLANE) & (reach >= 0.0) & (reach < math.inf)
    for precision in (precision_x, precision_y):
        kept = kept & (precision > MIN_PRECISION) & (precision < MAX_PRECISION)
    for center, radius, size in zip(uv, radii, (camera.width, camera.height), strict=True):
        kept = kept & (radius > 0.0) & (center + radius > 0.0) & (center - radius < size)
    return kept


def load_tables(builder: ir.IRBuilder, addresses: ir.Value, kinds: Sequence[ir.Type]) -> list[Memory]:
    """Return the arrays at a tuple of addresses."""
    return [Memory.at(builder, builder.extract_value(addresses, i), kind) for i, kind in enumerate(kinds)]


@intrinsic
def _project_eight(
    typing_context: Any, gaussians: Any, camera: Any, first: Any, last: Any, outputs: Any
) -> tuple[Any, Callable[..., Any]]:
    """Project eight Gaussians, or as many as there are to the last; arrays are given by their addresses."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        gaussians = load_tables(builder, args[0], [FLOAT] * 4)
        camera = load_camera(Memory.at(builder, args[1], DOUBLE))
        rows = Rows(builder, args[2], args[3])
        mean, quat, scale, (reach,) = (
            rows.load(table, columns) for table, columns in zip(gaussians, (3, 4, 3, 1), strict=True)
        )
        splat = project_lanes(camera, mean, quat, scale)
        x, y, z = splat.point
        uv = [camera.fx * x * splat.inverse_z + camera.cx, camera.fy * y * splat.inverse_z + camera.cy]
        clamped_reach = reach.minimum(MAX_REACH)
        extents = [(2.0 * clamped_reach * splat.covariance[index]).sqrt() for index in (0, 2)]
        radii = [extent.minimum(MAX_RADIUS).ceil() for extent in extents]
        kept = _visible(camera, splat, reach, uv, radii)
        first_row, end_row = (
            (edge * (1.0 / TILE)).floor().maximum(0.0).minimum(camera.tile_rows)
            for edge in (uv[1] - extents[1], uv[1] + extents[1] + TILE)
        )
        columns = (uv, [*splat.ellipse, clamped_reach], [z], radii, [first_row, end_row - first_row])
        tables = load_tables(builder, args[4], (FLOAT, FLOAT, FLOAT, INT32, INT32))
        for table, lanes in zip(tables, columns, strict=True):
            rows.store(table, [lane.where(kept, 0.0) for lane in lanes])
        return context.get_dummy_value()

    return types.void(gaussians, camera, types.int64, types.int64, outputs), emit


@compiled
def project(
    part: int,
    parts: int,
    means: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    reaches: np.ndarray,
    cameras: np.ndarray,
    means2d: np.ndarray,
    ellipses: np.ndarray,
    depths: np.ndarray,
    radii: np.ndarray,
    tile_rows: np.ndarray,
) -> None:
    """Project Gaussians into every camera; all outputs of the culled are 0.

    Args:
        part: This share.
        parts: Of so many.
        means: [N, 3].
        quats: [N, 4].
        scales: [N, 3].
        reaches: ln(255 opacities) [N].
        cameras: From ``pack_cameras``.
        means2d: Pixels [C, N, 2], written.
        ellipses: [C, N, 4], written.
        depths: [C, N], written.
        radii: Pixels [C, N, 2], written.
        tile_rows: First row of tiles and how many [C, N, 2], written.
    """
    count = means.shape[0]
    end = count * (part + 1) // parts
    gaussians = (means.ctypes.data, quats.ctypes.data, scales.ctypes.data, reaches.ctypes.data)
    for c in range(cameras.shape[0]):
        outputs = (
            means2d[c].ctypes.data,
            ellipses[c].ctypes.data,
            depths[c].ctypes.data,
            radii[c].ctypes.data,
            tile_rows[c].ctypes.data,
        )
        for first in range(count * part // parts, end, WIDTH):
            _project_eight(gaussians, cameras[c].ctypes.data, first, end - 1, outputs)
