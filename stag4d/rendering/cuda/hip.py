"""AMD GPUs: HIPRTC in place of NVRTC, and HIP's library in place of the CUDA driver's.

Not tested on any AMD GPU: used only where the environment variable STAG4D_HIP is 1. HIP's functions have the
parameters of CUDA's. The kernels' warps of 32 lanes are half a wavefront on GPUs with wavefronts of 64.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from .driver import Driver
from .nvrtc import Nvrtc


def is_requested() -> bool:
    """Return whether the user has asked for the kernels on AMD GPUs."""
    return os.environ.get("STAG4D_HIP") == "1"


class Hiprtc(Nvrtc):
    """One HIPRTC library; see ``Nvrtc``. It does not tell which architectures it supports."""

    NAME = "HIPRTC"
    _PREFIX = "hiprtc"

    def target(self, architecture: Any) -> str:
        """Return the architecture: HIPRTC has the same names as torch, such as ``gfx1100``."""
        return str(architecture)

    def options(self, target: str) -> list[str]:
        """Return the options that compile for a target."""
        return [f"--offload-arch={target}", "-std=c++17"]

    def _architectures(self) -> list[int]:
        return []

    def _result(self, options: Sequence[str]) -> str:
        return "Code"


class HipDriver(Driver):
    """HIP's library, which includes what is the driver's in CUDA."""

    NAME = "HIP"
    _ADVICE = "install torch for ROCm"
    _NAMES: Mapping[str, str] = {
        "cuInit": "hipInit",
        "cuDeviceGet": "hipDeviceGet",
        "cuDevicePrimaryCtxRetain": "hipDevicePrimaryCtxRetain",
        "cuCtxPushCurrent_v2": "hipCtxPushCurrent",
        "cuCtxPopCurrent_v2": "hipCtxPopCurrent",
        "cuModuleLoadData": "hipModuleLoadData",
        "cuModuleGetFunction": "hipModuleGetFunction",
        "cuLaunchKernel": "hipModuleLaunchKernel",
        "cuGetErrorString": "hipDrvGetErrorString",
    }

    @staticmethod
    def _default_library() -> str:
        return _libraries("amdhip64")[0]


def find_hiprtc() -> Hiprtc:
    """Load the HIPRTC library of torch, or the system's.

    Raises:
        RuntimeError: None loads.
    """
    errors = []
    for library in _libraries("hiprtc"):
        try:
            return Hiprtc(library)
        except (OSError, AttributeError, RuntimeError) as error:
            errors.append(str(error))
    raise RuntimeError(f"HIPRTC: no library loads ({errors[0]}); install torch for ROCm.")


def _libraries(name: str) -> list[str]:
    """Return the paths of a library in torch's folder, and the names that the system's loader may know."""
    major, minor = (torch.version.hip or "0.0").split(".")[:2]
    if sys.platform == "win32":
        number = {"amdhip64": f"_{major}", "hiprtc": f"{int(major):02}{int(minor):02}"}[name]
        pattern, names = f"{name}*.dll", [f"{name}{number}.dll"]
    else:
        pattern, names = f"lib{name}.so*", [f"lib{name}.so.{major}", f"lib{name}.so"]
    found = sorted((Path(torch.__file__).parent / "lib").glob(pattern))
    return [*map(str, found), *names]
