"""``stag4d export``: each format by its suffix, read back by an independent reader."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from small_fit import small_config, small_view_set
from spz_reader import read_spz

from stag4d.cli import main
from stag4d.export import encode_s4d, read_ply, read_s4d
from stag4d.optimization import Trainer
from stag4d.scene import Gaussians, load_scene, save_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """A scene of three frames."""
    path = tmp_path_factory.mktemp("scene") / "scene.safetensors"
    save_scene(path, Trainer(small_view_set(), small_config()).model())
    return path


@pytest.fixture
def export(scene, capsys):
    """A function that exports the scene and returns the JSON result of the command."""

    def run(*words: object) -> dict:
        capsys.readouterr()
        assert main(["export", str(scene), *map(str, words)]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def gaussians_of(scene: Path, frame: int) -> Gaussians:
    """Return the posed Gaussians of a frame."""
    model = load_scene(scene)
    return model.at(model.frame_times[[frame]])[0].map(torch.Tensor.detach)


def frames_of(path: Path) -> list[np.ndarray]:
    """Return the frames of a video."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def test_a_ply_file_holds_one_frame(scene, export, tmp_path):
    path = tmp_path / "new" / "cat.PLY"
    assert export("-o", path, "--frames", "2") == {"file": str(path)}
    torch.testing.assert_close(read_ply(path).means, gaussians_of(scene, 2).means)
    assert [entry.name for entry in path.parent.iterdir()] == ["cat.PLY"]


@pytest.mark.parametrize("file_format", ["ply", "spz"])
def test_a_path_without_the_suffix_is_a_folder_with_one_file_per_frame(export, tmp_path, file_format):
    folder = tmp_path / "cat.v2"
    assert export("-o", folder, "--format", file_format) == {"folder": str(folder), "files": 3}
    assert export("-o", folder, "--format", file_format, "--frames", "2,0") == {
        "folder": str(folder),
        "files": 2,
    }
    assert sorted(entry.name for entry in folder.iterdir()) == [
        f"frame_0000.{file_format}",
        f"frame_0002.{file_format}",
    ]


def test_an_spz_file_holds_one_frame_in_the_coordinates_of_the_format(scene, export, tmp_path):
    pytest.importorskip("gsply")
    assert export("-o", tmp_path / "cat.spz", "--frames", "1") == {"file": str(tmp_path / "cat.spz")}
    means = gaussians_of(scene, 1).means * torch.tensor([1, -1, -1])
    np.testing.assert_allclose(read_spz(tmp_path / "cat.spz")[0], means, atol=2e-4, rtol=0)


def test_spz_version_applies_to_a_file_and_to_a_folder(export, scene, tmp_path, capsys):
    pytest.importorskip("gsply")
    export("-o", tmp_path / "cat.spz", "--frames", "1", "--spz-version", "2")
    export("-o", tmp_path / "cat", "--format", "spz", "--spz-version", "2")
    for path in (tmp_path / "cat.spz", tmp_path / "cat" / "frame_0001.spz"):
        assert int.from_bytes(gzip.decompress(path.read_bytes())[4:8], "little") == 2
    words = ["export", str(scene), "-o", str(tmp_path / "cat.ply"), "--spz-version", "2"]
    assert main(words) == 2
    assert "--spz-version: does not apply to ply; expected spz." in capsys.readouterr().err


def test_splat_and_glb_files_hold_one_frame(scene, export, tmp_path):
    assert export("-o", tmp_path / "cat.splat", "--frames", "2") == {"file": str(tmp_path / "cat.splat")}
    means = gaussians_of(scene, 2).means * torch.tensor([1, -1, -1])
    rows = np.frombuffer((tmp_path / "cat.splat").read_bytes(), "<f4").reshape(-1, 8)
    np.testing.assert_array_equal(rows[:, :3], means)
    fourdgs = pytest.importorskip("fourdgs")
    export("-o", tmp_path / "cat.glb", "--frames", "2")
    found = fourdgs.from_gltf(str(tmp_path / "cat.glb")).gaussians
    np.testing.assert_array_equal(found.positions, gaussians_of(scene, 2).means)


def test_a_4dgs_file_opens_in_fourdgs(scene, export, tmp_path):
    fourdgs = pytest.importorskip("fourdgs.keyframe_delta_file")
    assert export("-o", tmp_path / "cat.4dgs") == {"file": str(tmp_path / "cat.4dgs")}
    decoded = fourdgs.decode_streamed((tmp_path / "cat.4dgs").read_bytes())
    seconds = 2 / load_scene(scene).info.fps
    means = gaussians_of(scene, 2).means
    np.testing.assert_allclose(fourdgs.render_at(decoded, seconds)["centers"], means, atol=0.01, rtol=0)


def test_bullet_time_orbits_once_at_a_frozen_frame(export, tmp_path):
    path = tmp_path / "cat.mp4"
    assert export("-o", path, "--size", "48", "--bullet-time", "1") == {"file": str(path)}
    frames = frames_of(path)
    assert len(frames) == 3 + 60
    assert frames[0].shape == (48, 48, 3)
    assert np.abs(frames[61] - frames[1]).mean() < 1  # back at the start of the orbit
    assert np.abs(frames[31] - frames[1]).mean() > 3  # from behind


@pytest.mark.parametrize("precision", [None, "small"])
def test_an_s4d_file_and_a_page_hold_the_same_scene(scene, export, tmp_path, precision):
    options = [] if precision is None else ["--precision", precision]
    for name in ("cat.s4d", "my cat.html"):
        assert export("-o", tmp_path / name, *options) == {"file": str(tmp_path / name)}
    content = (tmp_path / "cat.s4d").read_bytes()
    assert content == encode_s4d(load_scene(scene), precision=precision or "full")
    assert read_s4d(content).num_frames == 3
    page = (tmp_path / "my cat.html").read_text(encoding="utf-8")
    assert "<title>my cat</title>" in page
    assert base64.b64encode(content).decode() in page
