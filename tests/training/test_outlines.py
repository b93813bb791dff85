"""What the prior's image encoder learns from: one picture of a toy, asked for all its cameras."""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from stag4d.diffusion import pose_numbers
from stag4d.diffusion.zero123plus import GRAY
from training.autoencoder import CHANNELS, latents_of, patch_basis
from training.outlines import Examples, PosedOutliner, draw_examples, poses_of, read_posed_encoder
from training.toys import RIG, SIZE, draw_toys, on_background
from training.vision import MATTE_STRENGTH, Outliner


def test_the_cameras_of_a_toy_are_the_rigs_and_then_its_own():
    toys = draw_toys("val", 0, 2)
    poses = poses_of(toys, 1)
    assert poses[: len(RIG)] == list(RIG)
    assert [[pose.azimuth_deg, pose.elevation_deg] for pose in poses[len(RIG) :]] == toys.free_poses_deg[
        1
    ].tolist()


def test_an_example_is_one_toy_and_its_cameras_lead_from_the_condition():
    toys = draw_toys("val", 0, 3)
    basis = patch_basis(on_background(toys.pictures[:, : len(RIG)].flatten(0, 1), 0.5))
    batch = draw_examples(toys, basis, 12, torch.Generator().manual_seed(2), torch.device("cpu"))
    truth = toys.pictures[..., 3].float() / 255  # [N, 10, S, S]
    for condition, cameras, latents, mattes in zip(*batch, strict=True):
        errors = (truth - mattes * MATTE_STRENGTH).abs().amax(dim=(1, 2, 3))
        ((toy,),) = (errors < 1e-4).nonzero().tolist()
        leading = [
            torch.tensor([pose_numbers(start, target) for target in poses_of(toys, toy)]) for start in RIG
        ]
        ((shown,),) = torch.tensor([torch.allclose(lead, cameras) for lead in leading]).nonzero().tolist()
        is_toy = truth[toy, shown] == 1  # without its soft edges
        on_gray = condition.where(is_toy, torch.tensor(GRAY / 255 * 2 - 1))
        pictures = torch.stack([on_gray, on_gray.roll(8, dims=2)])  # the toy, and the toy moved
        right, moved = (latents_of(basis, pictures) - latents[shown]).square().mean(dim=(1, 2, 3))
        assert right < 0.2 * moved


def test_the_error_falls_as_it_learns_and_needs_the_cameras():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    batch = Examples(
        torch.randn(3, 3, SIZE, SIZE, generator=generator),
        torch.randn(3, 5, 4, generator=generator),
        torch.randn(3, 5, CHANNELS, 8, 8, generator=generator),
        (torch.rand(3, 5, SIZE, SIZE, generator=generator) < 0.3).float(),
    )
    outliner = PosedOutliner(Outliner().encoder)
    optimizer = torch.optim.AdamW(outliner.parameters(), lr=1e-3)
    errors = []
    for _ in range(60):
        error = outliner.loss(batch)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]
    with torch.no_grad():
        blind = outliner.loss(batch._replace(cameras=batch.cameras.roll(1, dims=1))).item()
    assert blind > 1.5 * errors[-1]


def test_the_encoder_is_taken_from_a_run(tmp_path):
    outliner = PosedOutliner(Outliner().encoder)
    save_file(outliner.state_dict(), tmp_path / "outlines.safetensors")
    picture = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        found = read_posed_encoder(tmp_path)(picture).image_embeds
        assert torch.equal(found, outliner.encoder(picture).image_embeds)
