"""STAG4DExport: one moment, a sequence or an animation, under a new name each time."""

import base64
import gzip
import sys
from io import BytesIO

import numpy as np
import pytest
import torch
from plyfile import PlyData
from spz_reader import read_spz


@pytest.fixture(scope="module")
def export(pack_module):
    return pack_module("nodes.export")


@pytest.fixture
def read_ply(pack_module):
    return pack_module("stag4d.export").read_ply


@pytest.fixture
def written(export, host_folders, sliding_scene):
    """A function that exports the scene; it returns the file output and the path of the written file."""

    def run(format: str, **settings: float):
        file, name = export.STAG4DExport.execute(
            sliding_scene, "clips/ball", {"format": format, **settings}
        ).args
        assert name.endswith(" [output]")
        return file, host_folders / "output" / name.removesuffix(" [output]")

    return run


def test_moment_is_one_file_and_the_file_output(written, read_ply):
    file, path = written("ply", moment=1.0)
    assert (file.format, path.suffix) == ("ply", ".ply")
    assert file.get_bytes() == path.read_bytes()
    assert read_ply(path).means[0, 0].item() == pytest.approx(0.4)


def test_no_file_is_overwritten(written):
    assert len({written("ply", moment=0.0)[1] for _ in range(3)}) == 3
    assert len({written("ply sequence")[1] for _ in range(3)}) == 3


@pytest.mark.parametrize("prefix", ["clips/", "clips/.", ""])
@pytest.mark.parametrize("settings", [{"format": "ply", "moment": 0.0}, {"format": "ply sequence"}])
def test_no_prefix_overwrites_a_file(export, host_folders, sliding_scene, prefix, settings):
    names = [export.STAG4DExport.execute(sliding_scene, prefix, settings).args[1] for _ in range(3)]
    assert len(set(names)) == 3
    for name in names:
        assert (host_folders / "output" / name.removesuffix(" [output]")).exists()


def test_sequence_is_a_folder_with_one_file_per_frame(written, read_ply):
    file, folder = written("ply sequence")
    paths = sorted(folder.iterdir())
    assert file.format == "ply"
    assert file.get_bytes() == paths[0].read_bytes()
    xs = torch.stack([read_ply(path).means[0, 0] for path in paths])
    torch.testing.assert_close(xs, torch.tensor([-0.4, -0.2, 0.0, 0.2, 0.4]))


def test_written_files_are_listed_for_the_page(export, host_folders, sliding_scene):
    def listed(prefix, format):
        return export.STAG4DExport.execute(sliding_scene, prefix, format).ui

    shown = listed("ball", {"format": "ply", "moment": 0.5})
    assert shown["text"] == ("saved ball_00001_.ply [output]",)
    assert shown["stag4d_files"] == [{"filename": "ball_00001_.ply", "subfolder": "", "type": "output"}]
    shown = listed("clips/ball", {"format": "ply sequence"})
    assert shown["text"] == ("saved clips/ball_00001_ [output]",)
    assert [file["filename"] for file in shown["stag4d_files"]] == [f"frame_{f:04}.ply" for f in range(5)]
    assert {file["subfolder"] for file in shown["stag4d_files"]} == {"clips/ball_00001_"}
    for file in shown["stag4d_files"]:
        assert (host_folders / file["type"] / file["subfolder"] / file["filename"]).is_file()


def test_spz_has_the_same_moment_and_frames(written):
    pytest.importorskip("gsply")
    file, path = written("spz", moment=0.75)
    assert (file.format, path.suffix) == ("spz", ".spz")
    assert file.get_bytes() == path.read_bytes()
    assert read_spz(path)[0][0, 0] == pytest.approx(0.2, abs=2e-4)
    first, folder = written("spz sequence")
    assert first.get_bytes() == (folder / "frame_0000.spz").read_bytes()
    xs = [read_spz(path)[0][0, 0] for path in sorted(folder.iterdir())]
    np.testing.assert_allclose(xs, [-0.4, -0.2, 0.0, 0.2, 0.4], atol=2e-4)


def test_spz_of_version_2_is_for_older_readers(written):
    pytest.importorskip("gsply")
    versions = []
    for settings in ({}, {"spz_version": None}, {"spz_version": "3"}, {"spz_version": "2"}):
        _, path = written("spz", moment=0.5, **settings)
        _, folder = written("spz sequence", **settings)
        for file in (path, folder / "frame_0002.spz"):
            versions.append(int.from_bytes(gzip.decompress(file.read_bytes())[4:8], "little"))
    assert versions == [3, 3, 3, 3, 3, 3, 2, 2]


def test_splat_and_glb_have_a_moment(written):
    file, path = written("splat", moment=1.0)
    assert (file.format, path.suffix) == ("splat", ".splat")
    assert np.frombuffer(path.read_bytes()[:4], "<f4")[0] == pytest.approx(0.4)
    first, folder = written("splat sequence")
    assert first.get_bytes() == (folder / "frame_0000.splat").read_bytes()
    pytest.importorskip("fourdgs")
    file, path = written("glb", moment=1.0)
    assert path.read_bytes().startswith(b"glTF")
    assert file.format == "ply"  # ComfyUI's 3D nodes do not read splats in glTF


def test_4dgs_has_all_frames_and_the_file_output_is_the_first(written):
    fourdgs = pytest.importorskip("fourdgs.keyframe_delta_file")
    file, path = written("4dgs")
    decoded = fourdgs.decode_streamed(path.read_bytes())
    xs = [fourdgs.render_at(decoded, frame / 8)["centers"][0, 0] for frame in range(5)]
    np.testing.assert_allclose(xs, [-0.4, -0.2, 0.0, 0.2, 0.4], atol=0.01)
    assert file.format == "ply"
    assert PlyData.read(BytesIO(file.get_bytes()))["vertex"]["x"].tolist() == [pytest.approx(-0.4)]


def test_web_page_contains_the_s4d_file(written):
    _, page = written("html")
    file, s4d = written("clip")
    assert (page.suffix, s4d.suffix) == (".html", ".s4d")
    assert base64.b64encode(s4d.read_bytes()) in page.read_bytes()
    assert "<title>ball_00001</title>" in page.read_text(encoding="utf-8")
    assert file.format == "ply"
    assert PlyData.read(BytesIO(file.get_bytes()))["vertex"]["x"].tolist() == [pytest.approx(-0.4)]


def test_missing_package_is_named_and_no_file_is_left(export, host_folders, sliding_scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "gsply", None)
    for chosen in ({"format": "spz", "moment": 0.0}, {"format": "spz sequence"}):
        with pytest.raises(RuntimeError, match='pip install "gsply>='):
            export.STAG4DExport.execute(sliding_scene, "ball", chosen)
    assert not list((host_folders / "output").iterdir())


@pytest.mark.parametrize("format", ["html", "clip"])
def test_encoding_has_progress_and_can_be_cancelled(
    written, host_folders, progress_bar, cancel_at, interrupt, format
):
    written(format)
    assert progress_bar.reported == [(done, 5) for done in range(1, 6)]
    cancel_at(2)
    with pytest.raises(interrupt):
        written(format)
    assert len(list((host_folders / "output" / "clips").iterdir())) == 1
