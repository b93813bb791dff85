"""The optimization loop: it converges, is reproducible to the byte, and reports divergence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from changed_views import changed_views
from constant_color import ConstantColorDenoiser
from recording import Recorder
from small_fit import shrunk
from torch import Tensor

from stag4d.evaluation.metrics import on_white, psnr
from stag4d.geometry import OrbitPose
from stag4d.optimization import (
    AdaptivePercentile,
    BatchConfig,
    DensificationConfig,
    GuidanceConfig,
    LogLinear,
    LossWeights,
    RegularizerWeights,
    StartConfig,
    Trainer,
    TrainingViews,
    preset,
)
from stag4d.progress import Interrupted
from stag4d.rendering import render
from stag4d.scene import GaussianModel4D
from stag4d.toys import TEST_POSES, toy_seed, toy_truth, toy_views
from stag4d.types import Cameras
from stag4d.view_set import ViewSet

NO_PHOTOMETRIC = LossWeights(input_color=0, input_alpha=0, view_color=0, view_alpha=0)


def tensors_of(model: GaussianModel4D) -> dict[str, Tensor]:
    """Return all tensors of a scene."""
    field = {} if model.deformation is None else model.deformation.state_dict()
    return {**model.gaussians.as_dict(), **field}


def are_equal(first: GaussianModel4D, second: GaussianModel4D) -> bool:
    """Return whether two scenes have the same bytes."""
    left, right = tensors_of(first), tensors_of(second)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def mean_psnr(model: GaussianModel4D, views: ViewSet, size: int) -> float:
    """Return the PSNR of all given images on white."""
    given = TrainingViews.from_views(views, size)
    all_views = torch.arange(given.num_cameras)
    with torch.no_grad():
        scores = [
            psnr(render(model.at(model.frame_times[[frame]])[0], batch.cameras).images, batch.targets.images)
            for frame in range(given.num_frames)
            for batch in given.batches([frame], all_views[None], torch.ones(len(all_views), 3), size)
        ]
    return torch.stack(scores).mean().item()


def unseen_psnr(model: GaussianModel4D, seed: int, size: int) -> float:
    """Return the PSNR of a toy's scene of one frame on white, at cameras that are not given."""
    truth = toy_truth(seed, TEST_POSES, 1, size)
    images = render(model.at(model.frame_times)[0], Cameras.from_poses(TEST_POSES, size, size)).images
    return psnr(images, on_white(*(part[:, 0] for part in truth))).mean().item()


def test_a_fit_lowers_the_loss_and_raises_psnr_also_by_deformation(view_set, make_config):
    trainer = Trainer(
        view_set, make_config(steps=200, start=StartConfig(kind="ball", num_points=300, bound=0.5))
    )
    start = mean_psnr(trainer.model(), view_set, 24)
    totals: list[float] = []
    model = trainer.run(after_step=lambda: totals.append(trainer.losses["total"]))
    reached = mean_psnr(model, view_set, 24)
    assert reached > start + 3
    assert sum(totals[-10:]) < 0.9 * sum(totals[:10])
    still = GaussianModel4D(model.gaussians, None, model.info)
    assert reached > mean_psnr(still, view_set, 24) + 1


def test_the_same_seed_gives_the_same_bytes(view_set, make_config):
    first, second, other = (Trainer(view_set, make_config(seed=seed)).run() for seed in (1, 1, 2))
    assert are_equal(first, second)
    assert not are_equal(first, other)


def test_the_static_phase_uses_the_middle_frame_only_and_no_deformation(view_set, make_config):
    config = make_config(batch=BatchConfig(static_until=1.0))
    trainer = Trainer(view_set, config)
    field_before = {name: value.clone() for name, value in trainer.scene.deformation.state_dict().items()}
    model = trainer.run()
    assert all(
        torch.equal(field_before[name], value) for name, value in model.deformation.state_dict().items()
    )

    def without(frames: list[int]) -> GaussianModel4D:
        images, view_images = view_set.images.clone(), view_set.view_images
        images[frames], view_images[frames] = 0.5, 0.5
        return Trainer(changed_views(view_set, images=images, view_images=view_images), config).run()

    assert are_equal(model, without([0, 2]))
    assert not are_equal(model, without([1]))


