"""Several processes that train one model, each with a share of the batch; torchrun starts them."""

from __future__ import annotations

import atexit
import os

import torch
from torch import Tensor, distributed

RANK, NUM_PROCESSES = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))  # set by torchrun


def share_of(batch: int) -> int:
    """Return how many of a batch's examples are this process's; raises ValueError if there is a rest."""
    if batch % NUM_PROCESSES:
        raise ValueError(
            f"{NUM_PROCESSES} processes cannot share a batch of {batch}; start as many as divide it."
        )
    return batch // NUM_PROCESSES


def meet() -> None:
    """Wait for the other processes; at this one's end their group is let go of."""
    if NUM_PROCESSES > 1:
        distributed.init_process_group("gloo")
        atexit.register(distributed.destroy_process_group)


def add_up(tensors: list[Tensor]) -> None:
    """Replace tensors by their sums over all processes."""
    if NUM_PROCESSES > 1:
        joined = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(joined)
        parts = joined.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))
