"""The CUDA driver's API by ctypes: loading compiled kernels and launching them.

Torch uses the primary context of each device, so the kernels do, too. On a thread that has not used CUDA yet,
as autograd's threads, no context is current, or another device's; therefore each call makes its device's
context current and restores the previous one.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from .layout import BLOCK_SIZE

_POINTER = ctypes.c_void_p
_OUTPUT = ctypes.POINTER(ctypes.c_void_p)
_UNSIGNED = ctypes.c_uint
_SIGNATURES: dict[str, list[Any]] = {
    "cuInit": [_UNSIGNED],
    "cuDeviceGet": [ctypes.POINTER(ctypes.c_int), ctypes.c_int],
    "cuDevicePrimaryCtxRetain": [_OUTPUT, ctypes.c_int],
    "cuCtxPushCurrent_v2": [_POINTER],
    "cuCtxPopCurrent_v2": [_OUTPUT],
    "cuModuleLoadData": [_OUTPUT, ctypes.c_char_p],
    "cuModuleGetFunction": [_OUTPUT, _POINTER, ctypes.c_char_p],
    # function, grid, block, bytes of dynamic shared memory, stream, arguments, other options
    "cuLaunchKernel": [_POINTER, *[_UNSIGNED] * 7, _POINTER, _OUTPUT, _OUTPUT],
    "cuGetErrorString": [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)],
}


class Driver:
    """The CUDA driver.

    Args:
        library: Path or name of the driver's library; the system's if None.

    Raises:
        RuntimeError: The library does not load or does not start.
    """

    NAME = "CUDA driver"
    _ADVICE = "install NVIDIA's driver"
    _NAMES: Mapping[str, str] = {}  # of functions that are called otherwise than those of CUDA

    def __init__(self, library: str | None = None) -> None:
        try:
            loaded = ctypes.CDLL(library or self._default_library())
            self._functions = {name: getattr(loaded, self._NAMES.get(name, name)) for name in _SIGNATURES}
        except (OSError, AttributeError) as error:
            raise RuntimeError(f"{self.NAME}: does not load ({error}); {self._ADVICE}.") from error
        for name, types in _SIGNATURES.items():
            self._functions[name].argtypes = types
        self.call("cuInit", 0)

    @staticmethod
    def _default_library() -> str:
        return "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function of the driver, by its name in CUDA.

        Raises:
            RuntimeError: It fails.
        """
        status = self._functions[function](*arguments)
        if status:
            text = ctypes.c_char_p()
            self._functions["cuGetErrorString"](status, ctypes.byref(text))
            message = (text.value or b"unknown error").decode()
            raise RuntimeError(f"{self.NAME}: {function}: {message} ({status}).")

    def primary_context(self, device_index: int) -> ctypes.c_void_p:
        """Return a device's primary context; it is retained until the process ends, as torch does."""
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(device), device_index)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        return context

    @contextmanager
    def current(self, context: ctypes.c_void_p) -> Iterator[None]:
        """Make a context current on this thread, for the block."""
        self.call("cuCtxPushCurrent_v2", context)
        try:
            yield
        finally:
            self.call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))


def driver_version(library: str | None = None) -> str | None:
    """Return the version of CUDA that the installed driver supports, such as ``12.8``; None without a driver.

    Other than :class:`Driver`, this needs no GPU.

    Args:
        library: Path or name of the driver's library; the system's if None.
    """
    version = ctypes.c_int()
    try:
        function = ctypes.CDLL(library or Driver._default_library()).cuDriverGetVersion
    except (OSError, AttributeError):
        return None
    if function(ctypes.byref(version)):
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


class LoadedKernels:
    """Compiled kernels in the primary context of one device.

    Args:
        driver: The driver.
        device_index: Index of the device.
        image: Machine code, or PTX.
        names: Names of the kernels.
        stream: Returns the handle of the stream that is current on this device.
        real: The type of the kernels' REAL.

    Raises:
        RuntimeError: The driver refuses the image.
    """

    def __init__(
        self,
        driver: Driver,
        device_index: int,
        image: bytes,
        names: Iterable[str],
        stream: Callable[[], int],
        real: type[ctypes.c_float] | type[ctypes.c_double] = ctypes.c_float,
    ) -> None:
        self._driver, self._stream, self._real = driver, stream, real
        self._context = driver.primary_context(device_index)
        self._functions: dict[str, ctypes.c_void_p] = {}
        module = ctypes.c_void_p()  # never unloaded
        with driver.current(self._context):
            driver.call("cuModuleLoadData", ctypes.byref(module), image)
            for name in names:
                self._functions[name] = function = ctypes.c_void_p()
                driver.call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())

    def launch(self, name: str, blocks: int, *arguments: Tensor | int | float) -> None:
        """Launch a kernel on the current stream; see ``Kernels``.

        Raises:
            RuntimeError: The driver refuses the launch, or an earlier kernel has failed.
        """
        if blocks == 0:
            return
        values = [self._value(argument) for argument in arguments]  # alive until the launch has copied them
        pointers = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        shape = (blocks, 1, 1, BLOCK_SIZE, 1, 1)
        with self._driver.current(self._context):
            stream = ctypes.c_void_p(self._stream())
            self._driver.call("cuLaunchKernel", self._functions[name], *shape, 0, stream, pointers, None)

    def _value(self, argument: Tensor | int | float) -> Any:
        """Return an argument as the kernel's parameter."""
        if isinstance(argument, Tensor):
            return ctypes.c_void_p(argument.data_ptr())
        return ctypes.c_int(argument) if isinstance(argument, int) else self._real(argument)
