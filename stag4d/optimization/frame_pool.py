"""Parallel frames of a step: on a CPU, one thread per frame beats threads inside torch's operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class FrameMap(Protocol):
    """Applies a function to items, in any order, and returns the results in the items' order."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return ``[function(item) for item in items]``; an error in one of them is raised."""
        ...


@contextmanager
def frame_pool(device: torch.device) -> Iterator[FrameMap]:
    """Yield a map over as many threads as torch may use, with one thread for the operations of each.

    The operations of a step are so small that threads inside them mostly wait for each other. The limit holds
    for everything in the block, the guidance model too: with one thread per operation a seed gives the same
    bytes on any number of cores. The caller's number of threads is back in place when the block ends. On
    other devices the map is a plain loop.
    """
    if device.type != "cpu":
        yield lambda function, items: [function(item) for item in items]
        return
    allowed = torch.get_num_threads()
    torch.set_num_threads(1)  # threads made from here on start with one, too
    try:
        with ThreadPoolExecutor(allowed, thread_name_prefix="stag4d-frame") as pool:
            yield lambda function, items: list(pool.map(function, items))
    finally:
        torch.set_num_threads(allowed)