def test_the_first_and_last_frames_are_used_once_the_frames_have_spread(view_set, make_config):
    order = [0, 0, 1, 2, 2]
    longer = changed_views(
        view_set,
        images=view_set.images[order],
        alphas=view_set.alphas[order],
        view_images=view_set.view_images[order],
        view_alphas=view_set.view_alphas[order],
    )
    config = make_config(steps=20, batch=BatchConfig(static_until=0.2, spread_until=1.0))

    def after(steps: int, gray: list[int]) -> GaussianModel4D:
        changed = changed_views(longer, images=longer.images.clone())
        changed.images[gray] = 0.5
        trainer = Trainer(changed, config)
        with suppress(Interrupted):
            trainer.run(Recorder(("optimize", steps)))
        return trainer.model()

    assert are_equal(after(12, []), after(12, [0, 4]))  # at 0.2 + 0.8 / 2 of the run one more frame is used
    assert not are_equal(after(12, []), after(12, [1]))
    assert not are_equal(after(20, []), after(20, [0, 4]))


def test_one_frame_gives_a_static_scene(view_set, make_config):
    still = changed_views(
        view_set,
        images=view_set.images[:1],
        alphas=view_set.alphas[:1],
        view_images=view_set.view_images[:1],
        view_alphas=view_set.view_alphas[:1],
    )
    trainer = Trainer(still, make_config(steps=60))
    start = mean_psnr(trainer.model(), still, 24)
    model = trainer.run()
    assert model.deformation is None
    assert mean_psnr(model, still, 24) > start + 2


def test_a_fit_without_posed_views_converges(view_set, make_config):
    alone = changed_views(
        view_set,
        view_images=view_set.view_images[:, :0],
        view_alphas=view_set.view_alphas[:, :0],
        view_poses=(),
    )
    trainer = Trainer(alone, make_config(steps=60))
    start = mean_psnr(trainer.model(), alone, 24)
    assert mean_psnr(trainer.run(), alone, 24) > start + 2


@pytest.mark.parametrize(("size", "expected"), [(16, 16), (24, 24), (100, 24)])
def test_the_fit_is_at_most_as_large_as_the_images(view_set, make_config, size, expected):
    assert Trainer(view_set, make_config(size=size)).views.size == expected


def test_given_initial_gaussians_are_used_and_not_modified(view_set, make_config, make_gaussians):
    start = make_gaussians(7)
    before = start.map(Tensor.clone)
    trainer = Trainer(view_set, make_config(), start=start)
    assert torch.equal(trainer.model().gaussians.means, start.means)
    model = trainer.run()
    assert len(model.gaussians) == 7
    assert not torch.equal(model.gaussians.means, start.means)
    assert all(torch.equal(getattr(start, name), value) for name, value in before.as_dict().items())


def test_an_empty_start_is_refused(view_set, make_config, make_gaussians):
    with pytest.raises(ValueError, match="start: no Gaussians; expected at least one"):
        Trainer(view_set, make_config(), start=make_gaussians(0))


def test_a_hull_start_has_the_configured_number_of_points_inside_its_cube(view_set, make_config):
    config = make_config()
    config = replace(config, start=replace(config.start, kind="hull", num_points=130, bound=0.8))
    means = Trainer(view_set, config).model().gaussians.means
    assert means.shape == (130, 3)
    assert means.abs().max() <= 0.81
    assert means.std(dim=0).min() > 0.01


def test_silhouette_area_shrinks_novel_views_and_keeps_the_given_ones(view_set, make_config):
    """The regularizer lowers the mean alpha of novel views at little cost in PSNR of the given views."""
    novel = Cameras.from_poses([OrbitPose(azimuth_deg=angle) for angle in (60, 120, 180, 240)], 32, 32)
    areas, given = [], []
    for weight in (0.0, 0.1):
        regularizers = RegularizerWeights(silhouette_area=weight)
        model = Trainer(view_set, make_config(steps=200, regularizers=regularizers)).run()
        gaussians = model.at(model.frame_times[[0]])[0]
        areas.append(render(gaussians, novel).alphas.mean().item())
        given.append(mean_psnr(model, view_set, 32))
    assert areas[1] < 0.97 * areas[0]
    assert given[1] > given[0] - 1.5


