"""Parallel frames of a step: on a CPU, one thread per frame beats threads inside torch's operations."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

from ..progress import Check, never_cancel

_PIXELS_TOGETHER = 2**23  # of the renders that are computed at once on a GPU: 32 of 512 x 512
_TRIAL_STEPS = 3  # of each choice in a comparison
_FIRST_INTERVAL, _INTERVAL_FACTOR = 25, 4  # steps to the next comparison; growth while the result is the same
_ABORT, _SLOWDOWN = 2.0, 3.0  # factors of time: end of a trial that is lost; reason for a new comparison

Item = TypeVar("Item")
Result = TypeVar("Result")


class FrameMap(Protocol):
    """Applies a function to items, in any order, and returns the results in the items' order."""

    def __call__(
        self, function: Callable[[Item], Result], items: Iterable[Item], check: Check = never_cancel
    ) -> list[Result]:
        """Return ``[function(item) for item in items]``; an error in one of them is raised.

        ``check`` is called on the caller's thread before each item or while items are computed; it raises an
        exception to cancel. Then no further item is begun.
        """
        ...


def split_frames(frames: Sequence[Item], device: torch.device, pixels_per_frame: int) -> list[Sequence[Item]]:
    """Return the frames of a step in the parts that are computed at once.

    On a CPU each frame is a part, for a thread of its own. A GPU computes such small operations faster than
    the host launches them, so there a part has many frames; the limit is for its memory.
    """
    count = 1 if device.type == "cpu" else max(_PIXELS_TOGETHER // pixels_per_frame, 1)
    return [frames[first : first + count] for first in range(0, len(frames), count)]


@contextmanager
def frame_pool(device: torch.device) -> Iterator[FrameMap]:
    """Yield a map over as many threads as torch may use, with one thread for the operations of each.

    The operations of a step are so small that threads inside them mostly wait for each other. The limit holds
    for everything in the block, the guidance model too: with one thread per operation a seed gives the same
    bytes on any number of cores. The caller's number of threads is back in place when the block ends. On
    other devices the map is a plain loop, and also where that is faster, see ``parallel_choices``.
    """
    if device.type != "cpu":
        yield _map_in_turn
        return
    allowed = torch.get_num_threads()
    torch.set_num_threads(1)  # threads made from here on start with one, too
    choices = parallel_choices()
    is_parallel = next(choices)

    def map_frames(
        function: Callable[[Item], Result], items: Iterable[Item], check: Check = never_cancel
    ) -> list[Result]:
        nonlocal is_parallel
        items = list(items)
        if min(allowed, len(items)) < 2:
            return _map_in_turn(function, items, check)
        began = time.perf_counter()
        if is_parallel:
            results = _map_in_parallel(pool, function, items, check)
        else:
            results = _map_in_turn(function, items, check)
        is_parallel = choices.send(time.perf_counter() - began)
        return results

    try:
        with ThreadPoolExecutor(allowed, thread_name_prefix="stag4d-frame") as pool:
            yield map_frames
    finally:
        torch.set_num_threads(allowed)


def _map_in_turn(
    function: Callable[[Item], Result], items: Iterable[Item], check: Check = never_cancel
) -> list[Result]:
    """See ``FrameMap``."""
    results = []
    for item in items:
        check()
        results.append(function(item))
    return results


def _map_in_parallel(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], check: Check
) -> list[Result]:
    """See ``FrameMap``."""
    futures = [pool.submit(function, item) for item in items]
    try:
        results = []
        for future in futures:
            check()
            results.append(future.result())
        return results
    finally:  # after an exception; the pool finishes what it has begun
        for future in futures:
            future.cancel()


def parallel_choices() -> Generator[bool, float, None]:
    """Yield for each step whether its frames run in parallel; receives the seconds that the step took.

    Threads that pass the interpreter's lock to each other wait for the operating system each time, so on a
    machine that runs other processes one thread can be many times faster. Both are timed, and the faster one
    is used until the next comparison: after some steps, or when steps take much longer than they did.
    Results do not depend on the choice.
    """
    yield False  # the first step compiles kernels
    chosen, interval = False, _FIRST_INTERVAL
    while True:
        seconds = yield from _trial(chosen, float("inf"))
        is_faster = (yield from _trial(not chosen, _ABORT * seconds)) < seconds
        interval = _FIRST_INTERVAL if is_faster else interval * _INTERVAL_FACTOR
        chosen = chosen != is_faster
        yield from _use(chosen, interval)


def _trial(choice: bool, limit: float) -> Generator[bool, float, float]:
    """Yield a choice for some steps, or one that takes longer than the limit; returns the shortest time."""
    shortest = float("inf")
    for _ in range(_TRIAL_STEPS):
        shortest = min(shortest, (yield choice))
        if shortest > limit:
            break
    return shortest


def _use(choice: bool, num_steps: int) -> Generator[bool, float, None]:
    """Yield a choice for a number of steps, or until steps in succession are much slower than the first."""
    usual = yield from _trial(choice, float("inf"))
    num_slow = 0
    for _ in range(num_steps):
        num_slow = num_slow + 1 if (yield choice) > _SLOWDOWN * usual else 0
        if num_slow == _TRIAL_STEPS:
            return
