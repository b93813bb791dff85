"""Check before long work that its result fits into memory."""

import comfy.model_management
import torch


def require_memory(subject: str, num_bytes: int) -> None:
    """Raise ValueError with the subject unless that many bytes of main memory are free."""
    free = comfy.model_management.get_free_memory(torch.device("cpu"))
    if num_bytes > free:
        raise ValueError(
            f"{subject}: needs {num_bytes / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; use "
            "fewer or smaller images."
        )
