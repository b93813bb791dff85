"""Devices of torch: their index and their name."""

from __future__ import annotations

import platform

import torch


def with_index(device: torch.device | str) -> torch.device:
    """Return a device by its index; a CUDA device without one is the current device of the calling thread.

    Where there is no CUDA device, it stays without index.
    """
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return device


def describe_device(device: torch.device) -> str:
    """Return a device and its name, such as ``cuda:0 (NVIDIA GeForce RTX 4090, compute capability 8.9)``."""
    if device.type == "cuda" and torch.cuda.is_available():
        name = torch.cuda.get_device_name(device)
        if torch.version.hip is not None:
            return f"{device} ({name})"
        major, minor = torch.cuda.get_device_capability(device)
        return f"{device} ({name}, compute capability {major}.{minor})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({platform.machine()}, {threads} thread{'s' if threads > 1 else ''})"
    return str(device)
