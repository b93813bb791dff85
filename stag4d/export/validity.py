"""Limits for files of unknown origin: memory for what they declare, opacities with finite logits."""

from __future__ import annotations

SMALLEST_ALPHA = 1e-6  # in place of 0 and 1, whose logits are infinite
_FREE_BYTES = 2**25  # that a file of any size may expand to
_MAX_EXPANSION = 256  # times of a larger file's size; splats are compressed 2 to 50 times


def check_expansion(num_bytes: int, num_expanded: int) -> None:
    """Raise ValueError if the content of a file would need far more memory than a file of its size can hold.

    Args:
        num_bytes: Size of the file.
        num_expanded: Memory of what it declares, bytes.
    """
    most = max(_FREE_BYTES, _MAX_EXPANSION * num_bytes)
    if num_expanded > most:
        raise ValueError(
            f"it declares {num_expanded} bytes of Gaussians in a file of {num_bytes} bytes; expected at most "
            f"{most}"
        )