def test_the_losses_contain_the_novel_view_regularization(view_set, make_config):
    regularizers = RegularizerWeights(silhouette_area=0.1, depth_roughness=1.0)
    trainer = Trainer(view_set, make_config(steps=10, regularizers=regularizers))
    trainer.run()
    assert 0 < trainer.losses["silhouette_area"] < 0.1
    assert 0 < trainer.losses["depth_roughness"] < 0.1


def test_one_random_novel_view_is_rendered_in_each_step(view_set, make_config):
    trainer = Trainer(view_set, make_config(regularizers=RegularizerWeights(silhouette_area=0.1)))
    first, second = trainer._sample_frames(0.5)
    assert first.novel_pose is not None
    assert second.novel_pose is None


def test_fast_motion_is_not_smoothed_over_time(view_set, make_config):
    weights = RegularizerWeights(time_smoothness=0.01, calm_motion=0.15)
    moving = view_set.alphas.clone()
    moving[1] = moving[1].flip(0)  # upside down in the middle frame
    moved = changed_views(view_set, alphas=moving, view_alphas=view_set.view_alphas)
    still = changed_views(
        view_set,
        alphas=view_set.alphas[[0, 0, 0]],
        view_alphas=view_set.view_alphas[[0, 0, 0]],
    )
    motion = TrainingViews.from_views(moved, 24).motion([0, 1, 2]).mean().item()
    expected = 0.01 * min(max(2 - motion / 0.15, 0), 1)
    assert expected < 0.009
    always = RegularizerWeights(time_smoothness=0.01)  # as the official code
    for views, chosen, weight in ((still, weights, 0.01), (moved, weights, expected), (moved, always, 0.01)):
        trainer = Trainer(views, make_config(regularizers=chosen))
        assert trainer.regularizers.time_smoothness == pytest.approx(weight)


def test_the_monitor_is_called_after_every_step_with_a_note_every_ten(view_set, make_config):
    monitor = Recorder()
    trainer = Trainer(view_set, make_config(steps=23))
    assert trainer.losses == {}
    trainer.run(monitor)
    assert {(stage, total) for stage, _, total in monitor.calls} == {("optimize", 23)}
    done = monitor.of("optimize")
    assert done == sorted(done) and set(done) == set(range(24))
    notes = dict(zip(done, monitor.notes, strict=True))  # the last of each step
    for steps in (range(1, 10), range(10, 20), range(20, 23)):
        assert len({notes[step] for step in steps}) == 1
    assert notes[1] == ""
    assert all(notes[step].endswith(", 100 Gaussians") for step in range(10, 24))
    terms = {name: value for name, value in trainer.losses.items() if name != "total"}
    assert terms.keys() >= {"color", "alpha", "scale_cap"}
    assert trainer.losses["total"] == pytest.approx(sum(terms.values()))
    assert monitor.notes[-1] == f"loss {trainer.losses['total']:.4f}, 100 Gaussians"


def test_the_preview_is_the_current_scene(view_set, make_config):
    monitor = Recorder(("optimize", 3), wants_previews=True)
    trainer = Trainer(view_set, make_config())
    with pytest.raises(Interrupted):
        trainer.run(monitor)
    assert are_equal(monitor.previews[-1], trainer.model())
    assert not are_equal(monitor.previews[0], trainer.model())


def test_an_interrupted_fit_continues_to_the_same_result(view_set, make_config):
    config = make_config(steps=20)
    whole = Trainer(view_set, config).run()
    trainer = Trainer(view_set, config)
    with pytest.raises(Interrupted):
        trainer.run(Recorder(("optimize", 7)))
    assert trainer.step == 7
    assert not are_equal(trainer.model(), whole)
    assert are_equal(trainer.run(), whole)


def test_a_finished_fit_has_nothing_left_to_do(view_set, make_config):
    trainer = Trainer(view_set, make_config(steps=3))
    model = trainer.run()
    assert are_equal(trainer.run(), model)


def test_densification_changes_the_number_of_gaussians_up_to_the_cap(view_set, make_config):
    densification = DensificationConfig(
        strategy=AdaptivePercentile(top_share=0.1),
        start=0.4,
        stop=0.8,
        every=10,
        max_gaussians=115,
        clone_scale=0.05,
        min_opacity=0.001,
        max_scale=1.0,
    )
    counts: list[int] = []
    trainer = Trainer(view_set, make_config(steps=50, densification=densification))
    trainer.run(after_step=lambda: counts.append(len(trainer.scene.gaussians)))
    assert counts[9::10] == [100, 100, 110, 115, 115]  # after steps 30 and 40: a tenth, then up to the cap


