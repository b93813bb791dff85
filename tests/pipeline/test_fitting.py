"""The method as plain calls: a fit with its checkpoint and report, what is written, what is measured."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from small_fit import small_clip, small_config

from stag4d import pipeline
from stag4d.geometry import OrbitPose
from stag4d.scene import GaussianModel4D, load_scene
from stag4d.types import ViewSet

POSES = [OrbitPose(azimuth_deg=-75.0), OrbitPose(azimuth_deg=10.0, elevation_deg=25.0)]


@pytest.fixture(scope="module")
def fitted() -> tuple[GaussianModel4D, pipeline.Report]:
    """A short fit and its report."""
    return pipeline.fit(small_clip(), small_config(steps=40))


def frames_of(path: Path) -> list[np.ndarray]:
    """Return a clip's pictures."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_report_says_what_was_done(fitted, tmp_path):
    model, report = fitted
    pipeline.write_fit(tmp_path / "new", model, report, 32)
    document = json.loads((tmp_path / "new" / "report.json").read_text())
    assert document["settings"]["steps"] == document["steps"] == 40
    assert document["settings"]["preset"] == "fast"
    assert document["seconds"].keys() == {"start", "optimize", "write"}
    assert min(document["seconds"].values()) > 0
    assert document["losses"].keys() >= {"color", "alpha", "total"}
    assert document["num_gaussians"] == len(model.gaussians) == 100
    assert document["backend"] in ("numba", "torch")
    assert document["metrics"] == {}


def test_what_is_written_is_what_was_fitted(fitted, tmp_path):
    model, report = fitted
    pipeline.write_fit(tmp_path, model, report, 32)
    assert {path.name for path in tmp_path.iterdir()} == {
        "scene.safetensors", "scene.html", "turntable.mp4", "report.json"
    }  # fmt: skip
    loaded = load_scene(tmp_path / "scene.safetensors")
    for name, value in model.gaussians.as_dict().items():
        assert torch.equal(getattr(loaded.gaussians, name), value)
    frames = frames_of(tmp_path / "turntable.mp4")
    assert len(frames) == 60  # the three frames, twenty times
    assert frames[0].shape == (32, 32, 3)
    assert np.abs(frames[0].astype(int) - frames[30]).max() > 20  # the other side


@pytest.mark.parametrize(("num_frames", "expected"), [(1, 60), (7, 63), (40, 80), (70, 70)])
def test_a_turntable_has_whole_rounds_of_the_clip(fitted, tmp_path, num_frames, expected):
    info = replace(fitted[0].info, num_frames=num_frames, fps=5000.0)  # no player shows that
    pipeline.write_turntable(tmp_path / "t.mp4", GaussianModel4D(fitted[0].gaussians, None, info), 16)
    assert len(frames_of(tmp_path / "t.mp4")) == expected
    with av.open(str(tmp_path / "t.mp4")) as container:
        assert container.streams.video[0].average_rate == 240


def test_views_are_straight_colors_in_the_order_asked(fitted):
    model, _ = fitted
    images, alphas = pipeline.render_views(model, POSES, [2, 0], 24)
    assert images.shape == (2, 2, 24, 24, 3)
    assert alphas.shape == (2, 2, 24, 24)
    again, _ = pipeline.render_views(model, POSES[::-1], [0], 24)
    torch.testing.assert_close(again[0, 0], images[1, 1])
    assert not torch.equal(images[0], images[1])
    assert (images[alphas < 1e-5] == 0).all()
    assert not images.requires_grad


def test_a_scene_agrees_with_its_own_renders_and_with_no_other(fitted, tmp_path):
    model, _ = fitted
    pipeline.write_views_of(tmp_path, model, POSES, [0, 2], 24)
    assert {path.name for path in tmp_path.iterdir()} == {
        "views.json", *(f"view{view}_frame{frame:04d}.png" for view in (0, 1) for frame in (0, 2))
    }  # fmt: skip
    own = pipeline.evaluate(model, tmp_path)
    assert own["psnr"] > 45  # eight bits of straight color and alpha
    assert own["ssim"] > 0.99
    assert own["iou"] > 0.99
    assert len(own["per_view"]["psnr"]) == 2
    brighter = replace(model.gaussians, sh0=model.gaussians.sh0 + 1)
    other = pipeline.evaluate(GaussianModel4D(brighter, model.deformation, model.info), tmp_path)
    assert other["psnr"] < 25


def test_renders_that_break_off_leave_no_poses_of_others(fitted, tmp_path):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    pipeline.write_views_of(tmp_path, fitted[0], POSES, [0, 2], 24)
    with pytest.raises(KeyboardInterrupt):
        pipeline.write_views_of(tmp_path, fitted[0], POSES[::-1], [0, 2], 24, stop)
    with pytest.raises(FileNotFoundError, match=r"has no views\.json"):
        pipeline.evaluate(fitted[0], tmp_path)


def on_white(images: torch.Tensor, alphas: torch.Tensor) -> torch.Tensor:
    return images * alphas[..., None] + 1 - alphas[..., None]


