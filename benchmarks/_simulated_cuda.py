"""CUDA tensors on a CPU, which count what a GPU would launch and where the host would wait for it.

A ``SimulatedTensor`` holds its values in a tensor on the CPU and says that it is on ``cuda:0``, so code takes
the same branches as on a GPU and gets results. Operations on it and on a tensor of the CPU fail as they do
there. torch's own FakeTensorMode does not serve: in a torch without CUDA, its CUDA tensors have no gradients.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

from stag4d.rendering import backends
from stag4d.rendering.cuda import backend as cuda_backend
from stag4d.rendering.cuda.backend import LoadKernels
from stag4d.rendering.cuda.layout import Kernels

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")
_INSIDE = torch.device("meta")  # what torch's C++ takes for the device; it has gradients and no memory
RASTERIZER, BACKWARD = "rasterizer", "backward pass"

_aten = torch.ops.aten
_ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
_WITH_UNKNOWN_SHAPE = {"nonzero", "masked_select", "_unique2", "unique_dim", "bincount", "repeat_interleave"}
_FACTORIES = {
    torch.arange,
    torch.empty,
    torch.eye,
    torch.full,
    torch.linspace,
    torch.ones,
    torch.zeros,
}
_COPIES_OF_DATA = {torch.as_tensor, torch.tensor}
_ROOT = Path(__file__).parents[1]


@dataclass
class DeviceLog:
    """What the operations on simulated tensors would have done on a GPU, by the file that called them.

    Attributes:
        launches: Kernels launched, each operator without a view of its input counted as one; those of the
            rasterizer and of the backward pass are under these names.
        copies: Copies from pinned memory, for which the host does not wait.
        waits: Operators for which the host waits: reads of values, results of unknown shape, and copies from
            memory that is not pinned.
    """

    launches: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Begin anew."""
        for counter in (self.launches, self.copies, self.waits):
            counter.clear()

    def wait(self, operator: str) -> None:
        """Count an operator for which the host waits."""
        self.waits[f"{_place()}: {operator}"] += 1


class SimulatedTensor(Tensor):
    """A tensor whose values are on the CPU and whose device is CUDA."""

    on_cpu: Tensor
    device_log: DeviceLog

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, values: Tensor, log: DeviceLog) -> SimulatedTensor:
        """Return values as a tensor on CUDA, without copying them."""
        tensor = Tensor._make_wrapper_subclass(
            cls, values.shape, values.stride(), values.storage_offset(), dtype=values.dtype, device=_INSIDE
        )
        tensor.on_cpu, tensor.device_log = values, log
        return tensor

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Return the device that is simulated."""
        return CUDA

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        """Return the values as text."""
        return f"SimulatedTensor({self.on_cpu})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operator on the values and count it."""
        log = next(value.device_log for value in tree_flatten((args, kwargs))[0] if isinstance(value, cls))
        return _run(log, func, args, kwargs or {})


