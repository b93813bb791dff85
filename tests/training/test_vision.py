"""What the vision encoder learns from: toys, their views as one grid, and the views' mattes."""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from stag4d.diffusion.zero123plus import GRAY
from training.autoencoder import CHANNELS, patch_basis
from training.toys import RIG, SIZE, draw_toys, on_background
from training.vision import MATTE_STRENGTH, Outliner, draw_examples, grid_of_views, read_encoder


def test_views_stand_in_three_rows_of_two():
    views = torch.arange(6.0)[None, :, None, None, None].expand(1, 6, 2, 4, 4)
    grid = grid_of_views(views)
    assert grid.shape == (1, 2, 12, 8)
    assert grid[0, 0, ::4, ::4].tolist() == [[0, 1], [2, 3], [4, 5]]


def examples_and_toys():
    """Return a batch, and the toys that it is drawn from."""
    toys = draw_toys("val", 0, 3)
    basis = patch_basis(on_background(toys.pictures[:, : len(RIG)].flatten(0, 1), GRAY / 255))
    batch = draw_examples(toys, basis, 4, torch.Generator().manual_seed(1), torch.device("cpu"))
    return batch, toys


def test_a_batch_has_pictures_latents_and_mattes_of_the_same_toys():
    batch, toys = examples_and_toys()
    assert batch.inputs.shape == (4, 3, SIZE, SIZE)
    assert batch.references.shape == (4, CHANNELS, 8, 8)
    assert batch.grids.shape == (4, CHANNELS, 24, 16)
    assert batch.mattes.shape == (4, 1, 192, 128)
    truth = grid_of_views(toys.pictures[:, 1 : len(RIG), ..., 3][:, :, None].float() / 255)
    for matte, input_picture, grid in zip(
        batch.mattes * MATTE_STRENGTH, batch.inputs, batch.grids, strict=True
    ):
        (row,) = [row for row in range(3) if torch.allclose(matte, truth[row], atol=1e-5)]
        shows = (input_picture.abs().amax(dim=0) > 0.02) & (toys.pictures[row, 0, ..., 3] == 0)
        assert not shows.any()  # gray is 0 where that toy is not
        is_empty = truth[row, 0].unflatten(0, (24, 8)).unflatten(2, (16, 8)).amax(dim=(1, 3)) == 0
        assert grid[:, is_empty].abs().max() < 0.1
        assert grid[:, ~is_empty].abs().amax(dim=0).mean() > 0.5


def test_the_error_falls_as_it_learns():
    torch.manual_seed(0)
    batch, _ = examples_and_toys()
    outliner = Outliner()
    optimizer = torch.optim.AdamW(outliner.parameters(), lr=1e-3)
    errors = []
    for _ in range(12):
        error = outliner.loss(batch)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]


def test_the_encoder_is_taken_from_a_run(tmp_path):
    outliner = Outliner()
    save_file(outliner.state_dict(), tmp_path / "vision.safetensors")
    picture = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        found = read_encoder(tmp_path)(picture).image_embeds
        assert torch.equal(found, outliner.encoder(picture).image_embeds)
