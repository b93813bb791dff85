"""Owns the gradient of ``projection``, eight Gaussians at a time, in double precision.

A gradient of the loss to a value is named after it, ``g_value``. Everything that the projection computed on
its way is computed again, which is faster than storing it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .projection import (
    Camera,
    Matrix,
    Projection,
    Vector,
    dot,
    load_camera,
    load_tables,
    project_lanes,
)
from .simd import DOUBLE, FLOAT, INT32, WIDTH, Lanes, Memory, Rows
from .workers import compiled


def _covariance_gradient(splat: Projection, g_ellipse: Vector) -> Vector:
    """Return the gradient to the covariance (a, b, c) from that to (precision_x, slope, precision_y).

    With v = a - b^2 / c: d precision_x = -2 precision_x^2 dv and dv = da - 2 slope db + slope^2 dc;
    d slope = 2 precision_y (db - slope dc); d precision_y = -2 precision_y^2 dc.
    """
    precision_x, slope, precision_y = splat.ellipse
    g_v = -2.0 * precision_x * precision_x * g_ellipse[0]
    g_b = 2.0 * precision_y * g_ellipse[1]
    g_c = slope * (slope * g_v - g_b) - 2.0 * precision_y * precision_y * g_ellipse[2]
    return [g_v, g_b - 2.0 * slope * g_v, g_c]


def _quat_gradient(splat: Projection, g: Matrix) -> Vector:
    """Return the gradient to a quaternion of any norm from that to its rotation matrix."""
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
    radial = dot(gradient, splat.quat) + gradient[3] * z  # the norm has no effect
    return [(g_q - radial * q) * splat.inverse_norm for g_q, q in zip(gradient, splat.quat, strict=True)]


def _mean_gradient(camera: Camera, splat: Projection, g_to_image: Matrix, g_uv: Vector, g_z: Lanes) -> Vector:
    """Return the gradient to a mean from those to J W, to its place in the image and to its depth."""
    g_point = []
    for axis, focal in enumerate((camera.fx, camera.fy)):
        across, along = (dot(g_to_image[axis], camera.rotation[row]) for row in (axis, 2))
        scale, ratio = focal * splat.inverse_z, splat.ratios[axis]
        # J's row is scale * (1, -ratio); scale = focal / z; ratio is x / z, outside of the clamp constant.
        unclamped = splat.point[axis] * splat.inverse_z
        low, high = ((camera.min_x, camera.max_x), (camera.min_y, camera.max_y))[axis]
        g_ratio = (-along * scale).where((unclamped > low) & (unclamped < high), 0.0)
        g_xy = g_uv[axis] * scale + g_ratio * splat.inverse_z
        g_z = g_z - splat.inverse_z * scale * (across - along * ratio) - g_xy * unclamped
        g_point.append(g_xy)
    g_point.append(g_z)
    return [dot(g_point, column) for column in zip(*camera.rotation, strict=True)]


def _shape_gradient(splat: Projection, scale: Vector, g_ellipse: Vector) -> tuple[Vector, Vector, Matrix]:
    """Return the gradients to scale, quaternion and J W from that to the ellipse."""
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
    # For the product T R with gradient G: T^T G to R, G R^T to T.
    g_rotation = [
        [u * g_u + v * g_v for g_u, g_v in zip(*g_axes, strict=True)]
        for u, v in zip(*splat.to_image, strict=True)
    ]
    g_to_image = [[dot(row, rotation_row) for rotation_row in splat.rotation] for row in g_axes]
    return g_scale, _quat_gradient(splat, g_rotation), g_to_image


@intrinsic
def _project_eight_backward(
    typing_context: Any, gaussians: Any, camera: Any, first: Any, last: Any, incoming: Any, gradients: Any
) -> tuple[Any, Callable[..., Any]]:
    """Add one camera's gradients of eight Gaussians; arrays are given by their addresses."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> ir.Value:
        camera = load_camera(Memory.at(builder, args[1], DOUBLE))
        rows = Rows(builder, args[2], args[3])
        gaussians = load_tables(builder, args[0], [FLOAT] * 4)
        mean, quat, scale, (opacity,) = (
            rows.load(table, columns) for table, columns in zip(gaussians, (3, 4, 3, 1), strict=True)
        )
        incoming = load_tables(builder, args[4], (INT32, FLOAT, FLOAT, FLOAT))
        (radius, _), g_uv, g_ellipse, (g_depth,) = (
            rows.load(table, columns) for table, columns in zip(incoming, (2, 2, 4, 1), strict=True)
        )
        splat = project_lanes(camera, mean, quat, scale)
        g_scale, g_quat, g_to_image = _shape_gradient(splat, scale, g_ellipse[:3])
        g_mean = _mean_gradient(camera, splat, g_to_image, g_uv, g_depth)
        outputs = (g_mean, g_quat, g_scale, [g_ellipse[3] / opacity])  # reach = ln(255 opacity)
        for table, lanes in zip(load_tables(builder, args[5], [FLOAT] * 4), outputs, strict=True):
            before = rows.load(table, len(lanes))
            added = [lane.where(radius > 0.0, 0.0) for lane in lanes]
            rows.store(table, [old + new for old, new in zip(before, added, strict=True)])
        return context.get_dummy_value()

    return types.void(gaussians, camera, types.int64, types.int64, incoming, gradients), emit


@compiled
def project_backward(
    part: int,
    parts: int,
    gaussians: tuple[np.ndarray, ...],
    cameras: np.ndarray,
    radii: np.ndarray,
    g_means2d: np.ndarray,
    g_ellipses: np.ndarray,
    g_depths: np.ndarray,
    gradients: tuple[np.ndarray, ...],
) -> None:
    """Add the gradients to Gaussians over all cameras; those of the culled are 0.

    Args:
        part: This share.
        parts: Of so many.
        gaussians: Tuple of means [N, 3], quats [N, 4], scales [N, 3], opacities [N].
        cameras: From ``pack_cameras``.
        radii: From ``project``.
        g_means2d: [C, N, 2].
        g_ellipses: [C, N, 4].
        g_depths: [C, N].
        gradients: Tuple shaped as the Gaussians, 0; added to.
    """
    means, quats, scales, opacities = gaussians
    g_means, g_quats, g_scales, g_opacities = gradients
    count = means.shape[0]
    end = count * (part + 1) // parts
    inputs = (means.ctypes.data, quats.ctypes.data, scales.ctypes.data, opacities.ctypes.data)
    outputs = (g_means.ctypes.data, g_quats.ctypes.data, g_scales.ctypes.data, g_opacities.ctypes.data)
    for first in range(count * part // parts, end, WIDTH):
        for c in range(cameras.shape[0]):
            incoming = (
                radii[c].ctypes.data,
                g_means2d[c].ctypes.data,
                g_ellipses[c].ctypes.data,
                g_depths[c].ctypes.data,
            )
            _project_eight_backward(inputs, cameras[c].ctypes.data, first, end - 1, incoming, outputs)
