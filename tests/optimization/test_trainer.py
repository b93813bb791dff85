"""The loop: it gets closer, it repeats itself exactly, and it says when it breaks down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
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
    preset,
)
from stag4d.optimization.training_views import TrainingViews
from stag4d.rendering import render
from stag4d.scene import GaussianModel4D
from stag4d.toys import TEST_POSES, toy_seed, toy_truth, toy_views
from stag4d.types import Cameras, StepReport, ViewSet

NO_PICTURES = LossWeights(input_color=0, input_alpha=0, view_color=0, view_alpha=0)


def tensors_of(model: GaussianModel4D) -> dict[str, Tensor]:
    """Return everything that a scene consists of."""
    field = {} if model.deformation is None else model.deformation.state_dict()
    return {**model.gaussians.as_dict(), **field}


def are_equal(first: GaussianModel4D, second: GaussianModel4D) -> bool:
    """Return whether two scenes have the same bytes."""
    left, right = tensors_of(first), tensors_of(second)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def mean_psnr(model: GaussianModel4D, views: ViewSet, size: int) -> float:
    """Return the PSNR of all given pictures on white."""
    given = TrainingViews.from_views(views, size)
    cameras = torch.arange(given.num_cameras)
    with torch.no_grad():
        scores = [
            psnr(render(model.at(model.frame_times[[frame]])[0], given.cameras).images,
                 given.targets(frame, cameras, torch.ones(len(cameras), 3), size).images)
            for frame in range(given.num_frames)
        ]  # fmt: skip
    return torch.stack(scores).mean().item()


def unseen_psnr(model: GaussianModel4D, seed: int, size: int) -> float:
    """Return the PSNR of a toy's scene of one frame on white, at cameras that no given picture has."""
    truth = toy_truth(seed, TEST_POSES, 1, size)
    images = render(model.at(model.frame_times)[0], Cameras.from_poses(TEST_POSES, size, size)).images
    return psnr(images, on_white(*(part[:, 0] for part in truth))).mean().item()


def test_a_fit_lowers_the_loss_and_gets_closer_to_the_pictures_by_moving_too(clip, make_config):
    trainer = Trainer(clip, make_config(steps=200, start=StartConfig(kind="ball", num_points=300, bound=0.5)))
    start = mean_psnr(trainer.model(), clip, 24)
    reports: list[StepReport] = []
    model = trainer.run(reports.append)
    reached = mean_psnr(model, clip, 24)
    assert reached > start + 3
    first, last = (sum(report.losses["total"] for report in part) for part in (reports[:3], reports[-3:]))
    assert last < 0.9 * first
    still = GaussianModel4D(model.gaussians, None, model.info)
    assert reached > mean_psnr(still, clip, 24) + 1


def test_the_same_seed_gives_the_same_bytes(clip, make_config):
    first, second, other = (Trainer(clip, make_config(seed=seed)).run() for seed in (1, 1, 2))
    assert are_equal(first, second)
    assert not are_equal(first, other)


def test_the_static_phase_sees_the_middle_frame_alone_and_moves_nothing(clip, make_config):
    config = make_config(batch=BatchConfig(static_until=1.0))
    trainer = Trainer(clip, config)
    field_before = {name: value.clone() for name, value in trainer.scene.deformation.state_dict().items()}
    model = trainer.run()
    assert all(
        torch.equal(field_before[name], value) for name, value in model.deformation.state_dict().items()
    )

    def without(frames: list[int]) -> GaussianModel4D:
        changed = replace(clip, images=clip.images.clone(), view_images=clip.view_images.clone())
        changed.images[frames], changed.view_images[frames] = 0.5, 0.5
        return Trainer(changed, config).run()

    assert are_equal(model, without([0, 2]))
    assert not are_equal(model, without([1]))


def test_the_ends_of_a_clip_are_seen_when_the_frames_have_spread(clip, make_config):
    order = [0, 0, 1, 2, 2]
    longer = replace(
        clip, images=clip.images[order], alphas=clip.alphas[order], view_images=clip.view_images[order],
        view_alphas=clip.view_alphas[order],
    )  # fmt: skip
    config = make_config(steps=20, batch=BatchConfig(static_until=0.2, spread_until=1.0))

    def after(steps: int, gray: list[int]) -> GaussianModel4D:
        changed = replace(longer, images=longer.images.clone())
        changed.images[gray] = 0.5
        trainer = Trainer(changed, config)
        return trainer.run(should_stop=lambda: trainer.step == steps)

    assert are_equal(after(12, []), after(12, [0, 4]))  # at 0.2 + 0.8 / 2 of the run one more frame is seen
    assert not are_equal(after(12, []), after(12, [1]))
    assert not are_equal(after(20, []), after(20, [0, 4]))


