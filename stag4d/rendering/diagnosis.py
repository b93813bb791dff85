"""What renders on this machine: versions, devices with their rasterizers, and what a faster one needs."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from .backends import fastest_backend, installed_version, warm_up
from .cuda.compilation import cache_folder
from .cuda.driver import driver_version
from .cuda.loading import compiler, kernel_file
from .devices import describe_device
from .rasterize import rasterize

_CHANNELS = (3, 4)  # of a fit's renders


@dataclass(frozen=True, kw_only=True)
class DeviceReport:
    """How one device renders."""

    device: torch.device
    name: str  # as the user knows it
    backend: str  # that "auto" is
    reasons: tuple[str, ...]  # why no faster one, and what to do
    kernels: str  # where they are cached and whether they had to be compiled; empty without kernels
    error: str | None  # why nothing can be rendered


def find_devices() -> list[torch.device]:
    """Return the devices on which commands and nodes can fit and render, the preferred one first."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [*(torch.device("cuda", index) for index in range(count)), torch.device("cpu")]


def report_device(device: torch.device) -> DeviceReport:
    """Render one Gaussian with the rasterizer that "auto" is on a device; this compiles its kernels."""
    is_cached = _is_cached(device)
    start = time.perf_counter()
    choice = fastest_backend(device)
    error = None
    try:
        warm_up(device)
        _render_one(device)
    except (OSError, RuntimeError) as caught:
        error = str(caught)
    seconds = time.perf_counter() - start
    return DeviceReport(
        device=device,
        name=_name(device),
        backend=choice.backend,
        reasons=choice.reasons,
        kernels="" if error else _kernels(device, choice.backend, is_cached, seconds),
        error=error,
    )


def _render_one(device: torch.device) -> None:
    """Render one Gaussian, and wait for the image."""
    renders, _, _ = rasterize(
        means=torch.tensor([[0.0, 0.0, 2.0]], device=device),
        quats=torch.ones(1, 4, device=device),
        scales=torch.full((1, 3), 0.1, device=device),
        opacities=torch.ones(1, device=device),
        colors=torch.ones(1, 3, device=device),
        viewmats=torch.eye(4, device=device)[None],
        Ks=torch.tensor([[[16.0, 0.0, 8.0], [0.0, 16.0, 8.0], [0.0, 0.0, 1.0]]], device=device),
        width=16,
        height=16,
    )
    if not renders.cpu().any():
        raise RuntimeError("the image of a Gaussian is black")


def versions() -> dict[str, str]:
    """Return what is installed, by name: versions of libraries and drivers, threads, the cache of kernels."""
    found = {
        "Python": f"{platform.python_version()}, {platform.platform()}",
        "torch": f"{torch.__version__}, {_torch_platform()}",
        "NVIDIA driver": _driver(),
        "NVRTC": _compiler(),
    }
    for name, package in (("Numba", "numba"), ("gsplat", "gsplat")):
        found[name] = installed_version(package) or "not installed"
    found["threads"] = f"{torch.get_num_threads()} of {os.cpu_count()} CPU cores"
    folder = cache_folder()
    if folder is None:
        found["CUDA kernels"] = "not cached, as there is no home folder; TORCH_HOME names another one"
    else:
        count = len(list(folder.glob("*.bin")))
        found["CUDA kernels"] = f"{folder}, {count} file{'' if count == 1 else 's'}"
    return found


def advice(reports: Iterable[DeviceReport]) -> list[str]:
    """Return sentences that say what to do for a faster rasterizer; none where it is the fastest.

    Args:
        reports: Of all devices.
    """
    reports = list(reports)
    sentences = [f"{report.device}: {reason}" for report in reports for reason in report.reasons]
    if not any(report.device.type == "cuda" for report in reports):
        sentences += _advice_without_cuda(driver_version())
    return sentences


def _advice_without_cuda(driver: str | None) -> list[str]:
    """Return what to do where torch finds no CUDA device.

    Args:
        driver: Version of CUDA that the installed driver supports.
    """
    cuda = torch.version.cuda
    if torch.version.hip is not None:
        return ["torch is built for ROCm and finds no AMD GPU; check its driver."]
    if driver is not None and cuda is None:
        return [
            f"An NVIDIA driver for CUDA {driver} is installed, but torch is built without CUDA; install a "
            "CUDA build of torch (pytorch.org/get-started)."
        ]
    if driver is not None and _numbers(driver) < _numbers(str(cuda)):
        return [
            f"The NVIDIA driver supports CUDA {driver}, and torch is built for CUDA {cuda}; update the "
            "driver, or install torch for an earlier version of CUDA."
        ]
    if driver is not None:
        return ["An NVIDIA driver is installed, but torch finds no CUDA device; see CUDA_VISIBLE_DEVICES."]
    others = [name for name in ("mps", "xpu") if _is_available(name)]
    if others:
        return [f"Fits run on the CPU: there are no kernels for {' and '.join(others)}."]
    return ["The CUDA kernels need an NVIDIA GPU; there is none, or its driver is not installed."]


def _is_available(device_type: str) -> bool:
    """Return whether torch has a device of a type."""
    if device_type == "mps":
        return torch.backends.mps.is_available()
    return torch.xpu.is_available() if hasattr(torch, "xpu") else False


def _numbers(version: str) -> list[int]:
    """Return the numbers of a version, to compare them."""
    return [int(number) for number in version.split(".")]


def _name(device: torch.device) -> str:
    """Return a device with its name and memory."""
    if device.type != "cuda":
        return describe_device(device)
    memory = torch.cuda.get_device_properties(device).total_memory / 2**30
    return f"{describe_device(device)}, {memory:.1f} GiB"


def _torch_platform() -> str:
    if torch.version.hip is not None:
        return f"for ROCm {torch.version.hip}"
    return "without CUDA" if torch.version.cuda is None else f"for CUDA {torch.version.cuda}"


def _driver() -> str:
    version = driver_version()
    return "not found" if version is None else f"supports CUDA {version}"


def _compiler() -> str:
    """Return the version and the library of the compiler of CUDA kernels, or why there is none."""
    if torch.version.cuda is None and torch.version.hip is None:
        return "not needed, as torch is built without CUDA"
    try:
        found = compiler()
    except (OSError, RuntimeError) as error:
        return f"not found. {error}"
    return f"{found.NAME} {found.version_text}, {found.library}"


def _is_cached(device: torch.device) -> bool:
    """Return whether the CUDA kernels of a device are in the cache."""
    if device.type != "cuda":
        return False
    try:
        files = [kernel_file(device, channels) for channels in _CHANNELS]
    except (OSError, RuntimeError):
        return False
    return all(file is not None and file.exists() for file in files)


def _kernels(device: torch.device, backend: str, is_cached: bool, seconds: float) -> str:
    """Return whether kernels were compiled now, and where they are cached."""
    if backend == "cuda":
        file = kernel_file(device, _CHANNELS[0])
        place = "not cached" if file is None else f"cached in {file.parent}"
    elif backend == "numba":
        from .numba.backend import kernel_cache

        folder, is_cached = kernel_cache()
        place = "not cached" if folder is None else f"cached in {folder}"
    else:
        return ""
    return f"kernels {'loaded' if is_cached else 'compiled'} in {seconds:.1f} s, {place}"
