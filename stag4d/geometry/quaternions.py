"""Quaternions, (w, x, y, z) with w first, as gsplat and the 3DGS files have them."""

from __future__ import annotations

import torch
from torch import Tensor


def quats_to_rotations(quats: Tensor) -> Tensor:
    """Return rotation matrices of quaternions, which need not be normalized.

    Args:
        quats: [..., 4] wxyz.

    Returns:
        [..., 3, 3].
    """
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, dim=-1).reshape(*quats.shape[:-1], 3, 3)


def multiply_quats(left: Tensor, right: Tensor) -> Tensor:
    """Return the Hamilton product: the rotation by ``right`` first, then by ``left``.

    Args:
        left: [..., 4] wxyz.
        right: [..., 4] wxyz, broadcast against ``left``.

    Returns:
        [..., 4] wxyz.
    """
    lw, lx, ly, lz = left.unbind(-1)
    rw, rx, ry, rz = right.unbind(-1)
    return torch.stack(
        [
            lw * rw - lx * rx - ly * ry - lz * rz,
            lw * rx + lx * rw + ly * rz - lz * ry,
            lw * ry - lx * rz + ly * rw + lz * rx,
            lw * rz + lx * ry - ly * rx + lz * rw,
        ],
        dim=-1,
    )
