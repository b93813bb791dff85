"""Bad input: each command prints a one-line error, writes no partial file and keeps the existing ones."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from full_disk import small_disk
from PIL import Image
from quick_commands import make_commands_quick
from safetensors.torch import save_file
from small_fit import small_config, small_view_set

from stag4d import cli
from stag4d.cli import main
from stag4d.data import write_views
from stag4d.optimization import LogLinear, Trainer
from stag4d.scene import files, save_scene

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def views(tmp_path_factory) -> Path:
    """A view folder: three frames with six posed views each."""
    folder = tmp_path_factory.mktemp("views")
    write_views(folder, small_view_set())
    return folder


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """A scene of three frames."""
    path = tmp_path_factory.mktemp("scene") / "scene.safetensors"
    save_scene(path, Trainer(small_view_set(), small_config()).model())
    return path


@pytest.fixture
def quick(monkeypatch) -> None:
    """A fit takes a fraction of a second."""
    make_commands_quick(monkeypatch)


@pytest.fixture
def refuses(capsys, caplog) -> Callable[..., str]:
    """A function that runs a command that must fail and returns its one-line error."""
    caplog.set_level(logging.INFO)

    def run(*words: object, progress: bool = False) -> str:
        capsys.readouterr()
        caplog.clear()
        assert main([str(word) for word in words]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        *before, line = captured.err.splitlines()
        assert progress or (before == [] and caplog.text == ""), captured.err + caplog.text
        assert captured.err.endswith("\n")
        assert re.match(r"stag4d( \w+)?: \S", line), line
        return line

    return run


def text(content: str) -> Callable[[Path], object]:
    """Return a change that replaces a file's content."""
    return lambda path: path.write_text(content)


def alpha(value: int) -> Callable[[Path], None]:
    """Return a change that sets the alpha of an image."""

    def fill(path: Path) -> None:
        with Image.open(path) as image:
            pixels = np.array(image)
        pixels[..., 3] = value
        Image.fromarray(pixels).save(path)

    return fill


def resized(width: int, height: int) -> Callable[[Path], None]:
    """Return a change that resizes an image."""

    def resize(path: Path) -> None:
        with Image.open(path) as image:
            image.resize((width, height)).save(path)

    return resize


def truncate(path: Path) -> None:
    """Cut off the last quarter of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])


def in_folder(name: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return a change of a view folder that changes one file or folder in it."""
    return lambda folder: change(folder / name)


BAD_VIEWS = {
    "no frames": (in_folder("ref", shutil.rmtree), "has no frames; expected a folder that holds ref/"),
    "a gap": (in_folder("ref/1_rgba.png", Path.unlink), "ref/1_rgba.png is missing; expected no gap"),
    "a gap in the views": (
        in_folder("zero123/2_rgba/3.png", Path.unlink),
        "2_rgba/3.png is missing; expected",
    ),
    "fewer views": (in_folder("zero123/1_rgba/5.png", Path.unlink), "1_rgba has 5 views; expected 6"),
    "no views of a frame": (in_folder("zero123/1_rgba", shutil.rmtree), "1_rgba has 0 views; expected 6"),
    "a frame that is not square": (
        in_folder("ref/1_rgba.png", resized(24, 18)),
        "1_rgba.png: 24x18 pixels; expected",
    ),
    "a view that is not square": (
        in_folder("zero123/0_rgba/2.png", resized(9, 12)),
        "2.png: 9x12 pixels; expected",
    ),
    "another size": (
        in_folder("ref/2_rgba.png", resized(30, 30)),
        "2_rgba.png: 30 pixels on a side; expected",
    ),
    "no object": (in_folder("ref/0_rgba.png", alpha(0)), "0_rgba.png: no object, alpha is at most 0"),
    "no background": (
        in_folder("zero123/1_rgba/1.png", alpha(255)),
        "1.png: no background, alpha is at least 1",
    ),
    "a truncated image": (in_folder("ref/1_rgba.png", truncate), "1_rgba.png: unreadable or cut short"),
    "not an image": (in_folder("ref/0_rgba.png", text("hello")), "0_rgba.png: unreadable or cut short"),
    "not JSON": (in_folder("views.json", text("{")), "views.json: cannot be read as JSON"),
    "a newer version": (in_folder("views.json", text('{"version": 9}')), "version 9 is newer"),
}


