"""Score distillation: its gradient, its samples and anchors by hand, and a denoiser that knows the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from small_fit import small_config, small_view_set
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from stag4d.evaluation import compare
from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.optimization import (
    AdaptivePercentile,
    DensificationConfig,
    GuidanceConfig,
    LogLinear,
    LossWeights,
    RegularizerWeights,
    ScoreDistillation,
    Trainer,
    conditioning_camera,
    preset,
)
from stag4d.pipeline import render_views
from stag4d.scene import GaussianModel4D, Gaussians
from stag4d.toys import TEST_POSES, render_toy, toy_object, toy_truth, toy_views
from stag4d.types import Cameras, frame_times

CAMERAS = (OrbitPose(azimuth_deg=0.0), *zero123plus_rig("v1.1"))
NO_PHOTOMETRIC = LossWeights(input_color=0, input_alpha=0, view_color=0, view_alpha=0)


class PooledDenoiser:
    """A denoiser whose latents are 3 x 8 x 8 averages of renders, with a little posterior noise."""

    key = "pooled"
    latent_shape = (3, 8, 8)
    poses: Sequence[OrbitPose] = CAMERAS
    alphas_cumprod = torch.linspace(0.999, 0.01, 1000)

    def __init__(self, answer) -> None:
        self.answer, self.asked = answer, []

    def encode(self, images: Tensor, samples: Tensor) -> Tensor:
        return adaptive_avg_pool2d(images.permute(0, 3, 1, 2), 8) * 2 - 1 + 0.1 * samples

    def predict(self, noisy, timesteps, conditions, poses, guidance_scale) -> Tensor:
        self.asked.append((noisy, timesteps, conditions, poses, guidance_scale))
        return self.answer(noisy, timesteps, conditions, poses)


def distillation(answer=None, **options) -> ScoreDistillation:
    answer = answer or (lambda noisy, *_: 0.3 * noisy.roll(1, dims=2))
    return ScoreDistillation(PooledDenoiser(answer), GuidanceConfig(**options))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()


POSES = [OrbitPose(azimuth_deg=100.0), OrbitPose(azimuth_deg=-20.0)]


def sampled(sds: ScoreDistillation, count: int = 2, progress: float = 0.2, seed: int = 1):
    return sds.sample(count, progress, torch.Generator().manual_seed(seed))


def test_the_gradient_is_the_weighted_noise_error_backpropagated_through_the_encoder(images):
    sds = distillation()
    samples = sampled(sds)
    (found,) = torch.autograd.grad(sds.loss(images, [0, 3], POSES, samples), images)
    denoiser = sds._denoiser
    latents = denoiser.encode(images, samples.posterior)
    signal = denoiser.alphas_cumprod[samples.timesteps].reshape(2, 1, 1, 1)
    noisy = signal.sqrt() * latents + (1 - signal).sqrt() * samples.noise
    error = (1 - signal) * (denoiser.answer(noisy) - samples.noise)
    (expected,) = torch.autograd.grad(latents, images, error.detach() / error.numel())
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-5)
    value = sds.loss(images, [0, 3], POSES, samples)
    assert value.item() == pytest.approx(0.5 * error.square().mean().item(), rel=1e-5)


def test_the_weighted_mean_equals_the_official_sum_in_preset_paper():
    weight = preset("paper").guidance.weight
    error = torch.randn(4, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    assert weight * 0.5 * error.square().mean() == pytest.approx(0.5 * error.square().sum().item(), rel=1e-5)
    losses = preset("paper").losses
    assert (losses.input_color / 4, losses.input_alpha / 4) == (
        20_000,
        5_000,
    )  # four frames in the official sum


def test_an_exact_prediction_has_no_gradient(images):
    sds = distillation()
    samples = sampled(sds)
    sds._denoiser.answer = lambda *_: samples.noise
    loss = sds.loss(images, [0, 3], POSES, samples)
    (gradient,) = torch.autograd.grad(loss, images)
    assert loss.item() == 0
    assert gradient.abs().max() == 0


def test_the_loss_is_a_mean_over_renders(images):
    sds = distillation()
    samples = sampled(sds)
    shift = torch.zeros((), requires_grad=True)
    (once,) = torch.autograd.grad(sds.loss(images.detach() + shift, [0, 3], POSES, samples), shift)
    twice = type(samples)(*(torch.cat([part, part]) for part in samples[:3]), samples.use_reference * 2)
    doubled = torch.cat([images.detach(), images.detach()]) + shift
    (found,) = torch.autograd.grad(sds.loss(doubled, [0, 3] * 2, POSES * 2, twice), shift)
    assert found.item() == pytest.approx(once.item(), rel=1e-5)


def test_the_render_size_does_not_change_the_weight_relative_to_photometric_losses(images):
    sds = distillation()
    samples = sampled(sds)
    ratios = []
    for scale in (1, 2):
        shift = torch.zeros((), requires_grad=True)
        larger = images.detach().repeat_interleave(scale, 1).repeat_interleave(scale, 2) + shift
        (guided,) = torch.autograd.grad(sds.loss(larger, [0, 3], POSES, samples), shift)
        (photometric,) = torch.autograd.grad((larger - 2).abs().mean(), shift)
        ratios.append((guided / photometric).item())
    assert ratios[1] == pytest.approx(ratios[0], rel=0.1)


@pytest.mark.parametrize(
    ("progress", "low", "high"),
    [(0.0, 500, 950), (0.1875, 260, 725), (0.375, 20, 500), (1.0, 20, 500)],
)
def test_diffusion_times_are_annealed(progress, low, high):
    sds = distillation()
    times = sds.sample(20_000, progress, torch.Generator().manual_seed(0)).timesteps
    assert low <= times.min() < low + 5
    assert high - 5 < times.max() <= high
    assert times.float().mean() == pytest.approx((low + high) / 2, abs=5)


def test_the_same_seed_gives_the_same_samples():
    sds = distillation()
    first, again, other = sampled(sds), sampled(sds), sampled(sds, seed=2)
    assert all(torch.equal(one, same) for one, same in zip(first[:3], again[:3], strict=True))
    assert not torch.equal(first.noise, other.noise)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "sector", "nearest"),
    [
        # sectors: the input within 30 degrees of azimuth, else the view whose 60 degrees hold it
        (0, 0, 0, 0), (29, 0, 0, 0), (-29, -10, 0, 6), (31, 0, 1, 1), (31, -30, 1, 0), (59, 0, 1, 2),
        (61, 0, 2, 2), (100, 20, 2, 2), (130, 0, 3, 3), (179, 0, 3, 4), (-179, 0, 4, 4), (-100, 0, 5, 5),
        (-59, 0, 6, 6), (-31, 30, 6, 0), (300.5, 0, 6, 6), (299.5, 0, 5, 6),
    ],
)  # fmt: skip
def test_anchors_by_hand(azimuth, elevation, sector, nearest):
    pose = OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)
    assert conditioning_camera(pose, CAMERAS, GuidanceConfig(), False) == sector
    assert conditioning_camera(pose, CAMERAS, GuidanceConfig(), True) == 0
    assert conditioning_camera(pose, CAMERAS, GuidanceConfig(anchors="nearest"), False) == nearest
    assert conditioning_camera(pose, CAMERAS, GuidanceConfig(anchors="reference"), False) == 0
    assert conditioning_camera(pose, CAMERAS[:1], GuidanceConfig(anchors="nearest"), False) == 0


def test_the_denoiser_is_called_once_per_batch(images):
    sds = distillation(reference_share=0.0, guidance_scale=7.0)
    sds.loss(images, [0, 3], POSES, sampled(sds))
    [(noisy, _, conditions, poses, scale)] = sds._denoiser.asked
    assert noisy.shape == (2, 3, 8, 8)
    assert conditions == [(0, 2), (3, 0)]
    assert poses == POSES
    assert scale == 7.0


def test_the_reference_is_chosen_with_its_probability():
    wants = (
        distillation(reference_share=0.6).sample(5000, 0.0, torch.Generator().manual_seed(0)).use_reference
    )
    assert sum(wants) / 5000 == pytest.approx(0.6, abs=0.03)


def test_gradients_that_are_not_finite_are_zeroed_and_after_some_steps_an_error(images):
    def overflow(noisy, *_):
        answer = 0.3 * noisy
        answer[0, 0, 0, 0] = float("inf")
        return answer

    sds = distillation(overflow)
    (gradient,) = torch.autograd.grad(sds.loss(images, [0, 3], POSES, sampled(sds)), images)
    assert gradient[0].abs().max() == 0
    assert gradient[1].abs().max() > 0
    sds = distillation(lambda noisy, *_: noisy * float("nan"))
    for _ in range(9):
        sds.loss(images, [0, 3], POSES, sampled(sds))
    sds.check_overflows()
    sds.loss(images, [0, 3], POSES, sampled(sds))
    with pytest.raises(RuntimeError, match="no render had a finite SDS gradient in 10 consecutive"):
        sds.check_overflows()
    sds._denoiser.answer = lambda noisy, *_: noisy
    sds.loss(images, [0, 3], POSES, sampled(sds))
    sds.check_overflows()


def test_a_fit_with_gradients_that_are_never_finite_is_an_error(view_set, make_config):
    sds = PooledDenoiser(lambda noisy, *_: noisy * float("nan"))
    sds.poses = (view_set.input_pose, *view_set.view_poses)
    with pytest.raises(RuntimeError, match="no render had a finite SDS gradient in 10 consecutive"):
        Trainer(view_set, make_config(), denoiser=sds).run()


def test_a_render_that_overflows_in_the_encoder_is_left_out(images):
    sds = distillation()
    scale = torch.tensor([float("inf"), 1.0])[:, None, None, None]
    encode = sds._denoiser.encode
    sds._denoiser.encode = lambda pixels, samples: encode(pixels, samples) * scale
    loss = sds.loss(images, [0, 3], POSES, sampled(sds))
    (gradient,) = torch.autograd.grad(loss, images)
    assert loss.isfinite()
    assert gradient[0].abs().max() == 0
    assert gradient[1].abs().max() > 0


def test_times_may_lie_at_the_schedules_end():
    samples = distillation(start_times=(1.0, 1.0), end_times=(1.0, 1.0)).sample(4, 0.0, torch.Generator())
    assert (samples.timesteps == samples.timesteps[0]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"anchors": "none"}, "unknown anchors 'none'; expected sectors, nearest or reference"),
        ({"start_times": (0.9, 0.5)}, "times 0.9 to 0.5; expected 0 <= low <= high <= 1"),
        ({"reference_share": 1.5}, "reference_share must be in 0 to 1"),
    ],
)
def test_values_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        GuidanceConfig(**options)


def test_views_with_another_framing_are_refused():
    denoiser = PooledDenoiser(None)
    denoiser.poses = (CAMERAS[0], replace(CAMERAS[1], radius=3.0))
    with pytest.raises(
        ValueError, match=r"view 0 spans 2\.74 world units, the input 1\.83; expected the same"
    ):
        ScoreDistillation(denoiser, GuidanceConfig())
    ScoreDistillation(denoiser, GuidanceConfig(anchors="reference"))
    denoiser.poses = (CAMERAS[0], *zero123plus_rig("v1.2"))  # a longer lens from further away
    ScoreDistillation(denoiser, GuidanceConfig())


class TrueDenoiser(PooledDenoiser):
    """A denoiser that predicts the true image of a toy, on white or on black."""

    def __init__(self, seed: int, num_frames: int, size: int) -> None:
        super().__init__(self._noise)
        self.toy = toy_object(seed)
        self.times, self.size = frame_times(num_frames).tolist(), size

    def encode(self, images: Tensor, samples: Tensor) -> Tensor:
        return super().encode(images, torch.zeros_like(samples))

    def _noise(self, noisy, timesteps, conditions, poses) -> Tensor:
        """Return (x_t - sqrt(a) x) / sqrt(1 - a), the noise that makes x_t of the true x."""
        targets = []
        for (frame, _), pose, latent in zip(conditions, poses, noisy, strict=True):
            camera = Cameras.from_poses([pose], self.size, self.size)
            colors, alphas = render_toy(self.toy, camera, [self.times[frame]])
            color, alpha = colors[0, 0], alphas[0, 0][..., None]
            options = [
                self.encode((color * alpha + back * (1 - alpha))[None], latent)[0] for back in (0.0, 1.0)
            ]
            is_white = latent[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean() > 0
            targets.append(options[int(is_white)])
        signal = self.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
        return (noisy - signal.sqrt() * torch.stack(targets)) / (1 - signal).sqrt()


def swapped_colors(scene: Gaussians) -> Gaussians:
    """Return a scene with red for blue, green for red, blue for green."""
    return replace(scene, sh0=scene.sh0[..., [1, 2, 0]])


def moved_limb(scene: Gaussians) -> Gaussians:
    """Return a scene whose right side is half a unit too high: 0.5 of the 0.9 that the toy is wide."""
    is_limb = scene.means[:, 0] > scene.means[:, 0].quantile(0.6)
    return replace(scene, means=scene.means + is_limb[:, None] * torch.tensor([0.0, 0.5, 0.0]))


TOY = 5, 2, 24
"""Seed, frames, pixels."""


@pytest.fixture(scope="module")
def whole() -> GaussianModel4D:
    """A short fit of the toy, undamaged."""
    return Trainer(toy_views(*TOY), small_config(60, TOY[-1])).run()


@pytest.mark.parametrize(
    ("anchors", "damage", "steps", "weight"),
    [("sectors", swapped_colors, 120, 5.0), ("nearest", moved_limb, 100, 20.0)],
)
def test_a_denoiser_that_knows_the_truth_repairs_a_damaged_scene(whole, damage, steps, weight, anchors):
    _, num_frames, size = TOY
    config = small_config(
        steps,
        size,
        losses=NO_PHOTOMETRIC,
        regularizers=RegularizerWeights(),
        guidance=GuidanceConfig(weight=weight, anchors=anchors),
    )
    if damage is moved_limb:  # by geometry only
        config = replace(config, rates=replace(config.rates, colors=LogLinear(start=1e-12, end=1e-12)))
    truth = toy_truth(TOY[0], TEST_POSES, num_frames, size)

    def scores(model: GaussianModel4D) -> dict:
        return compare(*render_views(model, list(TEST_POSES), list(range(num_frames)), size), *truth)

    trainer = Trainer(toy_views(*TOY), config, start=damage(whole.gaussians), denoiser=TrueDenoiser(*TOY))
    before, after = scores(trainer.model()), scores(trainer.run())
    assert after["psnr"] > before["psnr"] + 3
    assert after["iou"] > scores(whole)["iou"] >= before["iou"]


class RedToBlueDenoiser:
    """A denoiser whose prediction moves red towards blue, and is exact where they are equal."""

    key = "red to blue"
    latent_shape = (3, 24, 24)
    alphas_cumprod = torch.zeros(10)  # noisy latents are the noise itself, so that no rounding remains
    poses: Sequence[OrbitPose] = CAMERAS

    def encode(self, images: Tensor, noise: Tensor) -> Tensor:
        self.latents = images.permute(0, 3, 1, 2)
        return self.latents

    def predict(self, noisy, timesteps, conditions, poses, guidance_scale) -> Tensor:
        difference = (self.latents[:, 0] - self.latents[:, 2]).detach()
        return noisy + torch.stack([difference, torch.zeros_like(difference), -difference], dim=1)


def test_densification_adds_gaussians_where_only_guidance_has_gradients():
    generator = torch.Generator().manual_seed(0)
    is_red = torch.arange(40) < 20
    heights = torch.where(is_red, 0.4, -0.4)  # apart as seen from every side
    start = Gaussians(
        means=0.05 * torch.randn(40, 3, generator=generator)
        + heights[:, None] * torch.tensor([0.0, 1.0, 0.0]),
        log_scales=torch.full((40, 3), -3.0),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(40, 1),
        logit_opacities=torch.full((40,), 2.0),
        sh0=torch.where(is_red[:, None, None], torch.tensor([1.0, -1.0, -1.0]), torch.tensor(0.0)),
    )
    densification = DensificationConfig(
        strategy=AdaptivePercentile(top_share=0.5),
        start=0.0,
        stop=1.0,
        every=4,
        clone_scale=1.0,
        max_scale=1.0,
    )
    config = small_config(
        4, losses=NO_PHOTOMETRIC, regularizers=RegularizerWeights(), densification=densification
    )

    trainer = Trainer(small_view_set(), config, start=start, denoiser=RedToBlueDenoiser())
    found = trainer.run().gaussians.means[:, 1]
    assert (found < 0).sum() == 20
    assert (found > 0).sum() == 30  # half of the red ones were cloned
