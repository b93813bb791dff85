"""Compilation of ``kernels.cu`` for an architecture and a number of channels, and the cache on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from ...atomic import write_whole
from .layout import KERNELS_PATH, definitions
from .nvrtc import Nvrtc

_logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of compiled kernels: in torch's, which TORCH_HOME or XDG_CACHE_HOME move."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    torch_home = os.environ.get("TORCH_HOME") or Path(caches) / "torch"
    return Path(torch_home).expanduser() / "stag4d_kernels"


def compiled_image(nvrtc: Nvrtc, architecture: int, channels: int, *, folder: Path | None = None) -> bytes:
    """Return the compiled kernels, from the cache if they are there.

    Args:
        nvrtc: The compiler.
        architecture: Of the GPU, 75 for compute capability 7.5.
        channels: Number of composited channels.
        folder: The cache; :func:`cache_folder` if None.

    Returns:
        Machine code, or PTX for a GPU that is newer than the compiler.

    Raises:
        RuntimeError: The kernels do not compile, or the GPU is older than the compiler supports.
    """
    source = KERNELS_PATH.read_text(encoding="utf-8")
    target = target_of(nvrtc, architecture)
    options = [f"--gpu-architecture={target}", "--std=c++17"]
    options += [f"-D{name}={value}" for name, value in definitions(channels).items()]
    key = hashlib.sha256("\0".join([source, nvrtc.version_text, *options]).encode()).hexdigest()[:16]
    path = (folder or cache_folder()) / f"rasterizer-{target}-{channels}-{key}.bin"
    cached = _read(path)
    if cached is not None:
        return cached
    start = time.perf_counter()
    image, _ = nvrtc.compile(source, KERNELS_PATH.name, options)
    seconds = time.perf_counter() - start
    try:
        write_whole(path, hashlib.sha256(image).digest() + image)
        kept = f"kept as {path}"
    except RuntimeError as error:
        kept = f"not kept: {error}"
    _logger.info(
        "Compiled the CUDA rasterizer for %s and %d channels in %.1f s with NVRTC %s; %s",
        target,
        channels,
        seconds,
        nvrtc.version_text,
        kept,
    )
    return image


def target_of(nvrtc: Nvrtc, architecture: int) -> str:
    """Return the compiler's name of a GPU's architecture, or of the newest before it.

    Raises:
        RuntimeError: The GPU is older than all architectures that the compiler supports.
    """
    if architecture in nvrtc.architectures:
        return f"sm_{architecture}"
    older = [supported for supported in nvrtc.architectures if supported < architecture]
    if not older:
        raise RuntimeError(
            f"NVRTC: version {nvrtc.version_text} does not compile for GPUs of compute capability "
            f"{architecture / 10}, only from {nvrtc.architectures[0] / 10} on; "
            "install torch for an earlier version of CUDA."
        )
    return f"compute_{older[-1]}"  # PTX, which the driver compiles


def _read(path: Path) -> bytes | None:
    """Return a cached image, or None if it is not there or damaged."""
    with suppress(OSError):
        content = path.read_bytes()
        digest, image = content[:32], content[32:]
        if hashlib.sha256(image).digest() == digest:
            return image
    return None