def mean_psnr(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the mean over frames of the PSNR, the slow way."""
    errors = [((one - other) ** 2).mean().item() for one, other in zip(first, second, strict=True)]
    return sum(-10 * math.log10(error) for error in errors) / len(errors)


# 0 (azimuth 30) is nearest to the input; 3 (210, below) is as near to 2 (150, above) as to 4 (270, above)
@pytest.mark.parametrize(("index", "nearest"), [(0, ["input"]), (3, [2, 4])])
def test_a_held_out_view_is_compared_with_the_nearest_picture(index, nearest):
    views = small_clip()
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
    views = small_clip(2, 32)
    _, report = pipeline.fit_without_view(views, 0, small_config(steps=2, size=16))

    def halved(images: torch.Tensor, alphas: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(on_white(images, alphas).permute(0, 3, 1, 2), 2)

    truth = halved(views.view_images[:, 0], views.view_alphas[:, 0])
    expected = mean_psnr(halved(views.images, views.alphas), truth)
    assert report.metrics["nearest_psnr"] == pytest.approx(expected, abs=0.02)


def test_a_view_too_small_to_measure_on_is_refused_before_the_fit(monkeypatch):
    monkeypatch.setattr(pipeline.fitting, "fit", lambda *args, **options: pytest.fail("it was fitted"))
    with pytest.raises(ValueError, match="expected 11 pixels or more"):
        pipeline.fit_without_view(small_clip(2, 8), 0, small_config(steps=2, size=16))


def test_a_fit_does_not_see_the_view_that_is_held_out():
    views, config = small_clip(), small_config(steps=10)
    changed = replace(views, view_images=views.view_images.clone())
    changed.view_images[:, 4] = 0.5

    def means_without(index: int, given: ViewSet) -> torch.Tensor:
        return pipeline.fit_without_view(given, index, config)[0].gaussians.means

    assert torch.equal(means_without(4, views), means_without(4, changed))
    assert not torch.equal(means_without(3, views), means_without(3, changed))


def test_there_must_be_such_a_view():
    with pytest.raises(ValueError, match="held-out view: 6 of 6 views; expected 0 to 5"):
        pipeline.fit_without_view(small_clip(), 6, small_config())


def stopping_after(steps: int, folder: Path) -> dict:
    """Return options of a fit that stops after a number of calls."""
    calls = iter(range(1, 10_000))
    return {"checkpoint": folder / "c.safetensors", "should_stop": lambda: next(calls) == steps}


def test_a_stopped_fit_goes_on_from_its_checkpoint(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    views, config = small_clip(), small_config(steps=20)
    whole, _ = pipeline.fit(views, config)
    stopped, report = pipeline.fit(views, config, **stopping_after(6, tmp_path))
    assert report.steps == 6
    assert report.losses["total"] > 0
    assert not torch.equal(stopped.gaussians.means, whole.gaussians.means)
    assert "stopped at step 6 of 20." in caplog.text
    resumed, later = pipeline.fit(views, config, checkpoint=tmp_path / "c.safetensors", resume=True)
    assert "resumed at step 6 of 20" in caplog.text
    assert torch.equal(resumed.gaussians.means, whole.gaussians.means)
    assert later.steps == 20
    assert later.seconds["optimize"] > report.seconds["optimize"]  # with the first run's


def test_a_checkpoint_is_used_only_to_resume(tmp_path):
    views, config = small_clip(), small_config(steps=4)
    pipeline.fit(views, config, **stopping_after(2, tmp_path))
    other = small_config(steps=4, seed=1)
    model, _ = pipeline.fit(views, other, checkpoint=tmp_path / "c.safetensors")
    assert torch.equal(model.gaussians.means, pipeline.fit(views, other)[0].gaussians.means)


def test_an_unfinished_fit_in_a_folder_is_found_by_what_it_is_and_leaves_nothing_when_done(tmp_path):
    views, config = small_clip(), small_config(steps=8)
    stop = stopping_after(3, tmp_path)["should_stop"]
    pipeline.fit(views, config, unfinished=tmp_path, resume=True, should_stop=stop)
    left = sorted(path.suffix for path in tmp_path.iterdir())
    assert left == [".checkpoint", ".safetensors"]
    pipeline.fit(views, small_config(steps=8, seed=1), unfinished=tmp_path, resume=True)  # another one
    assert sorted(path.suffix for path in tmp_path.iterdir()) == left
    resumed, _ = pipeline.fit(views, config, unfinished=tmp_path, resume=True)
    assert not list(tmp_path.iterdir())
    assert torch.equal(resumed.gaussians.means, pipeline.fit(views, config)[0].gaussians.means)


def test_nothing_to_resume_starts_over_and_says_so(tmp_path, caplog):
    _, report = pipeline.fit(
        small_clip(), small_config(steps=2), checkpoint=tmp_path / "c.safetensors", resume=True
    )
    assert report.steps == 2
    assert "no such checkpoint; the fit starts from the beginning" in caplog.text


def test_the_state_is_kept_while_the_fit_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline.fitting, "CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "c.safetensors"
    sizes = []

    def look() -> bool:
        sizes.append(path.stat().st_size if path.exists() else 0)
        return False

    pipeline.fit(small_clip(), small_config(steps=12), checkpoint=path, should_stop=look)
    assert sizes[9] == 0
    assert sizes[10] > 0  # kept with the report after step 10
    assert path.exists()  # the caller removes it once the scene is safe


def test_a_fit_says_what_it_does(caplog):
    caplog.set_level(logging.INFO)
    pipeline.fit(small_clip(), small_config(steps=2, size=16))
    assert "preset fast: 2 steps on 3 frames and 6 posed views, 16 pixels, " in caplog.text


def test_the_report_says_the_size_that_the_views_allowed():
    model, report = pipeline.fit(small_clip(), small_config(steps=2, size=64))
    assert report.settings["size"] == model.info.settings["size"] == 24
