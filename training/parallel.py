"""Data parallelism: processes started by torchrun train one model, each on a part of the batch."""

from __future__ import annotations

import atexit
import os

import torch
from torch import Tensor, distributed

RANK, NUM_PROCESSES = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))  # set by torchrun


def local_batch_size(batch: int) -> int:
    """Return the examples of a batch per process; raises ValueError if it cannot be divided evenly."""
    if batch % NUM_PROCESSES:
        raise ValueError(
            f"{NUM_PROCESSES} processes cannot share a batch of {batch}; start a number that divides it."
        )
    return batch // NUM_PROCESSES


def join_processes() -> None:
    """Join the process group, which is left when this process ends."""
    if NUM_PROCESSES > 1:
        distributed.init_process_group("gloo")
        atexit.register(distributed.destroy_process_group)


def sum_over_processes(tensors: list[Tensor]) -> None:
    """Replace tensors by their sums over all processes."""
    if NUM_PROCESSES > 1:
        joined = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(joined)
        parts = joined.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))