def test_one_frame_gives_a_scene_that_does_not_move(clip, make_config):
    still = replace(
        clip, images=clip.images[:1], alphas=clip.alphas[:1], view_images=clip.view_images[:1],
        view_alphas=clip.view_alphas[:1],
    )  # fmt: skip
    trainer = Trainer(still, make_config(steps=60))
    start = mean_psnr(trainer.model(), still, 24)
    model = trainer.run()
    assert model.deformation is None
    assert mean_psnr(model, still, 24) > start + 2


def test_the_input_alone_is_enough_to_fit(clip, make_config):
    alone = replace(
        clip, view_images=clip.view_images[:, :0], view_alphas=clip.view_alphas[:, :0], view_poses=()
    )
    trainer = Trainer(alone, make_config(steps=60))
    start = mean_psnr(trainer.model(), alone, 24)
    assert mean_psnr(trainer.run(), alone, 24) > start + 2


@pytest.mark.parametrize(("size", "expected"), [(16, 16), (24, 24), (100, 24)])
def test_pictures_are_not_enlarged(clip, make_config, size, expected):
    assert Trainer(clip, make_config(size=size)).views.size == expected


def test_the_given_start_is_used_and_left_as_it_was(clip, make_config, make_gaussians):
    start = make_gaussians(7)
    before = start.map(Tensor.clone)
    trainer = Trainer(clip, make_config(), start=start)
    assert torch.equal(trainer.model().gaussians.means, start.means)
    model = trainer.run()
    assert len(model.gaussians) == 7
    assert not torch.equal(model.gaussians.means, start.means)
    assert all(torch.equal(getattr(start, name), value) for name, value in before.as_dict().items())


def test_an_empty_start_is_refused(clip, make_config, make_gaussians):
    with pytest.raises(ValueError, match="start: no Gaussians; expected at least one"):
        Trainer(clip, make_config(), start=make_gaussians(0))


def test_a_hull_start_has_the_asked_number_inside_its_cube(clip, make_config):
    config = make_config()
    config = replace(config, start=replace(config.start, kind="hull", num_points=130, bound=0.8))
    means = Trainer(clip, config).model().gaussians.means
    assert means.shape == (130, 3)
    assert means.abs().max() <= 0.81
    assert means.std(dim=0).min() > 0.01


def test_leaner_shapes_are_preferred_where_no_picture_looks(clip, make_config):
    """Between the given views a fit covers less of pictures from elsewhere, and as much of the given ones."""
    elsewhere = Cameras.from_poses([OrbitPose(azimuth_deg=angle) for angle in (60, 120, 180, 240)], 32, 32)
    areas, given = [], []
    for weight in (0.0, 0.1):
        regularizers = RegularizerWeights(silhouette_area=weight)
        model = Trainer(clip, make_config(steps=200, regularizers=regularizers)).run()
        gaussians = model.at(model.frame_times[[0]])[0]
        areas.append(render(gaussians, elsewhere).alphas.mean().item())
        given.append(mean_psnr(model, clip, 32))
    assert areas[1] < 0.97 * areas[0]
    assert given[1] > given[0] - 1.5


def test_the_report_has_the_shares_of_what_is_judged_from_elsewhere(clip, make_config):
    reports: list[StepReport] = []
    regularizers = RegularizerWeights(silhouette_area=0.1, depth_roughness=1.0)
    Trainer(clip, make_config(steps=10, regularizers=regularizers)).run(reports.append)
    assert 0 < reports[-1].losses["silhouette_area"] < 0.1
    assert 0 < reports[-1].losses["depth_roughness"] < 0.1


def test_reports_come_every_ten_steps_and_after_the_last(clip, make_config):
    reports: list[StepReport] = []
    Trainer(clip, make_config(steps=23)).run(reports.append)
    assert [report.step for report in reports] == [10, 20, 23]
    assert {report.num_steps for report in reports} == {23}
    assert {report.num_gaussians for report in reports} == {100}
    for report in reports:
        terms = {name: value for name, value in report.losses.items() if name != "total"}
        assert terms.keys() >= {"color", "alpha", "scale_cap"}
        assert report.losses["total"] == pytest.approx(sum(terms.values()))


