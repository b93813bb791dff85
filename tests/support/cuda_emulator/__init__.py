"""The CUDA backend without a GPU.

Its kernels run on the CPU (``emulator.cpp``), and a stand-in for the driver calls them (``driver.cpp``). Both
are compiled by g++ on first use, into pytest's cache folder.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from stag4d.rendering.cuda.layout import BLOCK_SIZE, KERNELS, KERNELS_PATH, definitions

ROOT = Path(__file__).parents[3]
FOLDER = Path(__file__).parent
POINTERS = {"int*": torch.int32, "Index*": torch.int64, "TileSpans*": torch.int16}
REALS = {torch.float32: ("float", ctypes.c_float), torch.float64: ("double", ctypes.c_double)}


def unavailable_reason() -> str | None:
    """Return why kernels cannot be emulated on this machine, or None if they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        machine = f"{sys.platform} on {platform.machine()}"
        return f"the emulator of CUDA kernels runs on Linux on x86-64, not {machine}"
    if shutil.which("g++") is None:
        return "the emulator of CUDA kernels is compiled by g++, which is not installed"
    return None


def build(source: Path, options: Sequence[str], depends: Sequence[Path] = ()) -> Path:
    """Compile a shared library with g++, unless an earlier run did; return its path."""
    digest = hashlib.sha256("\0".join(options).encode())
    for path in (source, *depends):
        digest.update(path.read_bytes())
    library = ROOT / ".pytest_cache" / "cuda_emulator" / f"{source.stem}-{digest.hexdigest()[:16]}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        temporary = library.with_suffix(f".{os.getpid()}.tmp")
        command = [
            "g++",
            "-O2",
            "-std=c++17",
            "-shared",
            "-fPIC",
            *options,
            str(source),
            "-o",
            str(temporary),
        ]
        subprocess.run(command, check=True)
        temporary.replace(library)
    return library


def build_kernels(
    channels: int, dtype: torch.dtype, source: Path = KERNELS_PATH, names: Sequence[str] = KERNELS
) -> Path:
    """Compile the kernels for the CPU, for a number of channels and the dtype of their arrays."""
    macros = {**definitions(channels), "REAL": REALS[dtype][0], "SOURCE": f'"{source}"'}
    macros["ENTRIES"] = ", ".join(f"ENTRY({name})" for name in names)
    options = [f"-D{name}={value}" for name, value in macros.items()]
    return build(FOLDER / "emulator.cpp", options, [source])


def parameter_types(source: Path, name: str) -> list[str]:
    """Return the types of a kernel's parameters, without const."""
    match = re.search(rf"(?:KERNEL|void) {name}\(([^)]*)\)", source.read_text(encoding="utf-8"))
    assert match is not None, name
    return [" ".join(parameter.split()[:-1]).removeprefix("const ") for parameter in match[1].split(",")]


class EmulatedKernels:
    """``Kernels`` that run on the CPU; counts the launches of each."""

    def __init__(
        self,
        channels: int,
        dtype: torch.dtype,
        source: Path = KERNELS_PATH,
        names: Sequence[str] = KERNELS,
    ) -> None:
        self.dtype = dtype
        self.launches: list[str] = []
        self._parameters = {name: parameter_types(source, name) for name in names}
        self._emulate = ctypes.CDLL(str(build_kernels(channels, dtype, source, names))).emulate
        self._emulate.restype = ctypes.c_char_p

    def launch(self, name: str, blocks: int, *arguments: Tensor | int | float) -> None:
        """Run a kernel; raise RuntimeError with what the emulator found wrong with it."""
        self.launches.append(name)
        for type_name, argument in zip(self._parameters[name], arguments, strict=False):
            assert self._fits(argument, type_name), f"{name}: {argument!r} is passed as {type_name}"
        values = [self._value(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        error = self._emulate(name.encode(), blocks, BLOCK_SIZE, pointers, len(values))
        if error is not None:
            raise RuntimeError(f"{name}: {error.decode()}")

    def _fits(self, argument: Tensor | int | float, type_name: str) -> bool:
        """Return whether an argument has the type of a kernel's parameter."""
        if isinstance(argument, Tensor):
            return argument.dtype == {**POINTERS, "REAL*": self.dtype}.get(type_name)
        return type_name == ("int" if isinstance(argument, int) else "REAL")

    def _value(self, argument: Tensor | int | float) -> ctypes._SimpleCData:
        if isinstance(argument, Tensor):
            assert argument.is_contiguous() and argument.device.type == "cpu"
            return ctypes.c_void_p(argument.data_ptr())
        return ctypes.c_int(argument) if isinstance(argument, int) else REALS[self.dtype][1](argument)


@functools.cache
def emulated_kernels(channels: int, dtype: torch.dtype) -> EmulatedKernels:
    """Return the emulated kernels of a number of channels."""
    return EmulatedKernels(channels, dtype)


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """Fill uninitialized tensors with NaN, and integers with their largest number."""
    was = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was)
