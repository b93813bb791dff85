"""Gradient of the projection, eight Gaussians at a time, in double precision.

``g_value`` is the gradient of the loss with respect to ``value``. All intermediate results of the projection
are recomputed, which is faster than storing them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...kernels.compilation import compiled
from .cameras import Camera, load_camera
from .projection import Projection, dot, project_lanes
from .simd import DOUBLE, FLOAT, INT32, WIDTH, Array, Lanes, Matrix, RowBatch, Vector, arrays_at


def _covariance_gradient(splat: Projection, g_ellipse: Vector) -> Vector:
    """Return g_covariance (a, b, c) from g_ellipse (precision_x, slope, precision_y).

    With v = a - b^2 / c: d precision_x = -2 precision_x^2 dv and dv = da - 2 slope db + slope^2 dc;
    d slope = 2 precision_y (db - slope dc); d precision_y = -2 precision_y^2 dc.
    """
    precision_x, slope, precision_y = splat.ellipse
    g_v = -2.0 * precision_x * precision_x * g_ellipse[0]
    g_b = 2.0 * precision_y * g_ellipse[1]
    g_c = slope * (slope * g_v - g_b) - 2.0 * precision_y * precision_y * g_ellipse[2]
    return [g_v, g_b - 2.0 * slope * g_v, g_c]


def _quat_gradient(splat: Projection, g: Matrix) -> Vector:
    """Return g_quat, of a quaternion of any norm, from the gradient g to its rotation matrix."""
    w, x, y, z = splat.quat
    gradient = [
        2.0 * (x * (g[2][1] - g[1][2]) + y * (g[0][2] - g[2][0]) + z * (g[1][0] - g[0][1])),
        2.0 * (w * (g[2][1] - g[1][2]) + y * (g[0][1] + g[1][0]) + z * (g[0][2] + g[2][0]))
        - 4.0 * x * (g[1][1] + g[2][2]),
        2.0 * (w * (g[0][2] - g[2][0]) + x * (g[0][1] + g[1][0]) + z * (g[1][2] + g[2][1]))
        - 4.0 * y * (g[0][0] + g[2][2]),
        2.0 * (w * (g[1][0] - g[0][1]) + x * (g[0][2] + g[2][0]) + y * (g[1][2] + g[2][1]))
        - 4.0 * z * (g[0][0] + g[1][1]),
    ]
    radial = dot(gradient, splat.quat) + gradient[3] * z  # no gradient along the norm
    return [(g_q - radial * q) * splat.inverse_norm for g_q, q in zip(gradient, splat.quat, strict=True)]


def _mean_gradient(
    camera: Camera, splat: Projection, g_world_to_image: Matrix, g_mean2d: Vector, g_depth: Lanes
) -> Vector:
    """Return g_mean from the gradients to J W, to the 2D mean and to the depth."""
    g_mean_camera, g_z = [], g_depth
    for axis, focal in enumerate((camera.fx, camera.fy)):
        across, along = (dot(g_world_to_image[axis], camera.rotation[row]) for row in (axis, 2))
        scale, ratio = focal * splat.inverse_z, splat.ratios[axis]
        # A row of J is scale * (1, -ratio) with scale = focal / z and ratio = x / z, constant where clamped.
        unclamped = splat.mean_camera[axis] * splat.inverse_z
        low, high = ((camera.min_x, camera.max_x), (camera.min_y, camera.max_y))[axis]
        g_ratio = (-along * scale).where((unclamped > low) & (unclamped < high), 0.0)
        g_xy = g_mean2d[axis] * scale + g_ratio * splat.inverse_z
        g_z = g_z - splat.inverse_z * scale * (across - along * ratio) - g_xy * unclamped
        g_mean_camera.append(g_xy)
    # Nothing that an orthographic camera projects depends on z.
    g_mean_camera.append(g_z.where(camera.is_pinhole > 0.0, g_depth))
    return [dot(g_mean_camera, column) for column in zip(*camera.rotation, strict=True)]


def _shape_gradient(splat: Projection, scale: Vector, g_ellipse: Vector) -> tuple[Vector, Vector, Matrix]:
    """Return the gradients to scale, quaternion and J W from g_ellipse."""
    g_a, g_b, g_c = _covariance_gradient(splat, g_ellipse)
    # The covariance is P P^T + eps for the scaled axes P = J W R S, so the gradients to the two rows of P are
    # 2 g_a P_0 + g_b P_1 and g_b P_0 + 2 g_c P_1.
    scaled = [[axis * size for axis, size in zip(row, scale, strict=True)] for row in splat.axes]
    g_scaled = [
        [2.0 * g_a * x + g_b * y for x, y in zip(*scaled, strict=True)],
        [g_b * x + 2.0 * g_c * y for x, y in zip(*scaled, strict=True)],
    ]
    g_scale = [g_scaled[0][k] * splat.axes[0][k] + g_scaled[1][k] * splat.axes[1][k] for k in range(3)]
    g_axes = [[g * size for g, size in zip(row, scale, strict=True)] for row in g_scaled]
    # The product T R with gradient G has the gradients T^T G to R and G R^T to T.
    g_rotation = [
        [u * g_u + v * g_v for g_u, g_v in zip(*g_axes, strict=True)]
        for u, v in zip(*splat.world_to_image, strict=True)
    ]
    g_world_to_image = [[dot(row, rotation_row) for rotation_row in splat.rotation] for row in g_axes]
    return g_scale, _quat_gradient(splat, g_rotation), g_world_to_image


@intrinsic
def _project_eight_backward(
    typing_context: Any, gaussians: Any, camera: Any, first: Any, last: Any, g_splats: Any, g_gaussians: Any
) -> tuple[Any, Callable[..., Any]]:
    """Add the gradients from one camera, for the same Gaussians as ``_project_eight``."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        camera = load_camera(Array.at(builder, args[1], DOUBLE))
        rows = RowBatch(builder, args[2], args[3])
        gaussians = arrays_at(builder, args[0], [FLOAT] * 4)
        mean, quat, scale, (opacity,) = (
            rows.gather(table, columns) for table, columns in zip(gaussians, (3, 4, 3, 1), strict=True)
        )
        incoming = arrays_at(builder, args[4], (INT32, FLOAT, FLOAT, FLOAT))
        (radius, _), g_mean2d, g_ellipse, (g_depth,) = (
            rows.gather(table, columns) for table, columns in zip(incoming, (2, 2, 4, 1), strict=True)
        )
        splat = project_lanes(camera, mean, quat, scale)
        g_scale, g_quat, g_world_to_image = _shape_gradient(splat, scale, g_ellipse[:3])
        g_mean = _mean_gradient(camera, splat, g_world_to_image, g_mean2d, g_depth)
        gradients = (g_mean, g_quat, g_scale, [g_ellipse[3] / opacity])  # max_sigma = ln(255 opacity)
        for table, lanes in zip(arrays_at(builder, args[5], [FLOAT] * 4), gradients, strict=True):
            previous = rows.gather(table, len(lanes))
            added = [lane.where(radius > 0.0, 0.0) for lane in lanes]
            rows.scatter(table, [old + new for old, new in zip(previous, added, strict=True)])
        return context.get_dummy_value()

    return types.void(gaussians, camera, types.int64, types.int64, g_splats, g_gaussians), emit


