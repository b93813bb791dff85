"""Small Gaussians, fields and scenes of random numbers only, so that swapped values are detected."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from stag4d.geometry import OrbitPose
from stag4d.scene import Deformation, FieldConfig, GaussianModel4D, Gaussians, SceneInfo

SIZES = FieldConfig(resolutions=(3, 5), time_resolution=4, num_channels=2, width=8, bound=1.5)


@pytest.fixture
def make_gaussians() -> Callable[..., Gaussians]:
    def make(count: int = 6, seed: int = 0) -> Gaussians:
        generator = torch.Generator().manual_seed(seed)
        shapes = {"means": (3,), "log_scales": (3,), "quats": (4,), "logit_opacities": (), "sh0": (1, 3)}
        tensors = {name: torch.randn(count, *rest, generator=generator) for name, rest in shapes.items()}
        return Gaussians(**tensors)

    return make


@pytest.fixture
def make_field() -> Callable[..., Deformation]:
    def make(config: FieldConfig = SIZES, seed: int = 0, **time_map: float) -> Deformation:
        generator = torch.Generator().manual_seed(seed)
        field = Deformation(config, generator, **time_map)
        for parameter in field.parameters():
            parameter.data.normal_(generator=generator)
        return field

    return make


@pytest.fixture
def moving_scene(make_gaussians, make_field) -> GaussianModel4D:
    """Return a scene of five frames with a camera other than the default one."""
    pose = OrbitPose(azimuth_deg=30.0, elevation_deg=-10.0, radius=2.5, fovy_deg=40.0)
    info = SceneInfo(num_frames=5, fps=12.0, input_pose=pose, settings={"preset": "fast", "steps": [1, 2]})
    return GaussianModel4D(make_gaussians(), make_field().requires_grad_(False), info)
