"""Priors that no picture gives: smooth planes, round and small splats, lean shapes (see the trainer)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..scene import Gaussians, HexPlane


@dataclass(frozen=True, kw_only=True)
class RegularizerWeights:
    """Weights; a zero switches a term off.

    Attributes:
        time_smoothness: Squared second differences of the time planes along time (official: 5).
        space_smoothness: Squared second differences of the spatial planes along both axes (official: 0.05,
            one axis).
        time_deviation: Distance of the time planes from 1, where nothing moves (official: 0.05).
        scale_ratio: Excess of a Gaussian's longest over its shortest axis beyond ``max_scale_ratio``
            (official: 1 on log scales, where it never acts).
        max_scale_ratio: See ``scale_ratio`` (official: 7.5).
        scale_cap: Excess of standard deviations over ``max_scale``, per world unit (ours).
        max_scale: World units (ours).
        silhouette_area: Share of a picture from anywhere that is covered. Between the given views the visual
            hull is fatter than the object; of the shapes that explain them the leanest is nearest (ours).
    """

    time_smoothness: float = 0.0
    space_smoothness: float = 0.0
    time_deviation: float = 0.0
    scale_ratio: float = 0.0
    max_scale_ratio: float = 7.5
    scale_cap: float = 0.0
    max_scale: float = 0.04
    silhouette_area: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if min(vars(self).values()) < 0:
            raise ValueError(f"regularizers: {self}; no weight may be negative.")


def gaussian_penalties(gaussians: Gaussians, weights: RegularizerWeights) -> dict[str, Tensor]:
    """Return the weighted penalties on the canonical Gaussians, means over N."""
    penalties = {}
    if weights.scale_ratio > 0:
        log_ratio = gaussians.log_scales.amax(dim=-1) - gaussians.log_scales.amin(dim=-1)  # [N]
        excess = (log_ratio.exp() - weights.max_scale_ratio).clamp_min(0)
        penalties["scale_ratio"] = weights.scale_ratio * excess.mean()
    if weights.scale_cap > 0:
        excess = (gaussians.scales - weights.max_scale).clamp_min(0)  # [N, 3]
        penalties["scale_cap"] = weights.scale_cap * excess.sum(dim=-1).mean()
    return penalties


def field_penalties(hexplane: HexPlane, weights: RegularizerWeights) -> dict[str, Tensor]:
    """Return the weighted penalties on the planes: means per plane, summed over planes and levels."""
    penalties = {}
    if weights.time_smoothness > 0:
        bends = [3 * _second_difference(planes, dim=2).square().mean() for planes in hexplane.time_planes]
        penalties["time_smoothness"] = weights.time_smoothness * torch.stack(bends).sum()
    if weights.space_smoothness > 0:
        bends = [
            3 * _second_difference(planes, dim=dim).square().mean()
            for planes in hexplane.spatial_planes
            for dim in (2, 3)
        ]
        penalties["space_smoothness"] = weights.space_smoothness * torch.stack(bends).sum()
    if weights.time_deviation > 0:
        deviations = [3 * (1 - planes).abs().mean() for planes in hexplane.time_planes]
        penalties["time_deviation"] = weights.time_deviation * torch.stack(deviations).sum()
    return penalties


def _second_difference(planes: Tensor, dim: int) -> Tensor:
    """Return p[i - 1] - 2 p[i] + p[i + 1] along a dimension; zeros where there are fewer than three."""
    if planes.shape[dim] < 3:
        return torch.zeros_like(planes)
    return planes.diff(n=2, dim=dim)