def test_stopping_keeps_what_was_reached_and_going_on_changes_nothing(clip, make_config):
    config = make_config(steps=20)
    whole = Trainer(clip, config).run()
    trainer = Trainer(clip, config)
    reports: list[StepReport] = []
    stopped = trainer.run(reports.append, should_stop=lambda: trainer.step == 7)
    assert trainer.step == 7
    assert [report.step for report in reports] == [7]
    assert are_equal(stopped, trainer.model())
    assert not are_equal(stopped, whole)
    assert are_equal(trainer.run(), whole)


def test_a_finished_fit_has_nothing_left_to_do(clip, make_config):
    trainer = Trainer(clip, make_config(steps=3))
    model = trainer.run()
    assert are_equal(trainer.run(), model)


def test_densification_changes_the_number_within_its_limits(clip, make_config):
    densification = DensificationConfig(
        strategy=AdaptivePercentile(top_share=0.1), start=0.4, stop=0.8, every=10, max_gaussians=115,
        clone_scale=0.05, min_opacity=0.001, max_scale=1.0,
    )  # fmt: skip
    counts = []
    Trainer(clip, make_config(steps=50, densification=densification)).run(
        lambda report: counts.append(report.num_gaussians)
    )
    assert counts == [100, 100, 110, 115, 115]  # due after steps 30 and 40: a tenth, then up to the cap


def test_a_single_frame_is_compared_as_often_when_the_static_phase_is_over(clip, make_config):
    still = replace(clip, images=clip.images[:1], alphas=clip.alphas[:1],
                    view_images=clip.view_images[:1], view_alphas=clip.view_alphas[:1])  # fmt: skip
    trainer = Trainer(still, make_config())
    for progress in (0.0, 0.9):
        assert [draw.frame for draw in trainer._draw(progress)] == [0, 0]


def test_a_start_that_is_not_finite_is_refused(clip, make_config, make_gaussians):
    start = make_gaussians(4)
    start.means[2, 1] = float("nan")
    with pytest.raises(ValueError, match=r"^start: means are not finite; every number must be\.$"):
        Trainer(clip, make_config(), start=start)


def test_a_scene_without_gaussians_stops_the_fit(clip, make_config):
    config = make_config(densification=DensificationConfig(start=0, stop=1, every=3, min_opacity=1.0))
    with pytest.raises(RuntimeError, match=r"^step 3: no Gaussian is left after pruning; lower min_opacity"):
        Trainer(clip, config).run()


@pytest.mark.parametrize(
    ("group", "rate", "message"),
    [
        ("colors", 1e37, r"^step 10: the \w+ loss is (nan|inf); lower the learning rates"),
        ("means", 1e38, r"^step 10: means are no longer finite; lower their learning rate"),
    ],
)
def test_an_exploding_learning_rate_stops_the_fit(clip, make_config, group, rate, message):
    config = make_config()
    rates = replace(config.rates, **{group: LogLinear(start=rate, end=rate)})
    with pytest.raises(RuntimeError, match=message):
        Trainer(clip, replace(config, rates=rates)).run()


def test_what_is_not_finite_is_named_and_not_pruned(clip, make_config):
    config = make_config(densification=DensificationConfig(start=0, stop=1, every=3))
    rates = replace(config.rates, log_scales=LogLinear(start=1e38, end=1e38))
    with pytest.raises(RuntimeError, match=r"^step 3: log_scales are no longer finite"):
        Trainer(clip, replace(config, rates=rates)).run()


def test_what_is_not_finite_is_not_kept_when_stopped_either(clip, make_config):
    config = make_config()
    config = replace(config, rates=replace(config.rates, means=LogLinear(start=1e38, end=1e38)))
    trainer = Trainer(clip, config)
    with pytest.raises(RuntimeError, match="means are no longer finite"):
        trainer.run(should_stop=lambda: trainer.step == 5)


def test_a_fit_from_the_visual_hull_beats_one_from_a_ball():
    """At views that no picture shows, after the same short time."""
    seed = toy_seed("val", 1)
    config = preset("fast", steps=60, size=48)
    scores = []
    for kind in ("hull", "ball"):
        start = StartConfig(kind=kind, num_points=1000, bound=1.0 if kind == "hull" else 0.5)
        model = Trainer(toy_views(seed, 1, 48), replace(config, start=start)).run()
        scores.append(unseen_psnr(model, seed, 48))
    assert scores[0] > scores[1] + 1