@pytest.mark.parametrize("case", BAD_VIEWS)
def test_invalid_views_are_refused(quick, refuses, views, tmp_path, case):
    change, expected = BAD_VIEWS[case]
    folder = shutil.copytree(views, tmp_path / "views")
    change(folder)
    assert expected in refuses("fit", folder, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_view_folder_is_refused(refuses, tmp_path):
    assert "nowhere: no such file or folder; expected a folder of views" in refuses(
        "fit", tmp_path / "nowhere", "-o", tmp_path / "out"
    )
    (tmp_path / "file").touch()
    assert "file is not a folder" in refuses("fit", tmp_path / "file", "-o", tmp_path / "out")


BAD_NUMBERS = {
    ("--steps", "0"): "steps: 0; expected 1 to 1000000.",
    ("--steps", "-5"): "steps: -5; expected 1",
    ("--steps", "1000001"): "steps: 1000001",
    ("--steps", "many"): "argument --steps: invalid int value: 'many'; see `stag4d fit --help`.",
    ("--size", "8"): "size: 8 pixels; expected 16 to 4096.",
    ("--size", "5000"): "size: 5000 pixels",
    ("--seed", "-1"): "seed: -1; expected 0 to 2^63 - 1.",
    ("--seed", str(2**63)): f"seed: {2**63}; expected 0",
    ("--fps", "0"): "--fps: 0 frames per second; expected above 0, at most 1000.",
    ("--fps", "-8"): "--fps: -8",
    ("--fps", "nan"): "--fps: nan",
    ("--fps", "1001"): "--fps: 1001",
    ("--hold-out-view", "6"): "held-out view: 6 of 6 views; expected 0 to 5.",
    ("--hold-out-view", "-1"): "held-out view: -1 of 6 views",
    ("--preset", "best"): "argument --preset: invalid choice: 'best'",
    ("--guidance-weight", "2"): "--guidance-weight: no effect without a guidance model; give --guid",
    ("--guidance-anchors", "nearest"): "--guidance-anchors: no effect without a guidance model; give",
    ("--dtype", "float16"): "--dtype: no effect without a guidance model; give --guidance-model, or omit it.",
}


@pytest.mark.parametrize(("option", "value"), BAD_NUMBERS)
def test_fit_options_out_of_range_are_refused(quick, refuses, views, tmp_path, option, value):
    for words in ([option, value], [f"{option}={value}"]):
        assert BAD_NUMBERS[option, value] in refuses("fit", views, "-o", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_a_preset_that_needs_guidance_is_refused_without_a_guidance_model(refuses, views, tmp_path):
    line = refuses("fit", views, "-o", tmp_path / "out", "--preset", "paper")
    assert "preset paper: only score distillation supervises views other than the input; give a guid" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "stag4d: the following arguments are required: COMMAND; see `stag4d --help`."),
        (["dance"], "argument COMMAND: invalid choice: 'dance'"),
        (["fit"], "stag4d fit: the following arguments are required: SOURCE, -o/--out; see `stag4d fit --"),
        (["fit", "views", "-o", "out", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["export", "s", "-o", "o", "--format", "obj"], "argument --format: invalid choice: 'obj'"),
    ],
)
def test_malformed_command_lines_are_refused(refuses, words, expected):
    assert expected in refuses(*words)


BAD_RENDERS = {
    ("--views=0",): "argument --views: '0' is not a view; expected AZIMUTH,ELEVATION in degrees",
    ("--views=a,b",): "argument --views: 'a,b' is not a view",
    ("--views=0,0;",): "argument --views: '' is not a view",
    ("--views", "-75"): "argument --views: '-75' is not a view",
    ("--views", "0,95"): "elevation 95 degrees; expected -89.9 to 89.9",
    ("--views", "0,-90"): "elevation -90 degrees",
    ("--views", "nan,0"): "is not finite",
    ("--views=0,0", "--frames", "3"): "--frames: 3; the scene has frames 0 to 2.",
    ("--views=0,0", "--frames", "-1,0"): "--frames: -1; the scene has frames 0 to 2.",
    ("--views=0,0", "--frames", "first"): "--frames: 'first'; expected 'all' or numbers separated by commas.",
    ("--views=0,0", "--frames="): "--frames: ''; expected 'all' or numbers",
    ("--views=0,0", "--size", "0"): "--size: 0 pixels; expected 1 to 4096.",
    ("--views=0,0", "--size", "4097"): "--size: 4097 pixels",
    (): "the following arguments are required: --views",
}


