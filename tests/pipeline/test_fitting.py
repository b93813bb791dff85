"""A fit with checkpoint and report, its output files, and its measures on held-out views."""

from __future__ import annotations

import json
import logging
import math
import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from changed_views import changed_views
from recording import Recorder
from small_fit import small_config, small_view_set

from stag4d import pipeline
from stag4d.geometry import OrbitPose
from stag4d.optimization import GuidanceDenoiser
from stag4d.pipeline import fitting
from stag4d.progress import Interrupted, Monitor
from stag4d.resume import Checkpoint, CheckpointFolder, Timer
from stag4d.scene import GaussianModel4D, load_scene, save_scene
from stag4d.view_set import ViewSet

POSES = [OrbitPose(azimuth_deg=-75.0), OrbitPose(azimuth_deg=10.0, elevation_deg=25.0)]


@pytest.fixture(scope="module")
def fitted() -> tuple[GaussianModel4D, pipeline.Report]:
    """A short fit and its report."""
    return pipeline.fit(small_view_set(), small_config(steps=40))


def frames_of(path: Path) -> list[np.ndarray]:
    """Return the frames of a video file."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_report_holds_settings_times_and_losses(fitted, tmp_path):
    model, report = fitted
    pipeline.write_fit(tmp_path / "new", model, report, 32)
    document = json.loads((tmp_path / "new" / "report.json").read_text())
    assert document["settings"]["steps"] == document["steps"] == 40
    assert document["settings"]["preset"] == "fast"
    assert document["seconds"].keys() == {"start", "optimize", "compare", "write"}
    assert min(document["seconds"].values()) > 0
    assert document["losses"].keys() >= {"color", "alpha", "total"}
    assert document["num_gaussians"] == len(model.gaussians) == 100
    assert document["backend"] in ("numba", "torch")
    assert document["metrics"] == {}
    history = document["history"]
    assert history["steps"] == list(range(1, 41))  # fewer steps than records
    assert history["num_gaussians"] == [100] * 40
    assert history["losses"].keys() == document["losses"].keys()
    assert history["losses"]["total"][-1] == pytest.approx(document["losses"]["total"], rel=1e-4)
    assert [view["name"] for view in document["comparison"]["views"]][:2] == ["input frames", "view 0"]
    assert document["comparison"]["frames"] == [0, 1, 2]
    assert document["warnings"] == report.warnings


def test_numbers_of_the_history_are_on_one_line_of_the_report(fitted, tmp_path):
    fitted[1].write(tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert sum('"num_gaussians":[' in line for line in text.splitlines()) == 1
    assert len(text.splitlines()) < 300


@pytest.mark.parametrize(("compare_interrupted", "frames"), [(False, None), (True, (0, 1, 2))])
def test_an_interrupted_fit_is_compared_with_the_views_on_request(compare_interrupted, frames):
    monitor = Recorder(("optimize", 4))
    _, report = pipeline.fit(
        small_view_set(),
        small_config(steps=9),
        monitor=monitor,
        compare_interrupted=compare_interrupted,
    )
    assert not report.is_finished
    assert report.history.steps == [1, 2, 3, 4]
    assert (report.comparison and report.comparison.frames) == frames
    assert monitor.of("compare") == []  # the monitor would interrupt again


def test_a_cancel_of_the_comparison_keeps_the_finished_scene():
    _, report = pipeline.fit(small_view_set(), small_config(steps=2), monitor=Recorder(("compare", 5)))
    assert report.is_finished
    assert (report.comparison, report.warnings) == (None, [])


def test_the_written_scene_is_the_fitted_scene(fitted, tmp_path):
    model, report = fitted
    pipeline.write_fit(tmp_path, model, report, 32)
    assert {path.name for path in tmp_path.iterdir()} == {
        "scene.safetensors",
        "scene.html",
        "turntable.mp4",
        "report.json",
        "report.html",
    }
    loaded = load_scene(tmp_path / "scene.safetensors")
    for name, value in model.gaussians.as_dict().items():
        assert torch.equal(getattr(loaded.gaussians, name), value)
    frames = frames_of(tmp_path / "turntable.mp4")
    assert len(frames) == 60  # three frames, twenty times
    assert frames[0].shape == (32, 32, 3)
    assert np.abs(frames[0].astype(int) - frames[30]).max() > 20  # the other side


@pytest.mark.parametrize("is_finished", [True, False])
def test_no_page_or_turntable_of_an_earlier_scene_stays(fitted, tmp_path, is_finished):
    model, report = fitted
    for name in ("scene.html", "turntable.mp4", "notes.txt"):
        (tmp_path / name).write_text("earlier")
    if is_finished:
        with pytest.raises(Interrupted):
            pipeline.write_fit(tmp_path, model, report, 32, Recorder(("turntable", 1)))
    else:
        pipeline.write_fit(tmp_path, model, replace(report, steps=39), 32)
    assert {path.name for path in tmp_path.iterdir()} == {
        "scene.safetensors",
        "report.json",
        "report.html",
        "notes.txt",
        *(["scene.html"] if is_finished else []),
    }
    assert all(path.read_bytes() != b"earlier" for path in tmp_path.glob("scene.*"))


@pytest.mark.parametrize(("num_frames", "expected"), [(1, 60), (7, 63), (40, 80), (70, 70)])
def test_a_turntable_repeats_the_motion_a_whole_number_of_times(fitted, tmp_path, num_frames, expected):
    info = replace(fitted[0].info, num_frames=num_frames, fps=5000.0)  # beyond any player
    pipeline.write_turntable(tmp_path / "t.mp4", GaussianModel4D(fitted[0].gaussians, None, info), 16)
    assert len(frames_of(tmp_path / "t.mp4")) == expected
    with av.open(str(tmp_path / "t.mp4")) as container:
        assert container.streams.video[0].average_rate == 240


def test_rendered_views_are_straight_colors_in_the_given_order(fitted):
    model, _ = fitted
    images, alphas = pipeline.render_views(model, POSES, [2, 0], 24)
    assert images.shape == (2, 2, 24, 24, 3)
    assert alphas.shape == (2, 2, 24, 24)
    again, _ = pipeline.render_views(model, POSES[::-1], [0], 24)
    torch.testing.assert_close(again[0, 0], images[1, 1])
    assert not torch.equal(images[0], images[1])
    assert (images[alphas < 1e-5] == 0).all()
    assert not images.requires_grad


def test_a_scene_evaluates_well_against_its_own_renders_only(fitted, tmp_path):
    model, _ = fitted
    pipeline.write_views_of(tmp_path, model, POSES, [0, 2], 24)
    assert {path.name for path in tmp_path.iterdir()} == {
        "views.json",
        *(f"view{view}_frame{frame:04d}.png" for view in (0, 1) for frame in (0, 2)),
    }
    own = pipeline.evaluate(model, tmp_path)
    assert own["psnr"] > 45  # eight bits of straight color and alpha
    assert own["ssim"] > 0.99
    assert own["iou"] > 0.99
    assert len(own["per_view"]["psnr"]) == 2
    brighter = replace(model.gaussians, sh0=model.gaussians.sh0 + 1)
    other = pipeline.evaluate(GaussianModel4D(brighter, model.deformation, model.info), tmp_path)
    assert other["psnr"] < 25


def test_interrupted_renders_leave_no_poses_of_the_previous_ones(fitted, tmp_path):
    pipeline.write_views_of(tmp_path, fitted[0], POSES, [0, 2], 24)
    with pytest.raises(Interrupted):
        pipeline.write_views_of(tmp_path, fitted[0], POSES[::-1], [0, 2], 24, Recorder(1))
    with pytest.raises(FileNotFoundError, match=r"has no views\.json"):
        pipeline.evaluate(fitted[0], tmp_path)


def on_white(images: torch.Tensor, alphas: torch.Tensor) -> torch.Tensor:
    return images * alphas[..., None] + 1 - alphas[..., None]


def mean_psnr(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the mean over frames of the PSNR, by a plain loop."""
    errors = [((one - other) ** 2).mean().item() for one, other in zip(first, second, strict=True)]
    return sum(-10 * math.log10(error) for error in errors) / len(errors)