def test_one_view_of_something_else_spoils_a_scene_only_in_part():
    """Another toy's picture is the last of the six views; the hull need not explain it."""
    seed, other = toy_seed("val", 0), toy_seed("val", 2)
    views, wrong = toy_views(seed, 1, 48), toy_views(other, 1, 48)
    mixed = replace(
        views,
        view_images=torch.cat([views.view_images[:, :5], wrong.view_images[:, 5:]], dim=1),
        view_alphas=torch.cat([views.view_alphas[:, :5], wrong.view_alphas[:, 5:]], dim=1),
    )
    config = preset("fast", steps=100, size=48)
    scores = [unseen_psnr(Trainer(given, config).run(), seed, 48) for given in (views, mixed)]
    assert scores[1] > scores[0] - 4


def test_pixels_that_are_not_numbers_are_refused(clip):
    images = clip.images.clone()
    images[1, 3, 4, 0] = float("nan")
    with pytest.raises(ValueError, match="not-a-number or infinite pixels"):
        replace(clip, images=images)


def test_preset_paper_without_a_prior_is_refused(clip):
    with pytest.raises(ValueError, match=r"^preset paper: .* by a prior alone; give a guidance model"):
        Trainer(clip, preset("paper"))


class Painter:
    """A prior that wants every render to be one color everywhere: the mean squared distance to it."""

    key = "painter"

    def __init__(self, color: tuple[float, float, float]) -> None:
        self.color = torch.tensor(color)
        self.seen: list[tuple[Tensor, list[int], list[OrbitPose], float]] = []

    def loss(
        self, images: Tensor, frames: list[int], poses: list[OrbitPose], progress: float,
        generator: torch.Generator,
    ) -> Tensor:  # fmt: skip
        self.seen.append((images.detach().clone(), frames, poses, progress))
        return (images - self.color).square().mean()


@pytest.fixture
def guided(make_config) -> Callable[..., Trainer]:
    """A function that makes a fit which a prior alone supervises."""

    def make(clip: ViewSet, prior: Painter, **options: float) -> Trainer:
        config = make_config(
            steps=40,
            losses=NO_PICTURES,
            regularizers=RegularizerWeights(),
            guidance=GuidanceConfig(**options),
        )
        config = replace(config, start=replace(config.start, bound=0.8))
        return Trainer(clip, config, prior=prior)

    return make


def test_a_prior_alone_makes_the_scene_as_it_wants_it(clip, guided):
    prior = Painter((0.9, 0.1, 0.2))
    trainer = guided(clip, prior)
    before = trainer.model().gaussians
    after = trainer.run().gaussians

    def distance(step: int) -> float:
        return sum((images - prior.color).square().mean().item() for images, *_ in prior.seen[step:][:5])

    assert distance(-5) < 0.8 * distance(0)
    towards = (prior.color - before.colors).sign()
    assert ((after.colors - before.colors).mean(dim=0) * towards[0] > 0.05).all()


def test_the_report_has_the_priors_own_score_times_its_weight(clip, guided):
    prior = Painter((0.9, 0.1, 0.2))
    reports: list[StepReport] = []
    trainer = guided(clip, prior, weight=2.5)
    trainer.run(reports.append, should_stop=lambda: trainer.step == 1)
    expected = 2.5 * (prior.seen[0][0] - prior.color).square().mean().item()
    assert reports[0].losses["guidance"] == pytest.approx(expected, rel=1e-5)
    assert reports[0].losses["color"] == 0


def test_a_prior_sees_renders_of_the_steps_frames_from_random_poses(clip, guided):
    prior = Painter((0.5, 0.5, 0.5))
    guided(clip, prior, max_elevation_deg=20).run()
    assert [seen[3] for seen in prior.seen] == pytest.approx([step / 40 for step in range(40)])
    for images, frames, poses, progress in prior.seen:
        assert images.shape == (len(frames), 24, 24, 3)
        assert len(poses) == len(frames)
        assert set(frames) == {1} if progress < 0.2 else len(set(frames)) == 2
    corners = prior.seen[0][0][:, [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1)  # [B, 12], where nothing is yet
    assert torch.equal(corners, corners[:, :1].expand(-1, 12))
    assert set(corners.flatten().tolist()) <= {0.0, 1.0}  # black or white
    poses = [pose for seen in prior.seen for pose in seen[2]]
    elevations = torch.tensor([pose.elevation_deg for pose in poses])
    azimuths = torch.tensor([pose.azimuth_deg for pose in poses])
    assert 15 < elevations.abs().max() <= 20
    assert (azimuths.histc(4, -180, 180) > 3).all()
    assert {(pose.radius, pose.fovy_deg) for pose in poses} == {(2.0, 49.1)}
