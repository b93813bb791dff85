"""Settings of the multi-view sampler: steps, classifier-free guidance and the temporal anchor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .noise import COND, UNCOND


@dataclass(frozen=True)
class Anchor:
    """Frame whose keys and values are mixed into those of all others (STAG4D, section 3.2).

    Attributes:
        frame: Index of the anchor frame.
        strength: Weight of the anchor's keys and values in the mix, 0 to 1 (paper: 0.5).
        previous_strength: Weight of the previous frame's, a second anchor (paper: 0).
    """

    frame: int = 0
    strength: float = 0.5
    previous_strength: float = 0.0

    def __post_init__(self) -> None:
        """Check the weights; raises ValueError with their values."""
        if not 0 <= self.strength <= 1:
            raise ValueError(f"anchor: strength is {self.strength:g}; expected 0 to 1.")
        if not 0 <= self.previous_strength <= 1 - self.strength + 1e-6:
            raise ValueError(
                f"anchor: previous_strength is {self.previous_strength:g} with a strength of "
                f"{self.strength:g}; expected 0 or more, and a sum of at most 1."
            )


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Sampling of the views of a video.

    Attributes:
        num_steps: Diffusion steps (published pipeline: 28 to 75; official STAG4D: 75).
        guidance_scale: Scale of classifier-free guidance (published: 4). 0 ignores the input image; at 1 only
            the conditional branch is computed, which halves the cost.
        anchor: The anchor frame; None denoises every frame independently.
        batch_size: Frames per UNet call; None chooses it, on CUDA from the free memory, elsewhere from the
            latent size. The result depends on it by rounding errors only.
    """

    num_steps: int = 75
    guidance_scale: float = 4.0
    anchor: Anchor | None = field(default_factory=Anchor)
    batch_size: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if not 1 <= self.num_steps <= 1000:
            raise ValueError(f"sampling: {self.num_steps} steps; expected 1 to 1000.")
        if not 0 <= self.guidance_scale < math.inf:
            raise ValueError(f"sampling: guidance_scale is {self.guidance_scale}; expected 0 or more.")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"sampling: batches of {self.batch_size} frames; expected at least 1.")

    @property
    def branches(self) -> tuple[int, ...]:
        """Return the branches of guidance to compute: at scale 1 the unconditional one cancels out."""
        return (COND,) if self.guidance_scale == 1 else (UNCOND, COND)

    def check_num_frames(self, num_frames: int) -> None:
        """Raise ValueError unless a video of that many frames contains the anchor frame."""
        if self.anchor is not None and not 0 <= self.anchor.frame < num_frames:
            raise ValueError(
                f"sampling: anchor frame {self.anchor.frame} of {num_frames} frames; expected 0 to "
                f"{num_frames - 1}."
            )
