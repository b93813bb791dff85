"""Adaptive density control: strategies that select Gaussians, and the clone, split and prune that follow.

Gradients are with respect to the projected means in normalized device coordinates: the gradient per pixel
times half the render's size, so that renders of different sizes are comparable. A strategy only selects the
Gaussians to densify; the rest is common.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..devices import to_device
from ..geometry import quats_to_rotations
from ..scene import Gaussians
from .parameters import TrainableScene

_SPLIT_SHRINK = 1.6  # official, from 3DGS


class DensificationStrategy(Protocol):
    """Selects the Gaussians to densify by the gradients of their image-plane means."""

    def select(self, gradients: Tensor) -> Tensor:
        """Return [N] bool, given mean gradient norms [N], zero for Gaussians that were never visible."""
        ...


@dataclass(frozen=True, kw_only=True)
class AdaptivePercentile:
    """STAG4D's strategy: the given share of the Gaussians with the largest nonzero gradients.

    It is independent of the gradients' scale, which SDS leaves undetermined.

    Attributes:
        top_share: Share that is densified each time (paper: 0.025).
    """

    top_share: float = 0.025

    def __post_init__(self) -> None:
        """Check the range; raises ValueError with the value."""
        if not 0 < self.top_share < 1:
            raise ValueError(f"densification: top_share is {self.top_share}; expected between 0 and 1.")

    def select(self, gradients: Tensor) -> Tensor:
        """See ``DensificationStrategy``."""
        nonzero = gradients[gradients > 0]
        if len(nonzero) == 0:
            return torch.zeros_like(gradients, dtype=torch.bool)
        rank = max(math.ceil(len(nonzero) * (1 - self.top_share)), 1)
        return gradients > nonzero.kthvalue(rank).values


@dataclass(frozen=True, kw_only=True)
class FixedThreshold:
    """3DGS's strategy: every Gaussian whose gradient exceeds a threshold.

    Attributes:
        threshold: Gradient norm in normalized coordinates (3DGS: 0.0002).
    """

    threshold: float = 2e-4

    def __post_init__(self) -> None:
        """Check the range; raises ValueError with the value."""
        if not self.threshold > 0:
            raise ValueError(
                f"densification: threshold is {self.threshold}; expected a positive gradient norm."
            )

    def select(self, gradients: Tensor) -> Tensor:
        """See ``DensificationStrategy``."""
        return gradients > self.threshold


@dataclass(frozen=True, kw_only=True)
class DensificationConfig:
    """Schedule and limits of densification.

    Attributes:
        strategy: Selects the Gaussians to densify; None never changes their number.
        start: Progress at which densification begins (official: 0.15, step 1200 of 8000).
        stop: Progress at which it ends (official: 0.75).
        every: Steps between two densifications (official: 100).
        max_gaussians: Cap on the number of Gaussians (ours; the official code has none).
        clone_scale: A Gaussian whose longest standard deviation is at most this is cloned, a longer one is
            split in two, world units (official: 0.1).
        min_opacity: Gaussians below are pruned (official: 0.01).
        min_scale: Gaussians whose longest standard deviation is below are pruned, world units (official:
            0.001).
        max_scale: Gaussians whose longest standard deviation is above are pruned, world units (official:
            0.1).
    """

    strategy: DensificationStrategy | None = field(default_factory=AdaptivePercentile)
    start: float = 0.15
    stop: float = 0.75
    every: int = 100
    max_gaussians: int = 100_000
    clone_scale: float = 0.1
    min_opacity: float = 0.01
    min_scale: float = 0.001
    max_scale: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if not 0 <= self.start <= self.stop <= 1:
            raise ValueError(
                f"densification: start {self.start}, stop {self.stop}; expected 0 <= start <= stop <= 1."
            )
        if not 0 <= self.min_scale < self.max_scale or not self.clone_scale >= 0:
            raise ValueError(
                f"densification: min_scale {self.min_scale}, max_scale {self.max_scale}, clone_scale "
                f"{self.clone_scale}; expected 0 <= min_scale < max_scale and a clone_scale of at least 0."
            )
        if not 0 <= self.min_opacity <= 1:
            raise ValueError(f"densification: min_opacity is {self.min_opacity}; expected 0 to 1.")
        if self.every < 1 or self.max_gaussians < 1:
            raise ValueError(
                f"densification: every {self.every}, max_gaussians {self.max_gaussians}; expected at least 1."
            )

    def is_due(self, step: int, num_steps: int) -> bool:
        """Return whether densification is due after a step (counted from 1)."""
        if self.strategy is None or step % self.every != 0:
            return False
        return self.start * num_steps < step <= self.stop * num_steps


@dataclass(eq=False)
class GradientStatistics:
    """Running sums of image-plane gradients since the last densification.

    Attributes:
        norm_sum: [N] norms of each step's summed gradient.
        num_seen: [N] number of steps in which a Gaussian was visible in any render.
    """

    norm_sum: Tensor
    num_seen: Tensor

    @classmethod
    def zeros(cls, count: int, device: torch.device) -> GradientStatistics:
        """Return the statistics before the first step."""
        return cls(torch.zeros(count, device=device), torch.zeros(count, device=device))

    @torch.no_grad()
    def observe(self, metas: Sequence[Mapping[str, Any]]) -> None:
        """Add one step's renders after ``backward``: the norm of the sum of their gradients (official)."""
        gradient = torch.zeros(len(self.norm_sum), 2, device=self.norm_sum.device)
        is_seen = torch.zeros_like(self.norm_sum, dtype=torch.bool)
        for meta in metas:
            if meta["means2d"].grad is not None:  # None: no loss depends on the render
                half_size = torch.tensor([meta["width"] / 2, meta["height"] / 2])
                gradient += meta["means2d"].grad.sum(dim=0) * to_device(half_size, gradient.device)  # [N, 2]
            is_seen |= (meta["radii"] > 0).all(dim=-1).any(dim=0)
        self.norm_sum += gradient.norm(dim=-1) * is_seen
        self.num_seen += is_seen

    def means(self) -> Tensor:
        """Return the mean norm over the steps in which each Gaussian was visible, [N]."""
        return self.norm_sum / self.num_seen.clamp_min(1)