# 0 (azimuth 30) is nearest to the input; 3 (210, below) is as near to 2 (150, above) as to 4 (270, above)
@pytest.mark.parametrize(("index", "nearest"), [(0, ["input"]), (3, [2, 4])])
def test_the_baseline_of_a_held_out_view_is_the_nearest_image(index, nearest):
    views = small_view_set()
    model, report = pipeline.fit_without_view(views, index, small_config(steps=10))
    truth = on_white(views.view_images[:, index], views.view_alphas[:, index])
    given = {view: on_white(views.view_images[:, view], views.view_alphas[:, view]) for view in range(6)}
    given["input"] = on_white(views.images, views.alphas)
    images, alphas = pipeline.render_views(model, [views.view_poses[index]], [0, 1, 2], 24)
    metrics = report.metrics
    assert metrics["view"] == index
    assert metrics["nearest_psnr"] == pytest.approx(
        max(mean_psnr(given[other], truth) for other in nearest), abs=0.02
    )
    assert metrics["psnr"] == pytest.approx(mean_psnr(on_white(images, alphas)[0], truth), abs=0.02)
    assert metrics["gain_db"] == pytest.approx(metrics["psnr"] - metrics["nearest_psnr"])
    assert 0 <= metrics["iou"] <= 1
    assert -1 <= metrics["ssim"] <= 1


