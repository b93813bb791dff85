"""The commands as users type them: their output files, their output, and the input that they accept."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from changed_views import changed_views
from ctrl_c import CtrlCMonitor
from PIL import Image
from quick_commands import make_commands_quick
from small_fit import small_view_set

from stag4d import cli, pipeline
from stag4d.cli import main
from stag4d.data import write_views
from stag4d.export import read_ply
from stag4d.optimization import Trainer
from stag4d.rendering import render
from stag4d.scene import load_scene
from stag4d.types import Cameras
from tiny_models import make_guidance_folder, make_multiview_folder

ROOT = Path(__file__).parents[1]
SOURCE = [
    "--fps",
    "--rig",
    "--order",
    "--views-from",
    "--reference",
    "--input-elevation",
    "--first-frame",
    "--frame-step",
    "--max-frames",
    "--longer-side",
    "--center",
    "--up",
    "--front",
    "--split",
]
OPTIONS = {
    "demo": ["--out", "--preset", "--steps", "--size", "--seed"],
    "views": [*SOURCE, "--out", "--write-views"],
    "fit": [
        *SOURCE,
        "--out",
        "--preset",
        "--steps",
        "--size",
        "--seed",
        "--guidance-model",
        "--guidance-weight",
        "--guidance-anchors",
        "--guidance-pose",
        "--perceptual",
        "--perceptual-weight",
        "--dtype",
        "--trust-falloff",
        "--hold-out-view",
        "--resume",
    ],
    "render": ["--out", "--views", "--frames", "--size", "--passes"],
    "export": ["--out", "--format", "--frames", "--precision", "--size", "--bullet-time", "--spz-version"],
    "evaluate": ["--truth", "--protocol", "--images", "--lpips", "--clip", "--out"],
    "doctor": [],
}


@pytest.fixture(scope="module")
def views(tmp_path_factory) -> Path:
    """A view folder: three frames with six posed views each."""
    folder = tmp_path_factory.mktemp("views")
    write_views(folder, small_view_set())
    return folder


@pytest.fixture(scope="module")
def fitted(views, tmp_path_factory) -> Path:
    """The output folder of ``stag4d fit`` with the default preset."""
    out = tmp_path_factory.mktemp("fitted") / "new" / "out"
    assert main(["fit", str(views), "-o", str(out), "--steps", "10", "--size", "24", "--fps", "12"]) == 0
    return out


@pytest.fixture
def quick(monkeypatch) -> None:
    """A fit takes a fraction of a second."""
    make_commands_quick(monkeypatch)


def result_of(capsys: pytest.CaptureFixture) -> dict:
    """Return the JSON that is all of stdout."""
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", OPTIONS)
def test_help_explains_every_option(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    words = " ".join(capsys.readouterr().out.split())
    explained = words[words.index("options:") :]
    assert set(re.findall(r"--[a-z][a-z-]+", explained)) == {*OPTIONS[command], "--help"}
    following_options = [*OPTIONS[command][1:], ""][
        : len(OPTIONS[command])
    ]  # none of a command without options
    for option, following in zip(OPTIONS[command], following_options, strict=True):
        text = explained[explained.index(option) : explained.index(following) if following else None]
        assert len(text.split()) > 4, f"{option} has no explanation"


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(command in text for command in OPTIONS)


def test_a_fit_writes_a_scene_a_page_a_turntable_and_a_report(fitted):
    assert {path.name for path in fitted.iterdir()} == {
        "scene.safetensors",
        "scene.html",
        "turntable.mp4",
        "report.json",
        "report.html",
    }
    model = load_scene(fitted / "scene.safetensors")
    assert (model.info.num_frames, model.info.fps) == (3, 12)
    report = json.loads((fitted / "report.json").read_text())
    assert report["settings"]["steps"] == 10
    assert report["settings"]["size"] == 24
    assert report["seconds"].keys() >= {"start", "optimize", "write"}
    assert report["losses"]["total"] > 0
    assert report["num_gaussians"] == len(model.gaussians)
    assert report["backend"] in ("cuda", "gsplat", "numba", "torch")
    assert report["metrics"] == {}


def test_results_go_to_stdout_as_json_and_progress_to_stderr(quick, views, tmp_path, capsys):
    assert main(["fit", str(views), "-o", str(tmp_path), "--steps", "20"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"scene": str(tmp_path / "scene.safetensors"), "num_gaussians": 100}
    assert re.search(r"20/20 \[\d\d:\d\d<\d\d:\d\d", captured.err)  # elapsed and remaining time
    assert re.search(r"loss \d\.\d+, 100 Gaussians\]", captured.err)


def test_a_fit_with_a_held_out_view_reports_its_metrics(quick, views, tmp_path, capsys):
    assert main(["fit", str(views), "-o", str(tmp_path), "--hold-out-view", "2"]) == 0
    metrics = json.loads((tmp_path / "report.json").read_text())["metrics"]
    assert metrics.keys() == {"view", "psnr", "ssim", "iou", "nearest_psnr", "gain_db"}
    assert metrics["view"] == 2
    assert result_of(capsys)["gain_db"] == round(metrics["gain_db"], 4)


def test_fits_with_the_same_seed_are_byte_identical(quick, views, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert main(["fit", str(views), "-o", str(tmp_path / name), "--seed", str(seed)]) == 0
    a, b, c = ((tmp_path / name / "scene.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("spelling", [["--views=-75,0;10,-20"], ["--views", "-75,0;10,-20"]])
def test_renders_are_named_by_view_and_frame(fitted, tmp_path, capsys, spelling):
    command = ["render", str(fitted / "scene.safetensors"), "-o", str(tmp_path / "r"), *spelling]
    assert main([*command, "--frames", "2,0", "--size", "32"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"folder": str(tmp_path / "r"), "views": 2, "frames": 2, "size": 32}
    assert re.search(r"render: 100%.* 2/2 ", captured.err)
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        "views.json",
        *(f"view{view}_frame{frame:04d}.png" for view in (0, 1) for frame in (0, 2)),
    }
    document = json.loads((tmp_path / "r" / "views.json").read_text())
    assert [(view["azimuth"], view["elevation"]) for view in document["views"]] == [(-75, 0), (10, -20)]
    with Image.open(tmp_path / "r" / "view1_frame0002.png") as image:
        assert (image.mode, image.size) == ("RGBA", (32, 32))
        alpha = np.asarray(image)[..., 3]
    assert alpha[0, 0] == 0
    assert alpha.max() > 128


def test_render_passes_are_files_beside_the_colors(fitted, tmp_path, capsys):
    scene = str(fitted / "scene.safetensors")
    command = ["render", scene, "--views", "30,10", "--frames", "0,2", "--size", "32"]
    assert main([*command, "-o", str(tmp_path / "plain")]) == 0
    assert main([*command, "-o", str(tmp_path / "r"), "--passes", "normals, alpha,depth"]) == 0
    names = {path.name for path in (tmp_path / "r").iterdir()}
    passes = {
        f"view0_frame{frame:04d}_{name}.png" for frame in (0, 2) for name in ("alpha", "depth", "normals")
    }
    assert names == passes | {path.name for path in (tmp_path / "plain").iterdir()}
    colors = (tmp_path / "r" / "view0_frame0002.png").read_bytes()
    assert colors == (tmp_path / "plain" / "view0_frame0002.png").read_bytes()
    alpha, depth, normals, rgba = (
        Image.open(tmp_path / "r" / f"view0_frame0002{suffix}.png")
        for suffix in ("_alpha", "_depth", "_normals", "")
    )
    assert [image.mode for image in (alpha, depth, normals)] == ["I;16", "I;16", "RGB"]
    alphas = np.asarray(alpha) / 65535
    np.testing.assert_allclose(alphas, np.asarray(rgba)[..., 3] / 255, atol=0.5 / 255 + 1e-6)
    model = load_scene(scene)
    pose = replace(model.info.input_pose, azimuth_deg=30.0, elevation_deg=10.0)
    output = render(model.at(model.frame_times[[2]])[0], Cameras.from_poses([pose], 32, 32), with_depth=True)
    visible = alphas > 0.51
    z = np.asarray(depth)[visible] / 65535 * 2 * pose.radius
    np.testing.assert_allclose(z, output.depths[0].detach().numpy()[visible], atol=1e-4)
    assert (np.asarray(depth)[alphas < 0.49] == 0).all()
    assert (np.asarray(normals)[alphas < 0.49] == 0).all()
    assert np.asarray(normals)[visible][:, 2].mean() > 128  # toward the camera
    capsys.readouterr()
    assert main(["evaluate", scene, "--truth", str(tmp_path / "r")]) == 0
    assert json.loads(capsys.readouterr().out)["psnr"] > 40


def test_a_render_pass_has_the_same_bytes_alone_and_with_others(fitted, tmp_path):
    command = [
        "render",
        str(fitted / "scene.safetensors"),
        "--views",
        "30,10",
        "--frames",
        "1",
        "--size",
        "32",
    ]
    assert main([*command, "-o", str(tmp_path / "all"), "--passes", "alpha,depth,normals"]) == 0
    for name in ("alpha", "depth", "normals"):
        assert main([*command, "-o", str(tmp_path / name), "--passes", name]) == 0
        for file in ("view0_frame0001.png", f"view0_frame0001_{name}.png"):
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "all" / file).read_bytes()


def test_passes_do_not_render_a_frame_again(fitted, tmp_path, monkeypatch):
    module, num_renders = importlib.import_module("stag4d.rendering.render"), []
    rasterize = module.rasterize

    def count(*args: object, **options: object) -> object:
        num_renders.append(1)
        return rasterize(*args, **options)

    monkeypatch.setattr(module, "rasterize", count)
    command = ["render", str(fitted / "scene.safetensors"), "--views", "30,10;0,0", "--size", "32"]
    assert main([*command, "-o", str(tmp_path), "--passes", "alpha,depth,normals"]) == 0
    assert len(num_renders) == 3  # one a frame, of both views


def test_unknown_render_pass_is_refused(fitted, tmp_path, capsys):
    command = ["render", "s", "-o", str(tmp_path / "r"), "--views", "0,0", "--passes", "depth,albedo"]
    assert main(command) == 2
    assert "'albedo' is not a pass; expected one or more of alpha, depth, normals" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_render_defaults_to_all_frames_at_the_size_of_the_fit(fitted, tmp_path, capsys):
    assert main(["render", str(fitted / "scene.safetensors"), "-o", str(tmp_path), "--views", "0,0"]) == 0
    assert result_of(capsys)["size"] == 24
    assert len(list(tmp_path.glob("view0_frame*.png"))) == 3


def test_the_default_render_size_is_that_of_the_fit_limited_by_its_views(quick, views, tmp_path, capsys):
    """The images have 24 pixels on a side, so the fit and renders of its scene have no more."""
    assert main(["fit", str(views), "-o", str(tmp_path), "--size", "40"]) == 0
    scene = str(tmp_path / "scene.safetensors")
    capsys.readouterr()
    assert main(["render", scene, "-o", str(tmp_path / "r"), "--views", "0,0"]) == 0
    assert result_of(capsys)["size"] == load_scene(scene).info.settings["size"] < 40


def test_evaluate_compares_a_scene_with_a_folder_of_renders(fitted, tmp_path, capsys):
    scene = str(fitted / "scene.safetensors")
    assert main(["render", scene, "-o", str(tmp_path), "--views", "-75,0;15,0", "--size", "32"]) == 0
    capsys.readouterr()
    assert main(["evaluate", scene, "--truth", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    metrics = json.loads(captured.out)
    assert re.search(r"evaluate: 100%.* 3/3 ", captured.err)
    assert metrics.keys() == {"psnr", "psnr_masked", "ssim", "iou", "flicker", "per_view"}
    assert metrics["psnr"] > 40
    assert len(metrics["per_view"]["iou"]) == 2


def test_ply_export_writes_one_file_per_frame(fitted, tmp_path, capsys):
    scene = fitted / "scene.safetensors"
    assert main(["export", str(scene), "-o", str(tmp_path / "splats"), "--format", "ply"]) == 0
    assert result_of(capsys) == {"folder": str(tmp_path / "splats"), "files": 3}
    model = load_scene(scene)
    for frame in range(3):
        posed = model.at(model.frame_times[[frame]])[0]
        found = read_ply(tmp_path / "splats" / f"frame_{frame:04d}.ply")
        torch.testing.assert_close(found.means, posed.means.detach())
        torch.testing.assert_close(found.sh0, posed.sh0)


def test_mp4_export_is_a_turntable_of_the_requested_size(fitted, tmp_path, capsys):
    path = tmp_path / "new" / "turn.mp4"
    scene = str(fitted / "scene.safetensors")
    assert main(["export", scene, "-o", str(path), "--format", "mp4", "--size", "48"]) == 0
    assert result_of(capsys) == {"file": str(path)}
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 60
    assert frames[0].shape == (48, 48, 3)


def test_the_demo_needs_no_input_files(quick, tmp_path, capsys, monkeypatch):
    def small_demo(*arguments: object, **options: object) -> object:
        return real(*arguments, num_frames=2, size=16, **options)

    real = cli.whole.pipeline.demo
    monkeypatch.setattr(cli.whole.pipeline, "demo", small_demo)
    assert main(["demo", "-o", str(tmp_path), "--steps", "3"]) == 0
    assert result_of(capsys).keys() == {
        "scene",
        "views_flicker",
        "psnr",
        "psnr_masked",
        "ssim",
        "iou",
        "flicker",
        "per_view",
    }
    assert (tmp_path / "unseen_views.png").exists()


def test_an_interrupted_fit_writes_its_scene_and_resumes_to_the_uninterrupted_one(
    quick, views, tmp_path, monkeypatch, capsys
):
    command = ["fit", str(views), "--steps", "16", "-o"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(cli.fitting, "ConsoleMonitor", CtrlCMonitor)
        assert main([*command, str(tmp_path / "out")]) == 130
    assert "interrupting; press Ctrl-C again" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scene.safetensors",
        "report.json",
        "report.html",
        "checkpoint.safetensors",
    }
    assert json.loads((tmp_path / "out" / "report.json").read_text())["steps"] == 10
    whole = (tmp_path / "whole" / "scene.safetensors").read_bytes()
    assert (tmp_path / "out" / "scene.safetensors").read_bytes() != whole
    assert main([*command, str(tmp_path / "out"), "--resume"]) == 0
    assert (tmp_path / "out" / "scene.safetensors").read_bytes() == whole
    assert not (tmp_path / "out" / "checkpoint.safetensors").exists()


def test_a_fit_interrupted_while_its_turntable_is_rendered_resumes_with_the_turntable(
    quick, views, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO")
    command = ["fit", str(views), "--steps", "6", "-o"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(CtrlCMonitor, "moment", ("turntable", 3))
        patch.setattr(cli.fitting, "ConsoleMonitor", CtrlCMonitor)
        assert main([*command, str(tmp_path / "out")]) == 130
    assert caplog.messages[-1] == "--resume writes the missing files."
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scene.safetensors",
        "scene.html",
        "report.json",
        "report.html",
        "checkpoint.safetensors",
    }
    monkeypatch.setattr(Trainer, "_advance", None)  # no step is left to do
    assert main([*command, str(tmp_path / "out"), "--resume"]) == 0
    for name in ("scene.safetensors", "scene.html", "turntable.mp4"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    reports = [json.loads((tmp_path / run / "report.json").read_text()) for run in ("whole", "out")]
    assert reports[0]["losses"] == reports[1]["losses"]
    assert not (tmp_path / "out" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("error", [RecursionError, NotImplementedError, KeyError])
def test_bugs_keep_their_traceback(quick, views, tmp_path, monkeypatch, error):
    def fail(*_: object, **__: object) -> None:
        raise error("a bug")

    monkeypatch.setattr(cli.fitting.pipeline, "fit", fail)
    with pytest.raises(error, match="a bug"):
        main(["fit", str(views), "-o", str(tmp_path)])


def test_a_fit_warns_that_it_overwrites_a_checkpoint(quick, views, tmp_path, monkeypatch, caplog):
    command = ["fit", str(views), "--steps", "16", "-o", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(cli.fitting, "ConsoleMonitor", CtrlCMonitor)
        assert main(command) == 130
    assert "which this fit overwrites" not in caplog.text
    assert main(command) == 0
    assert "checkpoint of an interrupted fit, which this fit overwrites; --resume continues it" in caplog.text


def test_a_second_ctrl_c_stops_at_once_and_writes_nothing(quick, views, tmp_path, monkeypatch):
    monkeypatch.setattr(CtrlCMonitor, "presses", 2)
    monkeypatch.setattr(cli.fitting, "ConsoleMonitor", CtrlCMonitor)
    before = signal.getsignal(signal.SIGINT)
    assert main(["fit", str(views), "--steps", "16", "-o", str(tmp_path / "out")]) == 130
    assert not (tmp_path / "out").exists()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_real_process_with_130_and_a_scene_to_resume(tmp_path, monkeypatch, number):
    views = small_view_set(3, 16)
    frames_only = changed_views(
        views, view_images=views.view_images[:, :0], view_alphas=views.view_alphas[:, :0], view_poses=()
    )
    write_views(tmp_path / "views", frames_only)
    num_steps = 1_000_000  # the fit cannot end before the signal arrives
    words = [
        "fit",
        str(tmp_path / "views"),
        "-o",
        str(tmp_path),
        "--preset",
        "fast",
        "--size",
        "16",
        "--steps",
        str(num_steps),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "stag4d", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        shown = ""
        while not re.search(r"optimize:.*\| [1-9]\d*/1000000", shown):  # a step is done
            character = process.stderr.read(1)
            assert character, shown
            shown += character
        assert f"preset fast: {num_steps} steps on 3 frames and 0 posed views" in shown
        process.send_signal(number)
        out, error = process.communicate(timeout=240)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, error
    assert "interrupting; press Ctrl-C again" in error
    assert "--resume continues the fit." in error
    assert json.loads(out)["scene"] == str(tmp_path / "scene.safetensors")
    reached = json.loads((tmp_path / "report.json").read_text())["steps"]
    assert 0 < reached < num_steps
    assert load_scene(tmp_path / "scene.safetensors").info.num_frames == 3
    monkeypatch.setattr(CtrlCMonitor, "moment", ("optimize", reached + 1))
    monkeypatch.setattr(cli.fitting, "ConsoleMonitor", CtrlCMonitor)
    assert main([*words, "--resume"]) == 130
    assert json.loads((tmp_path / "report.json").read_text())["steps"] == reached + 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_videos_of_any_length_are_accepted(quick, tmp_path, count, capsys):
    write_views(tmp_path / "views", small_view_set(count, 16))
    assert (
        main(["fit", str(tmp_path / "views"), "-o", str(tmp_path / "out"), "--steps", "2", "--size", "16"])
        == 0
    )
    model = load_scene(tmp_path / "out" / "scene.safetensors")
    assert model.info.num_frames == count
    assert (model.deformation is None) == (count == 1)


def as_16_bits(path: Path) -> None:
    """Rewrite an image with 16 bits per channel."""
    with Image.open(path) as image:
        pixels = np.asarray(image).astype(np.uint16) * 257  # [H, W, 4]
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = pixels.shape[:2]
    codec.pix_fmt, codec.time_base = "rgba64be", Fraction(1, 8)
    frame = av.VideoFrame(codec.width, codec.height, "rgba64be")
    rows = np.zeros((codec.height, frame.planes[0].line_size), np.uint8)
    rows[:, : codec.width * 8] = pixels.astype(">u2").view(np.uint8).reshape(codec.height, -1)
    frame.planes[0].update(rows.tobytes())
    path.write_bytes(b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)]))


def without_alpha(path: Path) -> None:
    """Composite an image on plain white."""
    with Image.open(path) as image:
        white = Image.new("RGBA", image.size, "white")
        Image.alpha_composite(white, image).convert("RGB").save(path)


def with_stray_alpha(path: Path) -> None:
    """Set alpha to 255 inside and 1 outside, as in the files of the official code."""
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[..., 3] = np.where(pixels[..., 3] > 127, 255, 1)
    Image.fromarray(pixels).save(path)


def larger(path: Path) -> None:
    """Enlarge an image."""
    with Image.open(path) as image:
        image.resize((40, 40)).save(path)


@pytest.mark.parametrize(
    ("change", "pattern", "warning"),
    [
        (as_16_bits, "ref/*.png", ""),
        (larger, "ref/*.png", ""),
        (without_alpha, "zero123/*/*.png", "have no alpha; it was computed from their plain background."),
        (with_stray_alpha, "zero123/*/*.png", ""),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_images_of_other_kinds_are_accepted(quick, views, tmp_path, caplog, change, pattern, warning):
    folder = shutil.copytree(views, tmp_path / "views")
    for path in folder.glob(pattern):
        change(path)
    caplog.set_level(logging.WARNING)
    assert main(["fit", str(folder), "-o", str(tmp_path / "out"), "--steps", "2"]) == 0
    assert (warning in caplog.text) if warning else caplog.text == ""
    assert (tmp_path / "out" / "scene.safetensors").exists()


def test_a_guidance_model_adds_its_loss_to_the_fit(quick, views, tmp_path, capsys):
    model = make_guidance_folder(tmp_path / "model")
    out = tmp_path / "out"
    assert main(["fit", str(views), "-o", str(out), "--guidance-model", str(model)]) == 0
    assert json.loads((out / "report.json").read_text())["losses"]["guidance"] > 0
    settings = ["--guidance-model", str(model), "--guidance-weight", "7", "--guidance-anchors", "nearest"]
    assert main(["fit", str(views), "-o", str(out), *settings]) == 0
    settings = json.loads((out / "report.json").read_text())["settings"]["guidance"]
    assert (settings["weight"], settings["anchors"]) == (7.0, "nearest")
    capsys.readouterr()
    other = make_multiview_folder(tmp_path / "other")
    assert main(["fit", str(views), "-o", str(out), "--guidance-model", str(other)]) == 2
    error = capsys.readouterr().err
    assert f"{other}: is no guidance model" in error


def test_the_guidance_model_of_a_fit_has_the_chosen_data_type(quick, views, tmp_path, monkeypatch):
    model, dtypes = make_guidance_folder(tmp_path / "model"), []
    load = cli.fitting.load_guidance

    def spied(name, **options):
        loaded = load(name, **options)
        dtypes.append(loaded.unet.dtype)
        return loaded

    monkeypatch.setattr(cli.fitting, "load_guidance", spied)
    words = ["fit", str(views), "-o", str(tmp_path / "out"), "--steps", "2", "--guidance-model", str(model)]
    assert main(words) == 0
    assert main([*words, "--dtype", "bfloat16"]) == 0
    assert dtypes == [torch.float32, torch.bfloat16]


def test_a_bundled_guidance_model_is_found_by_its_name(quick, views, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pipeline.models, "FOLDER", tmp_path / "weights")
    make_guidance_folder(tmp_path / "weights" / "mini-zero123")
    out = tmp_path / "out"
    assert main(["fit", str(views), "-o", str(out), "--guidance-model", "bundled/mini-zero123"]) == 0
    assert json.loads((out / "report.json").read_text())["losses"]["guidance"] > 0
    capsys.readouterr()
    assert main(["fit", str(views), "-o", str(out), "--guidance-model", "bundled/other"]) == 2
    error = capsys.readouterr().err
    assert "no such guidance model in the package; expected bundled/mini-zero123." in error
