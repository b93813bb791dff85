"""Pretraining of the guidance model's image encoder: batches, loss, files."""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from stag4d.diffusion import pose_numbers
from stag4d.diffusion.zero123plus import GRAY
from training.autoencoder import CHANNELS, latents_of, patch_basis
from training.outlines import Examples, PosedOutlineModel, poses_of, read_posed_encoder, sample_examples
from training.toys import RIG, SIZE, generate_toys, on_background
from training.vision import ALPHA_RMS, OutlineModel


def test_cameras_of_a_toy_are_the_rig_and_then_its_random_ones():
    toys = generate_toys("val", 0, 2)
    poses = poses_of(toys, 1)
    assert poses[: len(RIG)] == list(RIG)
    assert [[pose.azimuth_deg, pose.elevation_deg] for pose in poses[len(RIG) :]] == toys.free_poses_deg[
        1
    ].tolist()


def test_cameras_of_an_example_are_relative_to_its_condition():
    toys = generate_toys("val", 0, 3)
    basis = patch_basis(on_background(toys.images[:, : len(RIG)].flatten(0, 1), 0.5))
    batch = sample_examples(toys, basis, 12, torch.Generator().manual_seed(2), torch.device("cpu"))
    truth = toys.images[..., 3].float() / 255  # [N, 10, S, S]
    for condition, cameras, latents, alphas in zip(*batch, strict=True):
        errors = (truth - alphas * ALPHA_RMS).abs().amax(dim=(1, 2, 3))
        ((toy,),) = (errors < 1e-4).nonzero().tolist()
        candidates = [
            torch.tensor([pose_numbers(start, target) for target in poses_of(toys, toy)]) for start in RIG
        ]
        ((shown,),) = torch.tensor([torch.allclose(each, cameras) for each in candidates]).nonzero().tolist()
        is_toy = truth[toy, shown] == 1  # without antialiased edges
        on_gray = condition.where(is_toy, torch.tensor(GRAY / 255 * 2 - 1))
        images = torch.stack([on_gray, on_gray.roll(8, dims=2)])  # the toy, and the toy moved
        right, moved = (latents_of(basis, images) - latents[shown]).square().mean(dim=(1, 2, 3))
        assert right < 0.2 * moved


def test_loss_decreases_and_depends_on_the_cameras():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    batch = Examples(
        torch.randn(3, 3, SIZE, SIZE, generator=generator),
        torch.randn(3, 5, 4, generator=generator),
        torch.randn(3, 5, CHANNELS, 8, 8, generator=generator),
        (torch.rand(3, 5, SIZE, SIZE, generator=generator) < 0.3).float(),
    )
    model = PosedOutlineModel(OutlineModel().encoder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    errors = []
    for _ in range(60):
        error = model.loss(batch)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]
    with torch.no_grad():
        with_other_cameras = model.loss(batch._replace(cameras=batch.cameras.roll(1, dims=1))).item()
    assert with_other_cameras > 1.5 * errors[-1]


def test_encoder_is_read_from_a_run(tmp_path):
    model = PosedOutlineModel(OutlineModel().encoder)
    save_file(model.state_dict(), tmp_path / "outlines.safetensors")
    image = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        found = read_posed_encoder(tmp_path)(image).image_embeds
        assert torch.equal(found, model.encoder(image).image_embeds)
