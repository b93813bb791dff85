"""Compilation of CPU kernels by Numba, and the cache of compiled kernels on disk."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

# Without "nnan" and "ninf": lanes outside a splat overflow before they are masked; NaN must compare false.
FASTMATH = ("contract", "nsz")


@cache
def _cache_key(folder: Path) -> str:
    """Return a digest of the package's name, of the sources in a folder of kernels, and of this file."""
    digest = hashlib.sha256(__name__.encode())
    for path in [Path(__file__), *sorted(folder.glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel on its first call: without the GIL, without checks of divisors, cached on disk.

    Numba finds a cached function by its name and notices changes of its own file only, though constants and
    inlined code come from other files too; and it cannot load what was cached when the package had another
    name, as in ComfyUI. So a digest of all sources in the kernel's folder and of the package's name is
    appended to the function's name. Numba chooses the cache folder here: NUMBA_CACHE_DIR, ``__pycache__``
    beside the source, or the user's cache folder. If none is writable it raises; then each process compiles
    again.

    Args:
        function: A kernel.

    Returns:
        The compiled kernel.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": set(FASTMATH), "no_cfunc_wrapper": True}
    function.__qualname__ = f"{function.__qualname__}_{_cache_key(Path(inspect.getfile(function)).parent)}"
    try:
        kernel: Callable[..., Any] = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        kernel = numba.njit(**options)(function)
    return kernel


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call, as a part of each of them."""
    options = {"error_model": "numpy", "fastmath": set(FASTMATH), "no_cfunc_wrapper": True}
    helper: Callable[..., Any] = numba.njit(no_cpython_wrapper=True, **options)(function)
    return helper
