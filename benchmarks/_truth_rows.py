"""The rows of the benchmark against truth: the full method, and what each row does otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from stag4d.diffusion import Anchor, SamplingConfig, SeededNoise
from stag4d.optimization import (
    AdaptivePercentile,
    DensificationStrategy,
    FixedThreshold,
    OptimizationConfig,
    PresetName,
    preset,
)

_ANCHOR = Anchor(frame=0, strength=0.5)
_STRATEGY = AdaptivePercentile(top_share=0.05)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to get from a clip to a scene; the defaults are the full method.

    Attributes:
        anchor: Of the views.
        shares_noise: Whether the views of all frames start from the same noise.
        has_true_views: Whether the views are not drawn but the toy's own.
        told_of: Which pictures the prior is told of; None asks no prior.
        strategy: Of the densification.
        is_alone: Whether each frame is fitted for itself, as a scene that stands still.
        preset: Of everything else.
    """

    anchor: Anchor | None = _ANCHOR
    shares_noise: bool = True
    has_true_views: bool = False
    told_of: Literal["sectors", "reference"] | None = "sectors"
    strategy: DensificationStrategy | None = _STRATEGY
    is_alone: bool = False
    preset: PresetName = "fast"

    @property
    def views_name(self) -> str:
        """Return the first row whose views are drawn as this one's, which share a folder."""
        mine = (self.anchor, self.shares_noise)
        return next(name for name, row in ROWS.items() if (row.anchor, row.shares_noise) == mine)

    def noise(self, seed: int) -> SeededNoise:
        """Return the source of the views' draws."""
        return SeededNoise(seed, share_grid=self.shares_noise)

    def sampling(self, num_steps: int, guidance_scale: float) -> SamplingConfig:
        """Return how the views are drawn."""
        return SamplingConfig(num_steps=num_steps, guidance_scale=guidance_scale, anchor=self.anchor)

    def fitting(self, steps: int, size: int, seed: int, num_frames: int) -> OptimizationConfig:
        """Return how the scene is fitted, or each frame's where they are alone.

        Args:
            steps: Of the preset ``fast``; another preset has as many times more as it has by default. Frames
                that are alone have one frame a step, and all together as many as the others.
            size: Pixels.
            seed: Of every draw.
            num_frames: Of the clip.
        """
        own, usual = preset(self.preset), preset("fast")
        steps = max(steps * own.steps // usual.steps, 1)
        config = replace(own, steps=steps, size=size, seed=seed)
        config = replace(config, densification=replace(config.densification, strategy=self.strategy))
        if self.told_of is not None:
            config = replace(config, guidance=replace(config.guidance, anchors=self.told_of))
        if self.is_alone:
            share = max(steps * config.batch.num_frames // num_frames, 1)
            batch = replace(config.batch, num_frames=1, static_until=0.0)
            every = max(config.densification.every * share // steps, 1)  # as often in a fit as the others
            densification = replace(config.densification, every=every)
            config = replace(config, steps=share, batch=batch, densification=densification)
        return config


ROWS = {
    "full": Row(),
    "no_anchor": Row(anchor=None),
    "no_shared_noise": Row(shares_noise=False),
    "neither": Row(anchor=None, shares_noise=False),
    "previous": Row(anchor=replace(_ANCHOR, previous_strength=0.25)),
    "no_sds": Row(told_of=None),
    "reference_sds": Row(told_of="reference"),
    "fixed_densification": Row(strategy=FixedThreshold()),
    "no_densification": Row(strategy=None),
    "frames_alone": Row(is_alone=True),
    "true_views": Row(has_true_views=True),
    "paper": Row(preset="paper", strategy=AdaptivePercentile()),
}
CENTRAL = ("full", "no_anchor", "no_sds", "reference_sds", "fixed_densification")  # on more toys and seeds
ONLY_WHEN_NAMED = ("paper",)  # hours without a GPU