@torch.no_grad()
def densify(
    scene: TrainableScene,
    statistics: GradientStatistics,
    config: DensificationConfig,
    generator: torch.Generator,
) -> None:
    """Clone, split and prune Gaussians in place; none may be left.

    Args:
        scene: Changed in place; new Gaussians start with zero moments.
        statistics: Gradients since the last densification.
        config: Strategy and limits; without a strategy nothing changes.
        generator: Random generator of the positions of split Gaussians.
    """
    if config.strategy is None:
        return
    gaussians = scene.gaussians
    longest = gaussians.scales.amax(dim=-1)  # [N]
    is_selected = config.strategy.select(statistics.means())
    is_selected &= _largest(statistics.means(), is_selected, config.max_gaussians - len(gaussians))
    # As in 3DGS: a small Gaussian with a large gradient lacks a neighbor, a large one covers too much.
    is_split = is_selected & (longest > config.clone_scale)
    is_clone = is_selected & ~is_split
    splits = _split(gaussians.map(lambda value: value[is_split]), generator)
    clones = gaussians.map(lambda value: value[is_clone])
    added = Gaussians(
        **{name: torch.cat([getattr(clones, name), getattr(splits, name)]) for name in Gaussians.names()}
    )
    scene.replace_gaussians(~is_split, added)  # two smaller Gaussians replace a split one; a clone is added
    kept = _is_kept(scene.gaussians, config)
    if not kept.all():
        scene.replace_gaussians(kept, added.map(lambda value: value[:0]))


def _largest(gradients: Tensor, candidates: Tensor, room: int) -> Tensor:
    """Return [N] bool of the at most ``room`` candidates with the largest gradients."""
    chosen = torch.zeros_like(candidates)
    ranked = gradients.masked_fill(~candidates, -1).argsort(descending=True, stable=True)
    chosen[ranked[: max(min(room, int(candidates.sum())), 0)]] = True
    return chosen


def _split(gaussians: Gaussians, generator: torch.Generator) -> Gaussians:
    """Return two smaller Gaussians at positions sampled from each, [2 M]."""
    count = len(gaussians)
    offsets = (
        torch.randn(2, count, 3, generator=generator).to(gaussians.means) * gaussians.scales
    )  # [2, M, 3]
    rotated = (quats_to_rotations(gaussians.quats) @ offsets[..., None])[..., 0]  # [2, M, 3]
    doubled = gaussians.map(lambda value: torch.cat([value, value]))
    return Gaussians(
        means=(gaussians.means + rotated).flatten(0, 1),
        log_scales=doubled.log_scales - math.log(_SPLIT_SHRINK),
        quats=doubled.quats,
        logit_opacities=doubled.logit_opacities,
        sh0=doubled.sh0,
    )


def _is_kept(gaussians: Gaussians, config: DensificationConfig) -> Tensor:
    """Return [N] bool of the Gaussians within the limits of opacity and scale."""
    longest = gaussians.scales.amax(dim=-1)
    is_visible = gaussians.opacities >= config.min_opacity
    return is_visible & (longest >= config.min_scale) & (longest <= config.max_scale)
