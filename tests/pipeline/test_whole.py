"""The whole method end to end, with tiny random models: output, metrics, resume."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from recording import Recorder
from small_fit import small_config

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
from stag4d.progress import Interrupted
from stag4d.scene import load_scene
from stag4d.toys import ANY_CHARACTER, TEST_POSES, toy_truth, toy_views
from stag4d.types import InputVideo
from tiny_models import make_guidance_folder, make_multiview_folder

STEPS = {"view_steps": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> MultiViewModel:
    """A multi-view model with random weights."""
    return load_multiview_model(make_multiview_folder(tmp_path_factory.mktemp("multiview")))


@pytest.fixture(scope="module")
def guidance(tmp_path_factory) -> Zero123Model:
    """A guidance model with random weights."""
    return load_guidance_model(make_guidance_folder(tmp_path_factory.mktemp("guidance")))


@pytest.fixture(scope="module")
def frames() -> tuple[torch.Tensor, torch.Tensor]:
    """Three frames of a toy, and their alphas."""
    toy = toy_views(3, num_frames=3, size=24)
    return toy.images, toy.alphas


def scene_bytes(model: object, path: Path) -> bytes:
    """Return the bytes of a scene's file."""
    from stag4d.scene import save_scene

    save_scene(path, model)
    return path.read_bytes()


def test_a_run_fits_the_views_that_it_writes(model, frames, tmp_path):
    scene, report = run(
        tmp_path, InputVideo(*frames, fps=12.0), lambda: model, small_config(steps=4), **STEPS
    )
    views = read_views(tmp_path / "views")
    assert (views.num_frames, views.num_views, views.fps) == (3, 6, 12.0)
    alone, _ = pipeline.fit(views, small_config(steps=4))
    assert scene_bytes(scene, tmp_path / "a") == scene_bytes(alone, tmp_path / "b")
    assert report.metrics.keys() == {"views_flicker"}
    assert report.metrics["views_flicker"] > 0
    assert report.seconds.keys() == {"views", "start", "optimize", "compare"}


def test_guidance_changes_the_scene(model, guidance, frames, tmp_path):
    config = small_config(steps=4)
    plain, _ = run(tmp_path, InputVideo(*frames), lambda: model, config, **STEPS)
    options = {"load_guidance": lambda: guidance, **STEPS}
    guided, report = run(tmp_path, InputVideo(*frames), lambda: model, config, **options)
    assert "guidance" in report.losses
    assert scene_bytes(plain, tmp_path / "a") != scene_bytes(guided, tmp_path / "b")


def test_an_interrupted_run_resumes_to_the_same_scene(model, guidance, frames, tmp_path):
    call = (InputVideo(*frames), lambda: model, small_config(steps=12))
    options = {"load_guidance": lambda: guidance, **STEPS}
    whole, _ = run(tmp_path / "whole", *call, **options)
    out = tmp_path / "parts"
    monitor = Recorder(("optimize", 5))
    _, report = run(out, *call, **options, monitor=monitor)
    assert report.steps == 5
    assert (out / CHECKPOINT).exists()
    monitor = Recorder()
    resumed, report = run(out, *call, **options, resume=True, monitor=monitor)
    assert {stage for stage, _, _ in monitor.calls} == {
        "load",
        "guidance",
        "start",
        "optimize",
        "compare",
    }  # the views were finished
    assert report.steps == 12
    assert scene_bytes(whole, tmp_path / "a") == scene_bytes(resumed, tmp_path / "b")


def test_no_two_diffusion_models_are_in_memory_together(frames, tmp_path):
    folders = make_multiview_folder(tmp_path / "multiview"), make_guidance_folder(tmp_path / "guidance")
    models: list[weakref.ref] = []
    alive: list[int] = []

    def load(read: Callable[[Path], torch.nn.Module], folder: Path) -> torch.nn.Module:
        alive.append(sum(model() is not None for model in models))
        model = read(folder)
        models.append(weakref.ref(model))
        return model

    monitor = Recorder()
    run(
        tmp_path / "out",
        InputVideo(*frames),
        partial(load, load_multiview_model, folders[0]),
        small_config(steps=2),
        load_guidance=partial(load, load_guidance_model, folders[1]),
        monitor=monitor,
        **STEPS,
    )
    assert alive == [0, 0]  # before each of them is loaded
    stages = list(dict.fromkeys(stage for stage, _, _ in monitor.units))
    order = ["load", "encode", "denoise", "decode", "guidance", "optimize"]
    assert [stage for stage in stages if stage in order] == order
    assert monitor.calls.index(("load", 0, 1)) == 0
    last_view = max(index for index, call in enumerate(monitor.calls) if call[0] == "decode")
    assert ("load", 0, 1) in monitor.calls[last_view:]  # the guidance model


def test_a_run_can_be_cancelled_while_a_model_is_loaded(frames, tmp_path):
    """The load goes on in its thread, and nothing waits for it."""
    is_cancelled = threading.Event()

    def load() -> MultiViewModel:
        assert is_cancelled.wait(60)
        raise RuntimeError("nobody hears of it")

    def cancel(stage: str, done: int, total: int, **_: object) -> None:
        is_cancelled.set()
        raise Interrupted

    with pytest.raises(Interrupted):
        run(tmp_path / "out", InputVideo(*frames), load, small_config(steps=2), monitor=cancel)
    assert not (tmp_path / "out").exists()


def test_the_views_are_not_generated_unless_confirmed(model, frames, tmp_path):
    def refuse(asked: MultiViewModel, sampling: SamplingConfig) -> None:
        assert (asked, sampling.num_steps) == (model, 2)
        raise ValueError("not started")

    monitor = Recorder()
    with pytest.raises(ValueError, match="not started"):
        run(
            tmp_path / "out",
            InputVideo(*frames),
            lambda: model,
            small_config(steps=2),
            confirm=refuse,
            monitor=monitor,
            **STEPS,
        )
    assert {stage for stage, _, _ in monitor.calls} == {"load"}
    assert not (tmp_path / "out").exists()


def test_the_demo_writes_scene_images_and_metrics(model, guidance, tmp_path):
    out = tmp_path / "demo"
    report = pipeline.demo(out, model, guidance, small_config(steps=10), toy=3, num_frames=2, size=16)
    assert {path.name for path in out.iterdir()} == {
        "scene.safetensors",
        "scene.html",
        "turntable.mp4",
        "report.json",
        "report.html",
        "unseen_views.png",
        "truth",
        "views",
    }
    again = pipeline.evaluate(load_scene(out / "scene.safetensors"), out / "truth")
    assert again["psnr"] == pytest.approx(report.metrics["psnr"], abs=0.05)  # the truth's files have 8 bits
    document = json.loads((out / "report.json").read_text())
    assert document["metrics"] == report.metrics
    assert document["metrics"].keys() == {
        "views_flicker",
        "psnr",
        "psnr_masked",
        "ssim",
        "iou",
        "flicker",
        "per_view",
    }
    assert document["seconds"].keys() == {
        "sample",
        "views",
        "start",
        "optimize",
        "compare",
        "evaluate",
        "write",
    }
    with Image.open(out / "unseen_views.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")) / 255
    assert pixels.shape == (4 * 18 - 2, 4 * 18 - 2, 3)  # two frames, truth above fit, of four unseen views
    images, alphas = toy_truth(3, TEST_POSES, 2, 16, ANY_CHARACTER)
    expected = on_white(images[1, 0], alphas[1, 0]).numpy()
    np.testing.assert_allclose(pixels[:16, 18:34], expected, atol=1 / 255)
