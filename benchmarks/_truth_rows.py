"""The rows of the benchmark against ground truth: the full method and its ablations."""

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

from ._single_frames import config_of_single_frame

_ANCHOR = Anchor(frame=0, strength=0.5)
_STRATEGY = AdaptivePercentile(top_share=0.05)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A variant of the method from video to scene; the defaults are the full method.

    Attributes:
        anchor: Anchor of the multi-view generation; None for none.
        shares_noise: Whether the views of all frames start from the same noise.
        has_true_views: Whether the toy's true views replace the generated ones.
        sds_condition: Images that score distillation is conditioned on; None is without SDS loss.
        strategy: Densification strategy; None for none.
        is_alone: Whether a static scene is fitted to each frame separately.
        preset: Preset of all other settings.
    """

    anchor: Anchor | None = _ANCHOR
    shares_noise: bool = True
    has_true_views: bool = False
    sds_condition: Literal["sectors", "reference"] | None = "sectors"
    strategy: DensificationStrategy | None = _STRATEGY
    is_alone: bool = False
    preset: PresetName = "fast"

    @property
    def views_name(self) -> str:
        """Return the name of the first row with the same generated views; such rows share a folder."""
        settings = (self.anchor, self.shares_noise)
        return next(name for name, row in ROWS.items() if (row.anchor, row.shares_noise) == settings)

    def noise(self, seed: int) -> SeededNoise:
        """Return the noise of the multi-view generation."""
        return SeededNoise(seed, share_grid=self.shares_noise)

    def sampling(self, num_steps: int, guidance_scale: float) -> SamplingConfig:
        """Return the sampling config of the multi-view generation."""
        return SamplingConfig(num_steps=num_steps, guidance_scale=guidance_scale, anchor=self.anchor)

    def fitting(self, steps: int, size: int, seed: int, num_frames: int) -> OptimizationConfig:
        """Return the optimization config of the scene, or of each frame's scene if they are fitted alone.

        Args:
            steps: Steps of preset ``fast``; those of another preset have the ratio of the presets' defaults.
                Frames that are fitted alone have one frame per step, and in total as many as the others.
            size: Size of the renders, pixels.
            seed: Seed of the fit.
            num_frames: Frames of the video.
        """
        config, fast = preset(self.preset), preset("fast")
        steps = max(steps * config.steps // fast.steps, 1)
        config = replace(config, steps=steps, size=size, seed=seed)
        config = replace(config, densification=replace(config.densification, strategy=self.strategy))
        if self.sds_condition is not None:
            config = replace(config, guidance=replace(config.guidance, anchors=self.sds_condition))
        if self.is_alone:
            config = config_of_single_frame(config, num_frames)
        return config


ROWS = {
    "full": Row(),
    "no_anchor": Row(anchor=None),
    "no_shared_noise": Row(shares_noise=False),
    "neither": Row(anchor=None, shares_noise=False),
    "previous": Row(anchor=replace(_ANCHOR, previous_strength=0.25)),
    "no_sds": Row(sds_condition=None),
    "reference_sds": Row(sds_condition="reference"),
    "fixed_densification": Row(strategy=FixedThreshold()),
    "no_densification": Row(strategy=None),
    "frames_alone": Row(is_alone=True),
    "true_views": Row(has_true_views=True),
    "paper": Row(preset="paper", strategy=AdaptivePercentile()),
}
CENTRAL = ("full", "no_anchor", "no_sds", "reference_sds", "fixed_densification")  # more toys and seeds
ONLY_WHEN_NAMED = ("paper",)  # takes hours without a GPU
