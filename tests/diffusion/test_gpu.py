"""Networks on a simulated GPU: the host does not wait for them, and the results are the CPU's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from benchmarks._simulated_cuda import DeviceLog, simulated_cuda
from stag4d.devices import to_device
from stag4d.diffusion import (
    Anchor,
    Conditioning,
    PoseConditionedDenoiser,
    SamplingConfig,
    SeededNoise,
    denoise,
)
from stag4d.optimization import GuidanceConfig, ScoreDistillation
from stag4d.view_set import ViewSet

CUDA = torch.device("cuda")
NUM_STEPS = 3


def on_cuda(module: nn.Module) -> nn.Module:
    """Return a copy of a module on CUDA."""
    return copy.deepcopy(module).to(CUDA)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_score_distillation_does_not_wait(guidance_model, views: ViewSet, prediction_type):
    def gradient(network: nn.Module, device: torch.device, log: DeviceLog | None = None) -> torch.Tensor:
        network.prediction_type = prediction_type
        denoiser = PoseConditionedDenoiser(network, views, torch.Generator().manual_seed(1))
        sds = ScoreDistillation(denoiser, GuidanceConfig())
        generator = torch.Generator().manual_seed(2)
        images = to_device(torch.rand(2, 24, 24, 3, generator=generator), device).requires_grad_()
        samples = sds.sample(2, 0.5, generator)
        poses = [views.view_poses[0], views.view_poses[2]]
        if log is not None:
            log.clear()
        (found,) = torch.autograd.grad(sds.loss(images, [0, 1], poses, samples), images)
        return found

    expected = gradient(copy.deepcopy(guidance_model), torch.device("cpu"))
    with simulated_cuda() as log:
        found = gradient(on_cuda(guidance_model), CUDA, log)
        assert not log.waits
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-6)


def test_a_diffusion_step_waits_for_the_check_of_its_result_only(unet, scheduler, make_conditioning):
    def latents(network: nn.Module, device: torch.device, log: DeviceLog | None = None) -> list[torch.Tensor]:
        parts = {name: to_device(part, device) for name, part in vars(make_conditioning(3)).items()}
        config = SamplingConfig(
            num_steps=NUM_STEPS, anchor=Anchor(frame=1, strength=0.6, previous_strength=0.2), batch_size=2
        )
        steps = denoise(network, scheduler, Conditioning(**parts), SeededNoise(7), config, grid_size=(6, 4))
        states = [next(steps).latents]
        if log is not None:
            log.clear()
        return states + [state.latents for state in steps]

    expected = latents(unet, torch.device("cpu"))
    with simulated_cuda() as log:
        found = latents(on_cuda(unet), CUDA, log)
        assert dict(log.waits) == {"diffusion/denoiser.py: _local_scalar_dense": NUM_STEPS - 1}
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.cpu(), other, rtol=1e-3, atol=1e-4)
