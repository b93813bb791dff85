"""Owns how compiled CPU kernels are cached and shared out over threads.

A kernel is a plain function ``kernel(part, parts, *args)`` that does the ``part``-th of ``parts`` shares of
its work and writes where no other share writes. It knows nothing of threads, so its result has the same
bytes for any number of them, and any number of callers may run it at once. Numba's own parallel loops are
not used: they compile several times slower, and their default layer forbids calls from two threads.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numba
import torch

SHARES_PER_THREAD = 4  # a thread that drew light tiles draws again while another is at heavy ones
# No "nnan" and no "ninf": lanes outside of a splat overflow before they are masked, and NaN compares false.
FASTMATH = ("contract", "nsz")


@cache
def _cache_key() -> str:
    digest = hashlib.sha256(__name__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel on its first call: without the GIL, without checks of divisors, cached on disk.

    Numba finds a cached function by its name and notices changes of its own file only, though constants and
    inlined code come from others too; and it cannot load what was cached when the package had another name,
    as it has in a host. So the name gets a digest of all sources and of the package's name. Numba decides on
    a folder right here: NUMBA_CACHE_DIR, ``__pycache__`` beside the source, or the user's cache folder.
    Where it can write to none of them it raises; such a machine compiles once per process.

    Args:
        function: A kernel.

    Returns:
        The same, compiled.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": set(FASTMATH), "no_cfunc_wrapper": True}
    function.__qualname__ = f"{function.__qualname__}_{_cache_key()}"
    try:
        kernel: Callable[..., Any] = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        kernel = numba.njit(**options)(function)
    return kernel


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call, into each of them."""
    options = {"error_model": "numpy", "fastmath": set(FASTMATH), "no_cfunc_wrapper": True}
    helper: Callable[..., Any] = numba.njit(no_cpython_wrapper=True, **options)(function)
    return helper


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), thread_name_prefix="stag4d-rasterizer")


def run_shares(kernel: Callable[..., Any], max_shares: int, *args: Any) -> None:
    """Run all shares of a kernel on up to ``torch.get_num_threads()`` threads, the caller's own among them.

    Threads draw share after share from one counter. The caller draws too, and withdraws the helpers that the
    pool has not started when the counter is at its end: a pool that is busy for another caller delays nobody
    and cannot deadlock.

    Args:
        kernel: Function of a share, the number of shares and ``args``.
        max_shares: How many shares the work is worth; at most 1 runs it on the caller's thread alone.
        args: What every share gets.
    """
    threads = min(torch.get_num_threads(), max_shares)
    if threads <= 1:
        kernel(0, 1, *args)
        return
    parts = min(max_shares, threads * SHARES_PER_THREAD)
    counter = itertools.count()  # next() is atomic

    def draw_shares() -> None:
        while (part := next(counter)) < parts:
            kernel(part, parts, *args)

    helpers = [_pool().submit(draw_shares) for _ in range(threads - 1)]
    try:
        draw_shares()
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()
