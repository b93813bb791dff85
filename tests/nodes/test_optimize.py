"""STAG4DOptimize on a tiny toy: progress, previews, cancel and resume, initialization, and errors."""

import gc
import sys
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from changed_views import changed_views

WIDGETS = {"preset": "fast", "steps": 12, "size": 32, "seed": 3}


@pytest.fixture(scope="module")
def optimize(pack_module):
    return pack_module("nodes.optimize")


@pytest.fixture(scope="module")
def views(pack_module):
    return pack_module("stag4d.toys").toy_views(2, num_frames=2, size=32)


@pytest.fixture
def run(optimize, views, host_folders, small_presets):
    """A function that executes the node in inference mode, as the host does, and returns the scene."""

    def call(**changes):
        with torch.inference_mode():
            (model,) = optimize.STAG4DOptimize.execute(**({"views": views} | WIDGETS | changes)).args
        return model

    return call


@pytest.fixture
def temp_files(host_folders):
    """A function that returns the files of the pack in the temp folder, but not the reports of fits."""
    folder = host_folders / "temp" / "stag4d"
    return lambda: sorted(path for path in folder.iterdir() if not path.name.startswith("fit_report_"))


def same(first, second):
    """Return whether two scenes have equal Gaussians and deformation fields, bit by bit."""
    pairs = zip(first.gaussians.as_dict().values(), second.gaussians.as_dict().values(), strict=True)
    fields = zip(
        first.deformation.state_dict().values(), second.deformation.state_dict().values(), strict=True
    )
    return all(torch.equal(*pair) for pair in (*pairs, *fields))


def test_fit_in_inference_mode_gives_a_moving_scene_that_can_be_optimized_further(run):
    model = run()
    assert model.info.num_frames == 2
    assert model.info.settings["steps"] == 12
    assert not model.gaussians.means.is_inference()
    assert (model.device.type, model.gaussians.means.requires_grad) == ("cpu", False)
    first, last = model.at(model.frame_times).means
    assert not torch.equal(first, last)


def test_inputs_made_in_inference_mode_are_accepted_and_not_changed(run, views):
    with torch.inference_mode():
        made = changed_views(views, images=views.images.clone(), alphas=views.alphas.clone())
    before = made.images.clone()
    assert same(run(views=made), run())
    assert torch.equal(made.images, before)


@pytest.mark.usefixtures("previews_always_due")
def test_bar_reaches_the_end_and_previews_cycle_through_the_given_cameras(optimize, run, progress_bar):
    run(steps=30)
    assert progress_bar.reported == [(step, 30) for step in range(1, 31)]
    assert len(progress_bar.previews) == 30
    kinds = {(kind, image.size, size) for kind, image, size in progress_bar.previews}
    assert kinds == {("JPEG", (optimize.PREVIEW_SIZE,) * 2, optimize.PREVIEW_SIZE)}
    assert len({image.tobytes() for _, image, _ in progress_bar.previews}) == 30
    assert all(image.convert("L").getextrema()[0] < 200 for _, image, _ in progress_bar.previews)  # not blank


@pytest.mark.usefixtures("previews_always_due")
def test_previews_follow_an_object_that_moves(run, views, progress_bar):
    run()
    still = [image.tobytes() for _, image, _ in progress_bar.previews]
    model = run(views=replace(views, offsets=torch.tensor([[-3.0, 0.0, 0.0], [3.0, 0.0, 0.0]])))
    assert [image.tobytes() for _, image, _ in progress_bar.previews] == still
    first, last = model.at(model.frame_times).means.mean(dim=1)
    assert last[0] - first[0] == pytest.approx(6, abs=0.5)


def test_cancelled_fit_resumes_to_the_same_scene(run, cancel_after_step, interrupt, temp_files, progress_bar):
    uninterrupted = run()
    cancel_after_step(5)
    with pytest.raises(interrupt):
        run()
    assert [path.suffix for path in temp_files()] == [".checkpoint", ".safetensors"]
    resumed = run()
    assert progress_bar.reported[0] == (5, 12)
    assert same(resumed, uninterrupted)
    assert temp_files() == []


def test_report_is_linked_on_the_node_with_its_warnings(
    optimize, pack_module, views, host_folders, monkeypatch
):
    fitting = pack_module("stag4d.pipeline.fitting")
    monkeypatch.setattr(fitting, "fit_warnings", lambda *_: ["view 1: far below"])
    with torch.inference_mode():
        shown = optimize.STAG4DOptimize.execute(views, **WIDGETS).ui
    (file,) = shown["stag4d_files"]
    assert (file["subfolder"], file["type"]) == ("stag4d", "temp")
    page = (host_folders / "temp" / file["subfolder"] / file["filename"]).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<li>view 1: far below</li>" in page
    assert shown["stag4d_warnings"] == ["view 1: far below"]


