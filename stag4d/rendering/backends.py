"""The rasterization backends: which one renders on a device, and whether it is available there.

A backend's module is imported when it is first selected, so importing this package needs neither gsplat nor
Numba, and loads no CUDA library.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple, TypeAlias

import torch

from ..kernels.threads import check_num_threads
from .devices import describe_device, with_index
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
_PACKAGES = {"gsplat": "gsplat", "numba": "Numba"}  # of backends, with their usual names
_FASTEST = {"cuda": ("cuda", "gsplat"), "cpu": ("numba",)}  # by type of device, the preferred one first

Backend: TypeAlias = Callable[[RasterInputs], Rasterization]

_logger = logging.getLogger(__name__)


class Choice(NamedTuple):
    """The backend that "auto" is on a device."""

    backend: str
    reasons: tuple[str, ...]  # sentences, why faster ones are not available and what to do


def select_backend(device: torch.device | str, backend: str = "auto") -> str:
    """Return the name of the backend that renders on a device.

    "auto" is on CUDA our kernels where NVRTC, which torch installs, compiles them, else gsplat when it
    imports and its kernels are built; on the CPU it is Numba when it is installed; and torch otherwise. The
    first call for a device logs the backend, the device and their versions, with what to install for a faster
    one. The first call for CUDA compiles kernels, which takes seconds, or reads them from the cache.

    Args:
        device: Device of the Gaussians; "cuda" is the current CUDA device of this thread.
        backend: "auto", or the backend to use.

    Returns:
        "cuda", "gsplat", "numba" or "torch".

    Raises:
        ValueError: The backend is unknown or does not support this device.
        RuntimeError: The backend is not installed or does not work.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend: unknown {backend!r}; expected one of {', '.join(BACKENDS)}.")
    device = with_index(device)
    if backend == "auto":
        choice = fastest_backend(device)
        _log_use(choice.backend, device, choice.reasons)
        return choice.backend
    supported = _DEVICES.get(backend, device.type)
    if device.type != supported:
        raise ValueError(
            f"backend: {backend!r} cannot render on {device.type}; "
            f"move the tensors to {supported} or use 'auto'."
        )
    reason = _unavailable_reason(backend, device)
    if reason is not None:
        raise RuntimeError(f"backend: {backend!r} is not available: {reason}.")
    _log_use(backend, device, ())
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
        _module("numba").warm_up()
    elif selected == "cuda":
        _check_of_cuda().warm_up(device)


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
    is_double = means.dtype != torch.float32
    selected = "torch" if is_double and backend == "auto" else select_backend(means.device, backend)
    if inputs.cameras_per_set is not None and selected != "cuda":
        raise ValueError(f"backend: {selected!r} renders one set of Gaussians per call; only 'cuda' several.")
    if is_double and selected != "torch":
        raise ValueError(
            f"backend: {backend!r} cannot render {means.dtype}; use torch.float32 or backend 'torch'."
        )
    return _load(selected)


@functools.cache
def fastest_backend(device: torch.device) -> Choice:
    """Return the fastest backend that is available for a device; it is the same for the whole process.

    Args:
        device: See ``with_index``.
    """
    reasons: list[str] = []
    for backend in _FASTEST.get(device.type, ()):
        reason = _unavailable_reason(backend, device)
        if reason is None:
            return Choice(backend, tuple(reasons))
        reasons.append(f"Backend {backend!r} is not available: {reason}.")
    if device.type not in _FASTEST:
        reasons.append(f"No faster backend supports {device.type}.")
    return Choice("torch", tuple(reasons))


@functools.cache  # so that it is logged once
def _log_use(backend: str, device: torch.device, reasons: tuple[str, ...]) -> None:
    """Log which backend is used on a device, with versions, and why no faster one."""
    _logger.log(
        logging.WARNING if reasons else logging.INFO,
        "Rasterizing with backend %r%s on %s, %s.%s",
        backend,
        ", which is slow," if backend == "torch" and reasons else "",
        describe_device(device),
        versions(backend),
        "".join(f" {reason}" for reason in reasons),
    )


def versions(backend: str) -> str:
    """Return the versions of torch and of what an available backend needs: ``torch 2.9.1, NVRTC 13.0``."""
    parts = [f"torch {torch.__version__}"]
    if backend == "cuda":
        parts.append(_check_of_cuda().versions())
    elif backend in _PACKAGES:
        parts.append(f"{_PACKAGES[backend]} {installed_version(backend) or '(unknown version)'}")
    return ", ".join(parts)


def installed_version(package: str) -> str | None:
    """Return the version of an installed package without importing it, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def _unavailable_reason(backend: str, device: torch.device) -> str | None:
    """Return why a backend cannot render on a device and what to do about it; None if it can."""
    reason: str | None = None
    if backend == "cuda":
        reason = _check_of_cuda().unavailable_reason(device)
    elif backend == "gsplat":
        reason = _module("gsplat").unavailable_reason()
    elif backend == "numba":
        try:
            _load("numba")
        except (ImportError, OSError, RuntimeError) as error:  # its compiled library may not load
            return f"Numba does not import ({error}); pip install numba"
    return reason


def _module(backend: str) -> ModuleType:
    """Import a backend's module."""
    return importlib.import_module(_MODULES[backend], __package__)


def _check_of_cuda() -> ModuleType:
    """Import the module that compiles and checks the kernels of backend "cuda"."""
    return importlib.import_module(".cuda.check", __package__)


@functools.cache
def _load(backend: str) -> Backend:
    """Import a backend's module and return its ``rasterize``."""
    if backend == "numba":
        check_num_threads()
    function: Backend = _module(backend).rasterize
    return function
