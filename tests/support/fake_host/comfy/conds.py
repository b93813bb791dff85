"""Conditioning of models."""

from typing import Any


class CONDRegular:
    """A tensor with one row per latent."""

    def __init__(self, cond: Any) -> None:
        self.cond = cond

    def _copy_with(self, cond: Any) -> "CONDRegular":
        return self.__class__(cond)
