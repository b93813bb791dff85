"""``stag4d run`` as users type it: from a video on disk to a scene, its page and its turntable."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from quick_commands import make_commands_quick
from terminal import at_terminal

from stag4d import cli
from stag4d.cli import main
from stag4d.data import read_views
from stag4d.pipeline import whole
from stag4d.scene import load_scene
from tiny_models import TILE, make_guidance_folder, make_multiview_folder

OUTPUTS = {"scene.safetensors", "scene.html", "turntable.mp4", "report.json", "report.html", "views"}
OPTIONS = {
    "--out",
    "--multiview-model",
    "--guidance-model",
    "--frames",
    "--margin",
    "--crop",
    "--start",
    "--end",
    "--mattes",
    "--rig",
    "--rembg-model",
    "--invert-mattes",
    "--fps",
    "--input-elevation",
    "--view-steps",
    "--preset",
    "--steps",
    "--size",
    "--seed",
    "--guidance-weight",
    "--guidance-anchors",
    "--guidance-pose",
    "--perceptual",
    "--perceptual-weight",
    "--dtype",
    "--resume",
    "--yes",
    "--help",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Path, Path]:
    """Folders of a multi-view model and a guidance model with random weights."""
    place = tmp_path_factory.mktemp("models")
    return make_multiview_folder(place / "multiview"), make_guidance_folder(place / "guidance")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A folder of four images of a moving square, with alpha."""
    folder = tmp_path_factory.mktemp("source")
    for frame in range(4):
        pixels = np.zeros((24, 24, 4), np.uint8)
        pixels[6:18, 2 + 2 * frame : 14 + 2 * frame] = (220, 40 * frame, 30, 255)
        Image.fromarray(pixels).save(folder / f"{frame}.png")
    return folder


@pytest.fixture
def quick(monkeypatch) -> None:
    """A fit takes a fraction of a second."""
    make_commands_quick(monkeypatch)


def command(source: Path, out: Path, models: tuple[Path, Path], *more: str) -> list[str]:
    """Return the words of a command that runs few steps."""
    words = ["run", str(source), "-o", str(out), "--multiview-model", str(models[0]), "--view-steps", "2"]
    return [*words, "--steps", "4", "--size", "24", *more]


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert set(re.findall(r"--[a-z][a-z-]+", text[text.index("options:") :])) == OPTIONS


def test_a_run_writes_the_scene_and_its_views(quick, source, models, tmp_path, capsys):
    guidance = ["--guidance-model", str(models[1])]
    assert main(command(source, tmp_path / "out", models, *guidance, "--frames", "3", "--fps", "12")) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == OUTPUTS
    result = json.loads(capsys.readouterr().out)
    assert result.keys() == {"scene", "views_flicker"}
    assert result["scene"] == str(tmp_path / "out" / "scene.safetensors")
    scene = load_scene(tmp_path / "out" / "scene.safetensors")
    assert (scene.info.num_frames, scene.info.fps) == (3, 12)
    views = read_views(tmp_path / "out" / "views")
    assert views.view_images.shape == (3, 6, TILE, TILE, 3)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "guidance" in report["losses"]
    assert report["seconds"].keys() == {"views", "start", "optimize", "compare", "write"}


def test_frames_are_as_large_as_the_model_and_the_fit_take_them(quick, source, models, tmp_path, monkeypatch):
    """Zero123++ takes 512 pixels where the fit has 256."""
    sizes: list[int] = []
    read_input = cli.whole.read_input

    def read(options, size):
        sizes.append(size)
        return read_input(options, 24)

    monkeypatch.setattr(cli.whole, "read_input", read)
    for taken in (512, 16):
        monkeypatch.setattr("stag4d.diffusion.read_image_size", lambda folder, taken=taken: taken)
        assert main(command(source, tmp_path / str(taken), models)) == 0
    assert sizes == [512, 24]


def test_both_models_have_the_chosen_data_type(quick, source, models, tmp_path, monkeypatch):
    dtypes = []
    run = whole.run

    def spied(out, video, load_model, config, **options):
        dtypes.extend([load_model().unet.dtype, options["load_guidance"]().unet.dtype])
        return run(out, video, load_model, config, **options)

    monkeypatch.setattr(whole, "run", spied)
    words = command(source, tmp_path / "out", models, "--guidance-model", str(models[1]))
    assert main([*words, "--dtype", "bfloat16"]) == 0
    assert dtypes == [torch.bfloat16] * 2


