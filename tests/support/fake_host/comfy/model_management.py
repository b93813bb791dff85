"""Devices and interruption."""

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
