"""A random UNet of Zero123++'s kind, as small as it gets, and conditions for it."""

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, UNet2DConditionModel

from stag4d.diffusion import Conditioning, install_reference_attention, load_multiview_model
from tiny_models import make_multiview_folder

TOKENS, WIDTH = 5, 8


@pytest.fixture(scope="session")
def plain_unet():
    """The UNet as diffusers makes it."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
        norm_num_groups=4, cross_attention_dim=WIDTH, attention_head_dim=(2, 4), use_linear_projection=True,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()  # fmt: skip


@pytest.fixture(scope="session")
def unet(plain_unet):
    """A copy that reads references."""
    copy = UNet2DConditionModel.from_config(plain_unet.config).eval()
    copy.load_state_dict(plain_unet.state_dict())
    install_reference_attention(copy)
    return copy


@pytest.fixture
def scheduler():
    return EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", prediction_type="v_prediction",
        timestep_spacing="trailing",
    )  # fmt: skip


@pytest.fixture
def make_conditions():
    """A function that makes different conditions for each of F frames."""

    def make(count, seed=1):
        generator = torch.Generator().manual_seed(seed)
        return Conditioning(
            torch.randn(1, TOKENS, WIDTH, generator=generator),
            torch.randn(count, TOKENS, WIDTH, generator=generator),
            torch.randn(count, 2, 4, 8, 8, generator=generator),
        )

    return make


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A tiny model folder in the published layout; not to be changed."""
    return make_multiview_folder(tmp_path_factory.mktemp("models") / "zero123plus")


@pytest.fixture(scope="session")
def model(published):
    """The model in it; not to be changed."""
    return load_multiview_model(published)


@pytest.fixture(scope="session")
def clip():
    """Three frames of 20 pixels: images [F, S, S, 3] and alphas [F, S, S]."""
    generator = torch.Generator().manual_seed(5)
    return torch.rand(3, 20, 20, 3, generator=generator), torch.rand(3, 20, 20, generator=generator)