@pytest.mark.parametrize("words", BAD_RENDERS, ids=" ".join)
def test_invalid_render_options_are_refused(refuses, scene, tmp_path, words):
    assert BAD_RENDERS[words] in refuses("render", scene, "-o", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


BAD_EXPORTS = {
    ("-o", "OUT"): "out: unknown suffix ''; give --format ply|spz|",
    ("-o", "OUT.doc"): "out.doc: unknown suffix '.doc'; give --format",
    ("-o", "OUT.spz", "--format", "ply"): "out.spz: the suffix is that of spz, --format is ply; make",
    ("-o", "OUT.ply"): "out.ply: one file holds one frame, not 3; give one number with --frames, or a",
    ("-o", "OUT.ply", "--frames", "0,2"): "out.ply: one file holds one frame, not 2",
    ("-o", "OUT.ply", "--frames", "3"): "--frames: 3; the scene has frames 0 to 2.",
    ("-o", "OUT", "--format", "spz", "--frames="): "--frames: ''; expected 'all' or numbers",
    ("-o", "OUT.mp4", "--frames", "0"): "--frames: does not apply to mp4; expected ply, spz, splat or glb.",
    ("-o", "OUT.ply", "--size", "64"): "--size: does not apply to ply; expected mp4.",
    ("-o", "OUT.mp4", "--precision", "small"): "--precision: does not apply to mp4; expected html or clip.",
    ("-o", "OUT.4dgs", "--bullet-time", "0"): "--bullet-time: does not apply to 4dgs; expected mp4.",
    ("-o", "OUT.mp4", "--bullet-time", "3"): "--bullet-time: 3; the scene has frames 0 to 2.",
    ("-o", "OUT.mp4", "--bullet-time", "-1"): "--bullet-time: -1; the scene has frames 0 to 2.",
    ("-o", "OUT.mp4", "--size", "0"): "--size: 0 pixels; expected 1 to 4096.",
    ("-o", "", "--format", "mp4"): ".: is a folder; expected the name of a mp4 file.",
    (): "the following arguments are required: -o/--out",
}


@pytest.mark.parametrize("words", BAD_EXPORTS, ids=" ".join)
def test_invalid_export_options_are_refused(refuses, scene, tmp_path, words):
    paths = (word.replace("OUT", str(tmp_path / "out")) for word in words)
    assert BAD_EXPORTS[words] in refuses("export", scene, *paths)
    assert not list(tmp_path.iterdir())


def newer(path: Path) -> None:
    """Give a scene file the version of a later program."""
    tensors, metadata = files.read_tensors(path, "scene")
    header = {**json.loads(metadata["stag4d"]), "format_version": 3}
    save_file(tensors, path, {"stag4d": json.dumps(header)})


BAD_SCENES = {
    "missing": (Path.unlink, "no such file; expected a .safetensors file."),
    "truncated": (truncate, "corrupt or truncated"),
    "corrupt": (lambda path: path.write_bytes(b"?" * 5000), "corrupt or truncated"),
    "empty": (lambda path: path.write_bytes(b""), "corrupt or truncated"),
    "newer": (newer, "format version 3, this program reads up to 2; update STAG4D."),
    "other": (lambda path: save_file({}, path), "no scene header; expected a file that `stag4d fit` wrote."),
}


@pytest.mark.parametrize(
    "command",
    [
        ["render", "SCENE", "--views=0,0", "-o", "OUT"],
        ["export", "SCENE", "--format", "ply", "-o", "OUT"],
        ["export", "SCENE", "--format", "mp4", "-o", "OUT"],
        ["evaluate", "SCENE", "--truth", "OUT"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("case", BAD_SCENES)
def test_damaged_scene_files_are_refused(refuses, scene, tmp_path, command, case):
    change, expected = BAD_SCENES[case]
    copied = Path(shutil.copy(scene, tmp_path / "scene.safetensors"))
    change(copied)
    places = {"SCENE": copied, "OUT": tmp_path / "out"}
    assert f"scene {copied}: {expected}" in refuses(*(places.get(word, word) for word in command))
    assert not (tmp_path / "out").exists()


def test_renders_do_not_overwrite_a_view_folder(refuses, scene, views):
    before = {path: path.read_bytes() for path in views.rglob("*") if path.is_file()}
    line = refuses("render", scene, "--views=0,0", "-o", views)
    assert f"{views}: is a view folder, whose views.json would be overwritten" in line
    assert {path: path.read_bytes() for path in views.rglob("*") if path.is_file()} == before


def test_a_missing_ground_truth_folder_is_refused(refuses, scene, tmp_path):
    line = refuses("evaluate", scene, "--truth", tmp_path / "truth")
    assert "truth does not exist; expected a folder as `stag4d render` writes it." in line


@pytest.mark.parametrize(
    "command",
    [
        ["fit", "VIEWS", "-o", "OUT"],
        ["demo", "-o", "OUT"],
        ["render", "SCENE", "--views=0,0", "-o", "OUT"],
        ["export", "SCENE", "--format", "ply", "-o", "OUT"],
        ["export", "SCENE", "--format", "mp4", "-o", "OUT/a.mp4"],
    ],
    ids=lambda command: " ".join(command[:1] + command[2:4]),
)
@pytest.mark.parametrize("place", ["above", "a file", "below a file"])
def test_unwritable_output_paths_are_refused(quick, refuses, views, scene, tmp_path, command, place):
    (tmp_path / "file").write_text("precious")
    out, expected = {
        "above": (f"{tmp_path}/x/../out", "an output path must not contain '..'; name it without."),
        "a file": (str(tmp_path / "file"), "cannot write there"),
        "below a file": (str(tmp_path / "file" / "out"), "cannot write there"),
    }[place]
    places = {"VIEWS": str(views), "SCENE": str(scene)}
    words = [places.get(word, word).replace("OUT", out) for word in command]
    assert expected in refuses(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize(
    ("command", "written"),
    [
        (["fit", "VIEWS", "-o", "OUT"], "scene.safetensors"),
        (["render", "SCENE", "--views=0,0", "--size", "300", "-o", "OUT"], "view0_frame0000.png"),
        (["export", "SCENE", "--format", "ply", "-o", "OUT"], "frame_0000.ply"),
        (["export", "SCENE", "--format", "mp4", "--size", "96", "-o", "OUT/a.mp4"], "a.mp4"),
    ],
    ids=lambda command: " ".join(command[:1] + command[2:4]) if isinstance(command, list) else "",
)
def test_a_full_disk_keeps_old_files(quick, refuses, views, scene, tmp_path, command, written):
    out = tmp_path / "out"
    out.mkdir()
    (out / written).write_text("precious")
    places = {"VIEWS": str(views), "SCENE": str(scene)}
    words = [places.get(word, word).replace("OUT", str(out)) for word in command]
    with small_disk(4200):
        line = refuses(*words, progress=True)
    assert "cannot be written" in line or "failed" in line
    assert (out / written).read_text() == "precious"
    assert [path.name for path in out.rglob("*") if "part" in path.name] == []


def test_a_full_disk_is_found_before_the_work(quick, refuses, views, tmp_path, monkeypatch):
    monkeypatch.setattr(cli.fitting.pipeline, "fit", None)  # a call would fail
    with small_disk(100):
        line = refuses("fit", views, "-o", tmp_path / "out")
    assert "out: cannot write there (File too large); choose a writable folder with free space." in line


def test_a_full_disk_is_named_in_the_error(quick, refuses, views, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", fail)  # the last step of an atomic write
    line = refuses("fit", views, "-o", tmp_path, progress=True)
    assert "scene.safetensors: cannot be written ([Errno 28] No space left on device)" in line
    assert list(tmp_path.iterdir()) == []


def test_a_diverging_fit_keeps_the_existing_scene(refuses, views, tmp_path, monkeypatch):
    config = small_config(steps=20)
    exploding = replace(config.rates, means=LogLinear(start=1e38, end=1e38))
    monkeypatch.setattr(cli.fit_options, "preset", lambda *_, **__: replace(config, rates=exploding))
    for name in ("scene.safetensors", "report.json"):
        (tmp_path / name).write_text("precious")
    line = refuses("fit", views, "-o", tmp_path, progress=True)
    assert line.startswith("stag4d fit: step 10: means are no longer finite")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "scene.safetensors": "precious",
        "report.json": "precious",
    }


@pytest.mark.parametrize("damage", [truncate, lambda path: path.write_bytes(b"?" * 999)])
def test_a_damaged_checkpoint_is_refused(quick, views, tmp_path, capsys, damage):
    path = Path(shutil.copy(views / "ref" / "0_rgba.png", tmp_path / "checkpoint.safetensors"))
    damage(path)
    assert main(["fit", str(views), "-o", str(tmp_path), "--resume"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]  # after the bar of the start
    assert f"checkpoint {path}: damaged (" in line
    assert list(tmp_path.iterdir()) == [path]


def test_a_real_process_prints_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "stag4d", "fit", str(tmp_path / "nowhere"), "-o", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("stag4d fit: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
