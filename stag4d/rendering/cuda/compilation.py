"""Compilation of ``kernels.cu`` for an architecture and a number of channels, and the cache on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...atomic import write_whole
from .layout import KERNELS_PATH, definitions
from .nvrtc import Nvrtc

_logger = logging.getLogger(__name__)


def cache_folder() -> Path | None:
    """Return the folder of compiled kernels: in torch's, which TORCH_HOME or XDG_CACHE_HOME move.

    None if it would be in the home folder of a user who has none, as in some containers.
    """
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    torch_home = os.environ.get("TORCH_HOME") or Path(caches) / "torch"
    try:
        return Path(torch_home).expanduser() / "stag4d_kernels"
    except RuntimeError:
        return None


def compiled_image(compiler: Nvrtc, architecture: Any, channels: int, *, folder: Path | None = None) -> bytes:
    """Return the compiled kernels, from the cache if they are there.

    Args:
        compiler: The compiler.
        architecture: Of the GPU, as the compiler's ``target`` takes it.
        channels: Number of composited channels.
        folder: The cache; :func:`cache_folder` if None.

    Returns:
        Machine code, or PTX for a GPU that is newer than the compiler.

    Raises:
        RuntimeError: The kernels do not compile, or the GPU is older than the compiler supports.
    """
    target = compiler.target(architecture)
    source, options = _source_and_options(compiler, target, channels)
    path = cached_file(compiler, architecture, channels, folder=folder)
    cached = None if path is None else _read(path)
    if cached is not None:
        return cached
    start = time.perf_counter()
    image, _ = compiler.compile(source, KERNELS_PATH.name, options)
    seconds = time.perf_counter() - start
    _logger.info(
        "Compiled the CUDA rasterizer for %s and %d channels in %.1f s with %s %s; %s",
        target,
        channels,
        seconds,
        compiler.NAME,
        compiler.version_text,
        _keep(path, image),
    )
    return image


def cached_file(
    compiler: Nvrtc, architecture: Any, channels: int, *, folder: Path | None = None
) -> Path | None:
    """Return the file of the cache that has or will have the compiled kernels; None if there is no folder.

    Its name depends on all that the result depends on: source, compiler, architecture and channels. So
    processes that compile at the same time write the same content.

    Args:
        compiler: See :func:`compiled_image`.
        architecture: See there.
        channels: See there.
        folder: See there.

    Raises:
        RuntimeError: The GPU is older than the compiler supports.
    """
    folder = folder or cache_folder()
    if folder is None:
        return None
    target = compiler.target(architecture)
    source, options = _source_and_options(compiler, target, channels)
    inputs = [source, compiler.NAME, compiler.version_text, *options]
    key = hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:16]
    return folder / f"rasterizer-{re.sub('[^a-z0-9_]+', '_', target)}-{channels}-{key}.bin"


def _source_and_options(compiler: Nvrtc, target: str, channels: int) -> tuple[str, list[str]]:
    """Return the source of the kernels and the options that compile it."""
    macros = [f"-D{name}={value}" for name, value in definitions(channels).items()]
    return KERNELS_PATH.read_text(encoding="utf-8"), compiler.options(target) + macros


def _keep(path: Path | None, image: bytes) -> str:
    """Write compiled kernels to the cache; return what became of them, for the log."""
    if path is None:
        return "not kept: there is no home folder; TORCH_HOME names another one"
    try:
        write_whole(path, hashlib.sha256(image).digest() + image)
    except RuntimeError as error:
        return f"not kept: {error}"
    return f"kept as {path}"


def _read(path: Path) -> bytes | None:
    """Return a cached image, or None if it is not there or damaged."""
    with suppress(OSError):
        content = path.read_bytes()
        digest, image = content[:32], content[32:]
        if hashlib.sha256(image).digest() == digest:
            return image
    return None
