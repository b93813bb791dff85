"""The deformation field: HexPlane features, a small MLP, and offsets of position, rotation and log scale.

The last layers are initialized to zero, so a new field is the identity at every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .hexplane import HexPlane

_MAX_BOUND = 1e6  # world units


@dataclass(frozen=True, kw_only=True)
class FieldConfig:
    """Sizes of a deformation field.

    Attributes:
        resolutions: Samples of the planes along each spatial axis, per level (official: 64, 128, 256, 512).
        time_resolution: Samples of the planes along time (official: 25).
        num_channels: Channels per level (official: 32).
        width: Width of the MLP's hidden layers (official: 64).
        deform_scales: Whether scales change over time too (official: yes).
        bound: Half extent of the cube that the planes span, world units (official: 1.6).
    """

    resolutions: tuple[int, ...] = (64, 128, 256, 512)
    time_resolution: int = 25
    num_channels: int = 32
    width: int = 64
    deform_scales: bool = True
    bound: float = 1.6

    def __post_init__(self) -> None:
        """Check the ranges; raises ValueError with the offending value."""
        if not self.resolutions or min(self.resolutions) < 2:
            raise ValueError(
                f"field: resolutions are {self.resolutions}; expected one number of 2 or more per level."
            )
        if min(self.time_resolution, self.num_channels, self.width) < 1:
            raise ValueError(f"field: {self}; time_resolution, num_channels and width must be at least 1.")
        if not 0 < self.bound <= _MAX_BOUND:
            raise ValueError(f"field: bound is {self.bound}; expected above 0, at most {_MAX_BOUND:g}.")


class Offsets(NamedTuple):
    """Offsets of the canonical Gaussians at T times.

    Attributes:
        means: [T, N, 3], world units.
        quats: [T, N, 4], added to the raw quaternions, which are normalized afterwards.
        log_scales: [T, N, 3], or None where scales are static.
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor | None


class Deformation(nn.Module):
    """Field that maps canonical Gaussian centers and frame times to offsets.

    Args:
        config: Sizes.
        generator: Random generator of the initial weights.
        time_scale: The time planes are sampled at ``time_scale * frame_time + time_offset``; by default the
            frame times 0..1 span all of their -1..1.
        time_offset: See ``time_scale``.
    """

    def __init__(
        self,
        config: FieldConfig,
        generator: torch.Generator,
        time_scale: float = 2.0,
        time_offset: float = -1.0,
    ) -> None:
        super().__init__()
        self.config = config
        self.time_scale, self.time_offset = time_scale, time_offset
        self.hexplane = HexPlane(config.resolutions, config.time_resolution, config.num_channels, generator)
        self.trunk = _linear(self.hexplane.num_features, config.width, generator)
        self.means_head = _head(config.width, 3, generator)
        self.quats_head = _head(config.width, 4, generator)
        self.log_scales_head = _head(config.width, 3, generator) if config.deform_scales else None

    def forward(self, means: Tensor, frame_times: Tensor) -> Offsets:
        """Return the offsets of N Gaussians at T times.

        Args:
            means: [N, 3] canonical centers, world units.
            frame_times: [T] in [0, 1].

        Returns:
            Offsets [T, N, ...].
        """
        plane_times = self.time_scale * frame_times + self.time_offset
        # The MLP gets features only, no coordinates: all knowledge of space and time is in the planes.
        features = self.hexplane(means / self.config.bound, plane_times)  # [T, N, L * C]
        hidden = self.trunk(features)  # [T, N, width]; each head begins with its own ReLU
        scales_head = self.log_scales_head
        return Offsets(
            self.means_head(hidden), self.quats_head(hidden), scales_head(hidden) if scales_head else None
        )


def parameter_shapes(config: FieldConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters of a field by name, without allocating it."""
    channels, width = config.num_channels, config.width
    shapes: dict[str, tuple[int, ...]] = {}
    for level, resolution in enumerate(config.resolutions):
        shapes[f"hexplane.spatial_planes.{level}"] = (3, channels, resolution, resolution)
        shapes[f"hexplane.time_planes.{level}"] = (3, channels, config.time_resolution, resolution)
    layers = {"trunk": (width, channels * len(config.resolutions))}
    heads = {"means_head": 3, "quats_head": 4} | ({"log_scales_head": 3} if config.deform_scales else {})
    for name, num_out in heads.items():
        layers |= {f"{name}.1": (width, width), f"{name}.3": (num_out, width)}
    for name, (num_out, num_in) in layers.items():
        shapes |= {f"{name}.weight": (num_out, num_in), f"{name}.bias": (num_out,)}
    return shapes


def _linear(num_in: int, num_out: int, generator: torch.Generator) -> nn.Linear:
    """Return a linear layer with Xavier-uniform weights from ``generator`` and zero biases."""
    layer = nn.utils.skip_init(nn.Linear, num_in, num_out)  # the default would use the global generator
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _head(width: int, num_out: int, generator: torch.Generator) -> nn.Sequential:
    """Return ReLU-Linear-ReLU-Linear with a zero last layer."""
    last = _linear(width, num_out, generator)
    nn.init.zeros_(last.weight)  # zero offsets; this layer's own gradient is not zero
    return nn.Sequential(nn.ReLU(), _linear(width, width, generator), nn.ReLU(), last)
