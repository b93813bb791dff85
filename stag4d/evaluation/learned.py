"""The metrics that need weights: LPIPS and CLIP-S, each where its network is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..lpips import PerceptualDistance


class Embed(Protocol):
    """CLIP's image encoder."""

    @property
    def description(self) -> str:
        """Return the kind of the encoder."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Return embeddings [N, D] of images [N, H, W, 3] in 0..1."""
        ...


def clip_similarity(images: Tensor, truth: Tensor, embed: Embed) -> Tensor:
    """Return CLIP-S, the cosine similarity of the CLIP embeddings of images and of their ground truth.

    Args:
        images: [N, H, W, 3] in 0..1.
        truth: [N, H, W, 3].
        embed: CLIP's image encoder.

    Returns:
        [N] float64 within -1..1; 1 for equal images.
    """
    return cosine_similarity(embed(images).double(), embed(truth).double(), dim=-1)


@dataclass(frozen=True, kw_only=True)
class LearnedMetrics:
    """Networks of metrics; a metric without network is left out.

    Attributes:
        lpips: The LPIPS network.
        embed: CLIP's image encoder, for CLIP-S.
    """

    lpips: PerceptualDistance | None = None
    embed: Embed | None = None

    @property
    def networks(self) -> dict[str, str]:
        """Return the kind of the network of each available metric."""
        found = {}
        if self.lpips is not None:
            found["lpips"] = str(self.lpips.backbone)
        if self.embed is not None:
            found["clip_s"] = self.embed.description
        return found

    def measure(self, images: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Return ``lpips`` and ``clip_s``, [N] each, of images [N, H, W, 3], as far as they are available.

        Raises:
            ValueError: if the shapes differ or the images are too small.
        """
        scores = {}
        if self.lpips is not None:
            scores["lpips"] = self.lpips(images, truth)
        if self.embed is not None:
            scores["clip_s"] = clip_similarity(images, truth, self.embed)
        return scores
