"""Devices, models on them, and interruption."""

from typing import Any

import torch


class InterruptProcessingException(BaseException):
    """The user pressed cancel. As in ComfyUI, this is not an Exception."""


def get_torch_device() -> torch.device:
    return torch.device("cpu")


def get_free_memory(dev: torch.device) -> float:
    """Return the free bytes of a device."""
    return 8e9


def free_memory(memory_required: float, device: torch.device) -> None:
    """Free memory on a device; nothing has to be done."""


_is_interrupted = False


def interrupt_current_processing(value: bool = True) -> None:
    """Press cancel, or undo it."""
    global _is_interrupted
    _is_interrupted = value


def processing_interrupted() -> bool:
    """Return whether a cancel has not been raised yet."""
    return _is_interrupted


def throw_exception_if_processing_interrupted() -> None:
    """Raise if the user has pressed cancel, once per cancel."""
    if _is_interrupted:
        interrupt_current_processing(False)
        raise InterruptProcessingException


def unet_offload_device() -> torch.device:
    return torch.device("cpu")


def vae_offload_device() -> torch.device:
    return torch.device("cpu")


def should_use_fp16(device: torch.device | None = None) -> bool:
    """Return whether a device is fast at half precision; a CPU is not."""
    return False


def archive_model_dtypes(model: torch.nn.Module) -> None:
    """Store the data type of each weight beside it."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, f"{name}_comfy_model_dtype", parameter.dtype)


def load_models_gpu(models: list[Any], memory_required: float = 0, *, force_full_load: bool = False) -> None:
    """Load models to their devices, where they already are; ``requests`` holds the arguments of all calls."""
    load_models_gpu.requests.append((list(models), memory_required, force_full_load))


load_models_gpu.requests = []
