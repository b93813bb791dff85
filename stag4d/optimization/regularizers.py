"""Regularizers of the planes, of the Gaussians' scales, and of silhouettes and depth in novel views."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..scene import Gaussians, HexPlane
from ..types import RenderOutput
from .training_views import TrainingViews

_MAX_DEPTH_CHANGE = (
    0.05  # second difference of depth beyond which a pixel is at an occlusion edge, world units
)


@dataclass(frozen=True, kw_only=True)
class RegularizerWeights:
    """Weights; a zero switches a term off.

    Attributes:
        time_smoothness: Squared second differences of the time planes along time (official: 5).
        calm_motion: Motion up to which ``time_smoothness`` has its full weight: the mean share of the
            silhouettes that changes between samples of the time planes. The weight falls linearly to none at
            twice this motion, since in fast motion neighboring samples differ (ours). 0: always full.
        space_smoothness: Squared second differences of the spatial planes along both axes (official: 0.05,
            one axis).
        time_deviation: Distance of the time planes from 1, where nothing moves (official: 0.05).
        scale_ratio: Excess of a Gaussian's longest over its shortest axis beyond ``max_scale_ratio``
            (official: 1 on log scales, where it never acts).
        max_scale_ratio: See ``scale_ratio`` (official: 7.5).
        scale_cap: Excess of standard deviations over ``max_scale``, per world unit (ours).
        max_scale: World units (ours).
        silhouette_area: Mean alpha of a random novel view. Between the given views the visual hull is larger
            than the object; of the shapes that agree with them the smallest is nearest (ours).
        depth_roughness: Second differences of a random novel view's depth, see ``depth_roughness`` (ours,
            after RegNeRF).
    """

    time_smoothness: float = 0.0
    calm_motion: float = 0.0
    space_smoothness: float = 0.0
    time_deviation: float = 0.0
    scale_ratio: float = 0.0
    max_scale_ratio: float = 7.5
    scale_cap: float = 0.0
    max_scale: float = 0.04
    silhouette_area: float = 0.0
    depth_roughness: float = 0.0

    @property
    def need_novel_views(self) -> bool:
        """Return whether a term is computed on renders of random novel views."""
        return self.silhouette_area > 0 or self.depth_roughness > 0

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if min(vars(self).values()) < 0:
            raise ValueError(f"regularizers: {self}; no weight may be negative.")


def gaussian_regularization(gaussians: Gaussians, weights: RegularizerWeights) -> dict[str, Tensor]:
    """Return the weighted terms of the canonical Gaussians, means over N."""
    terms = {}
    if weights.scale_ratio > 0:
        log_ratio = gaussians.log_scales.amax(dim=-1) - gaussians.log_scales.amin(dim=-1)  # [N]
        excess = (log_ratio.exp() - weights.max_scale_ratio).clamp_min(0)
        terms["scale_ratio"] = weights.scale_ratio * excess.mean()
    if weights.scale_cap > 0:
        excess = (gaussians.scales - weights.max_scale).clamp_min(0)  # [N, 3]
        terms["scale_cap"] = weights.scale_cap * excess.sum(dim=-1).mean()
    return terms


def share_of_smoothness(motion: Tensor, calm_motion: float) -> float:
    """Return the share of ``time_smoothness`` for K - 1 motions, see ``RegularizerWeights.calm_motion``."""
    if len(motion) == 0:
        return 1.0
    return min(max(2 - motion.mean().item() / calm_motion, 0.0), 1.0)


def weights_for_motion(
    weights: RegularizerWeights, views: TrainingViews, time_resolution: int
) -> RegularizerWeights:
    """Return the weights with ``time_smoothness`` for the motion of the views between K samples of time."""
    if weights.calm_motion == 0 or weights.time_smoothness == 0:
        return weights
    samples = torch.linspace(0, views.num_frames - 1, time_resolution).round().int()
    share = share_of_smoothness(views.motion(samples.tolist()), weights.calm_motion)
    return replace(weights, time_smoothness=share * weights.time_smoothness)


def field_regularization(hexplane: HexPlane, weights: RegularizerWeights) -> dict[str, Tensor]:
    """Return the weighted terms of the planes: means per plane, summed over planes and levels."""
    terms = {}
    if weights.time_smoothness > 0:
        differences = [
            3 * _second_difference(planes, dim=2).square().mean() for planes in hexplane.time_planes
        ]
        terms["time_smoothness"] = weights.time_smoothness * torch.stack(differences).sum()
    if weights.space_smoothness > 0:
        differences = [
            3 * _second_difference(planes, dim=dim).square().mean()
            for planes in hexplane.spatial_planes
            for dim in (2, 3)
        ]
        terms["space_smoothness"] = weights.space_smoothness * torch.stack(differences).sum()
    if weights.time_deviation > 0:
        deviations = [3 * (1 - planes).abs().mean() for planes in hexplane.time_planes]
        terms["time_deviation"] = weights.time_deviation * torch.stack(deviations).sum()
    return terms


def novel_view_regularization(output: RenderOutput, weights: RegularizerWeights) -> dict[str, Tensor]:
    """Return the weighted terms of renders of novel views; ValueError if depths are needed and missing."""
    terms = {}
    if weights.silhouette_area > 0:
        terms["silhouette_area"] = weights.silhouette_area * output.alphas.mean()
    if weights.depth_roughness > 0:
        if output.depths is None:
            raise ValueError("depth_roughness: the renders have no depths; render with depth.")
        terms["depth_roughness"] = weights.depth_roughness * depth_roughness(output.depths, output.alphas)
    return terms


def depth_roughness(depths: Tensor, alphas: Tensor) -> Tensor:
    """Return the mean absolute second difference of the depth along both image axes.

    It is taken where three neighboring pixels are covered, and clamped to ``_MAX_DEPTH_CHANGE``: beyond, one
    surface occludes another. RegNeRF (Niemeyer et al. 2022) smooths first differences of patches.

    Args:
        depths: [C, H, W].
        alphas: [C, H, W].

    Returns:
        The mean over pixels, summed over the axes, world units.
    """
    is_covered = alphas > 0.5
    sums = depths.new_zeros(())
    for dim in (1, 2):
        differences = depths.diff(n=2, dim=dim).abs().clamp_max(_MAX_DEPTH_CHANGE)
        covered = [is_covered.narrow(dim, offset, differences.shape[dim]) for offset in range(3)]
        sums = sums + (differences * (covered[0] & covered[1] & covered[2])).sum()
    return sums / depths.numel()


def _second_difference(planes: Tensor, dim: int) -> Tensor:
    """Return p[i - 1] - 2 p[i] + p[i + 1] along a dimension; zeros where there are fewer than three."""
    if planes.shape[dim] < 3:
        return torch.zeros_like(planes)
    return planes.diff(n=2, dim=dim)
