"""An opaque box of Gaussians whose six sides have six colors; it slides to the right and turns."""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch

from stag4d.scene import SH_C0, GaussianModel4D, Gaussians, SceneInfo, logit

FRONT, BACK = (0.9, 0.2, 0.1), (0.1, 0.3, 0.9)  # the sides at +z and at -z
_SIDES = (FRONT, BACK, (0.2, 0.8, 0.2), (0.9, 0.8, 0.1), (0.8, 0.2, 0.8), (0.1, 0.8, 0.8))
_HALF = 0.35  # of an edge, world units
_PER_EDGE = 14


class _Slide:
    """Moves from x = -0.15 to +0.15, turns by 45 degrees around y, and grows its scales by a tenth."""

    def __call__(self, means: torch.Tensor, frame_times: torch.Tensor) -> SimpleNamespace:
        angles = frame_times[:, None] * math.pi / 4  # [T, 1]
        x, z = means[:, 0], means[:, 2]
        offsets = torch.zeros(len(frame_times), *means.shape)  # [T, N, 3]
        offsets[..., 0] = angles.cos() * x + angles.sin() * z - x + 0.3 * frame_times[:, None] - 0.15
        offsets[..., 2] = -angles.sin() * x + angles.cos() * z - z
        turns = torch.zeros(len(frame_times), 1, 4)  # round Gaussians: the rotation does not show
        turns[..., 2] = angles / 2
        growth = 0.1 * frame_times[:, None, None].expand(-1, len(means), 3)
        return SimpleNamespace(means=offsets, quats=turns.expand(-1, len(means), -1), log_scales=growth)


def solid_scene(num_frames: int = 5) -> GaussianModel4D:
    """Return the scene of the box, ten frames a second."""
    line = torch.linspace(-_HALF, _HALF, _PER_EDGE)
    u, v = (grid.flatten() for grid in torch.meshgrid(line, line, indexing="ij"))
    fixed = torch.full_like(u, _HALF)
    sides = [(u, v, fixed), (u, v, -fixed), (fixed, u, v), (-fixed, u, v), (u, fixed, v), (u, -fixed, v)]
    means = torch.cat([torch.stack(side, dim=-1) for side in sides])  # [N, 3]
    # Random offsets: of two equally deep Gaussians, the order of storage would decide which is in front.
    means = means + 0.02 * (torch.rand(means.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
    colors = torch.tensor(_SIDES).repeat_interleave(len(u), dim=0)
    count = len(means)
    gaussians = Gaussians(
        means=means,
        log_scales=torch.full((count, 3), math.log(0.03)),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        logit_opacities=logit(torch.full((count,), 0.95)),
        sh0=((colors - 0.5) / SH_C0)[:, None],
    )
    return GaussianModel4D(gaussians, _Slide(), SceneInfo(num_frames=num_frames, fps=10.0))
