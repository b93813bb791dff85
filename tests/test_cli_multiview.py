"""``stag4d multiview`` as users type it: from a video on disk to a view folder for ``stag4d fit``."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
from ctrl_c import CtrlCMonitor
from PIL import Image
from small_fit import small_config
from terminal import at_terminal

from stag4d import cli, pipeline
from stag4d.cli import main
from stag4d.data import read_views
from stag4d.geometry import zero123plus_rig
from stag4d.scene import load_scene
from tiny_models import TILE, make_guidance_folder, make_multiview_folder

QUICK = ["--steps", "2", "--size", "16"]
OPTIONS = [
    "--out",
    "--model",
    "--frames",
    "--margin",
    "--crop",
    "--start",
    "--end",
    "--mattes",
    "--rembg-model",
    "--invert-mattes",
    "--fps",
    "--input-elevation",
    "--size",
    "--rig",
    "--steps",
    "--guidance-scale",
    "--seed",
    "--anchor-frame",
    "--anchor-strength",
    "--previous-strength",
    "--separate-noise",
    "--share-reference-noise",
    "--batch-size",
    "--dtype",
    "--resume",
    "--yes",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder of a multi-view model with random weights, which states its rig."""
    folder = make_multiview_folder(tmp_path_factory.mktemp("model"))
    (folder / "stag4d.json").write_text('{"rig": "v1.1"}', encoding="utf-8")
    return folder


