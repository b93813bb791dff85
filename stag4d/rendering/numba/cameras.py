"""Cameras as the projection kernels read them: one row of float64 numbers per camera."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ..inputs import RasterInputs
from .layout import TILE_SIZE
from .simd import Array, Lanes, Matrix, Vector

FOV_MARGIN = 0.3  # of the tangent of half the field of view


class Camera(NamedTuple):
    """A camera's numbers, each in all lanes; ``pack_cameras`` stores them in this order."""

    rotation: Matrix
    translation: Vector
    fx: Lanes
    fy: Lanes
    cx: Lanes
    cy: Lanes
    min_x: Lanes  # limits of x / z in the Jacobian, else splats far outside the image grow large; 0 if ortho
    max_x: Lanes
    min_y: Lanes
    max_y: Lanes
    is_pinhole: Lanes  # 1, or 0 if orthographic: z divides nothing
    width: Lanes
    height: Lanes
    num_tile_rows: Lanes
    near_plane: Lanes
    eps2d: Lanes


_NUM_VIEW = 12  # numbers of the first three rows of a view matrix
CAMERA_SIZE = _NUM_VIEW + len(Camera._fields) - 2


def pack_cameras(inputs: RasterInputs) -> np.ndarray:
    """Return the cameras [C, CAMERA_SIZE], float64."""
    width, height = inputs.width, inputs.height
    viewmats, Ks = (
        tensor.detach().to("cpu", torch.float32).numpy() for tensor in (inputs.viewmats, inputs.Ks)
    )
    Ks = Ks.astype(np.float64)
    fx, fy, cx, cy = Ks[:, 0, 0], Ks[:, 1, 1], Ks[:, 0, 2], Ks[:, 1, 2]
    margin_x, margin_y = 0.5 * FOV_MARGIN * width, 0.5 * FOV_MARGIN * height
    is_pinhole = float(inputs.projection == "pinhole")
    cameras = np.empty((len(viewmats), CAMERA_SIZE))
    cameras[:, :_NUM_VIEW] = viewmats[:, :3].reshape(-1, _NUM_VIEW)
    columns = (
        fx,
        fy,
        cx,
        cy,
        is_pinhole * -(cx + margin_x) / fx,
        is_pinhole * (width - cx + margin_x) / fx,
        is_pinhole * -(cy + margin_y) / fy,
        is_pinhole * (height - cy + margin_y) / fy,
        is_pinhole,
        width,
        height,
        -(-height // TILE_SIZE),
        inputs.near_plane,
        inputs.eps2d,
    )
    for index, column in enumerate(columns, start=_NUM_VIEW):
        cameras[:, index] = column
    return cameras


def load_camera(array: Array) -> Camera:
    """Return the camera at the beginning of an array."""
    numbers = [array.broadcast(index) for index in range(CAMERA_SIZE)]
    rows = [numbers[0:4], numbers[4:8], numbers[8:12]]
    return Camera([row[:3] for row in rows], [row[3] for row in rows], *numbers[_NUM_VIEW:])
