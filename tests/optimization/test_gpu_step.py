"""A step on a simulated GPU: the host waits for the rasterizer only, and the results are the CPU's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cuda_emulator
import pytest
import torch
from constant_color import ConstantColorDenoiser
from random_lpips import alexnet_files
from small_fit import shrunk, small_view_set
from torch import Tensor

from benchmarks._simulated_cuda import RASTERIZER, DeviceLog, simulated_cuda
from stag4d.devices import to_device
from stag4d.lpips import load_perceptual_distance
from stag4d.optimization import BatchConfig, OptimizationConfig, StartConfig, Trainer, preset
from stag4d.optimization.frame_pool import frame_pool
from stag4d.progress import Interrupted
from stag4d.view_set import ViewSet

MAX_LAUNCHES = 600  # of a step of preset quality, beside the rasterizer's; 1853 when frames were not batched


class Denoiser(ConstantColorDenoiser):
    """The denoiser for which every clean image has one color, on any device."""

    def predict(self, noisy: Tensor, *arguments: object) -> Tensor:
        self.color = to_device(self.color, noisy.device)
        return super().predict(noisy, *arguments)


def with_ball(config: OptimizationConfig) -> OptimizationConfig:
    """Return a config with small planes and few Gaussians."""
    return replace(shrunk(config), start=StartConfig(kind="ball", num_points=60, bound=0.5))


def denoiser_of(views: ViewSet) -> Denoiser:
    """Return a guidance model for views."""
    return Denoiser((0.9, 0.1, 0.2), (views.input_pose, *views.view_poses))


def log_of_step(views: ViewSet, config: OptimizationConfig, **options: object) -> DeviceLog:
    """Return what a step in the middle of a fit does on the GPU; the one before fills caches."""
    with simulated_cuda() as log:
        trainer = Trainer(views, config, device="cuda", **options)
        trainer.step = config.steps // 2
        with frame_pool(trainer.device) as map_frames:
            trainer._advance(map_frames)
            log.clear()
            trainer._advance(map_frames)
    assert trainer.scene.gaussians.means.device.type == "cuda"
    return log


@pytest.mark.parametrize(
    ("name", "num_calls"),
    [("fast", 2), ("quality", 2), ("paper", 2)],  # given views, and the novel view or score distillation
)
def test_the_host_waits_for_the_rasterizer_only_once_per_call(name, num_calls):
    views = small_view_set()
    options = {"denoiser": denoiser_of(views)} if name == "paper" else {}
    log = log_of_step(views, with_ball(preset(name, steps=40, size=24)), **options)
    assert dict(log.waits) == {f"{RASTERIZER}: _local_scalar_dense": num_calls}
    if name == "quality":
        assert log.launches.total() - log.launches[RASTERIZER] < MAX_LAUNCHES


def test_coarse_renders_guidance_and_the_perceptual_loss_do_not_make_the_host_wait(tmp_path: Path):
    views = small_view_set(size=40)
    config = with_ball(preset("fast", steps=40, size=40))
    config = replace(config, batch=BatchConfig(sizes=((0.9, 0.8),)))
    network = load_perceptual_distance(alexnet_files(tmp_path))
    denoiser = denoiser_of(views)
    denoiser.latent_shape = (3, 32, 32)
    log = log_of_step(views, config, perceptual=network, denoiser=denoiser)
    assert dict(log.waits) == {f"{RASTERIZER}: _local_scalar_dense": 3}


def test_the_host_waits_once_for_the_values_of_a_report():
    with simulated_cuda() as log:
        trainer = Trainer(small_view_set(), with_ball(preset("fast", steps=40, size=24)), device="cuda")
        with frame_pool(trainer.device) as map_frames:
            trainer._losses = trainer._advance(map_frames)
        log.clear()
        assert trainer.losses["total"] > 0
        assert log.waits.total() == 1
        log.clear()
        trainer._check()
        assert log.waits.total() == 2  # of losses and parameters


needs_emulator = pytest.mark.skipif(
    cuda_emulator.unavailable_reason() is not None, reason=str(cuda_emulator.unavailable_reason())
)


@pytest.fixture
def fitted() -> Callable[..., Trainer]:
    """A function that does the first steps of a fit on a device."""

    def fit(views: ViewSet, config: OptimizationConfig, device: str, num_steps: int) -> Trainer:
        def stop(stage: str, done: int, *_: object, **__: object) -> None:
            if done >= num_steps:
                raise Interrupted

        trainer = Trainer(views, config, device=device, denoiser=denoiser_of(views))
        with pytest.raises(Interrupted):
            trainer.run(stop)
        return trainer

    return fit


@needs_emulator
def test_a_fit_on_the_gpu_has_the_results_of_the_cpu(fitted):
    """All loss terms, and the parameters after three steps, by the kernels of the GPU."""
    views = small_view_set()
    config = with_ball(preset("quality", steps=40, size=24))
    config = replace(config, batch=replace(config.batch, num_frames=3, static_until=0, spread_until=0))
    on_cpu = fitted(views, config, "cpu", 3)
    with simulated_cuda(lambda device, channels: cuda_emulator.emulated_kernels(channels, torch.float32)):
        on_gpu = fitted(views, config, "cuda", 3)
        losses, scene = on_gpu.losses, on_gpu.model()
    assert losses.keys() == on_cpu.losses.keys() >= {"color", "guidance", "depth_roughness"}
    for name, value in on_cpu.losses.items():
        assert losses[name] == pytest.approx(value, rel=1e-3), name
    expected = on_cpu.model()
    for name, value in expected.gaussians.as_dict().items():
        start = Trainer(views, config, denoiser=denoiser_of(views)).model().gaussians.as_dict()[name]
        moved, found = value - start, scene.gaussians.as_dict()[name] - start
        # Adam's first steps are signs: where a gradient is near 0, rounding decides on them
        assert ((moved - found).abs() < 0.1 * moved.abs().amax()).float().mean() > 0.97, name


@needs_emulator
def test_statistics_for_densification_are_those_of_the_cpu(fitted):
    views = small_view_set()
    config = with_ball(preset("fast", steps=40, size=24))
    config = replace(config, batch=replace(config.batch, num_frames=3, static_until=0, spread_until=0))
    expected = fitted(views, config, "cpu", 1).statistics
    with simulated_cuda(lambda device, channels: cuda_emulator.emulated_kernels(channels, torch.float32)):
        found = fitted(views, config, "cuda", 1).statistics
        assert torch.equal(found.num_seen.cpu(), expected.num_seen)
        torch.testing.assert_close(found.norm_sum.cpu(), expected.norm_sum, rtol=1e-3, atol=1e-6)