def test_scene_is_kept_if_its_report_cannot_be_written(
    optimize, pack_module, views, host_folders, monkeypatch, caplog
):
    def fail(path, content):
        raise RuntimeError(f"{path}: no space")

    monkeypatch.setattr(pack_module("nodes.host.results"), "write_whole", fail)
    with torch.inference_mode():
        output = optimize.STAG4DOptimize.execute(views, **WIDGETS)
    assert output.args[0].info.settings["steps"] == 12
    assert output.ui["stag4d_files"] == []
    assert "The report of the fit is not written" in caplog.text


def test_fit_can_be_cancelled_before_its_first_step(run, cancel_at, interrupt, temp_files):
    """While kernels are compiled and the initial scene is made; nothing is kept."""
    cancel_at(1)
    with pytest.raises(interrupt):
        run()
    assert temp_files() == []


def test_unfinished_scene_of_a_cancelled_fit_can_be_loaded(pack_module, run, cancel_after_step, interrupt):
    cancel_after_step(5)
    with pytest.raises(interrupt):
        run()
    scene_files = pack_module("nodes.scene_files")
    name, *_ = scene_files.scene_names()  # before the bundled ones
    assert name.endswith(" [temp]")
    assert scene_files.STAG4DLoad.validate_inputs(name) is True
    (model,) = scene_files.STAG4DLoad.execute(name).args
    assert model.info.num_frames == 2


def test_cancel_in_the_last_step_keeps_the_scene_and_cancels_the_next_node(
    run, cancel_after_step, temp_files
):
    uninterrupted = run()
    cancel_after_step(12)
    assert same(run(), uninterrupted)
    assert temp_files() == []
    assert sys.modules["comfy.model_management"].processing_interrupted()


def test_changed_input_does_not_resume(run, cancel_after_step, interrupt, temp_files):
    cancel_after_step(5)
    with pytest.raises(interrupt):
        run()
    uninterrupted = run(seed=4)
    (kept,) = (path for path in temp_files() if path.suffix == ".checkpoint")  # still that of seed 3
    kept.unlink()
    assert same(run(seed=4), uninterrupted)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_nothing_of_the_fit_is_kept_in_memory(
    optimize, pack_module, run, cancel_after_step, interrupt, monkeypatch, is_cancelled
):
    fitting, trainers = pack_module("stag4d.pipeline.fitting"), []

    def make(*arguments, **options):
        trainer = pack_module("stag4d.optimization").Trainer(*arguments, **options)
        trainers.append(weakref.ref(trainer))
        return trainer

    monkeypatch.setattr(fitting, "Trainer", make)
    gc.disable()  # memory is freed at once, without waiting for the garbage collector
    try:
        if is_cancelled:
            cancel_after_step(5)
            with pytest.raises(interrupt):
                run()
        else:
            run()
        (trainer,) = trainers
        assert trainer() is None
    finally:
        gc.enable()


def test_fit_can_start_from_a_scene_or_a_splat(pack_module, run):
    to_splat = pack_module("nodes.to_splat").STAG4DToSplat
    start = run(steps=1)
    (splat,) = to_splat.execute(start, {"times": "moment", "moment": 1.0}).args
    for given in ({"scene": start}, {"splat": splat}):
        model = run(steps=1, **given)
        moved = (model.gaussians.means - start.at(torch.tensor([1.0]))[0].means).norm(dim=-1)
        assert moved.max() < 0.01  # one step of at most 2e-3 along each axis


