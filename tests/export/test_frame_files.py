"""Folders of numbered splat files: order, related frames, and folders that are no sequence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plyfile import PlyData
from recording import Recorder
from seed_files import moving_frames, random_gaussians, scene_of

from stag4d.export import find_frame_files, read_frames, write_ply, write_splat_sequence
from stag4d.progress import Interrupted


@pytest.mark.parametrize(
    "names",
    [
        ["0.ply", "1.ply", "2.ply", "10.ply"],
        ["frame_0000.ply", "frame_0001.ply", "frame_0002.ply", "frame_0010.ply"],
        ["a-8.PLY", "a-9.PLY", "a-10.PLY"],
        ["time_00001.spz", "time_00002.spz"],
    ],
)
def test_files_are_ordered_by_number(tmp_path, names):
    for name in reversed(names):
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in find_frame_files(tmp_path)] == names


def test_a_single_file_needs_no_number(tmp_path):
    (tmp_path / "point_cloud.ply").touch()
    assert find_frame_files(tmp_path) == [tmp_path / "point_cloud.ply"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no PLY or SPZ files"),
        (["a_1.ply", "b_2.ply"], r"a_1\.ply and b_2\.ply are not frames of one sequence"),
        (["1.ply", "2.spz"], r"1\.ply and 2\.spz are not frames of one sequence"),
        (["1.ply", "cat.ply"], r"1\.ply and cat\.ply are not frames of one sequence"),
        (["cat_00001_.ply", "cat_00002_.ply"], "are not frames of one sequence"),  # separate exports
        (["1.ply", "01.ply"], r"01\.ply and 1\.ply have the same number"),
    ],
)
def test_other_folders_are_refused(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=message):
        find_frame_files(tmp_path)


@pytest.mark.parametrize("file_format", ["ply", "spz"])
def test_written_sequence_is_read_back(tmp_path, file_format):
    if file_format == "spz":
        pytest.importorskip("gsply")
    frames = moving_frames()
    write_splat_sequence(tmp_path / "out", scene_of(frames), file_format)
    found = read_frames(find_frame_files(tmp_path / "out"))
    assert (len(found), found.counts) == (4, None)
    torch.testing.assert_close(found.means, frames.means, atol=1.3e-4, rtol=0)
    torch.testing.assert_close(found.sh0, frames.sh0, atol=0.015, rtol=0)


def test_frames_of_different_sizes_are_kept_as_they_are(tmp_path, caplog):
    caplog.set_level("INFO")
    for number, count in enumerate((4, 9, 6)):
        write_ply(tmp_path / f"{number}.ply", random_gaussians(count, number))
    found = read_frames(find_frame_files(tmp_path))
    assert found.counts == (4, 9, 6)
    assert torch.equal(found.means[1], random_gaussians(9, 1).means)
    assert "4 to 9 Gaussians per frame; the scene can be played and exported, but not fitted" in caplog.text


def write_damaged(path: Path, count: int, seed: int, *rows: int) -> None:
    """Write Gaussians with NaN in some rows."""
    gaussians = random_gaussians(count, seed)
    means = gaussians.means.clone()
    means[list(rows)] = float("nan")
    write_ply(path, replace(gaussians, means=means))


def test_gaussian_that_is_invalid_in_one_frame_is_dropped_in_all(tmp_path, caplog):
    write_damaged(tmp_path / "0.ply", 6, 0, 1)
    write_damaged(tmp_path / "1.ply", 6, 1, 4)
    found = read_frames(find_frame_files(tmp_path))
    assert found.counts is None
    assert torch.equal(found.means[1], random_gaussians(6, 1).means[[0, 2, 3, 5]])
    assert "dropped 2 of 6 Gaussians" in caplog.text
    write_damaged(tmp_path / "1.ply", 6, 1, 0, 2, 3, 4, 5)
    with pytest.raises(ValueError, match=r"no Gaussian has finite numbers below 1e\+09 in all frames"):
        read_frames(find_frame_files(tmp_path))


def test_missing_frames_are_reported(tmp_path, caplog):
    for number in (0, 2, 4):
        write_ply(tmp_path / f"{number}.ply", random_gaussians())
    read_frames(find_frame_files(tmp_path))
    assert not caplog.text  # every second frame
    write_ply(tmp_path / "9.ply", random_gaussians())
    assert len(read_frames(find_frame_files(tmp_path))) == 4
    assert "frames are missing between 0 and 9" in caplog.text


def test_no_gaussians_at_all_and_view_dependent_color(tmp_path, caplog):
    write_ply(tmp_path / "0.ply", random_gaussians(0))
    with pytest.raises(ValueError, match=r"0\.ply: no Gaussians in any frame"):
        read_frames([tmp_path / "0.ply"])
    write_ply(tmp_path / "1.ply", random_gaussians(3))
    content = (tmp_path / "1.ply").read_bytes().replace(b"property float nx", b"property float f_rest_0")
    (tmp_path / "1.ply").write_bytes(content)
    assert "f_rest_0" in PlyData.read(tmp_path / "1.ply")["vertex"].data.dtype.names
    read_frames([tmp_path / "1.ply"])
    assert "view-dependent color is not imported" in caplog.text


def test_frames_that_differ_too_much_are_refused(tmp_path):
    write_ply(tmp_path / "0.ply", random_gaussians(60_000))
    for number in range(1, 40):
        write_ply(tmp_path / f"{number}.ply", random_gaussians(1, number))
    with pytest.raises(ValueError, match=r"1 to 60000 Gaussians in 40 frames; expected numbers"):
        read_frames(find_frame_files(tmp_path))


def test_hidden_files_and_folders_are_no_frames(tmp_path):
    for name in ("frame_0000.ply", "frame_0001.ply", "._frame_0000.ply", "._frame_0001.ply"):
        (tmp_path / name).touch()
    (tmp_path / "frame_0002.ply").mkdir()
    assert [path.name for path in find_frame_files(tmp_path)] == ["frame_0000.ply", "frame_0001.ply"]


def test_each_file_is_reported_so_that_reading_can_be_interrupted(tmp_path):
    write_splat_sequence(tmp_path, scene_of(moving_frames()), "ply")
    with pytest.raises(Interrupted):
        read_frames(find_frame_files(tmp_path), Recorder(cancel_at=2))
    recorder = Recorder()
    read_frames(find_frame_files(tmp_path), recorder)
    assert recorder.calls == [("import", done, 4) for done in (1, 2, 3, 4)]


def test_unrelated_frames_stay_so_when_equal_numbers_are_valid(tmp_path):
    write_damaged(tmp_path / "0.ply", 6, 0, 1)
    write_damaged(tmp_path / "1.ply", 5, 1)
    assert read_frames(find_frame_files(tmp_path)).counts == (5, 5)