def test_a_truncated_guidance_model_is_refused_before_the_views(source, models, tmp_path, capsys):
    folder = shutil.copytree(models[1], tmp_path / "guidance")
    path = max((folder / "vae").glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1000])
    words = command(tmp_path / "missing", tmp_path / "out", models, "--guidance-model", str(folder))
    assert main(words) == 2
    assert f"{path}: has {path.stat().st_size} bytes of " in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_hours_of_work_are_started_with_the_users_consent(
    quick, source, models, tmp_path, monkeypatch, capsys, answer
):
    monkeypatch.setattr("stag4d.diffusion.denoising_seconds", lambda *arguments: 7200.0)
    at_terminal(monkeypatch, answer)
    before = signal.getsignal(signal.SIGINT)
    assert main(command(source, tmp_path / "out", models, "--rig", "v1.1")) == (0 if answer == "y\n" else 2)
    assert "Do you want to start it? [y/N]" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_resumed_run_keeps_finished_views_and_fits_the_same_scene(quick, source, models, tmp_path, capsys):
    assert main(command(source, tmp_path / "a", models)) == 0
    assert main(command(source, tmp_path / "b", models)) == 0
    for name in OUTPUTS - {"views"}:
        (tmp_path / "b" / name).unlink()
    capsys.readouterr()
    assert main(command(source, tmp_path / "b", models, "--resume")) == 0
    assert "denoise" not in capsys.readouterr().err  # no view was generated again
    scenes = [(tmp_path / run / "scene.safetensors").read_bytes() for run in "ab"]
    assert scenes[0] == scenes[1]


def test_the_crop_can_follow_the_object(quick, source, models, tmp_path):
    words = command(source, tmp_path, models, "--crop", "follow", "--margin", "0.1")
    assert main(words) == 0
    scene = load_scene(tmp_path / "scene.safetensors")
    assert torch.equal(scene.info.offsets, read_views(tmp_path / "views").offsets)
    width = 4 * math.tan(math.radians(49.1 / 2))  # what the camera sees at the origin, of 12 / 0.8 pixels
    expected = torch.tensor([-3.0, -1.0, 1.0, 3.0]) / 15 * width  # two pixels a frame, to the right
    torch.testing.assert_close(scene.info.offsets[:, 0], expected)
    before = (tmp_path / "scene.safetensors").read_bytes()
    (tmp_path / "scene.safetensors").unlink()
    assert main([*words, "--resume"]) == 0
    assert (tmp_path / "scene.safetensors").read_bytes() == before


def test_a_run_warns_that_it_overwrites_a_checkpoint(quick, source, models, tmp_path, caplog):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"of an interrupted fit")
    assert main(command(source, tmp_path, models)) == 0
    assert "checkpoint of an interrupted fit, which this fit overwrites; --resume continues it" in caplog.text


def test_a_preset_that_needs_guidance_is_refused_before_the_views(source, models, tmp_path, capsys):
    assert main(command(source, tmp_path / "out", models, "--preset", "paper")) == 2
    assert "preset paper: only score distillation supervises views other" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words", [["run", "--multiview-model"], ["multiview", "--model"], ["fit", "--guidance-model"]]
)
def test_a_model_without_weights_is_refused_before_the_input_is_read(words, models, tmp_path, capsys):
    name, option = words
    folder = shutil.copytree(models[name == "fit"], tmp_path / "model")
    for path in (folder / "unet").glob("*.safetensors"):
        path.unlink()
    assert main([name, str(tmp_path / "missing"), "-o", str(tmp_path / "out"), option, str(folder)]) == 2
    assert "unet: no weights; expected a file such as" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--multiview-model", "bundled/none"], "bundled/none: no such multiview model in the package"),
        (["--guidance-model", "bundled/none"], "bundled/none: no such guidance model in the package"),
        (["--view-steps", "0"], "0 steps; expected 1 to 1000"),
        (["--margin", "0.5"], "margin is 0.5"),
        (["--fps", "0"], "--fps: 0 frames per second"),
    ],
)
def test_bad_input_is_a_one_line_error(quick, source, models, tmp_path, capfd, more, message):
    assert main(command(source, tmp_path / "out", models, *more)) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[-1]
    assert not (tmp_path / "out" / "scene.safetensors").exists()


def test_the_input_frames_are_not_overwritten(quick, source, models, tmp_path, capfd):
    shutil.copytree(source, tmp_path / "views" / "ref")
    assert main(command(tmp_path / "views" / "ref", tmp_path, models)) == 2
    assert "contains the input frames, which the output would overwrite" in capfd.readouterr().err
