"""NVRTC, NVIDIA's run-time compiler: where torch installs it, and its C functions by ctypes.

Torch for Windows has the library in its own folder, torch for Linux depends on NVIDIA's package of it; CUDA
12 and 13 use different folders there.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

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

    def __init__(self, library: str | Path) -> None:
        for builtins in _builtins(Path(library)):
            # NVRTC opens this library by its name, which the loader knows once it is loaded.
            with suppress(OSError):
                ctypes.CDLL(str(builtins))
        self._library = ctypes.CDLL(str(library))
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        self.version = self._version()
        self.architectures = self._architectures()

    def compile(self, source: str, name: str, options: Sequence[str]) -> tuple[bytes, str]:
        """Compile a source.

        Args:
            source: CUDA C++. name: Of the source, in messages. options: Options of the compiler. An
            architecture ``sm_*`` gives machine code (CUBIN), ``compute_*``
                the intermediate language (PTX).

        Returns:
            The image, which ends with a zero byte if it is PTX, and the compiler's log.

        Raises:
            RuntimeError: The source does not compile; the message is the compiler's log.
        """
        program = ctypes.c_void_p()
        arguments = (source.encode(), name.encode(), 0, None, None)
        self._check(self._library.nvrtcCreateProgram(ctypes.byref(program), *arguments))
        try:
            encoded = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            status = self._library.nvrtcCompileProgram(program, len(options), encoded)
            log = self._get(program, "ProgramLog").rstrip(b"\0").decode(errors="replace").strip()
            if status:
                raise RuntimeError(f"{name}: does not compile with NVRTC {self.version_text}: {log}")
            is_machine_code = any(option.startswith("--gpu-architecture=sm_") for option in options)
            return self._get(program, "CUBIN" if is_machine_code else "PTX"), log
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    @property
    def version_text(self) -> str:
        """For example ``12.8``."""
        return ".".join(map(str, self.version))

    def _version(self) -> tuple[int, int]:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check(self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
        return major.value, minor.value

    def _architectures(self) -> list[int]:
        """Return the supported architectures in ascending order, 75 for compute capability 7.5."""
        count = ctypes.c_int()
        self._check(self._library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
        architectures = (ctypes.c_int * count.value)()
        self._check(self._library.nvrtcGetSupportedArchs(architectures))
        return sorted(architectures)

    def _get(self, program: ctypes.c_void_p, what: str) -> bytes:
        """Return the bytes of one result of a compilation."""
        size = ctypes.c_size_t()
        self._check(getattr(self._library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        self._check(getattr(self._library, f"nvrtcGet{what}")(program, buffer))
        return buffer.raw

    def _check(self, status: int) -> None:
        if status:
            raise RuntimeError(f"NVRTC: {self._library.nvrtcGetErrorString(status).decode()} ({status}).")


def find_nvrtc(cuda_version: str, folders: Sequence[Path] | None = None) -> Nvrtc:
    """Load the NVRTC library of a CUDA version.

    Args:
        cuda_version: For example ``12.8``; the major number must fit.
        folders: Where packages are installed; those of torch and of NVIDIA's packages if None.

    Raises:
        RuntimeError: No such library loads; the message says what to install.
    """
    major = int(cuda_version.split(".")[0])
    errors = []
    for candidate in _candidates(major, _package_folders() if folders is None else folders):
        try:
            return Nvrtc(candidate)
        except (OSError, AttributeError) as error:
            errors.append(str(error))
    package = "nvidia-cuda-nvrtc" if major >= 13 else f"nvidia-cuda-nvrtc-cu{major}"
    raise RuntimeError(f"NVRTC: no library for CUDA {major} loads ({errors[-1]}); pip install {package}.")


def _package_folders() -> list[Path]:
    """Return the folders in which torch and NVIDIA's packages are installed."""
    folders = [Path(torch.__file__).parents[1]]
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec("nvidia")
        folders += [Path(path).parent for path in (spec and spec.submodule_search_locations) or ()]
    return list(dict.fromkeys(folders))


def _candidates(major: int, folders: Sequence[Path]) -> Iterator[Path | str]:
    """Yield the libraries of a major version: those that are installed with torch, then names."""
    if sys.platform == "win32":
        patterns = [f"torch/lib/nvrtc64_{major}*.dll", f"nvidia/*/bin/**/nvrtc64_{major}*.dll"]
        name = f"nvrtc64_{major}0_0.dll"
    else:
        patterns = [f"nvidia/*/lib/libnvrtc.so.{major}", f"torch/lib/libnvrtc*.so.{major}*"]
        name = f"libnvrtc.so.{major}"
    for folder in folders:
        for pattern in patterns:
            for path in sorted(folder.glob(pattern)):
                if ".alt." not in path.name and "builtins" not in path.name:
                    yield path
    yield name


def _builtins(library: Path) -> list[Path]:
    """Return the libraries beside NVRTC that hold the compiler's built-in functions."""
    return [path for path in sorted(library.parent.glob("*nvrtc-builtins*")) if ".alt." not in path.name]
