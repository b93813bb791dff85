"""Every random draw of the multi-view sampler, from one source that a caller can replace.

A draw depends on what it is for and not on the order of the calls, so frames may be denoised in batches of
any size.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

UNCOND, COND = 0, 1  # the halves of classifier-free guidance, in the order of the batch


class NoiseSource(Protocol):
    """Standard normal draws on the CPU; shapes have no batch axis."""

    def posterior(self, frame: int, half: int, shape: tuple[int, ...]) -> Tensor:
        """Return the draw that samples the VAE's posterior of a frame's reference, or of the blank one."""
        ...

    def initial(self, frame: int, shape: tuple[int, ...]) -> Tensor:
        """Return a frame's grid latent before the first step, of unit variance."""
        ...

    def ancestral(self, frame: int, step: int, shape: tuple[int, ...]) -> Tensor:
        """Return what an ancestral step adds to a frame's grid latent."""
        ...

    def reference(self, frame: int, step: int, half: int, shape: tuple[int, ...]) -> Tensor:
        """Return what is added to a frame's reference latent at a step."""
        ...


@dataclass(frozen=True)
class SeededNoise:
    """Draws made by a seed.

    Attributes:
        seed: Any integer.
        share_grid: Whether all frames start from the same latent and take the same ancestral noise, as the
            official code does by reseeding every frame.
        share_reference: Whether they take the same noise on the reference and the same posterior sample, too.
    """

    seed: int
    share_grid: bool = True
    share_reference: bool = False

    def posterior(self, frame: int, half: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self._draw(shape, "posterior", 0 if self.share_reference else frame, half)

    def initial(self, frame: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self._draw(shape, "initial", 0 if self.share_grid else frame)

    def ancestral(self, frame: int, step: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self._draw(shape, "ancestral", 0 if self.share_grid else frame, step)

    def reference(self, frame: int, step: int, half: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self._draw(shape, "reference", 0 if self.share_reference else frame, step, half)

    def _draw(self, shape: tuple[int, ...], *purpose: str | int) -> Tensor:
        """Return the draw for a purpose, from a generator seeded by a hash of it."""
        digest = hashlib.sha256(repr((self.seed, *purpose)).encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return torch.randn(shape, generator=generator)
