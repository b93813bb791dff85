"""The kernels of a torch device: compiled, loaded once per device and number of channels, and kept."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Any

import torch

from ..devices import with_index
from .compilation import cached_file, compiled_image
from .driver import Driver, LoadedKernels
from .hip import HipDriver, find_hiprtc, is_requested
from .layout import KERNELS
from .nvrtc import Nvrtc, find_nvrtc

_lock = threading.Lock()
_loaded: dict[tuple[int, int], LoadedKernels] = {}  # by device index and number of channels


@functools.cache
def compiler() -> Nvrtc:
    """Return the compiler that fits torch.

    Raises:
        RuntimeError: It is not there; the message says what to do.
    """
    if torch.version.hip is not None:
        if not is_requested():
            raise RuntimeError(
                f"torch: {torch.__version__} is built for ROCm, on which the kernels have not been tested; "
                "to try them, set the environment variable STAG4D_HIP to 1."
            )
        return find_hiprtc()
    if torch.version.cuda is None:
        raise RuntimeError(
            f"torch: {torch.__version__} is built without CUDA; install a CUDA build of torch."
        )
    return find_nvrtc(torch.version.cuda)


@functools.cache
def _driver() -> Driver:
    """Return the driver.

    Raises:
        RuntimeError: It does not load or does not start.
    """
    return Driver() if torch.version.hip is None else HipDriver()


def load_kernels(device: torch.device, channels: int) -> LoadedKernels:
    """Return the kernels of a CUDA device; the first call compiles them or reads them from the cache.

    Args:
        device: CUDA device; the current one if it has no index.
        channels: Number of composited channels.

    Raises:
        RuntimeError: They do not compile or load.
    """
    index = with_index(device).index
    with _lock:
        if (index, channels) not in _loaded:
            image = compiled_image(compiler(), _architecture(index), channels)
            _loaded[index, channels] = LoadedKernels(
                _driver(), index, image, KERNELS, lambda: torch.cuda.current_stream(index).cuda_stream
            )
        return _loaded[index, channels]


def kernel_file(device: torch.device, channels: int) -> Path | None:
    """Return the file of the cache that has or will have a device's kernels; None without a cache folder.

    Args:
        device: CUDA device.
        channels: Number of composited channels.

    Raises:
        RuntimeError: The compiler is not there, or does not compile for this device.
    """
    return cached_file(compiler(), _architecture(with_index(device).index), channels)


def _architecture(index: int) -> Any:
    """Return a device's architecture as its compiler takes it: 89, or ``gfx1100`` of AMD."""
    if torch.version.hip is not None:
        return torch.cuda.get_device_properties(index).gcnArchName
    major, minor = torch.cuda.get_device_capability(index)
    return 10 * major + minor
