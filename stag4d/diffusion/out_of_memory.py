"""Which errors mean that memory ran out: devices and allocators say it in different ways."""

from __future__ import annotations

import torch

_PHRASES = (
    "out of memory",  # every accelerator's
    "cannot allocate memory",  # the processor's allocator, and files that are mapped into memory
    "not enough memory",  # the processor's allocator on Windows
)
_CUDA_MEMORY_ALLOCATION = 2  # the code of torch.AcceleratorError when a CUDA call itself finds no memory


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that there was too little memory, on a device or in the machine."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, RuntimeError) and getattr(error, "error_code", None) == _CUDA_MEMORY_ALLOCATION:
        return True
    words = str(error).lower() if isinstance(error, (RuntimeError, OSError)) else ""
    return any(phrase in words for phrase in _PHRASES)
