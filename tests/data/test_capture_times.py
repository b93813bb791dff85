"""Captures: frame rates of videos, and times of images that are known of some only."""

from __future__ import annotations

import json
import logging

import pytest
from capture_writers import (
    Toy,
    on_white,
    write_4danyone,
    write_colmap,
    write_hypernerf,
    write_llff,
    write_nerfstudio,
)
from media_files import write_video

from stag4d.data import check_equal_fps
from stag4d.data.captures import CaptureOptions, find_capture, read_capture

TOY = Toy()


def save_video(path, camera, fps, num_frames=4):
    write_video(path, [on_white(TOY.image(camera, frame % 2)) for frame in range(num_frames)], fps=fps)


@pytest.mark.parametrize("camera", [0, 2])
@pytest.mark.parametrize("options", [CaptureOptions(), CaptureOptions(fps=30, frame_step=2)])
def test_videos_of_different_frame_rates_are_refused(tmp_path, camera, options):
    write_llff(tmp_path, TOY)
    save_video(tmp_path / f"cam{camera:02d}.mp4", camera, 25)
    with pytest.raises(
        ValueError, match=rf"cameras cam{camera:02d} and cam0[01]: 25, 30 frames per second; expected equal"
    ):
        read_capture(find_capture(tmp_path, "all"), options)


def test_different_frame_rates_are_refused_where_the_source_has_its_own(tmp_path):
    write_4danyone(tmp_path, TOY)
    (tmp_path / "metadata.json").write_text('{"fps": 24}')
    assert read_capture(find_capture(tmp_path)).fps == 24
    save_video(tmp_path / "videos/dense/01.mp4", 1, 60)
    with pytest.raises(ValueError, match="cameras 0 and 1: 30, 60 frames per second"):
        read_capture(find_capture(tmp_path))


def test_frame_rates_may_differ_by_a_hundredth():
    check_equal_fps([29.97, 30, 30], "videos")
    with pytest.raises(ValueError, match=r"^videos: 29\.5, 30 frames per second; expected equal"):
        check_equal_fps([29.5, 30], "videos")


def with_times(document, times):
    """Change the times of six images; None removes them."""
    for entry, time in zip(document["frames"], times, strict=True):
        entry.pop("time")
        entry.update({} if time is None else time)


@pytest.mark.parametrize(
    "times",
    [
        [None, *[{"time": frame} for frame in (1, 1, 0, 0, 0)]],
        [{"timestep": 1}, *[{"time": frame} for frame in (1, 1, 0, 0, 0)]],  # in another unit
    ],
)
@pytest.mark.parametrize("folder", ["images/", "frame_001/"])
def test_times_of_some_images_are_not_mixed_with_numbers_of_folders(tmp_path, times, folder):
    path = write_nerfstudio(tmp_path, TOY)
    document = json.loads(path.read_text())
    with_times(document, times)
    first = document["frames"][0]
    name = first["file_path"].replace("images/", folder)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / first["file_path"]).rename(tmp_path / name)
    first["file_path"] = name
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"1 of 6 images have no time, the first .*cam00/00001\.png"):
        find_capture(tmp_path)


@pytest.mark.parametrize("is_binary", [True, False])
@pytest.mark.parametrize("num_records", [0, 2])
def test_colmap_times_of_some_images(tmp_path, is_binary, num_records):
    write_colmap(tmp_path, TOY, is_binary=True)
    ids = range(1, num_records + 1)
    if is_binary:
        records = b"".join(number.to_bytes(4, "little") + bytes(8) for number in ids)
        (tmp_path / "sparse/0/times.bin").write_bytes(num_records.to_bytes(8, "little") + records)
    else:
        (tmp_path / "sparse/0/times.txt").write_text("".join(f"{number} 0\n" for number in ids))
    with pytest.raises(ValueError, match=rf"{3 - num_records} of 3 images have no record in"):
        find_capture(tmp_path)


@pytest.mark.parametrize(
    ("change", "num_missing"),
    [
        (lambda metadata: metadata.pop("1_00001"), 1),
        (lambda metadata: metadata["1_00001"].update(time_id=metadata["1_00001"].pop("warp_id")), 1),
        (lambda metadata: [metadata.pop(name) for name in ("0_00000", "1_00000", "2_00000")], 3),
    ],
)
def test_hypernerf_times_of_some_images_are_not_mixed_with_numbers_in_names(tmp_path, change, num_missing):
    write_hypernerf(tmp_path, TOY)
    path = tmp_path / "metadata.json"
    metadata = json.loads(path.read_text())
    for record in metadata.values():
        record["warp_id"] += 7
    path.write_text(json.dumps(metadata))
    assert find_capture(tmp_path).frame_ids == (7.0, 8.0)
    change(metadata)
    path.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=f"{num_missing} of 6 images have no time"):
        find_capture(tmp_path)


@pytest.mark.parametrize(("times", "is_even"), [((0, 1, 2, 3), True), ((0, 1, 2, 5), False)])
def test_uneven_times_are_reported(tmp_path, caplog, times, is_even):
    path = write_nerfstudio(tmp_path, TOY)
    document = json.loads(path.read_text())
    entries = [entry for entry in document["frames"] if entry["time"] == 0]
    document["frames"] = [
        {**entry, "time": time, "file_path": f"{index}/{name}", "camera_label": name}
        for index, time in enumerate(times)
        for entry in entries
        if (name := entry["file_path"])
    ]
    for index in range(len(times)):
        (tmp_path / f"{index}").symlink_to(tmp_path)
    path.write_text(json.dumps(document))
    with caplog.at_level(logging.WARNING):
        assert read_capture(find_capture(tmp_path)).num_frames == 4
    assert ("the times of the frames, 0 to 5, are not evenly spaced" in caplog.text) is not is_even
    caplog.clear()
    read_capture(find_capture(tmp_path), CaptureOptions(max_frames=3))
    assert "evenly spaced" not in caplog.text
