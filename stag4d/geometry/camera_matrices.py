"""Values of EXTRINSICS and INTRINSICS sockets: matrices of other node packs, as tensors, arrays or lists."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .camera_checks import check_intrinsics, check_viewmats


def read_extrinsics(value: object) -> Tensor:
    """Return the world-to-camera matrices of an EXTRINSICS value.

    Args:
        value: Matrix [4, 4] or [3, 4], batch of them, or list of them; OpenCV axes.

    Returns:
        Float32 [C, 4, 4].

    Raises:
        ValueError: if the shape is another one, or a matrix is not rigid, see ``check_viewmats``.
    """
    matrices = _batch(value, "extrinsics", ((4, 4), (3, 4)))
    if matrices.shape[1] == 3:
        last_rows = matrices.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(matrices), 1, 4)
        matrices = torch.cat([matrices, last_rows], dim=1)
    return check_viewmats(matrices, _names("extrinsics", len(matrices))).float()


def read_intrinsics(value: object, count: int) -> Tensor:
    """Return the intrinsics of C cameras of an INTRINSICS value.

    Args:
        value: Matrix [3, 3], pixels, batch of them, or list of them; a single one holds for all cameras.
        count: C.

    Returns:
        Float32 [C, 3, 3].

    Raises:
        ValueError: if shape or number are other ones, or a matrix is invalid, see ``check_intrinsics``.
    """
    matrices = _batch(value, "intrinsics", ((3, 3),))
    if len(matrices) not in (1, count):
        raise ValueError(f"intrinsics: {len(matrices)} matrices for {count} cameras; expected 1 or {count}.")
    check_intrinsics(matrices, _names("intrinsics", len(matrices)))
    return matrices.float().expand(count, 3, 3).clone()


def _batch(value: object, name: str, shapes: tuple[tuple[int, int], ...]) -> Tensor:
    """Return matrices as float64 [C, rows, columns]."""
    try:
        tensor = _tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: not a matrix or list of matrices ({error}).") from error
    expected = " or ".join(f"[{rows}, {columns}]" for rows, columns in shapes)
    if tensor.ndim not in (2, 3) or tuple(tensor.shape[-2:]) not in shapes or not len(tensor):
        raise ValueError(
            f"{name}: shape {list(tensor.shape)}; expected {expected}, or a batch or list of them."
        )
    return tensor if tensor.ndim == 3 else tensor[None]


def _tensor(value: Any) -> Tensor:
    """Return a tensor, array, or list of them, float64 on the CPU; items of a list may be batches."""
    if isinstance(value, (list, tuple)) and value and hasattr(value[0], "ndim"):
        parts = [_tensor(part) for part in value]
        return torch.cat([part if part.ndim == 3 else part[None] for part in parts])
    return torch.as_tensor(value, dtype=torch.float64, device="cpu")


def _names(name: str, count: int) -> list[str]:
    """Return names of the matrices for error messages."""
    return [f"{name}[{index}]" for index in range(count)]
