"""The HexPlane feature field: three spatial and three space-time planes per level, multiplied together.

The planes of a level are two parameters, so that nothing outside depends on the order of six:
``spatial_planes[l]`` [3, C, R, R] for (x, y), (x, z), (y, z), the first axis of each along the columns, and
``time_planes[l]`` [3, C, K, R] for x, y, z over time.
Reference: HexPlane (CVPR 2023) and K-Planes (CVPR 2023); product of planes as in 4D Gaussian Splatting (CVPR
2024).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_FIRST_AXES = (0, 0, 1)  # horizontal coordinate of the planes (x, y), (x, z), (y, z)
_SECOND_AXES = (1, 2, 2)  # their vertical coordinate


class _TimeSamples(NamedTuple):
    """Where T times lie between the K samples of the time planes.

    Attributes:
        indices: [2 T] samples before the times, then those after them.
        weights: [T, 1] of the samples after them.
    """

    indices: Tensor
    weights: Tensor


class HexPlane(nn.Module):
    """Features of points in space and time, interpolated bilinearly in each plane.

    Args:
        resolutions: Samples along each spatial axis, R, one number for each of L levels.
        time_resolution: Samples along time, K, the same in every level.
        num_channels: Channels per level, C.
        generator: Random generator of the initial spatial planes.
    """

    first_axes: Tensor
    second_axes: Tensor

    def __init__(
        self,
        resolutions: tuple[int, ...],
        time_resolution: int,
        num_channels: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        spatial, temporal = [], []
        for resolution in resolutions:
            plane = torch.empty(3, num_channels, resolution, resolution)
            spatial.append(nn.Parameter(plane.uniform_(0.1, 0.5, generator=generator)))
            # factors of one: the features of a new field are the same at all times
            temporal.append(nn.Parameter(torch.ones(3, num_channels, time_resolution, resolution)))
        self.spatial_planes = nn.ParameterList(spatial)
        self.time_planes = nn.ParameterList(temporal)
        # Buffers: indices from the host would be copied to a GPU in every call.
        self.register_buffer("first_axes", torch.tensor(_FIRST_AXES), persistent=False)
        self.register_buffer("second_axes", torch.tensor(_SECOND_AXES), persistent=False)

    @property
    def num_features(self) -> int:
        """Return the number of features of a point: channels times levels, L * C."""
        return sum(plane.shape[1] for plane in self.spatial_planes)

    def forward(self, points: Tensor, plane_times: Tensor) -> Tensor:
        """Return the features of N points at T times.

        Args:
            points: [N, 3] in [-1, 1]; points outside take the features of the border.
            plane_times: [T] in [-1, 1].

        Returns:
            [T, N, L * C].
        """
        points = points.nan_to_num()  # a NaN coordinate crashes the backward pass of grid_sample on the CPU
        first, second = points.index_select(1, self.first_axes), points.index_select(1, self.second_axes)
        spatial_grid = torch.stack([first.T, second.T], dim=-1)[:, None]  # [3, 1, N, 2]
        axis = points.T[:, None, :, None]  # [3, 1, N, 1]
        line_grid = torch.cat([axis, torch.zeros_like(axis)], dim=-1)  # [3, 1, N, 2]
        # All points share the T times, so the time planes are interpolated first, to lines over x, y and z:
        # cheaper than sampling N points in the planes at each time. Space is sampled once for all times.
        features = []
        samples = _time_samples(plane_times, self.time_planes[0].shape[2])
        for spatial_planes, time_planes in zip(self.spatial_planes, self.time_planes, strict=True):
            lines = _interpolate_time(time_planes, samples)  # [3, T * C, 1, R]
            in_space = _Product.apply(_sample(spatial_planes, spatial_grid))  # [C, N]
            in_time = _Product.apply(_sample(lines, line_grid))  # [T * C, N]
            features.append(in_time.unflatten(0, (len(plane_times), -1)) * in_space)  # [T, C, N]
        return torch.cat(features, dim=1).transpose(1, 2)  # [T, N, L * C]


class _Product(torch.autograd.Function):
    """Product of three planes' samples [3, ...].

    The host would wait for a GPU in the backward pass of ``prod``, which reads whether a factor is 0.
    """

    @staticmethod
    def forward(ctx: Any, samples: Tensor) -> Tensor:
        """Return the product [...]."""
        ctx.save_for_backward(samples)
        return samples.prod(dim=0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of the samples: for each, the product of the others."""
        (samples,) = ctx.saved_tensors
        first, second, third = samples
        others = torch.empty_like(samples)
        for row, pair in zip(others, ((second, third), (first, third), (first, second)), strict=True):
            torch.mul(*pair, out=row)
        return others.mul_(gradient)


def _time_samples(plane_times: Tensor, count: int) -> _TimeSamples:
    """Return where T times in [-1, 1] lie between K samples."""
    position = (plane_times.clamp(-1, 1) + 1) * (0.5 * (count - 1))  # [T]
    lower = position.long().clamp(max=max(count - 2, 0))
    upper = (lower + 1).clamp(max=count - 1)
    return _TimeSamples(torch.cat([lower, upper]), (position - lower)[:, None])


def _interpolate_time(time_planes: Tensor, samples: _TimeSamples) -> Tensor:
    """Interpolate planes [3, C, K, R] linearly at T times, to lines [3, T * C, 1, R]."""
    lower, upper = time_planes[:, :, samples.indices].chunk(2, dim=2)  # [3, C, T, R] each
    lines = torch.lerp(lower, upper, samples.weights)  # [3, C, T, R]
    return lines.transpose(1, 2).flatten(1, 2)[:, :, None]  # [3, T * C, 1, R]


def _sample(planes: Tensor, grid: Tensor) -> Tensor:
    """Sample planes [3, C, H, W] bilinearly at coordinates [3, 1, N, 2] in [-1, 1]; returns [3, C, N]."""
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=True)[:, :, 0]
