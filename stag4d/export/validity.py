"""Limits for files of unknown origin: numbers that can be rendered, and memory for what they declare."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..scene import Gaussians

LARGEST = 1e9  # magnitude of a number, and of a standard deviation in world units
_FREE_BYTES = 2**25  # that a file of any size may expand to
_MAX_EXPANSION = 256  # times of a larger file's size; splats are compressed 2 to 50 times


def valid_rows(gaussians: Gaussians) -> Tensor:
    """Return for each of N Gaussians whether its numbers are finite and small enough to render, [N] bool."""
    is_valid = (gaussians.log_scales <= math.log(LARGEST)).all(dim=1)
    for values in gaussians.as_dict().values():
        in_range = values.abs() <= LARGEST  # False for NaN
        is_valid &= in_range.reshape(len(values), math.prod(values.shape[1:])).all(dim=1)
    return is_valid


def check_valid(gaussians: Gaussians) -> Gaussians:
    """Return Gaussians; raises ValueError if one has a number that is not finite or too large."""
    num_invalid = int(torch.count_nonzero(~valid_rows(gaussians)))
    if num_invalid:
        raise ValueError(
            f"{num_invalid} of {len(gaussians)} Gaussians have numbers that are not finite, or beyond "
            f"{LARGEST:g}"
        )
    return gaussians


def check_expansion(num_bytes: int, num_expanded: int) -> None:
    """Raise ValueError if the content of a file would need far more memory than a file of its size can hold.

    Args:
        num_bytes: Size of the file.
        num_expanded: Memory of what it declares, bytes.
    """
    if num_expanded > max(_FREE_BYTES, _MAX_EXPANSION * num_bytes):
        raise ValueError(
            f"it declares {num_expanded} bytes of Gaussians in a file of {num_bytes} bytes; expected at most "
            f"{_MAX_EXPANSION} times as many"
        )
