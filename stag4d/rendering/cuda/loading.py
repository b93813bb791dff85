"""The kernels of a torch device: compiled, loaded once per device and number of channels, and kept."""

from __future__ import annotations

import functools
import threading

import torch

from .compilation import compiled_image
from .driver import Driver, LoadedKernels
from .layout import KERNELS
from .nvrtc import Nvrtc, find_nvrtc

_TRIED_CHANNELS = 3
_lock = threading.Lock()
_loaded: dict[tuple[int, int], LoadedKernels] = {}  # by device index and number of channels


@functools.cache
def _tools() -> tuple[Nvrtc, Driver]:
    """Return the compiler that fits torch, and the driver.

    Raises:
        RuntimeError: One of them is not there; the message says what to do.
    """
    if torch.version.cuda is None:
        raise RuntimeError(
            f"torch: {torch.__version__} is built without CUDA; install a CUDA build of torch."
        )
    return find_nvrtc(torch.version.cuda), Driver()


def load_kernels(device: torch.device, channels: int) -> LoadedKernels:
    """Return the kernels of a CUDA device; the first call compiles them or reads them from the cache.

    Args:
        device: CUDA device; the current one if it has no index.
        channels: Number of composited channels.

    Raises:
        RuntimeError: They do not compile or load.
    """
    index = torch.cuda.current_device() if device.index is None else device.index
    with _lock:
        if (index, channels) not in _loaded:
            nvrtc, driver = _tools()
            major, minor = torch.cuda.get_device_capability(index)
            image = compiled_image(nvrtc, 10 * major + minor, channels)
            _loaded[index, channels] = LoadedKernels(
                driver, index, image, KERNELS, lambda: torch.cuda.current_stream(index).cuda_stream
            )
        return _loaded[index, channels]


def describe() -> str:
    """Return the current device and the versions that matter for it, for the log; after ``load_kernels``."""
    major, minor = torch.cuda.get_device_capability()
    name = torch.cuda.get_device_name()
    versions = f"torch {torch.__version__}, NVRTC {_tools()[0].version_text}"
    return f"{name}, compute capability {major}.{minor}, {versions}"


def unavailable_reason() -> str | None:
    """Return why the kernels cannot render on the current device and what to do, or None if they can.

    This compiles and loads them, or reads them from the cache.
    """
    if not torch.cuda.is_available():
        return (
            "torch finds no CUDA device; check that the machine has an NVIDIA GPU and its driver is installed"
        )
    try:
        load_kernels(torch.device("cuda"), _TRIED_CHANNELS)
    except (OSError, RuntimeError) as error:
        return str(error).rstrip(".")
    return None
