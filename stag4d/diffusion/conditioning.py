"""What the multi-view UNet is conditioned on: prompt embeddings and reference latents of every frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..devices import to_device
from .noise import COND, UNCOND, NoiseSource


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Conditioning of F frames.

    Attributes:
        uncond_embeddings: [1, K, D] prompt embeddings of the empty prompt.
        cond_embeddings: [F, K, D] the same plus the frame's image embedding, weighted by the ramp.
        references: [F, 2, C, h, w] latents of the blank image (unconditional) and of the frame (conditional).
    """

    uncond_embeddings: Tensor
    cond_embeddings: Tensor
    references: Tensor

    def __len__(self) -> int:
        """Return F."""
        return len(self.cond_embeddings)

    def prompt_embeddings(self, branches: Sequence[int], frames: Sequence[int]) -> Tensor:
        """Return the prompt embeddings [GB, K, D] of B frames for each of G branches of guidance."""
        embeddings = {
            UNCOND: self.uncond_embeddings.expand(len(frames), -1, -1),
            COND: torch.stack([self.cond_embeddings[frame] for frame in frames]),
        }
        return torch.cat([embeddings[branch] for branch in branches])

    def noised_references(
        self, branches: Sequence[int], frames: Sequence[int], noise: NoiseSource, step: int, sigma: float
    ) -> Tensor:
        """Return reference latents at a noise level, scaled as UNet input, [GB, C, h, w].

        Args:
            branches: G branches of guidance; each has noise of its own.
            frames: B frames.
            noise: Source of the noise.
            step: Diffusion step, which the noise depends on.
            sigma: Noise level.
        """
        clean = torch.stack(
            [torch.stack([self.references[frame, branch] for frame in frames]) for branch in branches]
        )  # [G, B, C, h, w]
        shape = tuple(clean.shape[2:])
        fresh = torch.stack(
            [
                torch.stack([noise.reference(frame, step, branch, shape) for frame in frames])
                for branch in branches
            ]
        )
        fresh = to_device(fresh, clean.device).to(clean)
        return ((clean + sigma * fresh) / math.sqrt(sigma**2 + 1)).flatten(0, 1)
