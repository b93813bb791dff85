"""A tiny random UNet of Zero123++'s kind with conditioning, and tiny models in the published layouts."""

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, UNet2DConditionModel

from stag4d.diffusion import (
    Conditioning,
    install_reference_attention,
    load_guidance_model,
    load_multiview_model,
)
from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.view_set import ViewSet
from tiny_models import make_guidance_folder, make_multiview_folder

NUM_TOKENS, WIDTH = 5, 8


@pytest.fixture(scope="session")
def plain_unet():
    """The UNet with diffusers' own attention processors."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()


@pytest.fixture(scope="session")
def unet(plain_unet):
    """A copy with reference attention."""
    copy = UNet2DConditionModel.from_config(plain_unet.config).eval()
    copy.load_state_dict(plain_unet.state_dict())
    install_reference_attention(copy)
    return copy


@pytest.fixture
def scheduler():
    return EulerAncestralDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )


@pytest.fixture
def make_conditioning():
    """A function that makes different conditioning for each of F frames."""

    def make(num_frames, seed=1):
        generator = torch.Generator().manual_seed(seed)
        return Conditioning(
            torch.randn(1, NUM_TOKENS, WIDTH, generator=generator),
            torch.randn(num_frames, NUM_TOKENS, WIDTH, generator=generator),
            torch.randn(num_frames, 2, 4, 8, 8, generator=generator),
        )

    return make


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A tiny multi-view model's folder in the published layout; not to be changed."""
    return make_multiview_folder(tmp_path_factory.mktemp("models") / "zero123plus")


@pytest.fixture(scope="session")
def model(published):
    """The multi-view model in it; not to be changed."""
    return load_multiview_model(published)


@pytest.fixture(scope="session")
def video():
    """Three frames of 20 pixels: images [F, S, S, 3] and alphas [F, S, S]."""
    generator = torch.Generator().manual_seed(5)
    return torch.rand(3, 20, 20, 3, generator=generator), torch.rand(3, 20, 20, generator=generator)


@pytest.fixture(scope="session")
def guidance_folder(tmp_path_factory):
    """A tiny Zero123 model's folder in the published layout; not to be changed."""
    return make_guidance_folder(tmp_path_factory.mktemp("zero123"), seed=3)


@pytest.fixture(scope="session")
def guidance_model(guidance_folder):
    """The Zero123 model in it; not to be changed."""
    return load_guidance_model(guidance_folder)


@pytest.fixture(scope="session")
def views():
    """Two frames of 20 pixels with six views of 12."""
    generator = torch.Generator().manual_seed(0)
    return ViewSet.from_orbit(
        images=torch.rand(2, 20, 20, 3, generator=generator),
        alphas=(torch.rand(2, 20, 20, generator=generator) > 0.4).float(),
        view_images=torch.rand(2, 6, 12, 12, 3, generator=generator),
        view_alphas=(torch.rand(2, 6, 12, 12, generator=generator) > 0.4).float(),
        input_pose=OrbitPose(azimuth_deg=0, elevation_deg=5),
        view_poses=zero123plus_rig("v1.1"),
    )
