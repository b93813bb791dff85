"""Devices, models on them, and interruption."""

from typing import Any

import torch


class InterruptProcessingException(BaseException):
    """The user canceled the prompt. As in ComfyUI, this is no Exception."""


def get_torch_device() -> torch.device:
    return torch.device("cpu")


def get_free_memory(dev: torch.device) -> float:
    """Return the free bytes of a device."""
    return 8e9


def free_memory(memory_required: float, device: torch.device) -> None:
    """Free memory on a device; a no-op here."""


def throw_exception_if_processing_interrupted() -> None:
    """Raise if the user has canceled the prompt; never here."""


def unet_offload_device() -> torch.device:
    return torch.device("cpu")


def should_use_fp16(device: torch.device | None = None) -> bool:
    """Return whether a device should use half precision; a CPU should not."""
    return False


def archive_model_dtypes(model: torch.nn.Module) -> None:
    """Store the dtype of each weight in an attribute beside it."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, f"{name}_comfy_model_dtype", parameter.dtype)


def load_models_gpu(models: list[Any], memory_required: float = 0, *, force_full_load: bool = False) -> None:
    """Load models onto their devices, where they are already; the calls are kept in ``requests``."""
    load_models_gpu.requests.append((list(models), memory_required, force_full_load))


load_models_gpu.requests = []
