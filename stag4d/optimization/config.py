"""Configuration of a fit, and the three presets: ``fast``, ``quality`` and ``paper``.

"Official" is the published code's number, "ours" was chosen on toys whose ground truth is known
(benchmarks/RESULTS.md).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from ..rendering import select_backend
from ..scene import SH_C0, FieldConfig
from .densification import DensificationConfig, FixedThreshold
from .guidance import GuidanceConfig
from .losses import LossWeights
from .parameters import LearningRates
from .regularizers import RegularizerWeights
from .schedules import LogLinear, constant

PresetName = Literal["fast", "paper", "quality"]
MAX_STEPS, MAX_SIZE = 1_000_000, 4096


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """Initialization of the canonical Gaussians.

    Attributes:
        kind: ``hull``: the visual hull of the middle frame's views (ours); ``ball``: random (official).
        num_points: Gaussians (official: 10,000).
        bound: Half extent of the hull's cube, or radius of the ball (official: 0.5), world units.
    """

    kind: Literal["hull", "ball"] = "hull"
    num_points: int = 3000
    bound: float = 1.0

    def __post_init__(self) -> None:
        """Check the values; raises ValueError with the offending one."""
        if self.kind not in ("hull", "ball"):
            raise ValueError(f"start: unknown kind {self.kind!r}; expected 'hull' or 'ball'.")
        if self.num_points < 1 or not self.bound > 0:
            raise ValueError(f"start: {self}; num_points must be at least 1, bound positive.")


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """Renders of one step.

    Attributes:
        num_frames: Frames per step (official: 4).
        num_views: Distinct random posed views of each frame, besides the input view (official: 0).
        static_until: Progress until which only the middle frame is used, without deformation (official:
            0.0875).
        spread_until: Progress until which the frames in use spread from the middle one to both ends of the
            video, so that large motions are tracked (ours; the official code uses all at once).
        background: ``random`` color per render (ours), or ``white``.
        sizes: Coarse to fine: (until, scale) pairs of progress and share of the full render size.
    """

    num_frames: int = 2
    num_views: int = 3
    static_until: float = 0.08
    spread_until: float = 0.3
    background: Literal["random", "white"] = "random"
    sizes: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Check the values; raises ValueError with the offending one."""
        if self.num_frames < 1 or self.num_views < 0:
            raise ValueError(f"batch: {self}; num_frames must be at least 1, num_views at least 0.")
        if self.background not in ("random", "white"):
            raise ValueError(f"batch: unknown background {self.background!r}; expected 'random' or 'white'.")
        for name in ("static_until", "spread_until"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"batch: {name} is {getattr(self, name)}; expected a progress in 0 to 1.")
        if not all(0 < scale <= 1 for _, scale in self.sizes):
            raise ValueError(f"batch: sizes are {self.sizes}; expected scales above 0, at most 1.")
        ends = [0.0, *(until for until, _ in self.sizes), 1.0]
        if ends != sorted(ends):
            raise ValueError(f"batch: sizes are {self.sizes}; expected them to end one after the other.")


@dataclass(frozen=True, kw_only=True)
class OptimizationConfig:
    """Configuration of a fit.

    Attributes:
        preset: Name of the preset that the rest is derived from.
        steps: Optimization steps (official: 8000).
        size: Full render size, pixels, at most that of the larger of input and views; the smaller ones are
            enlarged (official: 512).
        seed: Seed of all random numbers.
        start: Initialization of the Gaussians.
        field: Size of the deformation field; the time resolution is capped at the number of frames.
        rates: Learning rates.
        losses: Weights of the given views' losses.
        regularizers: Weights of the regularizers.
        batch: Renders of a step.
        densification: Densification.
        guidance: Score distillation, used when there is a guidance model.
    """

    preset: PresetName
    steps: int
    size: int
    seed: int = 0
    start: StartConfig = dataclasses.field(default_factory=StartConfig)
    field: FieldConfig
    rates: LearningRates
    losses: LossWeights
    regularizers: RegularizerWeights
    batch: BatchConfig
    densification: DensificationConfig
    guidance: GuidanceConfig = dataclasses.field(default_factory=GuidanceConfig)

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps: {self.steps}; expected 1 to {MAX_STEPS}.")
        if not 16 <= self.size <= MAX_SIZE:
            raise ValueError(f"size: {self.size} pixels; expected 16 to {MAX_SIZE}.")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed: {self.seed}; expected 0 to 2^63 - 1.")

    def check_guidance(self, is_given: bool) -> None:
        """Raise ValueError if guidance is missing and no photometric loss supervises the posed views."""
        if self.losses.view_color == self.losses.view_alpha == 0 and not is_given:
            raise ValueError(
                f"preset {self.preset}: only score distillation supervises views other than the input; "
                "give a guidance model (from STAG4D Load Guidance Model, or to the command with "
                "--guidance-model) or use another preset."
            )

    def as_json(self) -> dict[str, Any]:
        """Return all values for JSON, with the ``kind`` of the densification strategy."""
        values = dataclasses.asdict(self)
        strategy = self.densification.strategy
        if strategy is not None:
            values["densification"]["strategy"] = {"kind": type(strategy).__name__, **vars(strategy)}
        return values


