"""The table of export formats: uniform calls, the same files as the format's own function, clean errors."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from recording import Recorder

from stag4d.export import (
    EXPORT_FORMATS,
    encode_glb,
    encode_s4d,
    encode_splat,
    write_4dgs,
    write_html,
    write_ply,
    write_s4d,
    write_spz,
)
from stag4d.progress import Interrupted
from stag4d.scene import GaussianModel4D, Gaussians

PACKAGES = {"spz": "gsply", "4dgs": "fourdgs", "glb": "fourdgs"}
OF_ONE_FRAME = ["ply", "spz", "splat", "glb"]


def at(scene: GaussianModel4D, time: float) -> Gaussians:
    """Return the Gaussians of a scene at a time from 0 to 1."""
    return scene.at(torch.tensor([time]))[0]


WRITERS: dict[str, Callable[[Path, GaussianModel4D], None]] = {
    "ply": lambda path, scene: write_ply(path, at(scene, 0.0)),
    "spz": lambda path, scene: write_spz(path, at(scene, 0.0)),
    "4dgs": write_4dgs,
    "html": lambda path, scene: write_html(path, encode_s4d(scene), "file"),
    "clip": write_s4d,
    "splat": lambda path, scene: path.write_bytes(encode_splat(at(scene, 0.0))),
    "glb": lambda path, scene: path.write_bytes(encode_glb(at(scene, 0.0))),
}


def skip_without_package(name: str) -> None:
    """Skip a test whose format needs a package that is not installed."""
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])


def test_names_and_suffixes_are_unique_and_in_the_order_of_the_node():
    assert list(EXPORT_FORMATS) == ["ply", "spz", "4dgs", "html", "clip", "splat", "glb"]
    suffixes = [entry.suffix for entry in EXPORT_FORMATS.values()]
    assert suffixes == [".ply", ".spz", ".4dgs", ".html", ".s4d", ".splat", ".glb"]
    for name, entry in EXPORT_FORMATS.items():
        assert entry.name == name
        assert entry.description
        assert "\n" not in entry.description


def test_frame_formats_are_those_that_encode_gaussians(swaying_scene):
    assert [name for name, entry in EXPORT_FORMATS.items() if entry.holds_one_frame] == OF_ONE_FRAME
    for name in OF_ONE_FRAME:
        skip_without_package(name)
        assert EXPORT_FORMATS[name].encode_frame(swaying_scene.gaussians)


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_options_are_the_optional_keyword_arguments_of_write(name):
    path, model, *options = inspect.signature(EXPORT_FORMATS[name].write).parameters.values()
    assert (path.name, model.name) == ("path", "model")
    assert [option.name for option in options] == ["monitor", *EXPORT_FORMATS[name].options]
    assert all(option.kind is option.KEYWORD_ONLY for option in options)
    assert all(option.default is not option.empty for option in options)


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_write_equals_the_function_of_the_format(tmp_path, swaying_scene, name):
    skip_without_package(name)
    entry, monitor = EXPORT_FORMATS[name], Recorder()
    path = tmp_path / "new" / f"file{entry.suffix}"
    entry.write(path, swaying_scene, monitor=monitor)
    WRITERS[name](tmp_path / "expected", swaying_scene)
    assert path.read_bytes() == (tmp_path / "expected").read_bytes()
    count = 1 if entry.holds_one_frame else 5
    assert monitor.calls == [("export", done, count) for done in range(1, count + 1)]


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_interrupted_write_leaves_no_file(tmp_path, swaying_scene, name):
    skip_without_package(name)
    with pytest.raises(Interrupted):
        EXPORT_FORMATS[name].write(tmp_path / "file", swaying_scene, monitor=Recorder(cancel_at=1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["ply", "spz"])
@pytest.mark.parametrize("time", [0.0, 0.3, 1.0])
def test_frame_time_chooses_the_moment(tmp_path, swaying_scene, name, time):
    skip_without_package(name)
    EXPORT_FORMATS[name].write(tmp_path / "a", swaying_scene, frame_time=time)
    assert (tmp_path / "a").read_bytes() == EXPORT_FORMATS[name].encode_frame(at(swaying_scene, time))


@pytest.mark.parametrize("time", [-0.1, 1.1, float("nan")])
def test_frame_time_out_of_range_is_rejected(tmp_path, swaying_scene, time):
    with pytest.raises(ValueError, match=f"ply: frame_time is {time:g}; expected 0"):
        EXPORT_FORMATS["ply"].write(tmp_path / "a.ply", swaying_scene, frame_time=time)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["full", "small"])
def test_precision_of_the_page_and_the_s4d_file(tmp_path, swaying_scene, precision):
    content = encode_s4d(swaying_scene, precision=precision)
    EXPORT_FORMATS["clip"].write(tmp_path / "a.s4d", swaying_scene, precision=precision)
    assert (tmp_path / "a.s4d").read_bytes() == content
    EXPORT_FORMATS["html"].write(tmp_path / "a.html", swaying_scene, precision=precision)
    write_html(tmp_path / "expected.html", content, "a")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "expected.html").read_bytes()


@pytest.mark.parametrize(
    ("file", "title"), [("ball.html", "ball"), ("ball_00001_.html", "ball_00001"), ("_.html", "_")]
)
def test_page_is_titled_after_its_file(tmp_path, swaying_scene, file, title):
    EXPORT_FORMATS["html"].write(tmp_path / file, swaying_scene)
    assert f"<title>{title}</title>" in (tmp_path / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "module"), [("spz", "gsply"), ("4dgs", "fourdgs.keyframe_delta_file")])
def test_missing_package_is_an_error_with_the_install_command(
    tmp_path, swaying_scene, monkeypatch, name, module
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        RuntimeError, match=rf'{name}: the package {PACKAGES[name]} is not installed; pip install "'
    ):
        EXPORT_FORMATS[name].write(tmp_path / "file", swaying_scene)
    assert not list(tmp_path.iterdir())
