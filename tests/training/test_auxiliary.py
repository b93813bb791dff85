"""What is asked of the UNet on the side: where its tokens are, and the views' mattes."""

from __future__ import annotations

import pytest
import torch

from training.multiview import make_unet, predict_velocity
from training.side_tasks import Mattes, Places, places_of
from training.vision import WIDTH


@pytest.fixture(scope="module")
def unet():
    """Return an untrained UNet."""
    torch.manual_seed(0)
    return make_unet()


def given():
    """Return references, grids, timesteps and states for a call."""
    return (
        torch.randn(2, 24, 8, 8),
        torch.randn(2, 24, 24, 16),
        torch.tensor([7, 9]),
        torch.randn(2, 8, WIDTH),
    )


def test_every_token_is_asked_where_it_is(unet):
    places = Places(unet)
    with torch.no_grad(), places.watching() as errors:
        predict_velocity(unet, *given())
    assert len(errors) == 2 * len(places.readers) > 6  # of the reference, and of the views
    with torch.no_grad():
        predict_velocity(unet, *given())
    assert len(errors) == 2 * len(places.readers)  # nobody watches any longer


def test_a_place_is_the_tile_and_the_place_in_it():
    places = places_of(6 * 2 * 2, torch.device("cpu")).reshape(6, 4, 7)  # tiles of 2 x 2 in rows of two
    assert places[0, 0].tolist() == [1, 0, 0, 1, 0, -0.5, -0.5]
    assert places[0, 1].tolist() == [1, 0, 0, 1, 0, -0.5, 0.5]
    assert places[0, 2].tolist() == [1, 0, 0, 0, 1, -0.5, -0.5]
    assert places[5, 3].tolist() == [0, 0, 1, 0, 1, 0.5, 0.5]
    reference = places_of(9, torch.device("cpu"))
    torch.testing.assert_close(reference[1], torch.tensor([0, 0, 0, 0, 0, -2 / 3, 0]))


def test_mattes_are_told_from_what_the_last_layer_gets(unet):
    mattes = Mattes(unet)
    assert {name.split(".")[0] for name, _ in mattes.named_parameters()} == {"reader"}
    with mattes.watching() as features:
        predict_velocity(unet, *given())
    assert [tuple(each.shape[2:]) for each in features] == [(8, 8), (24, 16)]
    unet.zero_grad()
    mattes.error(features[-1], torch.rand(2, 1, 192, 128)).backward()
    assert unet.conv_in.weight.grad.abs().sum() > 0
    assert unet.conv_out.weight.grad is None


def test_a_cell_of_a_matte_is_told_by_the_channel_of_its_place(unet):
    mattes = Mattes(unet)
    with torch.no_grad():
        mattes.reader.weight.zero_()
        mattes.reader.bias.zero_()
        mattes.reader.bias[4 * 1 + 2] = 1.0  # row 1, column 2 of every square's 4 x 4 cells
    wanted = torch.zeros(1, 1, 16, 16)
    wanted[:, :, 2:4, 4:6] = wanted[:, :, 2:4, 12:14] = wanted[:, :, 10:12, 4:6] = 1
    wanted[:, :, 10:12, 12:14] = 1
    assert mattes.error(torch.randn(1, mattes.reader.in_channels, 2, 2), wanted) == 0
