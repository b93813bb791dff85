"""The whole method end to end, with tiny random models: what is left, measured, resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_fit import small_config
from tiny_models import make_guidance_folder, make_multiview_folder

from stag4d import pipeline
from stag4d.data import read_views
from stag4d.diffusion import (
    MultiViewModel,
    SamplingConfig,
    Zero123Model,
    load_guidance_model,
    load_multiview_model,
)
from stag4d.evaluation.metrics import on_white
from stag4d.pipeline.whole import CHECKPOINT, run
from stag4d.scene import load_scene
from stag4d.toys import TEST_POSES, toy_truth, toy_views

SAMPLING = SamplingConfig(num_steps=2, guidance_scale=1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> MultiViewModel:
    """A model that draws noise."""
    return load_multiview_model(make_multiview_folder(tmp_path_factory.mktemp("multiview")))


@pytest.fixture(scope="module")
def prior(tmp_path_factory) -> Zero123Model:
    """A prior that knows nothing."""
    return load_guidance_model(make_guidance_folder(tmp_path_factory.mktemp("prior")))


@pytest.fixture(scope="module")
def clip() -> tuple[torch.Tensor, torch.Tensor]:
    """Three frames of a toy, and their mattes."""
    toy = toy_views(3, num_frames=3, size=24)
    return toy.images, toy.alphas


def scene_bytes(model: object, path: Path) -> bytes:
    """Return a scene as its file holds it."""
    from stag4d.scene import save_scene

    save_scene(path, model)
    return path.read_bytes()


def test_a_run_fits_the_views_that_it_leaves(model, clip, tmp_path):
    scene, report = run(tmp_path, *clip, model, SAMPLING, small_config(steps=4), fps=12.0)
    views = read_views(tmp_path / "views")
    assert (views.num_frames, views.num_views, views.fps) == (3, 6, 12.0)
    alone, _ = pipeline.fit(views, small_config(steps=4))
    assert scene_bytes(scene, tmp_path / "a") == scene_bytes(alone, tmp_path / "b")
    assert report.metrics.keys() == {"views_flicker"}
    assert report.metrics["views_flicker"] > 0
    assert report.seconds.keys() == {"views", "start", "optimize"}


def test_the_prior_judges_the_fit(model, prior, clip, tmp_path):
    config = small_config(steps=4)
    plain, _ = run(tmp_path, *clip, model, SAMPLING, config)
    guided, report = run(tmp_path, *clip, model, SAMPLING, config, prior=prior)
    assert "guidance" in report.losses
    assert scene_bytes(plain, tmp_path / "a") != scene_bytes(guided, tmp_path / "b")


def test_a_run_that_stopped_early_resumes_to_the_same_scene(model, prior, clip, tmp_path):
    config = small_config(steps=12)
    whole, _ = run(tmp_path / "whole", *clip, model, SAMPLING, config, prior=prior)
    asked = iter([False] * 5)
    _, report = run(
        tmp_path / "parts", *clip, model, SAMPLING, config,
        prior=prior, listeners=pipeline.Listeners(should_stop=lambda: next(asked, True)),
    )  # fmt: skip
    assert report.steps < 12
    assert (tmp_path / "parts" / CHECKPOINT).exists()
    drawn = []
    resumed, report = run(
        tmp_path / "parts", *clip, model, SAMPLING, config,
        prior=prior, resume=True,
        listeners=pipeline.Listeners(on_stage=lambda *stage: drawn.append(stage)),
    )  # fmt: skip
    assert not drawn  # the views were finished
    assert report.steps == 12
    assert scene_bytes(whole, tmp_path / "a") == scene_bytes(resumed, tmp_path / "b")


def test_the_demo_leaves_a_scene_pictures_and_metrics(model, prior, tmp_path):
    out = tmp_path / "demo"
    report = pipeline.demo(out, model, prior, small_config(steps=10), toy=3, num_frames=2, size=16)
    assert {path.name for path in out.iterdir()} == {
        "scene.safetensors", "scene.html", "turntable.mp4", "report.json", "unseen_views.png", "truth",
        "views",
    }  # fmt: skip
    again = pipeline.evaluate(load_scene(out / "scene.safetensors"), out / "truth")
    assert again["psnr"] == pytest.approx(report.metrics["psnr"], abs=0.05)  # the truth's files have 8 bits
    document = json.loads((out / "report.json").read_text())
    assert document["metrics"] == report.metrics
    assert document["metrics"].keys() == {"views_flicker", "psnr", "ssim", "iou", "flicker", "per_view"}
    assert document["seconds"].keys() == {"sample", "views", "start", "optimize", "evaluate", "write"}
    with Image.open(out / "unseen_views.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")) / 255
    assert pixels.shape == (4 * 18 - 2, 4 * 18 - 2, 3)  # two frames, truth above fit, of four unseen views
    images, alphas = toy_truth(3, TEST_POSES, 2, 16)
    expected = on_white(images[1, 0], alphas[1, 0]).numpy()
    np.testing.assert_allclose(pixels[:16, 18:34], expected, atol=1 / 255)
