"""Devices, models on them, and interruption."""

from typing import Any

import torch


class InterruptProcessingException(BaseException):
    """The user pressed cancel. As in the host, this is no Exception."""


def get_torch_device() -> torch.device:
    return torch.device("cpu")


def get_free_memory(dev: torch.device) -> float:
    """Return the free bytes of a device."""
    return 8e9


def free_memory(memory_required: float, device: torch.device) -> None:
    """Make room on a device; there is enough."""


def throw_exception_if_processing_interrupted() -> None:
    """Raise when the user has pressed cancel; nobody has."""


def unet_offload_device() -> torch.device:
    return torch.device("cpu")


def should_use_fp16(device: torch.device | None = None) -> bool:
    """Return whether a device is good at half precision; a processor is not."""
    return False


def archive_model_dtypes(model: torch.nn.Module) -> None:
    """Note beside each weight what type it has."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, f"{name}_comfy_model_dtype", parameter.dtype)


def load_models_gpu(models: list[Any], memory_required: float = 0, *, force_full_load: bool = False) -> None:
    """Bring models to their devices, where they are already; what was asked for is kept in ``requests``."""
    load_models_gpu.requests.append((list(models), memory_required, force_full_load))


load_models_gpu.requests = []
