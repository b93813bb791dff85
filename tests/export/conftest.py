"""A small moving scene."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from stag4d.scene import GaussianModel4D, Gaussians, SceneInfo


class Sway:
    """A deformation that moves, rotates and scales every Gaussian by an amount of its own."""

    def __call__(self, means: torch.Tensor, frame_times: torch.Tensor) -> SimpleNamespace:
        phase = frame_times[:, None, None] + means  # [T, N, 3]
        return SimpleNamespace(
            means=0.2 * phase.sin(), quats=0.5 * phase[..., :1].cos().expand(-1, -1, 4), log_scales=phase / 8
        )


@pytest.fixture
def swaying_scene() -> GaussianModel4D:
    """Fifty random Gaussians that move through five frames, ten a second."""
    generator = torch.Generator().manual_seed(0)
    gaussians = Gaussians(
        means=torch.rand(50, 3, generator=generator) - 0.5,
        log_scales=torch.rand(50, 3, generator=generator) - 4,
        quats=torch.randn(50, 4, generator=generator),
        logit_opacities=torch.randn(50, generator=generator),
        sh0=torch.rand(50, 1, 3, generator=generator) * 2 - 1,
    )
    return GaussianModel4D(gaussians, Sway(), SceneInfo(num_frames=5, fps=10.0))
