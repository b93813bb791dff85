"""The perceptual loss of a fit: the metric's value, its windows, its gradient, resuming, and refusals."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial

import pytest
import torch
from random_lpips import alexnet_files
from recording import Recorder
from small_fit import small_config, small_view_set
from torch import Tensor

from stag4d.lpips import PerceptualDistance, load_perceptual_distance
from stag4d.optimization import (
    BatchConfig,
    LossWeights,
    OptimizationConfig,
    Trainer,
    TrainingViews,
    check_render_sizes,
)
from stag4d.optimization import perceptual_loss as module
from stag4d.optimization.checkpoint import load_state, save_state
from stag4d.optimization.losses import view_losses
from stag4d.optimization.perceptual_loss import WINDOW, PerceptualLoss
from stag4d.optimization.training_views import Targets, TrainingBatch
from stag4d.progress import Interrupted
from stag4d.rendering import render
from stag4d.resume import Checkpoint
from stag4d.scene import GaussianModel4D
from stag4d.types import Cameras, RenderOutput
from stag4d.view_set import ViewSet

SIZE = 32  # pixels; AlexNet needs 31


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> PerceptualDistance:
    """LPIPS on AlexNet with random weights, from two files as published."""
    return load_perceptual_distance(alexnet_files(tmp_path_factory.mktemp("alexnet")))


@pytest.fixture
def view_set() -> ViewSet:
    """Three frames of a toy, with its six posed views."""
    return small_view_set(size=SIZE)


def config_of(steps: int = 8, weight: float = 0.1, **parts: object) -> OptimizationConfig:
    """Return the config of a small fit with a weight of the perceptual loss."""
    return small_config(steps, SIZE, losses=LossWeights(perceptual=weight), **parts)


def random_images(count: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return images [C, H, W, 3] and targets."""
    generator = torch.Generator().manual_seed(4)
    targets = torch.rand(count, height, width, 3, generator=generator)
    return (targets + 0.3 * torch.rand(targets.shape, generator=generator)).clamp(0, 1), targets


def tensors_of(model: GaussianModel4D) -> list[Tensor]:
    """Return all tensors of a scene."""
    return [*model.gaussians.as_dict().values(), *model.deformation.state_dict().values()]


def are_equal(first: GaussianModel4D, second: GaussianModel4D) -> bool:
    """Return whether two scenes have the same bytes."""
    return all(torch.equal(*pair) for pair in zip(tensors_of(first), tensors_of(second), strict=True))


def always(choice: bool) -> Generator[bool, float, None]:
    """Stand in for ``parallel_choices``."""
    while True:
        yield choice


def mean_lpips(model: GaussianModel4D, views: ViewSet, network: PerceptualDistance) -> float:
    """Return the metric's mean over all given images on white."""
    given = TrainingViews.from_views(views, SIZE)
    chosen = torch.arange(given.num_cameras)
    scores = []
    with torch.no_grad():
        for frame in range(given.num_frames):
            for batch in given.batches([frame], chosen[None], torch.ones(len(chosen), 3), SIZE):
                images = render(model.at(model.frame_times[[frame]])[0], batch.cameras).images
                scores.append(network(images, batch.targets.images))
    return torch.cat(scores).mean().item()


def test_the_loss_of_whole_images_is_the_metric(network):
    images, targets = random_images(3, 40, WINDOW)
    loss = PerceptualLoss.sample(network, 5, torch.Generator().manual_seed(0))
    values = loss(images, targets, torch.tensor([0, 2, 4]))
    expected = network(images, targets)
    assert expected.min() > 0.01
    torch.testing.assert_close(values.double(), expected, rtol=1e-6, atol=0)


def test_larger_images_are_compared_within_the_window_at_their_place(network):
    images, targets = random_images(2, 40, WINDOW + 50)
    images.requires_grad_()
    loss = PerceptualLoss(network, torch.tensor([[0.5, 0.999], [0.5, 0.5], [0.5, 0.0]]))
    values = loss(images, targets, torch.tensor([0, 2]))
    windows = [slice(50, WINDOW + 50), slice(0, WINDOW)]  # 51 possible places
    expected = [network(images[[i], :, w], targets[[i], :, w]).item() for i, w in enumerate(windows)]
    assert values.tolist() == pytest.approx(expected, rel=1e-6)
    values.sum().backward()
    for index, window in enumerate(windows):
        gradient = images.grad[index]
        assert (gradient[:, window].abs().amax(dim=(0, 2)) > 0).all()
        assert gradient.abs().sum() == gradient[:, window].abs().sum()


def test_losses_of_several_frames_are_joined_in_their_order(network):
    generator = torch.Generator().manual_seed(0)
    parts = [PerceptualLoss.sample(network, count, generator) for count in (1, 3)]
    joined = PerceptualLoss.joined(parts)
    assert joined.network is network
    assert torch.equal(joined.places, torch.cat([parts[0].places, parts[1].places]))


