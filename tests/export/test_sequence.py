"""Folders with one splat file for each frame."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from plyfile import PlyData
from recording import Recorder

from stag4d.export import read_ply, write_splat_sequence
from stag4d.progress import Interrupted


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_have_the_same_gaussians_in_the_same_order(tmp_path, swaying_scene):
    monitor = Recorder()
    paths = write_splat_sequence(tmp_path / "new" / "a", swaying_scene, "ply", monitor=monitor)
    assert paths == [tmp_path / "new" / "a" / f"frame_{frame:04d}.ply" for frame in range(5)]
    assert names(tmp_path / "new" / "a") == [path.name for path in paths]
    assert names(tmp_path / "new") == ["a"]
    assert monitor.calls == [("export", done, 5) for done in range(1, 6)]
    for frame, path in enumerate(paths):
        vertices = PlyData.read(path)["vertex"]
        deformed = swaying_scene.at(swaying_scene.frame_times[[frame]])[0]
        for name, values in zip("xyz", (deformed.means * torch.tensor([1, -1, -1])).T, strict=True):
            assert vertices[name].tolist() == values.tolist()
        assert vertices["opacity"].tolist() == deformed.logit_opacities.tolist()  # identifies each Gaussian


def test_chosen_frames_keep_their_numbers_and_replace_an_older_sequence(tmp_path, swaying_scene):
    write_splat_sequence(tmp_path, swaying_scene, "ply")
    for name in ("frame_0003.txt", "my frame_0003.ply", "frame_0003.spz"):
        (tmp_path / name).write_text("another file")
    paths = write_splat_sequence(tmp_path, swaying_scene, "ply", [1, 4])
    assert names(tmp_path) == [
        "frame_0001.ply",
        "frame_0003.spz",
        "frame_0003.txt",
        "frame_0004.ply",
        "my frame_0003.ply",
    ]
    deformed = swaying_scene.at(swaying_scene.frame_times[[4]])[0]
    torch.testing.assert_close(read_ply(paths[1]).means, deformed.means)


@pytest.mark.parametrize("is_new", [True, False])
def test_interrupted_sequence_changes_no_file(tmp_path, swaying_scene, is_new):
    folder = tmp_path / "a"
    if not is_new:
        write_splat_sequence(folder, swaying_scene, "ply")
    before = {path.name: path.stat() for path in folder.iterdir()} if folder.exists() else None
    with pytest.raises(Interrupted):
        write_splat_sequence(folder, swaying_scene, "ply", monitor=Recorder(cancel_at=3))
    assert ({path.name: path.stat() for path in folder.iterdir()} if folder.exists() else None) == before
    assert names(tmp_path) == ([] if is_new else ["a"])


def test_full_disk_is_an_error_and_keeps_the_older_sequence(tmp_path, swaying_scene, monkeypatch):
    write_splat_sequence(tmp_path, swaying_scene, "ply", [0])
    content = (tmp_path / "frame_0000.ply").read_bytes()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(RuntimeError, match=r"cannot be written \(\[Errno 28\] No space left"):
        write_splat_sequence(tmp_path, swaying_scene, "ply")
    assert names(tmp_path) == ["frame_0000.ply"]
    assert (tmp_path / "frame_0000.ply").read_bytes() == content


def test_folder_may_be_the_working_directory(tmp_path, swaying_scene, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_splat_sequence(".", swaying_scene, "ply", [2])
    assert names(tmp_path) == ["frame_0002.ply"]


@pytest.mark.parametrize("file_format", ["obj", "PLY", "", "html"])
def test_format_that_is_not_of_single_frames_is_rejected(tmp_path, swaying_scene, file_format):
    with pytest.raises(
        ValueError, match=rf"a: file format '{file_format}'; expected one of ply, spz, splat, glb\."
    ):
        write_splat_sequence(tmp_path / "a", swaying_scene, file_format)
    assert names(tmp_path) == []


def test_no_frames_and_unwritable_folder_are_rejected(tmp_path, swaying_scene):
    with pytest.raises(ValueError, match="a: no frames to write; expected one or more"):
        write_splat_sequence(tmp_path / "a", swaying_scene, "ply", [])
    (tmp_path / "file").write_text("a file, not a folder")
    for place in ("file", "file/a"):
        with pytest.raises(RuntimeError, match=rf"{place}: cannot be written"):
            write_splat_sequence(tmp_path / place, swaying_scene, "ply")
    assert names(tmp_path) == ["file"]