def test_a_single_frame_is_rendered_as_often_in_both_phases(view_set, make_config):
    still = changed_views(
        view_set,
        images=view_set.images[:1],
        alphas=view_set.alphas[:1],
        view_images=view_set.view_images[:1],
        view_alphas=view_set.view_alphas[:1],
    )
    trainer = Trainer(still, make_config())
    for progress in (0.0, 0.9):
        assert [sample.frame for sample in trainer._sample_frames(progress)] == [0, 0]


def test_gaussians_of_a_start_that_are_not_finite_are_dropped(view_set, make_config, make_gaussians, caplog):
    start = make_gaussians(4)
    expected = start.means[[0, 1, 3]].clone()
    start.means[2, 1] = float("nan")
    trainer = Trainer(view_set, make_config(), start=start)
    assert torch.equal(trainer.model().gaussians.means, expected)
    assert "start: 1 of 4 Gaussians have values that are not finite; they are dropped." in caplog.text


def test_a_start_outside_every_view_is_refused(view_set, make_config, make_gaussians):
    start = make_gaussians(4)
    with pytest.raises(ValueError, match=r"^start: 4 of 4 Gaussians lie outside every view"):
        Trainer(view_set, make_config(), start=replace(start, means=start.means + 100))


def test_a_fit_without_gaussians_is_an_error(view_set, make_config):
    config = make_config(densification=DensificationConfig(start=0, stop=1, every=3, min_opacity=1.0))
    with pytest.raises(RuntimeError, match=r"^step 3: no Gaussian is left after pruning; lower min_opacity"):
        Trainer(view_set, config).run()


@pytest.mark.parametrize(
    ("group", "rate", "message"),
    [
        ("colors", 1e37, r"^step 10: the \w+ loss is (nan|inf); lower the learning rates"),
        ("means", 1e38, r"^step 10: means are no longer finite; lower their learning rate"),
    ],
)
def test_divergence_is_an_error(view_set, make_config, group, rate, message):
    config = make_config()
    rates = replace(config.rates, **{group: LogLinear(start=rate, end=rate)})
    with pytest.raises(RuntimeError, match=message):
        Trainer(view_set, replace(config, rates=rates)).run()


def test_parameters_that_are_not_finite_are_an_error_and_not_pruned(view_set, make_config):
    config = make_config(densification=DensificationConfig(start=0, stop=1, every=3))
    rates = replace(config.rates, log_scales=LogLinear(start=1e38, end=1e38))
    with pytest.raises(RuntimeError, match=r"^step 3: log_scales are no longer finite"):
        Trainer(view_set, replace(config, rates=rates)).run()


def test_parameters_that_are_not_finite_are_an_error_at_an_interrupt_too(view_set, make_config):
    config = make_config()
    config = replace(config, rates=replace(config.rates, means=LogLinear(start=1e38, end=1e38)))
    trainer = Trainer(view_set, config)
    with pytest.raises(RuntimeError, match="means are no longer finite"):
        trainer.run(Recorder(("optimize", 5)))


def test_a_fit_from_the_visual_hull_beats_one_from_a_ball():
    """At novel views, after the same few steps."""
    seed = toy_seed("val", 1)
    config = preset("fast", steps=60, size=48)
    scores = []
    for kind in ("hull", "ball"):
        start = StartConfig(kind=kind, num_points=1000, bound=1.0 if kind == "hull" else 0.5)
        model = Trainer(toy_views(seed, 1, 48), replace(config, start=start)).run()
        scores.append(unseen_psnr(model, seed, 48))
    assert scores[0] > scores[1] + 1


def test_one_wrong_view_costs_at_most_four_db():
    """The last of the six views shows another toy; the hull tolerates one view that disagrees."""
    seed, other = toy_seed("val", 0), toy_seed("val", 2)
    views, wrong = toy_views(seed, 1, 48), toy_views(other, 1, 48)
    mixed = changed_views(
        views,
        view_images=torch.cat([views.view_images[:, :5], wrong.view_images[:, 5:]], dim=1),
        view_alphas=torch.cat([views.view_alphas[:, :5], wrong.view_alphas[:, 5:]], dim=1),
    )
    config = shrunk(preset("fast", steps=100, size=48), num_points=600)
    scores = [unseen_psnr(Trainer(given, config).run(), seed, 48) for given in (views, mixed)]
    assert scores[1] > scores[0] - 4