def image_of(frame: int) -> np.ndarray:
    """Return a square of 8 pixels that moves right on transparent gray, uint8 RGBA [16, 24, 4]."""
    pixels = np.full((16, 24, 4), (90, 90, 90, 0), np.uint8)
    pixels[4:12, 3 + 2 * frame : 11 + 2 * frame] = (220, 40 * frame, 30, 255)
    return pixels


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A folder of five images with alpha."""
    folder = tmp_path_factory.mktemp("source")
    for frame in range(5):
        Image.fromarray(image_of(frame)).save(folder / f"{frame}.png")
    return folder


def result_of(capsys: pytest.CaptureFixture) -> dict:
    """Return the JSON that is all of stdout."""
    return json.loads(capsys.readouterr().out)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return a folder's files by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["multiview", "--help"])
    assert stop.value.code == 0
    words = " ".join(capsys.readouterr().out.split())
    explained = words[words.index("options:") :]
    assert set(re.findall(r"--[a-z][a-z-]+", explained)) == {*OPTIONS, "--help"}
    for option, following in zip(OPTIONS, [*OPTIONS[1:], ""], strict=True):
        start = explained.index(option if option in ("--resume", "--yes") else f"{option} ")
        text = explained[start : explained.index(following, start + 1) if following else None]
        assert len(text.split()) > 4, f"{option} has no explanation"


def test_views_of_a_folder_of_images(model, source, tmp_path, capsys):
    out = tmp_path / "new" / "views"
    assert (
        main(["multiview", str(source), "-o", str(out), "--model", str(model), "--frames", "3", *QUICK]) == 0
    )
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert {key: result[key] for key in ("folder", "frames", "views")} == {
        "folder": str(out),
        "frames": 3,
        "views": 6,
    }
    assert math.isfinite(result["flicker"])
    for stage, total in (("encode", 3), ("denoise", 3 * 2), ("decode", 3)):
        assert re.search(rf"{stage}: 100%.* {total}/{total} ", captured.err), stage
    views = read_views(out)
    assert views.images.shape == (3, 16, 16, 3)
    assert views.view_images.shape == (3, 6, TILE, TILE, 3)
    assert views.view_poses == zero123plus_rig("v1.1")
    assert (views.input_pose.elevation_deg, views.fps) == (0, 8 * 2 / 4)  # 3 of 5 frames last as long
    # The object's motion is 16 pixels wide and 8 high; a tenth is free on either side, so 20 become 16.
    assert views.alphas[0].sum() == pytest.approx(64 * (16 / 20) ** 2, rel=0.01)
    assert (views.images[2][views.alphas[2] == 1] * 255).round().unique(dim=0).tolist() == [[220, 160, 30]]


def test_every_option_has_its_effect_on_the_files(model, source, tmp_path, capsys):
    words = ["multiview", str(source), "--model", str(model), "--frames", "2", *QUICK]
    further = ["--rig", "v1.2", "--input-elevation", "-15", "--fps", "12", "--margin", "0.25"]
    assert main([*words, "-o", str(tmp_path / "a"), *further]) == 0
    views = read_views(tmp_path / "a")
    assert views.view_poses == zero123plus_rig("v1.2")
    assert views.input_pose.radius == views.view_poses[0].radius
    assert (views.input_pose.elevation_deg, views.fps) == (-15, 12)
    assert (views.alphas.amax(dim=(0, 1)) > 0.5).sum() == 8  # half of the width is free
    before = files_of(tmp_path / "a")["zero123/1_rgba/0.png"]
    for number, option in enumerate(
        [
            ["--seed", "1"],
            ["--guidance-scale", "2"],
            ["--anchor-strength", "1"],
            ["--anchor-frame", "1"],
            ["--anchor-strength", "0.25", "--previous-strength", "0.5"],
            ["--separate-noise"],
            ["--share-reference-noise"],
            ["--steps", "3"],
            ["--dtype", "bfloat16"],
        ]
    ):
        assert main([*words, "-o", str(tmp_path / str(number)), *further, *option]) == 0
        assert files_of(tmp_path / str(number))["zero123/1_rgba/0.png"] != before, option
    assert main([*words, "-o", str(tmp_path / "b"), *further, "--batch-size", "2"]) == 0
    assert files_of(tmp_path / "b")["zero123/1_rgba/0.png"] == before
    assert capsys.readouterr().out.count("\n") == 11


def test_frames_are_prepared_at_what_the_feature_extractors_take(model, source, tmp_path, monkeypatch):
    sizes: list[int] = []
    read_input = cli.views.read_input

    def read(options, size, check=None):
        sizes.append(size)
        return read_input(options, 8, check)  # small enough for a test

    monkeypatch.setattr(cli.views, "read_input", read)
    words = ["multiview", str(source), "--model", str(model), "--frames", "1", "--steps", "1"]
    assert main([*words, "-o", str(tmp_path / "a")]) == 0
    monkeypatch.setattr("stag4d.diffusion.read_image_size", lambda folder: 700)
    assert main([*words, "-o", str(tmp_path / "b")]) == 0
    assert main([*words, "-o", str(tmp_path / "c"), "--size", "600"]) == 0
    assert sizes == [512, 700, 600]


def test_model_in_the_hubs_cache_is_given_as_repository_or_snapshot(model, source, tmp_path):
    repository = tmp_path / "models--sudo-ai--zero123plus-v1.2"
    snapshot = shutil.copytree(model, repository / "snapshots" / "0123abc")
    (snapshot / "stag4d.json").unlink()
    written = []
    for number, folder in enumerate((repository, snapshot)):
        words = ["multiview", str(source), "-o", str(tmp_path / str(number)), "--model", str(folder)]
        assert main([*words, "--frames", "1", *QUICK]) == 0
        written.append(files_of(tmp_path / str(number)))
    assert written[0] == written[1]
    assert read_views(tmp_path / "0").view_poses == zero123plus_rig("v1.2")  # by the repository's name
    record = json.loads(written[0]["views.json"])["multiview"]
    assert (record["rig"], record["rig_source"]) == ("v1.2", "path")


@pytest.fixture
def unstated(model, tmp_path) -> Path:
    """A folder that does not state the rig."""
    folder = shutil.copytree(model, tmp_path / "unstated")
    (folder / "stag4d.json").unlink()
    return folder


@pytest.mark.parametrize(("answer", "rig"), [("v1.2\n", "v1.2"), (" 1.1 \n", "v1.1")])
def test_rig_that_nothing_states_is_asked_for_at_the_terminal(
    unstated, source, tmp_path, monkeypatch, capsys, answer, rig
):
    at_terminal(monkeypatch, answer)
    words = ["multiview", str(source), "-o", str(tmp_path / "out"), "--model", str(unstated)]
    assert main([*words, "--frames", "1", *QUICK]) == 0
    assert f"{unstated}: neither its files nor its path say the rig." in capsys.readouterr().err
    assert read_views(tmp_path / "out").view_poses == zero123plus_rig(rig)


@pytest.mark.parametrize("answer", ["", "\n", "v2\n"])
def test_without_an_answer_about_the_rig_nothing_is_read(unstated, tmp_path, monkeypatch, capsys, answer):
    at_terminal(monkeypatch, answer)
    words = ["multiview", str(tmp_path / "missing"), "-o", str(tmp_path / "out"), "--model", str(unstated)]
    assert main(words) == 2
    assert "no rig was chosen; choose with --rig v1.1 or v1.2." in capsys.readouterr().err


def test_nobody_is_asked_about_the_rig_without_need(model, unstated, source, tmp_path, monkeypatch, caplog):
    terminal = at_terminal(monkeypatch, "\n")
    words = ["multiview", str(source), "--frames", "1", *QUICK]
    assert main([*words, "-o", str(tmp_path / "a"), "--model", str(model)]) == 0  # it states the rig
    assert main([*words, "-o", str(tmp_path / "b"), "--model", str(unstated), "--rig", "v1.1"]) == 0
    assert terminal.num_read == 0
    monkeypatch.undo()
    assert main([*words, "-o", str(tmp_path / "c"), "--model", str(unstated)]) == 0  # a script
    assert "assumed rig v1.1, since neither its files nor its path state it" in caplog.text


@pytest.mark.parametrize("answer", ["y\n", "n\n", "", None])
@pytest.mark.parametrize("more", [[], ["--yes"], ["--resume"]])
def test_only_a_user_at_a_terminal_is_asked_before_hours_of_work(
    model, source, tmp_path, monkeypatch, capsys, caplog, answer, more
):
    """A script has no terminal: it gets the estimate in its log, and runs as before."""
    monkeypatch.setattr("stag4d.diffusion.denoising_seconds", lambda *arguments: 20.4 * 3600)
    terminal = None if answer is None else at_terminal(monkeypatch, answer)
    words = ["multiview", str(source), "-o", str(tmp_path / "out"), "--model", str(model), "--frames", "1"]
    is_asked = answer is not None and not more
    is_started = not is_asked or answer == "y\n"
    assert main([*words, *QUICK, *more]) == (0 if is_started else 2)
    assert "denoising 1 frames in 2 steps takes about 20 h on this CPU" in caplog.text
    captured = capsys.readouterr()
    assert ("Do you want to start it? [y/N]" in captured.err) == is_asked
    assert terminal is None or terminal.num_read == is_asked
    assert (tmp_path / "out").exists() == is_started
    if not is_started:
        assert "not started, since it takes about 20 h; --yes starts it." in captured.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (61.0, "about 1 min "), (3600.0, "about 1.0 h "), (3599.0, "about 60 min ")],
)
def test_work_of_at_most_an_hour_is_announced_and_not_asked_about(
    model, source, tmp_path, monkeypatch, caplog, seconds, words
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("stag4d.diffusion.denoising_seconds", lambda *arguments: seconds)
    terminal = at_terminal(monkeypatch, "n\n")
    command = ["multiview", str(source), "-o", str(tmp_path / "out"), "--model", str(model), "--frames", "1"]
    assert main([*command, *QUICK]) == 0
    assert terminal.num_read == 0
    assert ("denoising 1 frames" in caplog.text) == (seconds is not None)
    assert words in caplog.text


def test_the_model_folder_sets_the_default_sampling(model, source, tmp_path, capsys):
    own = shutil.copytree(model, tmp_path / "own")
    index = json.loads((own / "model_index.json").read_text())
    index.setdefault("stag4d", {})["sampling"] = {"num_steps": 3, "guidance_scale": 1.0}
    (own / "model_index.json").write_text(json.dumps(index))
    words = ["multiview", str(source), "--model", str(own), "--frames", "2", "--size", "16"]
    assert main([*words, "-o", str(tmp_path / "a")]) == 0
    assert re.search(r"denoise: 100%.* 6/6 ", capsys.readouterr().err)
    assert main([*words, "-o", str(tmp_path / "b"), "--steps", "3", "--guidance-scale", "1"]) == 0
    assert main([*words, "-o", str(tmp_path / "c"), "--steps", "2", "--guidance-scale", "4"]) == 0
    views = [files_of(tmp_path / name)["zero123/1_rgba/0.png"] for name in "abc"]
    assert views[0] == views[1] != views[2]


def test_views_of_a_video_with_a_plain_background(model, tmp_path, capsys):
    with av.open(str(tmp_path / "source.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(20), options={"qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for frame in range(9):
            pixels = np.full((32, 48, 3), (225, 230, 235), np.uint8)
            pixels[8:24, 4 + 3 * frame : 20 + 3 * frame] = (90, 40, 50)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    out = tmp_path / "views"
    words = ["multiview", str(tmp_path / "source.mp4"), "-o", str(out), "--model", str(model)]
    assert main([*words, "--frames", "3", "--margin", "0", "--steps", "2", "--size", "40"]) == 0
    assert result_of(capsys)["frames"] == 3
    views = read_views(out)
    assert views.fps == 20 * 2 / 8
    assert views.images.shape == (3, 40, 40, 3)
    # From 4 to 44 pixels across, so nothing is scaled, and 8 to 24 down, 12 to 28 in the square.
    for frame, left in enumerate((0, 12, 24)):
        expected = np.zeros((40, 40), bool)
        expected[12:28, left : left + 16] = True
        assert ((views.alphas[frame] > 0.5).numpy() != expected).sum() <= 16  # of 256; the codec blurs edges
        center = views.images[frame, 20, left + 8] * 255
        assert abs(center.numpy() - (90, 40, 50)).max() < 12


def test_a_fit_reads_the_view_folder(model, source, tmp_path, monkeypatch):
    out = tmp_path / "views"
    words = ["multiview", str(source), "-o", str(out), "--model", str(model), "--fps", "5"]
    assert main([*words, "--frames", "2", *QUICK]) == 0
    monkeypatch.setattr(
        cli.fit_options,
        "preset",
        lambda name, *, steps, size, seed: replace(small_config(steps, size, seed), preset=name),
    )
    assert main(["fit", str(out), "-o", str(tmp_path / "fit"), *QUICK]) == 0
    info = load_scene(tmp_path / "fit" / "scene.safetensors").info
    assert (info.num_frames, info.fps) == (2, 5)


@pytest.mark.parametrize(
    ("moment", "presses"),
    [(("encode", 2), 1), (("denoise", 4), 1), (("denoise", 4), 2), (("decode", 1), 1), (("decode", 2), 2)],
)
def test_an_interrupted_call_resumes_to_the_same_files(
    model, source, tmp_path, monkeypatch, capsys, moment, presses
):
    words = ["multiview", str(source), "--model", str(model), "--frames", "2", "--steps", "3", "--size", "16"]
    assert main([*words, "-o", str(tmp_path / "whole")]) == 0
    before = signal.getsignal(signal.SIGINT)
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(CtrlCMonitor, "moment", moment)
        patch.setattr(CtrlCMonitor, "presses", presses)
        patch.setattr(cli.views, "ConsoleMonitor", CtrlCMonitor)
        assert main([*words, "-o", str(tmp_path / "out")]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "interrupting; press Ctrl-C again" in captured.err
    assert signal.getsignal(signal.SIGINT) is before
    assert not (tmp_path / "out" / "views.png").exists()
    assert len(list((tmp_path / "out").glob("unfinished_*"))) == (moment[0] != "encode")
    assert main([*words, "-o", str(tmp_path / "out"), "--resume"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["frames"] == 2
    assert ("encode" in captured.err) == (moment[0] != "decode")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def test_resuming_a_finished_call_does_nothing(model, source, tmp_path, capsys, caplog):
    caplog.set_level(logging.INFO)
    words = ["multiview", str(source), "-o", str(tmp_path / "out"), "--model", str(model), *QUICK]
    assert main([*words, "--frames", "4"]) == 0
    first, before = result_of(capsys), files_of(tmp_path / "out")
    caplog.clear()
    assert main([*words, "--frames", "4", "--resume"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == first
    assert "finished with the same inputs before; nothing is generated." in caplog.text
    assert "denoise" not in captured.err
    assert files_of(tmp_path / "out") == before
    assert main([*words, "--frames", "4", "--mattes", "border", "--seed", "1", "--resume"]) == 0
    assert "denoise: 100%" in capsys.readouterr().err
    assert files_of(tmp_path / "out") != before


@pytest.mark.parametrize("frames", ["1", "2"])
def test_the_flicker_of_less_than_three_frames_is_null(model, source, tmp_path, capsys, frames):
    words = ["multiview", str(source), "-o", str(tmp_path / "out"), "--model", str(model), *QUICK]
    assert main([*words, "--frames", frames]) == 0
    result = result_of(capsys)
    assert (result["frames"], result["flicker"]) == (int(frames), None)


def test_a_bundled_model_is_found_by_its_name(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pipeline.models, "FOLDER", tmp_path / "weights")
    words = ["multiview", str(source), "-o", str(tmp_path / "out"), "--frames", "1", *QUICK]
    assert main([*words, "--model", "bundled/mini-zero123plus"]) == 2
    error = capsys.readouterr().err
    assert (
        "bundled/mini-zero123plus: no such multiview model in the package; expected a folder: this" in error
    )
    make_multiview_folder(tmp_path / "weights" / "mini-zero123plus")
    make_guidance_folder(tmp_path / "weights" / "mini-zero123")
    assert main([*words, "--model", "bundled/mini-zero123"]) == 2
    assert (
        "no such multiview model in the package; expected bundled/mini-zero123plus."
        in capsys.readouterr().err
    )
    assert main([*words, "--model", "bundled/mini-zero123plus"]) == 0
    assert read_views(tmp_path / "out").num_frames == 1


def test_resume_without_a_checkpoint_starts_from_the_beginning(model, source, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    words = ["multiview", str(source), "-o", str(tmp_path / "out"), "--model", str(model), "--frames", "1"]
    assert main([*words, *QUICK, "--resume"]) == 0
    assert "nothing to resume; starting from the beginning." in caplog.text
    assert read_views(tmp_path / "out").num_frames == 1


@pytest.fixture
def refuses(capsys, caplog, tmp_path) -> Callable[..., str]:
    """A function that runs a command that must fail and returns its one-line error."""
    caplog.set_level(logging.INFO)

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main(["multiview", *map(str, words)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1, captured.err
        assert captured.err.startswith("stag4d multiview: ")
        assert caplog.text == ""
        assert not (tmp_path / "out").exists()
        return captured.err

    return run


BAD_NUMBERS = {
    ("--steps", "0"): "sampling: 0 steps; expected 1 to 1000.",
    ("--steps", "1001"): "sampling: 1001 steps",
    ("--guidance-scale", "nan"): "sampling: guidance_scale is nan; expected 0 or more.",
    ("--guidance-scale", "-1"): "sampling: guidance_scale is -1.0; expected 0 or more.",
    ("--batch-size", "0"): "sampling: batches of 0 frames; expected at least 1.",
    ("--anchor-strength", "2"): "anchor: strength is 2; expected 0 to 1.",
    ("--anchor-strength", "-0.5"): "anchor: strength is -0.5; expected 0 to 1.",
    ("--previous-strength", "0.6"): "anchor: previous_strength is 0.6 with a strength of 0.5; expected",
    ("--frames", "-1"): "video: -1 frames; expected 0 (all) or more.",
    ("--size", "0"): "frames: size is 0; expected at least one pixel.",
    ("--margin", "0.5"): "frames: margin is 0.5; expected 0 to below 0.5.",
    ("--fps", "0"): "--fps: 0 frames per second; expected above 0, at most 1000.",
    ("--fps", "nan"): "--fps: nan frames per second",
    ("--input-elevation", "95"): "elevation 95 degrees",
    ("--rig", "v2"): "argument --rig: invalid choice: 'v2'",
    ("--dtype", "int8"): "argument --dtype: invalid choice: 'int8'",
    ("--seed", "lucky"): "argument --seed: invalid int value: 'lucky'",
    ("--mattes", "scissors"): "--mattes: 'scissors' is no file or folder; expected one with masks",
}


@pytest.mark.parametrize(("option", "value"), BAD_NUMBERS)
def test_values_out_of_range_are_refused(refuses, model, source, tmp_path, option, value):
    words = [source, "-o", tmp_path / "out", "--model", model, *QUICK, option, value]
    assert BAD_NUMBERS[option, value] in refuses(*words)


def test_an_anchor_frame_beyond_the_video_is_refused_before_the_work(refuses, model, source, tmp_path):
    line = refuses(source, "-o", tmp_path / "out", "--model", model, *QUICK, "--anchor-frame", "5")
    assert "anchor frame 5 of 5 frames; expected 0 to 4." in line


def test_the_input_frames_are_not_overwritten(refuses, model, source, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(source, folder / "ref")
    before = files_of(folder)
    for source in (folder, folder / "ref"):
        line = refuses(source, "-o", folder, "--model", model, *QUICK)
        assert "contains the input frames, which the output would overwrite; choose another folder." in line
    assert files_of(folder) == before


@pytest.mark.parametrize("frame", [5, -1])
def test_an_anchor_frame_out_of_range_is_refused(model, source, tmp_path, capsys, frame):
    words = ["multiview", str(source), "-o", str(tmp_path), "--model", str(model), *QUICK]
    assert main([*words, "--anchor-frame", str(frame)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"anchor frame {frame} of 5 frames; expected 0 to 4." in captured.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def noise(folder: Path) -> None:
    """Write images without alpha and without a plain border."""
    generator = np.random.default_rng(0)
    for frame in range(2):
        pixels = generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{frame}.png")


def all_empty(folder: Path) -> None:
    """Write images that are nearly transparent throughout."""
    for frame in range(3):
        pixels = image_of(frame)
        pixels[..., 3] = np.minimum(pixels[..., 3], 51)
        Image.fromarray(pixels).save(folder / f"{frame}.png")


def two_sizes(folder: Path) -> None:
    """Write images of different sizes."""
    Image.fromarray(image_of(0)).save(folder / "0.png")
    Image.fromarray(image_of(0)[:12]).save(folder / "1.png")


def no_image(folder: Path) -> None:
    """Write a text file with the name of an image."""
    (folder / "0.png").write_text("hello")


BAD_INPUTS = {
    "missing": (Path.rmdir, "source: no such file or folder; expected a video file or a folder of images."),
    "empty": (lambda folder: None, "source: no images; expected files such as 0.png"),
    "noise": (noise, "frames: 0.png has no plain background"),
    "all empty": (all_empty, "frames: 0.png has no object, its largest alpha is 0.2; expected more than 0.5"),
    "two sizes": (two_sizes, "1.png: 24x12 pixels; expected 24x16, as"),
    "not an image": (no_image, "0.png: unreadable or cut short"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_invalid_input_is_refused(refuses, model, tmp_path, case):
    make, expected = BAD_INPUTS[case]
    (tmp_path / "source").mkdir()
    make(tmp_path / "source")
    assert expected in refuses(tmp_path / "source", "-o", tmp_path / "out", "--model", model, *QUICK)


def test_an_image_without_an_object_is_left_out_and_named(model, source, tmp_path, caplog):
    folder = shutil.copytree(source, tmp_path / "source")
    pixels = image_of(4)
    pixels[..., 3] = 0
    Image.fromarray(pixels).save(folder / "4.png")
    assert main(["multiview", str(folder), "-o", str(tmp_path / "out"), "--model", str(model), *QUICK]) == 0
    assert "4.png has no object: 1 of 5 frames are left out" in caplog.text
    assert read_views(tmp_path / "out").num_frames == 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (shutil.rmtree, "model/model_index.json: no such file; expected a model folder in diffusers' layout"),
        (
            lambda folder: shutil.rmtree(folder / "unet"),
            "unet: no weights; expected a file such as unet/*.safetensors",
        ),
        (
            lambda folder: (folder / "model_index.json").write_text("{}"),
            "is no multiview model, its model_index.json names None",
        ),
    ],
)
def test_invalid_model_folders_are_refused(refuses, model, source, tmp_path, change, expected):
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    change(folder)
    assert expected in refuses(source, "-o", tmp_path / "out", "--model", folder, *QUICK)


def test_unwritable_output_paths_are_refused(refuses, model, source, tmp_path):
    (tmp_path / "file").write_text("precious")
    for out, expected in (
        (f"{tmp_path}/x/../out", "an output path must not contain '..'; name it without."),
        (tmp_path / "file", "file: cannot write there"),
        (tmp_path / "file" / "views", "views: cannot write there"),
    ):
        assert expected in refuses(source, "-o", out, "--model", model, *QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "precious"


def test_required_options_are_named(refuses, source):
    assert "the following arguments are required: -o/--out, --model" in refuses(source)


@pytest.mark.parametrize(
    ("mattes", "method"), [("border", "border"), ("rembg", "rembg"), ("none", "border"), ("source", "border")]
)
def test_only_rembg_changes_the_background_removal_of_the_views(
    model, source, tmp_path, monkeypatch, capsys, mattes, method
):
    def refuse(chosen: str, rembg_model: str) -> None:
        raise ValueError(f"views: {chosen}.")

    monkeypatch.setattr(cli.views, "BackgroundRemover", refuse)
    words = ["multiview", str(source), "-o", str(tmp_path / "out"), "--model", str(model), *QUICK]
    assert main([*words, "--mattes", str(source) if mattes == "source" else mattes]) == 2
    assert f"views: {method}." in capsys.readouterr().err


def test_rembg_is_refused_where_it_is_not_installed(refuses, model, source, tmp_path):
    if find_spec("rembg") is not None:
        pytest.skip("rembg is installed")
    line = refuses(source, "-o", tmp_path / "out", "--model", model, "--mattes", "rembg", *QUICK)
    assert "rembg: the package rembg is not installed; pip install 'rembg[cpu]', or compute alpha" in line
