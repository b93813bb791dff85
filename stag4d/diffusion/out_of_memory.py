"""Recognition of out-of-memory errors, which differ between devices and allocators."""

from __future__ import annotations

import torch

_MESSAGES = (  # in lower case
    "out of memory",  # accelerators
    "cannot allocate memory",  # the CPU allocator, and files that are mapped into memory
    "not enough memory",  # the CPU allocator on Windows
)
_CUDA_MEMORY_ALLOCATION = 2  # cudaErrorMemoryAllocation, as torch.AcceleratorError gives it


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that a device or the machine is out of memory."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, RuntimeError) and getattr(error, "error_code", None) == _CUDA_MEMORY_ALLOCATION:
        return True
    message = str(error).lower() if isinstance(error, (RuntimeError, OSError)) else ""
    return any(part in message for part in _MESSAGES)