@pytest.fixture
def viewer(optimize, pack_module, previews_always_due, monkeypatch):
    """A viewer is connected, and updates follow each other at once; returns the module of live previews."""
    live_preview = pack_module("nodes.host.live_preview")
    prompt = {"4": {"class_type": "STAG4DPreview", "inputs": {"scene": ["3", 0]}}}
    hidden = SimpleNamespace(prompt=prompt, unique_id="3", extra_pnginfo=None)
    monkeypatch.setattr(optimize.STAG4DOptimize, "hidden", hidden, raising=False)
    monkeypatch.setattr(live_preview, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(live_preview, "MAX_SHARE", 1e9)
    monkeypatch.setattr(sys.modules["server"].PromptServer.instance, "sent", [])
    return live_preview


def test_connected_viewer_gets_every_preview_and_one_file_stays(run, viewer, temp_files):
    run(steps=4)
    sent = sys.modules["server"].PromptServer.instance.sent
    assert [data["viewers"] for _, data, _ in sent] == [["4"]] * 4
    assert [path.name for path in temp_files()] == [sent[-1][1]["filename"]]


def test_fit_goes_on_if_its_scene_cannot_be_shown(pack_module, run, viewer, monkeypatch):
    monkeypatch.setattr(pack_module("stag4d.export.s4d.writer"), "MAX_SAMPLES", 1)
    assert run(steps=30).info.settings["steps"] == 30


def test_cancel_while_the_scene_is_encoded_for_the_viewer_keeps_the_state(
    run, viewer, cancel_at, interrupt, temp_files, monkeypatch
):
    encode = viewer.viewer_file

    def cancelled(model, monitor):
        sys.modules["comfy.model_management"].interrupt_current_processing()
        return encode(model, monitor)

    cancel_at(0)  # never by itself; restores the flag of the host afterwards
    monkeypatch.setattr(viewer, "viewer_file", cancelled)
    with pytest.raises(interrupt):
        run(steps=30)
    assert {path.suffix for path in temp_files()} == {".checkpoint", ".safetensors"}


@pytest.mark.parametrize(
    ("device", "rasterizer", "expected_preset", "expected_device"),
    [
        ("cpu", "numba", "fast", "cpu"),
        ("cuda", "cuda", "quality", "cuda"),
        ("cuda", "gsplat", "quality", "cuda"),
        ("cuda", "torch", "fast", "cuda"),  # no CUDA kernels
        ("mps", "numba", "fast", "cpu"),
        ("xpu", "torch", "fast", "cpu"),
    ],
)
def test_auto_is_quality_with_cuda_kernels_and_devices_without_cuda_leave_the_fit_to_the_cpu(
    optimize, pack_module, run, monkeypatch, device, rasterizer, expected_preset, expected_device
):
    calls = []

    def fit(views, config, **options):
        calls.append((config.preset, str(options["device"])))
        return None, pack_module("stag4d.pipeline").Report(steps=config.steps)

    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "get_torch_device", lambda: torch.device(device))
    config = pack_module("stag4d.optimization.config")
    monkeypatch.setattr(config, "select_backend", lambda device: rasterizer)
    monkeypatch.setattr(optimize, "fit", fit)
    run(preset="auto", steps=0, size=0)
    assert calls == [(expected_preset, expected_device)]


def test_scene_and_splat_together_are_rejected(pack_module, run):
    start = run(steps=1)
    (splat,) = pack_module("nodes.to_splat").STAG4DToSplat.execute(start, {"times": "all frames"}).args
    with pytest.raises(ValueError, match="both a scene and a splat are connected; connect one"):
        run(scene=start, splat=splat)


def test_connected_densification_replaces_that_of_the_preset(pack_module, run):
    node = pack_module("nodes.densification").STAG4DDensification
    numbers = {"max_gaussians": 100_000, "every": 1, "start": 0.0, "stop": 1.0, "clone_scale": 0.02}
    (grow,) = node.execute(strategy={"strategy": "adaptive", "top_percent": 10.0}, **numbers).args
    (stay,) = node.execute(strategy={"strategy": "none"}, **numbers).args
    assert len(run(densification=grow).gaussians) > 1.5 * len(run(densification=stay).gaussians)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "paper"}, "preset paper: .* give a guidance model"),
        ({"size": 8}, "size: 8 pixels; expected 16"),
    ],
)
def test_invalid_settings_are_rejected(run, changes, message):
    with pytest.raises(ValueError, match=message):
        run(**changes)


def test_damaged_state_is_ignored_with_a_warning(run, cancel_after_step, interrupt, temp_files, caplog):
    uninterrupted = run()
    cancel_after_step(5)
    with pytest.raises(interrupt):
        run()
    (kept,) = (path for path in temp_files() if path.suffix == ".checkpoint")
    kept.write_bytes(kept.read_bytes()[:-100])
    assert same(run(), uninterrupted)
    assert "damaged" in caplog.text
    assert "starting from the beginning" in caplog.text
    assert temp_files() == []


def start_as_splat(pack_module, run):
    """Return a scene to start from, and its Gaussians at time 0 as a splat."""
    start, times = run(steps=1), {"times": "moment", "moment": 0.0}
    return start, pack_module("nodes.to_splat").STAG4DToSplat.execute(start, times).args[0]


def test_damaged_gaussians_of_a_splat_are_dropped(pack_module, run, caplog):
    start = run(steps=1)
    (splat,) = (
        pack_module("nodes.to_splat").STAG4DToSplat.execute(start, {"times": "moment", "moment": 0.0}).args
    )
    splat.positions[0, :3, 1] = float("nan")
    assert len(run(steps=1, splat=splat).gaussians) == len(start.gaussians) - 3
    assert f"start: 3 of {len(start.gaussians)} Gaussians have values that are not finite" in caplog.text


def test_splat_outside_every_view_is_rejected(pack_module, run):
    start = run(steps=1)
    (splat,) = (
        pack_module("nodes.to_splat").STAG4DToSplat.execute(start, {"times": "moment", "moment": 0.0}).args
    )
    splat.positions[..., 0] += 100
    with pytest.raises(ValueError, match=r"lie outside every view\. They are around \((99|100|101)"):
        run(splat=splat)
