"""The rasterization backends: which one renders on a device, and whether it is available there.

A backend's module is imported when it is first selected, so importing this package needs neither gsplat nor
Numba, and loads no CUDA library.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from typing import TypeAlias

import torch

from ..kernels.threads import check_num_threads
from .inputs import RasterInputs, Rasterization

BACKENDS = ("auto", "cuda", "gsplat", "numba", "torch")
_MODULES = {
    "cuda": ".cuda.backend",
    "gsplat": ".gsplat_backend",
    "numba": ".numba.backend",
    "torch": ".torch.backend",
}
_DEVICES = {
    "cuda": "cuda",
    "gsplat": "cuda",
    "numba": "cpu",
}  # of the backends that support one type of device
_FASTEST = {"cuda": ("cuda", "gsplat"), "cpu": ("numba",)}  # by type of device, the preferred one first

Backend: TypeAlias = Callable[[RasterInputs], Rasterization]

_logger = logging.getLogger(__name__)


def select_backend(device: torch.device | str, backend: str = "auto") -> str:
    """Return the name of the backend that renders on a device.

    "auto" is on CUDA our kernels where NVRTC, which torch installs, compiles them, else gsplat when it
    imports and its kernels are built; on the CPU it is Numba when it is installed; and torch otherwise. That
    choice is logged once per process, with what to install for a faster one. The first call for CUDA compiles
    kernels, which takes seconds, or reads them from the cache.

    Args:
        device: Device of the Gaussians.
        backend: "auto", or the backend to use.

    Returns:
        "cuda", "gsplat", "numba" or "torch".

    Raises:
        ValueError: The backend is unknown or does not support this device.
        RuntimeError: The backend is not installed or does not work.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend: unknown {backend!r}; expected one of {', '.join(BACKENDS)}.")
    device_type = torch.device(device).type
    if backend == "auto":
        return _fastest_backend(device_type)
    if backend == "torch":
        return backend
    supported = _DEVICES[backend]
    if device_type != supported:
        raise ValueError(
            f"backend: {backend!r} cannot render on {device_type}; "
            f"move the tensors to {supported} or use 'auto'."
        )
    reason = _unavailable_reason(backend)
    if reason is not None:
        raise RuntimeError(f"backend: {backend!r} is not available: {reason}.")
    return backend


def warm_up(device: torch.device | str, backend: str = "auto") -> None:
    """Compile the kernels that render on a device, or load them from the cache; takes seconds.

    Args:
        device: Device of the Gaussians.
        backend: One of ``BACKENDS``.

    Raises:
        ValueError: The backend is unknown or does not support this device.
        RuntimeError: The backend is not installed or does not work.
    """
    selected = select_backend(device, backend)
    if selected == "numba":
        importlib.import_module(_MODULES["numba"], __package__).warm_up()
    elif selected == "cuda":
        importlib.import_module(_MODULES["cuda"], __package__).warm_up(device)


def backend_for(inputs: RasterInputs, backend: str = "auto") -> Backend:
    """Return the function that rasterizes these inputs; float64 is rendered by torch only.

    Args:
        inputs: What will be rasterized.
        backend: One of ``BACKENDS``.

    Raises:
        ValueError: The backend is unknown or does not support the device, the dtype or the sets of the
            inputs.
        RuntimeError: The backend is not installed or does not work.
    """
    means = inputs.means
    if inputs.cameras_per_set is not None and select_backend(means.device, backend) != "cuda":
        raise ValueError(f"backend: {backend!r} renders one set of Gaussians per call; only 'cuda' several.")
    if means.dtype == torch.float32:
        return _load(select_backend(means.device, backend))
    selected = "torch" if backend == "auto" else select_backend(means.device, backend)
    if selected != "torch":
        raise ValueError(
            f"backend: {backend!r} cannot render {means.dtype}; use torch.float32 or backend 'torch'."
        )
    return _load(selected)


@functools.cache  # so that the choice is logged once
def _fastest_backend(device_type: str) -> str:
    """Return the fastest backend that is available for a type of device."""
    candidates = _FASTEST.get(device_type, ())
    if not candidates:
        _logger.warning("Rasterizing with torch on %s: slow, but no other backend supports it.", device_type)
        return "torch"
    reasons: list[str] = []
    for backend in candidates:
        reason = _unavailable_reason(backend)
        if reason is None and not reasons:
            _logger.info("Rasterizing with backend %r on %s.", backend, _describe(backend, device_type))
            return backend
        if reason is None:
            _logger.warning("Rasterizing with backend %r on %s. %s", backend, device_type, " ".join(reasons))
            return backend
        reasons.append(f"Backend {backend!r} is not available: {reason}.")
    _logger.warning("Rasterizing with torch on %s, which is slow. %s", device_type, " ".join(reasons))
    return "torch"


def _describe(backend: str, device_type: str) -> str:
    """Return the device of a backend for the log, with its name and versions where the backend knows them."""
    if backend != "cuda":
        return device_type
    description: str = importlib.import_module(_MODULES["cuda"], __package__).describe()
    return description


@functools.cache
def _unavailable_reason(backend: str) -> str | None:
    """Return why a fast backend cannot render here and what to do about it; None if it can."""
    if backend != "numba":
        reason: str | None = importlib.import_module(_MODULES[backend], __package__).unavailable_reason()
        return reason
    try:
        _load("numba")
    except (ImportError, OSError, RuntimeError) as error:  # its compiled library may not load
        return f"Numba does not import ({error}); pip install numba"
    return None


@functools.cache
def _load(backend: str) -> Backend:
    """Import a backend's module and return its ``rasterize``."""
    if backend == "numba":
        check_num_threads()
    function: Backend = importlib.import_module(_MODULES[backend], __package__).rasterize
    return function