def test_each_step_has_random_places_of_the_windows(network):
    generator = torch.Generator().manual_seed(0)
    first, second = (PerceptualLoss.sample(network, 500, generator).places for _ in range(2))
    assert not torch.equal(first, second)
    assert first.min() >= 0
    assert first.max() < 1
    torch.testing.assert_close(first.mean(dim=0), torch.full((2,), 0.5), rtol=0, atol=0.05)


def test_each_image_has_its_weight(network):
    images, targets = random_images(2, SIZE, SIZE)
    images.requires_grad_()
    alphas = torch.zeros(2, SIZE, SIZE)
    cameras = Cameras(torch.eye(4).repeat(2, 1, 1), torch.eye(3).repeat(2, 1, 1), SIZE, SIZE)
    batch = TrainingBatch(
        positions=torch.arange(2),
        cameras_per_frame=[2],
        cameras=cameras,
        backgrounds=torch.ones(2, 3),
        targets=Targets(targets, alphas),
        is_reference=torch.tensor([True, False]),
        weights=torch.tensor([0.5, 0.25]),
    )
    weights = LossWeights(perceptual=0.2, input_color=2, view_color=3, ramp=0.5)
    output = RenderOutput(images, alphas)
    loss = PerceptualLoss.sample(network, 2, torch.Generator().manual_seed(0))
    losses = view_losses(output, batch, weights, 0.2, loss)
    distances = network(images, targets).tolist()
    expected = 0.4 * 0.2 * (0.5 * 2 * distances[0] + 0.25 * 3 * distances[1])
    assert losses["perceptual"].item() == pytest.approx(expected, rel=1e-5)
    without = view_losses(output, batch, weights, 0.2)
    assert without.keys() == losses.keys() - {"perceptual"}
    assert all(torch.equal(value, losses[name]) for name, value in without.items())
    losses["perceptual"].backward()
    pixels = images.detach().clone().requires_grad_()
    torch.stack([network.distance(*pair) for pair in zip(pixels, targets, strict=True)]).sum().backward()
    factors = torch.tensor([0.4 * 0.2 * 0.5 * 2, 0.4 * 0.2 * 0.25 * 3])[:, None, None, None]
    torch.testing.assert_close(images.grad, factors * pixels.grad)


@pytest.mark.parametrize("weight", [-0.1, float("inf"), float("nan")])
def test_a_weight_that_is_negative_or_not_finite_is_refused(weight):
    with pytest.raises(ValueError, match=f"losses: perceptual is {weight}; expected a finite number from 0"):
        LossWeights(perceptual=weight)


def test_the_gradient_reaches_gaussians_and_deformation(network, view_set):
    trainer = Trainer(view_set, config_of(), perceptual=network)
    chosen, backgrounds = torch.arange(3), torch.rand(3, 3, generator=trainer.generator)
    (batch,) = trainer.views.batches([0], chosen[None], backgrounds, SIZE)
    model = GaussianModel4D(trainer.scene.gaussians, trainer.scene.deformation, trainer.info)
    deformed = model.at(trainer.frame_times[[0]])[0]
    loss = PerceptualLoss.sample(network, 3, trainer.generator)
    output = render(deformed, batch.cameras, background=backgrounds)
    view_losses(output, batch, LossWeights(), 0.5, loss)["perceptual"].backward()
    for name, value in trainer.scene.gaussians.as_dict().items():
        assert value.grad.abs().max() > 0, name
    moved = [value.grad for value in trainer.scene.deformation.parameters() if value.grad is not None]
    assert max(gradient.abs().max() for gradient in moved) > 0


def test_a_fit_lowers_the_loss_and_the_metric(network, view_set):
    """With a large weight, LPIPS on white falls further than by the loss of colors alone."""

    def trainer(weight: float) -> Trainer:
        losses = LossWeights(perceptual=weight, input_alpha=0, view_alpha=0)
        batch = BatchConfig(num_frames=2, num_views=2, static_until=0.2, background="white")
        return Trainer(view_set, small_config(40, SIZE, losses=losses, batch=batch), perceptual=network)

    with_lpips, without = trainer(100.0), trainer(0.0)
    start = mean_lpips(with_lpips.model(), view_set, network)
    fitted = mean_lpips(with_lpips.run(), view_set, network)
    assert fitted < 0.75 * start
    assert fitted < 0.98 * mean_lpips(without.run(), view_set, network)
    curve = with_lpips.history.losses["perceptual"]
    assert len(curve) == 40
    assert sum(curve[-10:]) < 0.85 * sum(curve[:10])


