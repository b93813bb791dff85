"""STAG4DExport: a moment, every frame or the whole motion, under a new name each time."""

import base64
import importlib
import sys
from io import BytesIO

import numpy as np
import pytest
import torch
from plyfile import PlyData
from spz_reader import read_spz


@pytest.fixture(scope="module")
def export(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.export")


@pytest.fixture
def read_ply(pack):
    return importlib.import_module(f"{pack.__name__}.stag4d.export").read_ply


@pytest.fixture
def written(export, host_folders, sliding_scene):
    """A function that exports the scene; it returns the file for other nodes and where it was written."""

    def run(format: str, **settings: float):
        file, name = export.STAG4DExport.execute(
            sliding_scene, "clips/ball", {"format": format, **settings}
        ).args
        assert name.endswith(" [output]")
        return file, host_folders / "output" / name.removesuffix(" [output]")

    return run


def test_a_moment_is_one_file_that_the_hosts_3d_nodes_can_take(written, read_ply):
    file, path = written("ply", moment=1.0)
    assert (file.format, path.suffix) == ("ply", ".ply")
    assert file.get_bytes() == path.read_bytes()
    assert read_ply(path).means[0, 0].item() == pytest.approx(0.4)


def test_nothing_is_overwritten(written):
    assert len({written("ply", moment=0.0)[1] for _ in range(3)}) == 3
    assert len({written("ply sequence")[1] for _ in range(3)}) == 3


def test_a_sequence_is_a_folder_with_a_file_for_every_frame(written, read_ply):
    file, folder = written("ply sequence")
    paths = sorted(folder.iterdir())
    assert file.format == "ply"
    assert file.get_bytes() == paths[0].read_bytes()
    xs = torch.stack([read_ply(path).means[0, 0] for path in paths])
    torch.testing.assert_close(xs, torch.tensor([-0.4, -0.2, 0.0, 0.2, 0.4]))


def test_spz_is_the_same_in_small(written):
    pytest.importorskip("gsply")
    file, path = written("spz", moment=0.75)
    assert (file.format, path.suffix) == ("spz", ".spz")
    assert file.get_bytes() == path.read_bytes()
    assert read_spz(path)[0][0, 0] == pytest.approx(0.2, abs=2e-4)
    first, folder = written("spz sequence")
    assert first.get_bytes() == (folder / "frame_0000.spz").read_bytes()
    xs = [read_spz(path)[0][0, 0] for path in sorted(folder.iterdir())]
    np.testing.assert_allclose(xs, [-0.4, -0.2, 0.0, 0.2, 0.4], atol=2e-4)


def test_4dgs_is_the_whole_motion_and_other_nodes_get_the_first_frame(written):
    fourdgs = pytest.importorskip("fourdgs.keyframe_delta_file")
    file, path = written("4dgs")
    decoded = fourdgs.decode_streamed(path.read_bytes())
    xs = [fourdgs.render_at(decoded, frame / 8)["centers"][0, 0] for frame in range(5)]
    np.testing.assert_allclose(xs, [-0.4, -0.2, 0.0, 0.2, 0.4], atol=0.01)
    assert file.format == "ply"
    assert PlyData.read(BytesIO(file.get_bytes()))["vertex"]["x"].tolist() == [pytest.approx(-0.4)]


def test_a_page_holds_the_clip_that_is_written_too(written):
    _, page = written("html")
    file, clip = written("clip")
    assert (page.suffix, clip.suffix) == (".html", ".s4d")
    assert base64.b64encode(clip.read_bytes()) in page.read_bytes()
    assert "<title>ball_00001</title>" in page.read_text(encoding="utf-8")
    assert file.format == "ply"
    assert PlyData.read(BytesIO(file.get_bytes()))["vertex"]["x"].tolist() == [pytest.approx(-0.4)]


def test_a_missing_package_is_named_and_nothing_is_left(export, host_folders, sliding_scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "gsply", None)
    for chosen in ({"format": "spz", "moment": 0.0}, {"format": "spz sequence"}):
        with pytest.raises(RuntimeError, match='pip install "gsply>='):
            export.STAG4DExport.execute(sliding_scene, "ball", chosen)
    assert not list((host_folders / "output").iterdir())


@pytest.mark.parametrize("format", ["html", "clip"])
def test_packing_is_seen_on_the_bar_and_hears_a_cancel(written, host_folders, monkeypatch, format):
    written(format)
    bar = sys.modules["comfy.utils"].ProgressBar
    assert bar.reported == [(done, 5) for done in range(1, 6)]
    management = sys.modules["comfy.model_management"]

    def cancel():
        raise management.InterruptProcessingException

    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", cancel)
    with pytest.raises(management.InterruptProcessingException):
        written(format)
    assert len(list((host_folders / "output" / "clips").iterdir())) == 1
