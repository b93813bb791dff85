"""Auxiliary losses: token positions and alphas."""

from __future__ import annotations

import pytest
import torch

from training.autoencoder import CHANNELS
from training.auxiliary import AlphaHead, PositionHeads, token_positions
from training.multiview import make_unet, predict_velocity
from training.vision import WIDTH


@pytest.fixture(scope="module")
def unet():
    """Return an untrained UNet."""
    torch.manual_seed(0)
    return make_unet()


def given():
    """Return references, grids, timesteps and states for a call."""
    return (
        torch.randn(2, CHANNELS, 8, 8),
        torch.randn(2, CHANNELS, 24, 16),
        torch.tensor([7, 9]),
        torch.randn(2, 8, WIDTH),
    )


def test_position_head_sees_the_tokens_of_every_block(unet):
    heads = PositionHeads(unet)
    with torch.no_grad(), heads.recording() as errors:
        predict_velocity(unet, *given())
    assert len(errors) == 2 * len(heads.readers) > 6  # of the reference, and of the views
    with torch.no_grad():
        predict_velocity(unet, *given())
    assert len(errors) == 2 * len(heads.readers)  # the hooks are removed


def test_token_positions_are_tile_and_position_inside_it():
    positions = token_positions(6 * 2 * 2, torch.device("cpu")).reshape(6, 4, 7)  # 2 x 2 tiles
    assert positions[0, 0].tolist() == [1, 0, 0, 1, 0, -0.5, -0.5]
    assert positions[0, 1].tolist() == [1, 0, 0, 1, 0, -0.5, 0.5]
    assert positions[0, 2].tolist() == [1, 0, 0, 0, 1, -0.5, -0.5]
    assert positions[5, 3].tolist() == [0, 0, 1, 0, 1, 0.5, 0.5]
    reference = token_positions(9, torch.device("cpu"))
    torch.testing.assert_close(reference[1], torch.tensor([0, 0, 0, 0, 0, -2 / 3, 0]))


def test_alpha_head_reads_the_input_of_the_last_layer(unet):
    head = AlphaHead(unet)
    assert {name.split(".")[0] for name, _ in head.named_parameters()} == {"reader"}
    with head.recording() as features:
        predict_velocity(unet, *given())
    assert [tuple(each.shape[2:]) for each in features] == [(8, 8), (24, 16)]
    unet.zero_grad()
    head.error(features[-1], torch.rand(2, 1, 192, 128)).backward()
    assert unet.conv_in.weight.grad.abs().sum() > 0
    assert unet.conv_out.weight.grad is None


def test_alpha_head_channel_order_is_row_by_row(unet):
    head = AlphaHead(unet)
    with torch.no_grad():
        head.reader.weight.zero_()
        head.reader.bias.zero_()
        head.reader.bias[4 * 1 + 2] = 1.0  # row 1, column 2 of every square's 4 x 4 cells
    alphas = torch.zeros(1, 1, 16, 16)
    alphas[:, :, 2:4, 4:6] = alphas[:, :, 2:4, 12:14] = alphas[:, :, 10:12, 4:6] = 1
    alphas[:, :, 10:12, 12:14] = 1
    assert head.error(torch.randn(1, head.reader.in_channels, 2, 2), alphas) == 0