def test_a_held_out_view_is_measured_at_the_size_of_the_fit():
    views = small_view_set(2, 32)
    _, report = pipeline.fit_without_view(views, 0, small_config(steps=2, size=16))

    def halved(images: torch.Tensor, alphas: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(on_white(images, alphas).permute(0, 3, 1, 2), 2)

    truth = halved(views.view_images[:, 0], views.view_alphas[:, 0])
    expected = mean_psnr(halved(views.images, views.alphas), truth)
    assert report.metrics["nearest_psnr"] == pytest.approx(expected, abs=0.02)


def test_a_held_out_view_too_small_to_measure_is_refused_before_the_fit(monkeypatch):
    monkeypatch.setattr(pipeline.fitting, "fit", lambda *args, **options: pytest.fail("the fit ran"))
    with pytest.raises(ValueError, match="expected 11 pixels or more"):
        pipeline.fit_without_view(small_view_set(2, 8), 0, small_config(steps=2, size=16))


def test_a_held_out_view_does_not_influence_the_fit():
    views, config = small_view_set(), small_config(steps=10)
    view_images = views.view_images
    view_images[:, 4] = 0.5
    changed = changed_views(views, view_images=view_images)

    def means_without(index: int, given: ViewSet) -> torch.Tensor:
        return pipeline.fit_without_view(given, index, config)[0].gaussians.means

    assert torch.equal(means_without(4, views), means_without(4, changed))
    assert not torch.equal(means_without(3, views), means_without(3, changed))


def test_a_held_out_view_out_of_range_is_refused():
    with pytest.raises(ValueError, match="held-out view: 6 of 6 views; expected 0 to 5"):
        pipeline.fit_without_view(small_view_set(), 6, small_config())


def test_an_interrupted_fit_resumes_from_its_checkpoint(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    views, config, checkpoint = (
        small_view_set(),
        small_config(steps=20),
        Checkpoint(tmp_path / "c.safetensors"),
    )
    whole, _ = pipeline.fit(views, config)
    interrupted, report = pipeline.fit(
        views, config, checkpoint=checkpoint, monitor=Recorder(("optimize", 6))
    )
    assert report.steps == 6
    assert report.losses["total"] > 0
    assert not torch.equal(interrupted.gaussians.means, whole.gaussians.means)
    assert "interrupted at step 6 of 20." in caplog.text
    resumed, later = pipeline.fit(views, config, checkpoint=checkpoint)
    assert "resumed at step 6 of 20" in caplog.text
    assert torch.equal(resumed.gaussians.means, whole.gaussians.means)
    assert later.steps == 20
    assert later.seconds["optimize"] > report.seconds["optimize"]  # with the first run's


def test_a_finished_fit_is_kept_when_its_checkpoint_cannot_be_written(tmp_path, caplog):
    checkpoint = Checkpoint(tmp_path / "file" / "state")
    (tmp_path / "file").write_text("a file, not a folder")
    _, report = pipeline.fit(small_view_set(), small_config(steps=3), checkpoint=checkpoint)
    assert report.is_finished
    assert "state: cannot be written" in caplog.text
    with pytest.raises(RuntimeError, match="state: cannot be written"):
        pipeline.fit(
            small_view_set(), small_config(steps=9), checkpoint=checkpoint, monitor=Recorder(("optimize", 3))
        )


def test_a_checkpoint_is_used_only_to_resume(tmp_path):
    views, config, path = small_view_set(), small_config(steps=4), tmp_path / "c.safetensors"
    pipeline.fit(views, config, checkpoint=Checkpoint(path), monitor=Recorder(("optimize", 2)))
    other = small_config(steps=4, seed=1)
    model, _ = pipeline.fit(views, other, checkpoint=Checkpoint(path, resume=False))
    assert torch.equal(model.gaussians.means, pipeline.fit(views, other)[0].gaussians.means)


def test_a_folder_keeps_a_checkpoint_for_each_unfinished_fit(tmp_path):
    views, config, folder = small_view_set(), small_config(steps=8), CheckpointFolder(tmp_path)
    pipeline.fit(views, config, checkpoint=folder, monitor=Recorder(("optimize", 3)))
    left = sorted(path.suffix for path in tmp_path.iterdir())
    assert left == [".checkpoint", ".safetensors"]
    pipeline.fit(views, small_config(steps=8, seed=1), checkpoint=folder)  # another one
    assert sorted(path.suffix for path in tmp_path.iterdir()) == left
    resumed, _ = pipeline.fit(views, config, checkpoint=folder)
    assert not list(tmp_path.iterdir())
    assert torch.equal(resumed.gaussians.means, pipeline.fit(views, config)[0].gaussians.means)


def test_a_checkpoint_is_saved_while_the_fit_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(Timer, "is_due", lambda timer: True)
    path = tmp_path / "c.safetensors"
    sizes = []

    def record_size(stage: str, done: int, *_, **__) -> None:
        if stage == "optimize" and done > 0:
            sizes.append(path.stat().st_size if path.exists() else 0)

    pipeline.fit(small_view_set(), small_config(steps=3), checkpoint=Checkpoint(path), monitor=record_size)
    assert min(sizes) > 0
    assert path.exists()  # the caller removes it once the scene is safe


@pytest.mark.parametrize("number", [2, 3], ids=lambda number: f"call {number} of a step")
def test_a_fit_that_is_cancelled_within_a_step_leaves_its_last_complete_step(tmp_path, monkeypatch, number):
    """Though checkpoints are due all the time; the same call again ends as the uninterrupted one."""
    monkeypatch.setattr(Timer, "is_due", lambda timer: True)
    views, config = small_view_set(), small_config(steps=9)
    whole, _ = pipeline.fit(views, config)
    counter = Recorder()
    pipeline.fit(views, config, monitor=counter)
    optimize = [index for index, call in enumerate(counter.of("optimize"), start=1) if call == 5]
    cancelled = Recorder(optimize[number - 1], stage="optimize")
    checkpoint = Checkpoint(tmp_path / "c.safetensors")
    _, report = pipeline.fit(views, config, checkpoint=checkpoint, monitor=cancelled)
    assert report.steps == 5
    resumed, report = pipeline.fit(views, config, checkpoint=checkpoint)
    assert report.steps == 9
    save_scene(tmp_path / "whole.safetensors", whole)
    save_scene(tmp_path / "resumed.safetensors", resumed)
    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "resumed.safetensors").read_bytes()


def test_a_fit_can_be_cancelled_while_it_starts(tmp_path):
    """While kernels are compiled and the initial scene is made; a checkpoint of before stays."""
    views, config = small_view_set(), small_config(steps=9)
    checkpoint = Checkpoint(tmp_path / "c.safetensors")
    pipeline.fit(views, config, checkpoint=checkpoint, monitor=Recorder(("optimize", 4)))
    before = checkpoint.path.read_bytes()
    for moment in (("start", 0), ("start", 1)):
        with pytest.raises(Interrupted):
            pipeline.fit(views, config, checkpoint=checkpoint, monitor=Recorder(moment))
    assert checkpoint.path.read_bytes() == before


@pytest.mark.parametrize("calls", [1, 2])
def test_a_fit_that_is_cancelled_within_its_first_step_leaves_nothing(tmp_path, calls):
    checkpoint, monitor = Checkpoint(tmp_path / "c.safetensors"), Recorder(calls, stage="optimize")
    with pytest.raises(Interrupted):
        pipeline.fit(small_view_set(), small_config(steps=9), checkpoint=checkpoint, monitor=monitor)
    assert monitor.of("optimize") == [0] * calls
    assert not list(tmp_path.iterdir())


def test_errors_of_the_start_are_those_of_the_caller():
    """And raised before the guidance is prepared, which may take minutes."""

    def make_denoiser(views: ViewSet, monitor: Monitor) -> GuidanceDenoiser:
        pytest.fail("guidance is prepared for a fit that cannot start")

    with pytest.raises(ValueError, match="backend: unknown 'splat'"):
        pipeline.fit(small_view_set(), small_config(steps=2), make_denoiser=make_denoiser, backend="splat")


def test_a_fit_uses_the_callers_current_cuda_device(monkeypatch):
    """Though it starts on another thread, and each thread has its own current device."""
    current = threading.local()
    current.index = 3
    devices = []

    def select(device: torch.device, backend: str) -> str:
        devices.append(device)
        raise RuntimeError("no such device here")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: getattr(current, "index", 0))
    monkeypatch.setattr(fitting, "select_backend", select)
    for device in ("cuda", "cuda:1"):
        with pytest.raises(RuntimeError, match="no such device"):
            pipeline.fit(small_view_set(), small_config(steps=2), device=device)
    assert devices == [torch.device("cuda:3"), torch.device("cuda:1")]


def test_a_fit_logs_its_configuration(caplog):
    caplog.set_level(logging.INFO)
    pipeline.fit(small_view_set(), small_config(steps=2, size=16))
    assert "preset fast: 2 steps on 3 frames and 6 posed views, 16 pixels, " in caplog.text


def test_the_reported_size_is_limited_by_the_views():
    model, report = pipeline.fit(small_view_set(), small_config(steps=2, size=64))
    assert report.settings["size"] == model.info.settings["size"] == 24
