"""Pretraining of the vision encoder: batches, loss, files."""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from stag4d.diffusion.zero123plus import GRAY
from training.autoencoder import CHANNELS, patch_basis
from training.toys import RIG, SIZE, generate_toys, on_background
from training.vision import ALPHA_RMS, OutlineModel, grid_of_views, read_encoder, sample_examples


def test_view_grid_has_three_rows_of_two():
    views = torch.arange(6.0)[None, :, None, None, None].expand(1, 6, 2, 4, 4)
    grid = grid_of_views(views)
    assert grid.shape == (1, 2, 12, 8)
    assert grid[0, 0, ::4, ::4].tolist() == [[0, 1], [2, 3], [4, 5]]


def examples_and_toys():
    """Return a batch, and the toys that it is sampled from."""
    toys = generate_toys("val", 0, 3)
    basis = patch_basis(on_background(toys.images[:, : len(RIG)].flatten(0, 1), GRAY / 255))
    batch = sample_examples(toys, basis, 4, torch.Generator().manual_seed(1), torch.device("cpu"))
    return batch, toys


def test_batch_has_images_latents_and_alphas_of_the_same_toys():
    batch, toys = examples_and_toys()
    assert batch.inputs.shape == (4, 3, SIZE, SIZE)
    assert batch.references.shape == (4, CHANNELS, 8, 8)
    assert batch.grids.shape == (4, CHANNELS, 24, 16)
    assert batch.alphas.shape == (4, 1, 192, 128)
    truth = grid_of_views(toys.images[:, 1 : len(RIG), ..., 3][:, :, None].float() / 255)
    for alpha, input_image, grid in zip(batch.alphas * ALPHA_RMS, batch.inputs, batch.grids, strict=True):
        (row,) = [row for row in range(3) if torch.allclose(alpha, truth[row], atol=1e-5)]
        shows = (input_image.abs().amax(dim=0) > 0.02) & (toys.images[row, 0, ..., 3] == 0)
        assert not shows.any()  # gray is 0 where that toy is not
        is_empty = truth[row, 0].unflatten(0, (24, 8)).unflatten(2, (16, 8)).amax(dim=(1, 3)) == 0
        assert grid[:, is_empty].abs().max() < 0.1
        assert grid[:, ~is_empty].abs().amax(dim=0).mean() > 0.5


def test_loss_decreases():
    torch.manual_seed(0)
    batch, _ = examples_and_toys()
    model = OutlineModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    errors = []
    for _ in range(20):
        error = model.loss(batch)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]


def test_encoder_is_read_from_a_run(tmp_path):
    model = OutlineModel()
    save_file(model.state_dict(), tmp_path / "vision.safetensors")
    image = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        found = read_encoder(tmp_path)(image).image_embeds
        assert torch.equal(found, model.encoder(image).image_embeds)
