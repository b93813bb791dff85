"""Training of the guidance model: batches, losses, the written folder."""

from __future__ import annotations

import pytest
import torch

from stag4d.diffusion import PoseConditionedDenoiser, load_guidance_model, pose_numbers
from stag4d.geometry import OrbitPose
from stag4d.view_set import ViewSet
from training.autoencoder import LATENT_RMS, latents_of, make_autoencoder, patch_basis, set_linear_encoder
from training.guidance import SCALING_FACTOR, Learner, sample_examples, write_folder
from training.outlines import poses_of
from training.toys import RIG, SIZE, generate_toys, on_background
from training.vision import ALPHA_RMS, OutlineModel

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def toys():
    return generate_toys("val", 0, 3)


@pytest.fixture(scope="module")
def basis(toys):
    return patch_basis(on_background(toys.images[:, : len(RIG)].flatten(0, 1), 0.5))


@pytest.fixture(scope="module")
def learner():
    torch.manual_seed(0)
    return Learner(OutlineModel().encoder)


def test_conditions_are_on_white_and_targets_on_white_or_black(toys, basis):
    batch = sample_examples(toys, basis, 24, torch.Generator().manual_seed(1), CPU)
    assert (batch.conditions[:, :, 0, 0] == 1).all()
    torch.testing.assert_close(batch.references, LATENT_RMS * latents_of(basis, batch.conditions))
    corners = [
        LATENT_RMS * SCALING_FACTOR * latents_of(basis, torch.full((1, 3, 8, 8), level))
        for level in (-1.0, 1.0)
    ]
    levels = [
        [torch.allclose(target[:, :1, :1], corner[0]) for corner in corners] for target in batch.targets
    ]
    assert all(sum(level) == 1 for level in levels)
    assert 4 < sum(is_black for is_black, _ in levels) < 20


def test_camera_numbers_match_the_target_images(toys, basis):
    """The camera numbers of an alpha's camera are relative to one of the rig's."""
    batch = sample_examples(toys, basis, 12, torch.Generator().manual_seed(2), CPU)
    truth = toys.images[..., 3].float() / 255  # [N, 10, S, S]
    for alpha, numbers in zip(batch.alphas[:, 0] * ALPHA_RMS, batch.cameras, strict=True):
        ((toy, camera),) = ((truth - alpha).abs().amax(dim=(2, 3)) < 1e-4).nonzero().tolist()
        target = poses_of(toys, toy)[camera]
        assert any(
            torch.allclose(torch.tensor(pose_numbers(condition, target)), numbers) for condition in RIG
        )


def test_losses_decrease(toys, basis, learner):
    batch = sample_examples(toys, basis, 4, torch.Generator().manual_seed(3), CPU)
    parameters = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3)
    errors = []
    for _ in range(20):
        losses = learner.loss(batch, torch.Generator().manual_seed(4))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        errors.append({name: loss.item() for name, loss in losses.items()})
    assert all(errors[-1][name] < 0.7 * errors[0][name] for name in ("velocity", "position", "alpha"))


@torch.no_grad()
def test_written_model_predicts_as_the_trained_one(tmp_path, toys, basis, learner):
    vae = make_autoencoder()
    set_linear_encoder(vae, basis)
    vae.register_to_config(scaling_factor=SCALING_FACTOR)
    write_folder(tmp_path, learner, vae)
    rgba = toys.images[:1, :1].float() / 255  # the input of one toy
    views = ViewSet.from_orbit(
        images=rgba[:, 0, ..., :3],
        alphas=rgba[:, 0, ..., 3],
        view_images=torch.zeros(1, 0, SIZE, SIZE, 3),
        view_alphas=torch.zeros(1, 0, SIZE, SIZE),
        input_pose=RIG[0],
        view_poses=(),
    )
    guidance = PoseConditionedDenoiser(load_guidance_model(tmp_path), views, torch.Generator().manual_seed(0))
    target = OrbitPose(azimuth_deg=70.0, elevation_deg=-10.0)
    noisy, timestep = torch.randn(1, *guidance.latent_shape), torch.tensor([600])
    predicted = guidance.predict(noisy, timestep, [(0, 0)], [target], guidance_scale=1.0)
    condition = on_background(toys.images[:1, 0], 1.0)
    tokens = learner.tokens(condition, torch.tensor([pose_numbers(RIG[0], target)]))
    references = LATENT_RMS * latents_of(basis, condition)
    velocity = learner.predict(noisy, timestep, references, tokens)
    alpha = learner.alphas_cumprod[600]
    noise = alpha.sqrt() * velocity + (1 - alpha).sqrt() * noisy
    assert (predicted - noise).square().mean() < 1e-3 * noise.square().mean()
