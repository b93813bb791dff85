"""The seeded random generator of a procedural toy, with the three distributions that it uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch

Choice = TypeVar("Choice")


class SeededRandom:
    """Reproducible samples from one ``torch.Generator``."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * torch.rand((), generator=self._generator, dtype=torch.float64).item()

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.uniform(0, 1) < probability

    def pick(self, options: Sequence[Choice]) -> Choice:
        """Return one of the options, with equal probabilities."""
        return options[int(self.uniform(0, len(options)))]
