"""Views of a toy, a small fit of them, and random Gaussians."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_fit import small_config, small_view_set

from stag4d.optimization import OptimizationConfig
from stag4d.scene import Gaussians
from stag4d.view_set import ViewSet


@pytest.fixture
def view_set() -> ViewSet:
    """Three frames of a toy at 24 pixels, with its six posed views."""
    return small_view_set()


@pytest.fixture
def make_config() -> Callable[..., OptimizationConfig]:
    """A function that returns a small fit, with the given parts in place of its own."""
    return small_config


@pytest.fixture
def make_gaussians() -> Callable[..., Gaussians]:
    """A function that returns N random Gaussians of ordinary sizes and opacities."""

    def make(count: int, seed: int = 0) -> Gaussians:
        generator = torch.Generator().manual_seed(seed)
        draw = torch.randn(count, 14, generator=generator)  # [N, 14]
        return Gaussians(
            means=0.3 * draw[:, :3],
            log_scales=-3 + 0.2 * draw[:, 3:6],
            quats=draw[:, 6:10],
            logit_opacities=draw[:, 10],
            sh0=draw[:, None, 11:],
        )

    return make