def preset(
    name: PresetName, *, steps: int | None = None, size: int | None = None, seed: int = 0
) -> OptimizationConfig:
    """Return a preset.

    Args:
        name: ``fast`` (CPU, previews), ``quality`` (ours, slower) or ``paper`` (the official settings with
            their bugs fixed; needs guidance).
        steps: Number of steps instead of the preset's.
        size: Render size instead of the preset's, pixels.
        seed: Seed of all random numbers.

    Raises:
        ValueError: if the name is unknown or a number is out of range.
    """
    if name not in _PRESETS:
        raise ValueError(f"preset: unknown name {name!r}; expected one of {', '.join(_PRESETS)}.")
    config = _PRESETS[name]
    steps = config.steps if steps is None else steps
    size = config.size if size is None else size
    return replace(config, steps=steps, size=size, seed=seed)


def auto_preset(device: torch.device) -> PresetName:
    """Return the preset for users who choose none: ``quality`` with CUDA kernels, else ``fast``."""
    is_fast = device.type == "cuda" and select_backend(device) in ("cuda", "gsplat")
    return "quality" if is_fast else "fast"


# Ours: the fields' documentation gives the official numbers.
_FAST = OptimizationConfig(
    preset="fast",
    steps=1500,
    size=256,
    start=StartConfig(kind="hull", num_points=3000, bound=1.0),
    field=FieldConfig(
        resolutions=(64, 128), time_resolution=128, num_channels=16, width=64, deform_scales=False, bound=1.0
    ),
    rates=LearningRates(
        means=LogLinear(start=2e-3, end=1e-4),
        log_scales=LogLinear(start=1e-2, end=5e-4),
        quats=LogLinear(start=5e-3, end=2.5e-4),
        opacities=LogLinear(start=3e-2, end=1.5e-3),
        colors=LogLinear(start=1e-2, end=5e-4),
        planes=LogLinear(start=2.5e-2, end=1.25e-3),
        mlp=LogLinear(start=2e-3, end=1e-4),
    ),
    losses=LossWeights(ssim=0.2, input_color=2.0, input_alpha=1.0),
    regularizers=RegularizerWeights(
        time_smoothness=0.01,
        calm_motion=0.15,
        scale_cap=1.0,
        max_scale=0.04,
        silhouette_area=0.03,
        depth_roughness=1.0,
    ),
    batch=BatchConfig(),
    guidance=GuidanceConfig(  # see docs/decisions/2026-11-28-low-guidance-weight-at-high-noise.md
        weight=0.3, guidance_scale=3.0, start_times=(0.6, 0.95), end_times=(0.6, 0.95)
    ),
    densification=DensificationConfig(
        strategy=FixedThreshold(),
        start=0.1,
        stop=0.6,
        every=50,
        max_gaussians=5000,
        clone_scale=0.02,
    ),
)

_QUALITY = replace(
    _FAST,
    preset="quality",
    steps=2500,
    size=512,
    start=replace(_FAST.start, num_points=5000),
    batch=replace(_FAST.batch, num_frames=4, num_views=6),
    densification=replace(_FAST.densification, max_gaussians=10_000, every=100),
)

# The published code's, its bugs fixed.
_PAPER = OptimizationConfig(
    preset="paper",
    steps=8000,
    size=512,
    start=StartConfig(kind="ball", num_points=10_000, bound=0.5),
    field=FieldConfig(),
    rates=LearningRates(
        means=LogLinear(start=2e-3, end=2e-5, until=0.25),
        log_scales=constant(1e-2),
        quats=constant(2e-3),
        opacities=constant(2e-2),
        colors=constant(5e-3 * SH_C0),
        planes=LogLinear(start=1.6e-2, end=1.6e-3, until=0.25),
        mlp=LogLinear(start=1.6e-3, end=1.6e-4, until=0.25),
    ),
    losses=LossWeights(
        kind="mse",
        input_color=4 * 20_000,  # the official code sums over four frames, ours is a mean
        input_alpha=4 * 5_000,
        view_color=0,
        view_alpha=0,
        ramp=0.25,
    ),
    guidance=GuidanceConfig(weight=4 * 4096),  # a sum over four renders and their 4 x 32 x 32 latents
    regularizers=RegularizerWeights(
        time_smoothness=5.0, space_smoothness=0.05, time_deviation=0.05, scale_ratio=1.0, max_scale_ratio=7.5
    ),
    batch=BatchConfig(
        num_frames=4,
        num_views=0,
        static_until=0.0875,
        spread_until=0.0,
        background="white",
        sizes=((0.075, 0.25), (0.15, 0.5)),
    ),
    densification=DensificationConfig(),
)

_PRESETS: dict[str, OptimizationConfig] = {
    "fast": _FAST,
    "paper": _PAPER,
    "quality": _QUALITY,
}
