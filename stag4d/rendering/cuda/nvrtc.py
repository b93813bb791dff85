"""NVRTC, NVIDIA's run-time compiler: where torch installs it, and its C functions by ctypes.

Torch for Windows has the library in its own folder, torch for Linux depends on NVIDIA's package of it; CUDA
12 and 13 use different folders there. Conda has it in the environment's folder of libraries.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch


class Nvrtc:
    """One NVRTC library.

    Args:
        library: Path, or the name that the system's loader finds.

    Raises:
        OSError: The library does not load.
        AttributeError: It is not NVRTC.
        RuntimeError: One of its functions fails.
    """

    NAME = "NVRTC"
    _PREFIX = "nvrtc"  # of its functions

    def __init__(self, library: str | Path) -> None:
        for builtins in _builtins(Path(library)):
            # NVRTC opens this library by its name, which the loader knows once it is loaded.
            with suppress(OSError):
                ctypes.CDLL(str(builtins))
        self.library = str(library)
        self._library = ctypes.CDLL(self.library)
        self._function("GetErrorString").restype = ctypes.c_char_p
        self.version = self._version()
        self.architectures = self._architectures()

    def compile(self, source: str, name: str, options: Sequence[str]) -> tuple[bytes, str]:
        """Compile a source.

        Args:
            source: CUDA C++.
            name: Of the source, in messages.
            options: Options of the compiler. An architecture ``sm_*`` gives machine code (CUBIN),
                ``compute_*`` the intermediate language (PTX).

        Returns:
            The image, which ends with a zero byte if it is PTX, and the compiler's log.

        Raises:
            RuntimeError: The source does not compile; the message is the compiler's log.
        """
        program = ctypes.c_void_p()
        arguments = (source.encode(), name.encode(), 0, None, None)
        self._check(self._function("CreateProgram")(ctypes.byref(program), *arguments))
        try:
            encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            status = self._function("CompileProgram")(program, len(options), encoded)
            log = self._get(program, "ProgramLog").rstrip(b"\0").decode(errors="replace").strip()
            if status:
                raise RuntimeError(f"{name}: does not compile with {self.NAME} {self.version_text}: {log}")
            return self._get(program, self._result(options)), log
        finally:
            self._function("DestroyProgram")(ctypes.byref(program))

    def target(self, architecture: Any) -> str:
        """Return the compiler's name of a GPU's architecture, or of the newest before it.

        Args:
            architecture: 75 for compute capability 7.5.

        Raises:
            RuntimeError: The GPU is older than all architectures that the compiler supports.
        """
        if architecture in self.architectures:
            return f"sm_{architecture}"
        older = [supported for supported in self.architectures if supported < architecture]
        if not older:
            raise RuntimeError(
                f"NVRTC: version {self.version_text} does not compile for GPUs of compute capability "
                f"{architecture / 10}, only from {self.architectures[0] / 10} on; "
                "install torch for an earlier version of CUDA."
            )
        return f"compute_{older[-1]}"  # PTX, which the driver compiles

    def options(self, target: str) -> list[str]:
        """Return the options that compile for a target."""
        return [f"--gpu-architecture={target}", "--std=c++17"]

    @property
    def version_text(self) -> str:
        """For example ``12.8``."""
        return ".".join(map(str, self.version))

    def _function(self, name: str) -> Any:
        return getattr(self._library, self._PREFIX + name)

    def _version(self) -> tuple[int, int]:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check(self._function("Version")(ctypes.byref(major), ctypes.byref(minor)))
        return major.value, minor.value

    def _architectures(self) -> list[int]:
        """Return the supported architectures in ascending order, 75 for compute capability 7.5."""
        count = ctypes.c_int()
        self._check(self._function("GetNumSupportedArchs")(ctypes.byref(count)))
        architectures = (ctypes.c_int * count.value)()
        self._check(self._function("GetSupportedArchs")(architectures))
        return sorted(architectures)

    def _result(self, options: Sequence[str]) -> str:
        """Return the name of the result that a compilation with these options has."""
        is_machine_code = any(option.startswith("--gpu-architecture=sm_") for option in options)
        return "CUBIN" if is_machine_code else "PTX"

    def _get(self, program: ctypes.c_void_p, what: str) -> bytes:
        """Return the bytes of one result of a compilation."""
        size = ctypes.c_size_t()
        self._check(self._function(f"Get{what}Size")(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        self._check(self._function(f"Get{what}")(program, buffer))
        return buffer.raw

    def _check(self, status: int) -> None:
        if status:
            message = self._function("GetErrorString")(status).decode()
            raise RuntimeError(f"{self.NAME}: {message} ({status}).")


def find_nvrtc(cuda_version: str, folders: Sequence[Path] | None = None) -> Nvrtc:
    """Load the NVRTC library of a CUDA version.

    Args:
        cuda_version: For example ``12.8``; the major number must fit.
        folders: Where packages are installed; those of torch and of NVIDIA's packages, and the environment's,
            if None.

    Raises:
        RuntimeError: No such library loads; the message says what to install.
    """
    major = int(cuda_version.split(".")[0])
    errors = []
    for candidate in _candidates(major, _package_folders() if folders is None else folders):
        try:
            return Nvrtc(candidate)
        except (OSError, AttributeError, RuntimeError) as error:
            errors.append(str(error))
    package = "nvidia-cuda-nvrtc" if major >= 13 else f"nvidia-cuda-nvrtc-cu{major}"
    raise RuntimeError(f"NVRTC: no library for CUDA {major} loads ({errors[0]}); pip install {package}.")


def _package_folders() -> list[Path]:
    """Return the folders in which torch, NVIDIA's packages and conda's libraries are installed."""
    folders = [Path(torch.__file__).parents[1]]
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec("nvidia")
        folders += [Path(path).parent for path in (spec and spec.submodule_search_locations) or ()]
    return list(dict.fromkeys([*folders, Path(sys.prefix)]))


def _candidates(major: int, folders: Sequence[Path]) -> Iterator[Path | str]:
    """Yield the libraries of a major version: those that are installed with torch, then names."""
    if sys.platform == "win32":
        file = f"nvrtc64_{major}*.dll"
        patterns = [f"torch/lib/{file}", f"nvidia/*/bin/**/{file}", f"Library/bin/**/{file}"]
        name = f"nvrtc64_{major}{2 if major == 11 else 0}_0.dll"
    else:
        file = f"libnvrtc.so.{major}*"
        patterns = [f"nvidia/*/lib/{file}", f"torch/lib/libnvrtc*.so.{major}*", f"lib/{file}"]
        name = f"libnvrtc.so.{major}"
    for folder in folders:
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                if ".alt." not in path.name and "builtins" not in path.name:
                    yield path
    yield name


def _builtins(library: Path) -> list[Path]:
    """Return the libraries beside NVRTC that hold the compiler's built-in functions.

    There are none of a library that is given by its name alone: its folder is not known, and any other, such
    as the current one, may hold anything.
    """
    if library.parent == Path():
        return []
    return [path for path in sorted(library.parent.glob("*nvrtc-builtins*")) if ".alt." not in path.name]
