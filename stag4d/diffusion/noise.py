"""Every random number of the multi-view sampler, from one source that a caller can replace.

Noise depends on its purpose and not on the order of the calls, so frames can be denoised in batches of any
size.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

UNCOND, COND = 0, 1  # branches of classifier-free guidance, in batch order


class NoiseSource(Protocol):
    """Standard normal noise on the CPU; shapes have no batch axis."""

    def posterior(self, frame: int, branch: int, shape: tuple[int, ...]) -> Tensor:
        """Return noise for sampling the VAE's posterior of a frame's reference, or of the blank image."""
        ...

    def initial(self, frame: int, shape: tuple[int, ...]) -> Tensor:
        """Return a frame's initial grid latent, of unit variance."""
        ...

    def ancestral(self, frame: int, step: int, shape: tuple[int, ...]) -> Tensor:
        """Return the noise that an ancestral step adds to a frame's grid latent."""
        ...

    def reference(self, frame: int, step: int, branch: int, shape: tuple[int, ...]) -> Tensor:
        """Return the noise added to a frame's reference latent at a step."""
        ...


@dataclass(frozen=True)
class SeededNoise:
    """Noise from a seed.

    Attributes:
        seed: Any integer.
        share_grid: Whether all frames have the same initial latent and ancestral noise, as in the official
            code, which reseeds for every frame (``share_noise`` of the node, off by ``--separate-noise``).
        share_reference: Whether they also have the same reference noise and posterior sample.
    """

    seed: int
    share_grid: bool = True
    share_reference: bool = False

    def posterior(self, frame: int, branch: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self._sample(shape, "posterior", 0 if self.share_reference else frame, branch)

    def initial(self, frame: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self._sample(shape, "initial", 0 if self.share_grid else frame)

    def ancestral(self, frame: int, step: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self._sample(shape, "ancestral", 0 if self.share_grid else frame, step)

    def reference(self, frame: int, step: int, branch: int, shape: tuple[int, ...]) -> Tensor:
        """See ``NoiseSource``."""
        return self._sample(shape, "reference", 0 if self.share_reference else frame, step, branch)

    def _sample(self, shape: tuple[int, ...], *purpose: str | int) -> Tensor:
        """Return noise for a purpose, from a generator seeded by a hash of seed and purpose."""
        digest = hashlib.sha256(repr((self.seed, *purpose)).encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return torch.randn(shape, generator=generator)