def _run(log: DeviceLog, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operator on the values of simulated tensors, and count it."""
    log_operator(log, func, [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)])
    values = tree_map_only(SimulatedTensor, lambda value: value.on_cpu, (args, kwargs))
    values = tree_map_only(torch.device, lambda device: CPU if device == _INSIDE else device, values)
    out = func(*values[0], **values[1])
    out = tree_map_only(Tensor, lambda value: SimulatedTensor(value, log), out)
    return return_and_correct_aliasing(func, args, kwargs, out)


def log_operator(log: DeviceLog, func: Any, tensors: Sequence[Tensor]) -> None:
    """Count an operator of tensors; raises RuntimeError if one of them is on the CPU and has dimensions."""
    name = func.overloadpacket.__name__
    others = [value for value in tensors if not isinstance(value, SimulatedTensor)]
    if name.startswith("index") and any(value.dtype == torch.int64 for value in others):
        log.wait(f"{name} with indices from the CPU")
        others = [value for value in others if value.dtype != torch.int64]
    if any(value.ndim > 0 for value in others):
        raise RuntimeError(f"{name}: found tensors on cuda:0 and cpu at {_place()}; expected one device.")
    has_mask = name.startswith("index") and any(value.dtype == torch.bool for value in tensors[1:])
    if name == "_local_scalar_dense" or name in _WITH_UNKNOWN_SHAPE or has_mask:
        log.wait(name)
    is_view = any(found.alias_info and not found.alias_info.is_write for found in func._schema.returns)
    if not is_view and name not in _ALLOCATIONS and name != "_unsafe_view":
        log.launches[_place()] += 1


def _place() -> str:
    """Return the file of the package that calls an operator; the rasterizer and the backward pass by name."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_ROOT / "stag4d" / "rendering" / "cuda"):
            return RASTERIZER
        if path.name == "graph.py" and path.parent.name == "autograd":
            return BACKWARD
        if path.is_relative_to(_ROOT / "stag4d"):
            return path.relative_to(_ROOT / "stag4d").as_posix()
        frame = frame.f_back
    return "other"


class _SimulatedFactories(TorchDispatchMode):
    """Makes the tensors simulated that torch creates itself, like those of a backward pass."""

    def __init__(self, log: DeviceLog) -> None:
        super().__init__()
        self.log = log

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operator."""
        kwargs = kwargs or {}
        inputs = tree_flatten((args, kwargs))[0]
        if kwargs.get("device") == _INSIDE or any(isinstance(value, SimulatedTensor) for value in inputs):
            return _run(self.log, func, args, kwargs)
        return func(*args, **kwargs)


class _SimulatedDevice(TorchFunctionMode):
    """Moves and creates simulated tensors where the device is CUDA."""

    def __init__(self, log: DeviceLog) -> None:
        super().__init__()
        self.log = log

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch; those that create or move tensors, as if there were a GPU."""
        kwargs = dict(kwargs or {})
        if func is Tensor.to:
            return self._to(*args, **kwargs)
        if func is Tensor.cpu:
            return self._to(args[0], CPU)
        if func is Tensor.tolist and isinstance(args[0], SimulatedTensor):
            self.log.wait("tolist")
            return args[0].on_cpu.tolist()
        if func is Tensor.pin_memory:
            # As torch does: it fails if several elements of the tensor are in one place of memory.
            pinned: Any = torch.empty_strided(args[0].shape, args[0].stride(), dtype=args[0].dtype)
            pinned.copy_(args[0])
            pinned.is_simulated_pinned = True
            return pinned
        if func is Tensor.new_tensor and isinstance(args[0], SimulatedTensor):
            return self._uploaded(torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)), False)
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], SimulatedTensor):
            return func(args[0], self._uploaded_index(args[1]), *args[2:])
        if func not in _FACTORIES and func not in _COPIES_OF_DATA:
            return func(*args, **kwargs)
        is_cuda = torch.device(kwargs.get("device") or CPU).type == "cuda"
        if not is_cuda or (args and isinstance(args[0], SimulatedTensor)):
            kwargs.pop("device", None)
            return func(*args, **kwargs)
        if func in _COPIES_OF_DATA:
            return self._uploaded(func(*args, **{**kwargs, "device": CPU}), False)
        return func(*args, **{**kwargs, "device": _INSIDE})

    def _to(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return ``tensor.to(*args, **kwargs)``."""
        device, dtype = kwargs.get("device"), kwargs.get("dtype")
        flags = [value for value in args if isinstance(value, bool)]
        is_async = flags[0] if flags else kwargs.get("non_blocking", False)
        is_copy = flags[1] if len(flags) > 1 else kwargs.get("copy", False)
        for value in args:
            if isinstance(value, Tensor):
                device, dtype = value.device, value.dtype
            elif isinstance(value, torch.dtype):
                dtype = value
            elif isinstance(value, (str, torch.device)):
                device = torch.device(value)
        device, dtype = torch.device(device or tensor.device), dtype or tensor.dtype
        if device.type == tensor.device.type:
            return tensor.to(dtype, copy=is_copy)
        if tensor.requires_grad and torch.is_grad_enabled():
            raise NotImplementedError("simulated CUDA: gradients between devices")
        if isinstance(tensor, SimulatedTensor):
            self.log.wait("copy to the CPU")
            return tensor.on_cpu.to(dtype, copy=True)
        is_pinned = getattr(tensor, "is_simulated_pinned", False) and is_async
        return self._uploaded(tensor.detach().clone(), is_pinned).to(dtype)

    def _uploaded_index(self, index: Any) -> Any:
        """Return an index whose lists are tensors on CUDA."""
        if isinstance(index, tuple):
            return tuple(self._uploaded_index(part) for part in index)
        return self._uploaded(torch.tensor(index), False) if isinstance(index, list) else index

    def _uploaded(self, value: Tensor, is_pinned: bool) -> Tensor:
        """Return a tensor on CUDA that is copied there."""
        if is_pinned:
            self.log.copies[_place()] += 1
        else:
            self.log.wait("copy from memory that is not pinned")
        return self._simulated(value)

    def _simulated(self, value: Tensor) -> SimulatedTensor:
        return SimulatedTensor(value, self.log)


class _LoggedKernels:
    """Kernels that take simulated tensors."""

    def __init__(self, kernels: Kernels, log: DeviceLog) -> None:
        self._kernels, self._log = kernels, log

    def launch(self, name: str, blocks: int, *arguments: Tensor | int | float) -> None:
        """See ``Kernels``."""
        self._log.launches[RASTERIZER] += blocks > 0
        values = [value.on_cpu if isinstance(value, SimulatedTensor) else value for value in arguments]
        self._kernels.launch(name, blocks, *values)


class ZeroKernels:
    """Kernels in place of the CUDA rasterizer's that render nothing: all results are 0."""

    _NUM_RESULTS: ClassVar = {
        "project": 6,
        "list_tiles": 2,
        "composite": 2,
        "composite_backward": 1,
        "sum_rows": 3,
        "project_backward": 4,
    }

    def launch(self, name: str, blocks: int, *arguments: Tensor | int | float) -> None:
        """See ``Kernels``."""
        for result in arguments[-self._NUM_RESULTS[name] :]:
            if isinstance(result, Tensor):
                result.zero_()


def _only_backend(device: torch.device) -> backends.Choice:
    """Return the backend of a device as ``fastest_backend`` does, without compiling kernels."""
    return backends.Choice("cuda" if device.type == "cuda" else "numba", ())


@contextmanager
def simulated_cuda(load: LoadKernels = lambda device, channels: ZeroKernels()) -> Iterator[DeviceLog]:
    """Simulate a GPU, whose rasterizer is the CUDA backend with kernels on the CPU.

    Args:
        load: Returns the kernels for a number of channels.

    Yields:
        The log.
    """
    log = DeviceLog()

    def load_logged(device: torch.device, channels: int) -> Kernels:
        return _LoggedKernels(load(CPU, channels), log)

    rasterize: Callable[..., Any] = partial(cuda_backend.rasterize, load=load_logged)
    loaded = backends._load
    conversion = torch.__future__
    with (
        patch.object(conversion, "_overwrite_module_params_on_conversion", True),  # else they keep their type
        patch.object(backends, "fastest_backend", _only_backend),
        patch.object(backends, "_log_use", lambda *_: None),  # describes a GPU
        patch.object(backends, "_load", lambda name: rasterize if name == "cuda" else loaded(name)),
        _SimulatedFactories(log),
        _SimulatedDevice(log),
    ):
        yield log
