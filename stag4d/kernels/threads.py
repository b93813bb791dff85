"""Execution of kernels on several threads.

A kernel is a function ``kernel(chunk, num_chunks, *args)`` that does one of ``num_chunks`` chunks of its work
and writes where no other chunk writes. It does not depend on threads, so its result has the same bytes for
any number of them, and any number of callers may run it concurrently. Numba's own parallel loops are not
used: they compile several times slower, and their default threading layer forbids calls from two threads.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

CHUNKS_PER_THREAD = 4  # so that threads with fast chunks take more while another works on a slow one


def check_num_threads() -> None:
    """Raise ValueError if NUMBA_NUM_THREADS is no positive number: Numba's own error does not name it."""
    text = os.environ.get("NUMBA_NUM_THREADS")
    if text is not None and not (text.strip().isdecimal() and int(text) > 0):
        raise ValueError(
            f"NUMBA_NUM_THREADS: {text!r} in the environment; expected a number of threads above 0, or none."
        )


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), thread_name_prefix="stag4d-kernel")


def run_chunks(kernel: Callable[..., Any], max_chunks: int, *args: Any) -> None:
    """Run all chunks of a kernel on up to ``torch.get_num_threads()`` threads, including the caller's.

    Each thread takes the next chunk from a shared counter. When none is left, the caller cancels the tasks
    that the pool has not started: a pool that is busy for other callers delays nobody and cannot deadlock.

    Args:
        kernel: Function of a chunk, the number of chunks and ``args``.
        max_chunks: Into how many chunks the work is worth splitting; up to 1 runs on the caller's thread.
        args: Arguments of every chunk.
    """
    threads = min(torch.get_num_threads(), max_chunks)
    if threads <= 1:
        kernel(0, 1, *args)
        return
    num_chunks = min(max_chunks, threads * CHUNKS_PER_THREAD)
    counter = itertools.count()  # next() is atomic

    def run_next_chunks() -> None:
        while (chunk := next(counter)) < num_chunks:
            kernel(chunk, num_chunks, *args)

    tasks = [_pool().submit(run_next_chunks) for _ in range(threads - 1)]
    try:
        run_next_chunks()
    finally:
        for task in tasks:
            if not task.cancel():
                task.result()
