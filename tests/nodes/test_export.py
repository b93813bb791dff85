"""STAG4DExport: one moment or every frame as PLY, under a new name each time."""

import importlib

import pytest
import torch


@pytest.fixture(scope="module")
def export(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.export")


@pytest.fixture
def read_ply(pack):
    return importlib.import_module(f"{pack.__name__}.stag4d.export").read_ply


def test_a_moment_is_one_file_that_the_hosts_3d_nodes_can_take(export, host_folders, sliding_scene, read_ply):
    settings = {"format": "ply", "moment": 1.0}
    file, name = export.STAG4DExport.execute(sliding_scene, "clips/ball", settings).args
    path = host_folders / "output" / name.removesuffix(" [output]")
    assert file.format == "ply"
    assert file.get_bytes() == path.read_bytes()
    assert read_ply(path).means[0, 0].item() == pytest.approx(0.4)


def test_nothing_is_overwritten(export, host_folders, sliding_scene):
    names = {
        export.STAG4DExport.execute(sliding_scene, "ball", {"format": "ply", "moment": 0.0}).args[1]
        for _ in range(3)
    }
    assert len(names) == 3


def test_a_sequence_is_a_folder_with_a_file_for_every_frame(export, host_folders, sliding_scene, read_ply):
    file, name = export.STAG4DExport.execute(sliding_scene, "ball", {"format": "ply sequence"}).args
    folder = host_folders / "output" / name.removesuffix(" [output]")
    paths = sorted(folder.iterdir())
    assert file.get_bytes() == paths[0].read_bytes()
    xs = torch.stack([read_ply(path).means[0, 0] for path in paths])
    torch.testing.assert_close(xs, torch.tensor([-0.4, -0.2, 0.0, 0.2, 0.4]))
