"""Commands killed at any file operation: the same command ends in the same bytes and leaves nothing else."""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from kills import files_of, is_killed_at
from PIL import Image
from small_fit import small_config, small_view_set

from stag4d import cli, temporary
from stag4d.cli import main
from stag4d.data import write_views
from stag4d.optimization import Trainer
from stag4d.pipeline import fitting, scenes
from stag4d.scene import save_scene
from tiny_models import make_multiview_folder

pytest.importorskip("fcntl")  # without locks a killed process is not noticed for a day


@pytest.fixture(autouse=True)
def _search_again(monkeypatch) -> None:
    """Search folders for what killed processes have left each time, as a new process does."""
    monkeypatch.setattr(temporary, "_CLEANUP_SECONDS", 0)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A view folder, a scene, a multi-view model and a video, all small."""
    folder = tmp_path_factory.mktemp("inputs")
    write_views(folder / "views", small_view_set())
    save_scene(folder / "scene.safetensors", Trainer(small_view_set(), small_config()).model())
    make_multiview_folder(folder / "model")
    (folder / "video").mkdir()
    for frame in range(2):
        pixels = np.zeros((24, 24, 4), np.uint8)
        pixels[6:18, 4 + 2 * frame : 14 + 2 * frame] = (220, 90 * frame, 30, 255)
        Image.fromarray(pixels).save(folder / "video" / f"{frame}.png")
    return folder


@pytest.fixture
def check(tmp_path, monkeypatch) -> Callable[..., None]:
    """A function that kills a command at every n-th file operation and runs it again."""

    def preset(name: str, *, steps: int | None, size: int | None, seed: int) -> object:
        return small_config(steps or 2, size or 16, seed)

    monkeypatch.setattr(cli.fit_options, "preset", preset)
    monkeypatch.setattr(cli.fitting, "check_rig", lambda *_: None)  # it writes no files
    few_frames = functools.partial(scenes.write_turntable, num_frames=2)
    monkeypatch.setattr(fitting, "write_turntable", few_frames)
    monkeypatch.setattr(scenes, "TURNTABLE_FRAMES", 2)

    def results(folder: Path) -> dict[str, bytes]:
        return {name: content for name, content in files_of(folder).items() if "report." not in name}

    def run(words: list[str], *more: str, every: int = 1) -> None:
        whole = tmp_path / "whole"
        assert main([*words[:2], "-o", str(whole / words[2]), *words[3:]]) == 0
        expected = results(whole)
        for number in itertools.count(step=every):
            folder = tmp_path / str(number)
            command = [*words[:2], "-o", str(folder / words[2]), *words[3:]]
            was_killed = is_killed_at(number, lambda command=command: main(command))
            assert main([*command, *more]) == 0
            assert results(folder) == expected, f"killed at file operation {number}"
            if not was_killed:
                break
        assert number > every

    return run


@pytest.mark.parametrize("name", ["a.ply", "a.splat", "a.spz", "a.glb", "a.4dgs", "a.s4d", "a.html", "a.mp4"])
def test_export_of_a_file(inputs, check, tmp_path, monkeypatch, name):
    module = {"a.spz": "gsply", "a.4dgs": "fourdgs", "a.glb": "fourdgs"}.get(name)
    if module is not None:
        pytest.importorskip(module)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    options = {key: ["--frames", "1"] for key in ("a.ply", "a.splat", "a.spz", "a.glb")}
    options["a.mp4"] = ["--bullet-time", "1"]
    check(["export", str(inputs / "scene.safetensors"), name, *options.get(name, [])])
    assert not list((tmp_path / "temp").iterdir())


def test_export_of_a_folder(inputs, check):
    check(["export", str(inputs / "scene.safetensors"), "sequence", "--format", "ply"])


def test_export_into_a_folder_with_an_older_sequence(inputs, check, tmp_path, monkeypatch):
    def older(folder: Path) -> Path:
        (folder / "sequence").mkdir(parents=True, exist_ok=True)
        (folder / "sequence" / "frame_0009.ply").write_text("older")
        return folder

    for name in ("whole", *map(str, range(60))):
        older(tmp_path / name)
    check(["export", str(inputs / "scene.safetensors"), "sequence", "--format", "ply"])


def test_render(inputs, check):
    check(["render", str(inputs / "scene.safetensors"), "renders", "--views=0,0;90,10", "--size=16"], every=5)


def test_fit(inputs, check):
    check(["fit", str(inputs / "views"), "out"], "--resume", every=5)


def test_multiview(inputs, check):
    words = ["multiview", str(inputs / "video"), "views", "--model", str(inputs / "model"), "--steps", "2"]
    check([*words, "--size", "24"], "--resume", every=23)


def test_run(inputs, check):
    words = ["run", str(inputs / "video"), "out", "--multiview-model", str(inputs / "model")]
    check([*words, "--view-steps", "1"], "--resume", every=37)
