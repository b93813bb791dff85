"""STAG4DOptimize on a tiny toy: progress, previews, cancel and resume, starts, and what it refuses."""

import importlib
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

WIDGETS = {"preset": "fast", "steps": 12, "size": 32, "seed": 3}


@pytest.fixture(scope="module")
def optimize(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.optimize")


@pytest.fixture(scope="module")
def views(pack):
    return importlib.import_module(f"{pack.__name__}.stag4d.toys").toy_views(2, num_frames=2, size=32)


@pytest.fixture
def run(optimize, views, host_folders):
    """A function that runs the node in inference mode, as the host does, and returns the scene."""

    def call(**changes):
        with torch.inference_mode():
            (model,) = optimize.STAG4DOptimize.execute(**({"views": views} | WIDGETS | changes)).args
        return model

    return call


@pytest.fixture
def cancel_at(monkeypatch):
    """A function that makes the host say cancel once, when it is asked for the n-th time."""
    management = sys.modules["comfy"].model_management
    asked = 0

    def arrange(count):
        def ask():
            nonlocal asked
            asked += 1
            if asked == count:
                raise management.InterruptProcessingException

        monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", ask)

    return arrange


def same(first, second):
    """Return whether two scenes have the same Gaussians and the same field, bit by bit."""
    pairs = zip(first.gaussians.as_dict().values(), second.gaussians.as_dict().values(), strict=True)
    fields = zip(
        first.deformation.state_dict().values(), second.deformation.state_dict().values(), strict=True
    )
    return all(torch.equal(*pair) for pair in (*pairs, *fields))


def test_a_fit_in_inference_mode_gives_a_scene_that_moves_and_can_be_optimised_further(run):
    model = run()
    assert model.info.num_frames == 2
    assert model.info.settings["steps"] == 12
    assert not model.gaussians.means.is_inference()
    first, last = model.at(model.frame_times).means
    assert not torch.equal(first, last)


def test_inputs_made_in_inference_mode_are_fine_and_stay_as_they_were(run, views):
    with torch.inference_mode():
        made = replace(views, images=views.images.clone(), alphas=views.alphas.clone())
    before = made.images.clone()
    assert same(run(views=made), run())
    assert torch.equal(made.images, before)


def test_the_bar_reaches_the_end_and_previews_come_from_one_view_after_the_other(optimize, run, monkeypatch):
    pipeline = sys.modules[optimize.fit.__module__]
    monkeypatch.setattr(pipeline, "SCENE_SECONDS", 0.0)
    run(steps=30)
    bar = sys.modules["comfy"].utils.ProgressBar
    assert bar.reported[-1] == (30, 30)
    assert len(bar.previews) >= 2
    kinds = {(kind, picture.size, limit) for kind, picture, limit in bar.previews}
    assert kinds == {("JPEG", (optimize.PREVIEW_SIZE,) * 2, optimize.PREVIEW_SIZE)}
    pictures = {picture.tobytes() for _, picture, _ in bar.previews}
    assert len(pictures) == len(bar.previews)
    assert all(picture.convert("L").getextrema()[0] < 200 for _, picture, _ in bar.previews)  # not blank


def test_a_cancelled_fit_goes_on_where_it_stopped_and_ends_the_same(run, cancel_at, host_folders):
    whole = run()
    cancel_at(5)
    with pytest.raises(sys.modules["comfy"].model_management.InterruptProcessingException):
        run()
    ours = host_folders / "temp" / "stag4d"
    assert [path.suffix for path in sorted(ours.iterdir())] == [".checkpoint", ".safetensors"]
    resumed = run()
    bar = sys.modules["comfy"].utils.ProgressBar
    assert bar.reported[0][0] > 5  # the first report of the second run is not of the first steps
    assert same(resumed, whole)
    assert list(ours.glob("*.checkpoint")) == []


def test_what_a_cancelled_fit_reached_is_listed_by_the_load_node(pack, run, cancel_at):
    cancel_at(5)
    with pytest.raises(sys.modules["comfy"].model_management.InterruptProcessingException):
        run()
    files = importlib.import_module(f"{pack.__name__}.nodes.scene_files")
    (name,) = files.scene_names()
    assert name.endswith(" [temp]")
    assert files.STAG4DLoad.validate_inputs(name) is True
    (model,) = files.STAG4DLoad.execute(name).args
    assert model.info.num_frames == 2


def test_a_changed_input_starts_anew(run, cancel_at, host_folders):
    cancel_at(5)
    with pytest.raises(sys.modules["comfy"].model_management.InterruptProcessingException):
        run()
    whole = run(seed=4)
    (kept,) = (host_folders / "temp" / "stag4d").glob("*.checkpoint")  # still that of seed 3
    kept.unlink()
    assert same(run(seed=4), whole)


def test_a_fit_can_start_from_a_scene_or_a_splat(pack, run):
    splats = importlib.import_module(f"{pack.__name__}.nodes.splats")
    start = run(steps=1)
    (splat,) = splats.STAG4DToSplat.execute(start, {"times": "moment", "moment": 1.0}).args
    for given in ({"scene": start}, {"splat": splat}):
        model = run(steps=1, **given)
        moved = (model.gaussians.means - start.at(torch.tensor([1.0]))[0].means).norm(dim=-1)
        assert moved.max() < 0.01  # one step of at most 2e-3 along each axis


@pytest.fixture
def viewer(optimize, monkeypatch):
    """A viewer waits for the scene, and scenes come at once."""
    growing = sys.modules[optimize.LivePreview.__module__]
    prompt = {"4": {"class_type": "STAG4DPreview", "inputs": {"scene": ["3", 0]}}}
    hidden = SimpleNamespace(prompt=prompt, unique_id="3", extra_pnginfo=None)
    monkeypatch.setattr(optimize.STAG4DOptimize, "hidden", hidden, raising=False)
    monkeypatch.setattr(growing, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(growing, "MOST_SHARE", 1e9)
    monkeypatch.setattr(sys.modules[optimize.fit.__module__], "SCENE_SECONDS", 0.0)
    monkeypatch.setattr(sys.modules["server"].PromptServer.instance, "told", [])
    return growing


def test_a_scene_that_cannot_be_shown_is_fitted_all_the_same(pack, run, viewer, monkeypatch):
    clip = importlib.import_module(f"{pack.__name__}.stag4d.export.s4d.writer")
    monkeypatch.setattr(clip, "MAX_SAMPLES", 1)
    assert run(steps=30).info.settings["steps"] == 30


def test_a_cancel_that_is_heard_while_the_scene_is_packed_keeps_what_was_reached(
    run, viewer, host_folders, monkeypatch
):
    management = sys.modules["comfy.model_management"]
    pack = viewer.clip_name

    def cancel():
        raise management.InterruptProcessingException

    def cancelled(model, on_frame):
        with monkeypatch.context() as patch:
            patch.setattr(management, "throw_exception_if_processing_interrupted", cancel)
            return pack(model, on_frame)

    monkeypatch.setattr(viewer, "clip_name", cancelled)
    with pytest.raises(management.InterruptProcessingException):
        run(steps=30)
    kept = {path.suffix for path in (host_folders / "temp" / "stag4d").iterdir()}
    assert kept == {".checkpoint", ".safetensors"}


@pytest.mark.parametrize(
    ("device", "rasterizer", "chosen", "where"),
    [
        ("cpu", "numba", "fast", "cpu"),
        ("cuda", "gsplat", "quality", "cuda"),
        ("cuda", "torch", "fast", "cuda"),  # its kernels are not built
        ("mps", "numba", "fast", "cpu"),
        ("xpu", "torch", "fast", "cpu"),
    ],
)
def test_auto_is_quality_where_gsplat_draws_and_other_devices_than_cuda_do_not_fit(
    optimize, run, monkeypatch, device, rasterizer, chosen, where
):
    asked = []

    def fit(views, config, **options):
        asked.append((config.preset, str(options["device"])))
        return None, SimpleNamespace(steps=config.steps)

    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "get_torch_device", lambda: torch.device(device))
    monkeypatch.setattr(optimize, "select_backend", lambda device: rasterizer)
    monkeypatch.setattr(optimize, "fit", fit)
    run(preset="auto", steps=0, size=0)
    assert asked == [(chosen, where)]


def test_both_starts_at_once_are_refused(pack, run):
    splats = importlib.import_module(f"{pack.__name__}.nodes.splats")
    start = run(steps=1)
    (splat,) = splats.STAG4DToSplat.execute(start, {"times": "all frames"}).args
    with pytest.raises(ValueError, match="both a scene and a splat are connected; connect one"):
        run(scene=start, splat=splat)


def test_densification_replaces_the_presets(pack, run):
    node = importlib.import_module(f"{pack.__name__}.nodes.densification").STAG4DDensification
    numbers = {"max_gaussians": 100_000, "every": 1, "start": 0.0, "stop": 1.0, "clone_scale": 0.02}
    (grow,) = node.execute(strategy={"strategy": "adaptive", "top_percent": 10.0}, **numbers).args
    (stay,) = node.execute(strategy={"strategy": "none"}, **numbers).args
    assert len(run(densification=grow).gaussians) > 1.5 * len(run(densification=stay).gaussians)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preset": "paper"}, "preset paper: .* give a guidance model"),
        ({"size": 8}, "size: 8 pixels; expected 16"),
    ],
)
def test_bad_numbers_come_back_as_a_sentence(run, changes, words):
    with pytest.raises(ValueError, match=words):
        run(**changes)