def test_a_weight_of_zero_computes_nothing(network, view_set, monkeypatch):
    without = Trainer(view_set, config_of()).run()
    monkeypatch.setattr(PerceptualDistance, "distance", None)
    trainer = Trainer(view_set, config_of(weight=0.0), perceptual=network)
    assert are_equal(trainer.run(), without)
    assert trainer.losses.keys() == {"color", "alpha", "time_smoothness", "scale_cap", "total"}


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(network, view_set, monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    scenes = []
    try:
        for choice in (False, True, True):
            choices = partial(always, choice)
            monkeypatch.setattr("stag4d.optimization.frame_pool.parallel_choices", choices)
            scenes.append(Trainer(view_set, config_of(), perceptual=network).run())
    finally:
        torch.set_num_threads(before)
    assert are_equal(scenes[0], scenes[1])
    assert are_equal(scenes[1], scenes[2])
    assert not are_equal(scenes[0], Trainer(view_set, config_of()).run())


def test_the_network_is_frozen(view_set, tmp_path):
    network = load_perceptual_distance(alexnet_files(tmp_path)).train().requires_grad_()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Trainer(view_set, config_of(), perceptual=network).run()
    assert not network.training
    assert not any(value.requires_grad for value in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("step", [1, 5])
def test_an_interrupted_fit_resumes_to_the_same_bytes(network, view_set, tmp_path, step):
    whole = Trainer(view_set, config_of(), perceptual=network)
    stopped = Trainer(view_set, config_of(), perceptual=network)
    with pytest.raises(Interrupted):
        stopped.run(Recorder(("optimize", step)))
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    save_state(checkpoint, stopped)
    again = load_perceptual_distance(alexnet_files(tmp_path / "copies"))
    resumed = Trainer(view_set, config_of(), perceptual=again)
    assert load_state(checkpoint, resumed)
    assert resumed.step == step
    assert are_equal(resumed.run(), whole.run())
    assert resumed.history.losses == whole.history.losses


def test_a_fit_is_not_resumed_with_other_weights(network, view_set, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    save_state(checkpoint, Trainer(view_set, config_of(), perceptual=network))
    other = load_perceptual_distance(alexnet_files(tmp_path, seed=1))
    for changed in (None, other):
        with pytest.raises(ValueError, match="it belongs to other views or settings"):
            load_state(checkpoint, Trainer(view_set, config_of(), perceptual=changed))


def test_renders_that_are_too_small_are_refused_before_the_fit(network):
    expected = (
        "perceptual loss: renders of 24x24 pixels; expected 31 pixels or more on each side, for alexnet"
    )
    with pytest.raises(ValueError, match=expected):
        Trainer(small_view_set(), small_config(), perceptual=network)
    coarse = replace(config_of(), batch=BatchConfig(sizes=((0.5, 0.75),)))
    expected = "perceptual loss: renders of 24x24 pixels at first, later 32x32; expected 31 pixels or more"
    with pytest.raises(ValueError, match=expected):
        Trainer(small_view_set(size=SIZE), coarse, perceptual=network)


def test_the_shorter_side_of_each_image_counts(network):
    check_render_sizes(network, [(31, 62), (62, 31)], ())
    check_render_sizes(network, [(62, 62)], ((0.2, 0.5), (0.4, 0.75)))
    with pytest.raises(ValueError, match="renders of 60x30 pixels; expected 31"):
        check_render_sizes(network, [(64, 64), (30, 60)], ())
    with pytest.raises(ValueError, match="renders of 31x16 pixels at first, later 62x31; expected 31"):
        check_render_sizes(network, [(31, 62)], ((0.2, 0.5), (0.4, 0.75)))


def test_on_cuda_the_algorithms_of_cudnn_are_deterministic_during_the_loss():
    settings = torch.backends.cudnn
    before = settings.deterministic, settings.benchmark
    with pytest.raises(Interrupted), module._deterministic(torch.device("cuda")):
        assert (settings.deterministic, settings.benchmark) == (True, False)
        raise Interrupted
    assert (settings.deterministic, settings.benchmark) == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA; run: pytest -m gpu tests/optimization")
def test_the_loss_and_its_gradient_are_the_same_bytes_each_time_on_cuda(tmp_path):
    network = load_perceptual_distance(alexnet_files(tmp_path)).to("cuda")
    images, targets = (part.to("cuda") for part in random_images(2, 200, 200))
    found = []
    for _ in range(3):
        pixels = images.clone().requires_grad_()
        loss = PerceptualLoss.sample(network, 2, torch.Generator().manual_seed(0))
        values = loss(pixels, targets, torch.arange(2, device="cuda"))
        values.sum().backward()
        found.append((values.detach(), pixels.grad))
    for values, gradient in found[1:]:
        assert torch.equal(values, found[0][0])
        assert torch.equal(gradient, found[0][1])