@compiled
def project_backward(
    chunk: int,
    num_chunks: int,
    gaussians: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    cameras: np.ndarray,
    radii: np.ndarray,
    g_splats: tuple[np.ndarray, np.ndarray, np.ndarray],
    g_gaussians: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Sum the gradients to the Gaussians over all cameras; those of culled ones are 0.

    Args:
        chunk: Index of this chunk of Gaussians.
        num_chunks: Number of chunks.
        gaussians: Tuple of means [N, 3], quats [N, 4], scales [N, 3], opacities [N].
        cameras: [C, CAMERA_SIZE].
        radii: [C, N, 2]; 0 where culled.
        g_splats: Tuple of the gradients to means2d [C, N, 2], ellipses [C, N, 4], depths [C, N].
        g_gaussians: Tuple of arrays with the Gaussians' shapes, 0; added to.
    """
    means, quats, scales, opacities = gaussians
    g_means2d, g_ellipses, g_depths = g_splats
    g_means, g_quats, g_scales, g_opacities = g_gaussians
    count = means.shape[0]
    end = count * (chunk + 1) // num_chunks
    inputs = (means.ctypes.data, quats.ctypes.data, scales.ctypes.data, opacities.ctypes.data)
    g_inputs = (g_means.ctypes.data, g_quats.ctypes.data, g_scales.ctypes.data, g_opacities.ctypes.data)
    for first in range(count * chunk // num_chunks, end, WIDTH):
        for c in range(cameras.shape[0]):
            g_outputs = (
                radii[c].ctypes.data,
                g_means2d[c].ctypes.data,
                g_ellipses[c].ctypes.data,
                g_depths[c].ctypes.data,
            )
            _project_eight_backward(inputs, cameras[c].ctypes.data, first, end - 1, g_outputs, g_inputs)
