"""Which images of a dataset are read: those for training, those that are held out, or all."""

from __future__ import annotations

from typing import Literal, get_args

Split = Literal["train", "test", "all"]

SPLITS: tuple[Split, ...] = get_args(Split)


def check_split(split: str) -> None:
    """Raise ValueError unless a split is known."""
    if split not in SPLITS:
        raise ValueError(f"split: unknown value {split!r}; expected one of {', '.join(SPLITS)}.")
