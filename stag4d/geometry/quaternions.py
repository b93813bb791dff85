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


def rotations_to_quats(rotations: Tensor) -> Tensor:
    """Return unit quaternions of rotation matrices, the inverse of ``quats_to_rotations``.

    Args:
        rotations: [..., 3, 3].

    Returns:
        [..., 4] wxyz; of the two of opposite sign the one with w >= 0.
    """
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotations.flatten(-2).unbind(-1)
    # 4 q q^T: each row is a multiple of the quaternion, that with the largest diagonal the most accurate one.
    rows = [
        torch.stack([1 + r00 + r11 + r22, r21 - r12, r02 - r20, r10 - r01], dim=-1),
        torch.stack([r21 - r12, 1 + r00 - r11 - r22, r01 + r10, r02 + r20], dim=-1),
        torch.stack([r02 - r20, r01 + r10, 1 - r00 + r11 - r22, r12 + r21], dim=-1),
        torch.stack([r10 - r01, r02 + r20, r12 + r21, 1 - r00 - r11 + r22], dim=-1),
    ]
    products = torch.stack(rows, dim=-2)  # [..., 4, 4]
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)  # [...]
    index = largest[..., None, None].expand(*largest.shape, 1, 4)
    quats = torch.nn.functional.normalize(products.gather(-2, index)[..., 0, :], dim=-1)
    return torch.where(quats[..., :1] < 0, -quats, quats)