def test_pixels_that_are_not_finite_are_refused(view_set):
    images = view_set.images.clone()
    images[1, 3, 4, 0] = float("nan")
    with pytest.raises(ValueError, match="not-a-number or infinite pixels"):
        changed_views(view_set, images=images)


def test_preset_paper_without_guidance_is_refused(view_set):
    with pytest.raises(ValueError, match=r"^preset paper: only score distillation .*; give a guidance model"):
        Trainer(view_set, preset("paper"))


@pytest.fixture
def sds_only(make_config) -> Callable[..., tuple[Trainer, ConstantColorDenoiser]]:
    """A function that makes a fit which score distillation alone supervises."""

    def make(
        view_set: ViewSet, color: tuple[float, float, float], **options: float
    ) -> tuple[Trainer, ConstantColorDenoiser]:
        config = make_config(
            steps=40,
            losses=NO_PHOTOMETRIC,
            regularizers=RegularizerWeights(),
            guidance=GuidanceConfig(**options),
        )
        config = replace(config, start=replace(config.start, bound=0.8))
        denoiser = ConstantColorDenoiser(color, (view_set.input_pose, *view_set.view_poses))
        return Trainer(view_set, config, denoiser=denoiser), denoiser

    return make


def test_score_distillation_alone_moves_the_scene_towards_what_the_denoiser_predicts(view_set, sds_only):
    trainer, denoiser = sds_only(view_set, (0.9, 0.1, 0.2))
    before = trainer.model().gaussians
    after = trainer.run().gaussians
    assert sum(map(denoiser.loss, range(35, 40))) < 0.8 * sum(map(denoiser.loss, range(5)))
    direction = (denoiser.color - before.colors).sign()
    assert ((after.colors - before.colors).mean(dim=0) * direction[0] > 0.05).all()


def test_the_guidance_loss_is_weighted(view_set, sds_only):
    trainer, denoiser = sds_only(view_set, (0.9, 0.1, 0.2), weight=2.5)
    with pytest.raises(Interrupted):
        trainer.run(Recorder(("optimize", 1)))
    assert trainer.losses["guidance"] == pytest.approx(2.5 * denoiser.loss(0), rel=1e-5)
    assert trainer.losses["color"] == 0


def test_guidance_is_given_renders_of_the_steps_frames_from_random_poses(view_set, sds_only):
    trainer, denoiser = sds_only(view_set, (0.5, 0.5, 0.5), max_elevation_deg=20)
    trainer.run()
    assert len(denoiser.images) == 40
    for step, (images, frames, poses) in enumerate(
        zip(denoiser.images, denoiser.frames, denoiser.render_poses, strict=True)
    ):
        assert images.shape == (len(frames), 24, 24, 3)
        assert len(poses) == len(frames)
        assert set(frames) == {1} if step < 0.2 * 40 else len(set(frames)) == 2
    corners = denoiser.images[0][:, [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1)  # [B, 12] of background
    assert torch.equal(corners, corners[:, :1].expand(-1, 12))
    assert set(corners.flatten().tolist()) <= {0.0, 1.0}  # black or white
    poses = [pose for step_poses in denoiser.render_poses for pose in step_poses]
    elevations = torch.tensor([pose.elevation_deg for pose in poses])
    azimuths = torch.tensor([pose.azimuth_deg for pose in poses])
    assert 15 < elevations.abs().max() <= 20
    assert (azimuths.histc(4, -180, 180) > 3).all()
    assert {(pose.radius, pose.fovy_deg) for pose in poses} == {(2.0, 49.1)}


@pytest.mark.parametrize("is_parallel", [False, True])
def test_the_scene_does_not_depend_on_the_threads_of_the_frames(
    view_set, make_config, monkeypatch, is_parallel
):
    def choices():
        while True:
            yield is_parallel

    expected = Trainer(view_set, make_config(steps=12)).run()  # with one thread
    monkeypatch.setattr("stag4d.optimization.frame_pool.parallel_choices", choices)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert are_equal(Trainer(view_set, make_config(steps=12)).run(), expected)
    finally:
        torch.set_num_threads(before)
