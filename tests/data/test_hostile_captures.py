"""Captures that are damaged, lie about their size, or have cameras that are no pinholes: clear errors."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capture_writers import (
    WRITERS,
    Toy,
    write_4danyone,
    write_colmap,
    write_easymocap,
    write_frameset,
    write_hypernerf,
    write_llff,
    write_nerfstudio,
    write_panoptic,
)

from stag4d.data.captures import find_capture

TOY = Toy()
NAMES = {
    "nerfstudio": "transforms.json",
    "frameset": "frame_001/transforms.json",
    "4danyone": "cameras.json",
    "hypernerf": "camera/1_00001.json",
    "panoptic": "train_meta.json",
}
Edit = Callable[[dict[str, Any]], object]


def refused(root: Path, match: str, error: type[Exception] = ValueError) -> None:
    with pytest.raises(error, match=match) as raised:
        find_capture(root)
    assert str(root) in str(raised.value)


def edit(path: Path, change: Edit) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"[1, 2]", "expected a JSON object"),
        (b"{}", "must be|has neither"),
        (b'{"frames": {}, "cameras": 3, "camera_to_world": 1}', "must be|has neither|list"),
        (b"\xff\xfe\x00", "cannot be read as JSON"),
    ],
    ids=["empty", "deep", "array", "nothing", "other types", "no text"],
)
def test_json_that_is_no_capture(tmp_path, name, content, match):
    WRITERS[name](tmp_path, TOY)
    (tmp_path / NAMES[name]).write_bytes(content)
    if name == "4danyone" and content.startswith((b"{", b"[")):  # another program's cameras.json
        assert find_capture(tmp_path) is None
    else:
        refused(tmp_path, match)


@pytest.mark.parametrize("name", NAMES)
def test_huge_json_is_refused_by_its_size(tmp_path, name):
    WRITERS[name](tmp_path, TOY)
    os.truncate(tmp_path / NAMES[name], 1 << 40)
    refused(tmp_path, "1099511627776 bytes; expected at most")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    ("name", "path"),
    [
        *NAMES.items(),
        ("colmap binary", "sparse/0/images.bin"),
        ("colmap text", "sparse/0/cameras.txt"),
        ("llff", "poses_bounds.npy"),
        ("easymocap", "intri.yml"),
        ("nerfstudio", "images/cam01/00001.png"),
    ],
)
def test_pipe_is_not_opened(tmp_path, name, path):
    WRITERS[name](tmp_path, TOY)
    (tmp_path / path).unlink()
    os.mkfifo(tmp_path / path)
    refused(tmp_path, "is a pipe")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda d: d["frames"][0].update(transform_matrix=[[1, 0], [0, 1]]),
            r"frames\[0\]: transform_matrix",
        ),
        (lambda d: d["frames"][2]["transform_matrix"][1].__setitem__(2, float("nan")), "finite number"),
        (lambda d: d["frames"][1]["transform_matrix"][0].__setitem__(0, 7.5), "not orthonormal"),
        (
            lambda d: [row.__setitem__(0, -row[0]) for row in d["frames"][0]["transform_matrix"][:3]],
            "mirrored",
        ),
        (lambda d: d.update(k1=0.04), "k1=0.04; expected no lens distortion: undistort"),
        (lambda d: d["frames"][4].update(p2=-0.01), r"frames\[4\].*p2=-0.01"),
        (lambda d: d.update(camera_model="OPENCV_FISHEYE"), "OPENCV_FISHEYE.*undistort"),
        (lambda d: d.update(is_fisheye=True), "OPENCV_FISHEYE"),
        (lambda d: d.update(camera_model="EQUIRECTANGULAR"), "EQUIRECTANGULAR"),
        (lambda d: d.update(w=-5), "w is -5"),
        (lambda d: d.update(w=1e9), "w is 1e"),
        (lambda d: d.update(fl_x=-3.0), "focals -3"),
        (lambda d: d.update(fl_x=1e300), "focal length 1e.300 pixels for a side of 48"),
        (lambda d: d.update(cy=-1e200), "principal point at -1e.200 for a side of 32"),
        (lambda d: d["frames"][1]["transform_matrix"][0].__setitem__(3, 1e40), "units from the origin"),
        (lambda d: d.pop("fl_x") and d.pop("fl_y"), "neither fl_x nor camera_angle_x"),
        (lambda d: d["frames"][0].update(file_path="/etc/passwd"), "relative path inside"),
        (lambda d: d["frames"][0].update(file_path="../../secret.png"), "relative path inside"),
        (lambda d: d["frames"][0].update(file_path="C:\\secret.png"), "relative path inside"),
        (lambda d: d["frames"][0].update(file_path="a" * 5000), "must be the path of a file"),
        (lambda d: d["frames"][0].update(file_path="\ud800.png"), "must be the path of a file"),
        (lambda d: d["frames"].pop(), "1 of 6 images are missing, the first of camera cam02 at time 0"),
        (
            lambda d: d["frames"][0].update(time=0.0),
            "two images",
        ),
        (lambda d: d["frames"][0].update(time="now"), "time must be a finite number"),
    ],
)
def test_nerfstudio_file_with_a_wrong_entry(tmp_path, change, match):
    edit(write_nerfstudio(tmp_path, TOY), change)
    refused(tmp_path, match)


def test_missing_images_are_counted(tmp_path):
    write_nerfstudio(tmp_path, TOY)
    for name in ("images/cam01/00000.png", "images/cam02/00001.png"):
        (tmp_path / name).unlink()
    refused(tmp_path, "2 of 6 image files are missing, the first .*cam02", FileNotFoundError)


def test_cameras_in_the_other_convention(tmp_path):
    path = write_nerfstudio(tmp_path, TOY)

    def to_opencv(document: dict[str, Any]) -> None:
        for entry in document["frames"]:
            entry["transform_matrix"] = (
                np.array(entry["transform_matrix"]) @ np.diag([1, -1, -1, 1])
            ).tolist()

    edit(path, to_opencv)
    refused(tmp_path, "look away")


def test_frameset_without_a_camera_in_one_frame(tmp_path):
    write_frameset(tmp_path, TOY)
    edit(tmp_path / "frame_001/transforms.json", lambda d: d["frames"].pop())
    refused(tmp_path, "1 of 6 images are missing, the first of camera 02 at time 1")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.update(k1=0.1), "k1=0.1"),
        (lambda c: c["K"][0].__setitem__(1, 0.5), "skew 0.5"),
        (lambda c: c.update(image_height=0), "image_height is 0"),
        (lambda c: c.update(camera_id=[]), "camera_id must be"),
        (lambda c: c.update(camera_id=1), "the same camera_id"),
        (lambda c: c.update(camera_to_world=[[0] * 4] * 4), "last row"),
        (lambda c: c.update(camera_to_world=None), "camera_to_world must be"),
    ],
)
def test_4danyone_camera_with_a_wrong_entry(tmp_path, change, match):
    edit(write_4danyone(tmp_path, TOY), lambda document: change(document["cameras"][0]))
    refused(tmp_path, match)


def test_4danyone_without_a_video(tmp_path):
    write_4danyone(tmp_path, TOY)
    (tmp_path / "videos/dense/01.mp4").unlink()
    refused(tmp_path, "1 of 3 video files are missing", FileNotFoundError)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
@pytest.mark.parametrize("count", [10**9, 2**64 - 1])
def test_colmap_file_that_declares_too_many_records(tmp_path, name, count):
    path = write_colmap(tmp_path, TOY, is_binary=True) / "sparse/0" / name
    path.write_bytes(struct.pack("<Q", count) + path.read_bytes()[8:])
    refused(tmp_path, f"declares {count}")


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_colmap_file_that_is_cut_short_anywhere(tmp_path, name):
    path = write_colmap(tmp_path, TOY, is_binary=True) / "sparse/0" / name
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        refused(tmp_path, "ends within a record|declares")


def test_colmap_points_that_declare_too_much_are_left_out(tmp_path):
    write_colmap(tmp_path, TOY, is_binary=True)
    path = tmp_path / "sparse/0/points3D.bin"
    assert find_capture(tmp_path).center == TOY.center
    path.write_bytes(struct.pack("<Q", 2**64 - 1) + path.read_bytes()[8:])
    assert find_capture(tmp_path).center == TOY.center
    path.write_bytes(path.read_bytes()[:20])
    assert find_capture(tmp_path).center is None


@pytest.mark.parametrize(
    ("name", "old", "new", "match"),
    [
        ("cameras.txt", "PINHOLE", "OPENCV_FISHEYE", "OPENCV_FISHEYE.*undistort"),
        ("cameras.txt", "PINHOLE", "OPENCV", "4 parameters; expected 8"),
        ("cameras.txt", "7 PINHOLE", "8 PINHOLE", "camera 7; expected one of the 1 cameras"),
        ("cameras.txt", "48 32", "-48 32", "-48x32"),
        ("cameras.txt", "48 32", "48 x", "line 2 is"),
        ("images.txt", "cam01/00000.png", "\n", "line 4"),
        ("images.txt", "7 cam", "seven cam", "line 2"),
        ("images.txt", " 0.", " 9.", "quaternion has length"),
    ],
)
def test_colmap_text_with_a_wrong_line(tmp_path, name, old, new, match):
    path = write_colmap(tmp_path, TOY, is_binary=False) / "sparse/0" / name
    path.write_text(path.read_text().replace(old, new, 1))
    refused(tmp_path, match)


def test_colmap_line_without_end_is_not_kept_in_memory(tmp_path):
    write_colmap(tmp_path, TOY, is_binary=False)
    with (tmp_path / "sparse/0/images.txt").open("ab") as file:
        file.write(b"x" * 50_000_000)
    refused(tmp_path, "line 8 is 'xxx")


def test_colmap_camera_with_distortion(tmp_path):
    path = write_colmap(tmp_path, TOY, is_binary=False, model="OPENCV") / "sparse/0/cameras.txt"
    assert len(find_capture(tmp_path).views) == 3  # all coefficients are 0
    path.write_text(path.read_text().replace("0.0 0.0 0.0 0.0", "0.0 0.03 0.0 0.0"))
    refused(tmp_path, "k2=0.03")


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((3, 15)), r"shape \[3, 15\]"),
        (np.zeros((0, 17)), r"shape \[0, 17\]"),
        (np.zeros((2, 17)), "2 rows, and 3 cameras"),
        (np.full((3, 17), np.nan), "not finite"),
        (np.zeros((3, 17)), "width is 0"),
        (np.array([["a"] * 17] * 3), "numbers of type"),
        (np.array([[None] * 17] * 3), "numbers of type object"),
    ],
)
def test_llff_file_with_a_wrong_array(tmp_path, array, match):
    write_llff(tmp_path, TOY)
    np.save(tmp_path / "poses_bounds.npy", array, allow_pickle=True)
    refused(tmp_path, match)


def test_llff_file_that_declares_too_much_or_is_cut_short(tmp_path):
    path = write_llff(tmp_path, TOY) / "poses_bounds.npy"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(3, 17)", b"(10**9, 17)"[:7]))
    refused(tmp_path, "cannot be read")
    path.write_bytes(content.replace(b"(3, 17), }     ", b"(900000000, 17)"))
    refused(tmp_path, "cannot be read")
    for length in range(0, len(content), 11):
        path.write_bytes(content[:length])
        refused(tmp_path, "cannot be read")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.update(radial_distortion=[0.1, 0, 0]), "k1=0.1"),
        (lambda c: c.update(tangential_distortion=[0, 0.1]), "p2=0.1"),
        (lambda c: c.update(skew=0.3), "skew 0.3"),
        (lambda c: c.update(image_size=[0, 5]), r"image_size\[0\] is 0"),
        (lambda c: c.update(focal_length="long"), "focal_length must be"),
    ],
)
def test_hypernerf_camera_with_a_wrong_entry(tmp_path, change, match):
    write_hypernerf(tmp_path, TOY)
    edit(tmp_path / "camera/1_00001.json", change)
    refused(tmp_path, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d["k"].pop(), "k has 1 entries; expected 2"),
        (lambda d: d["fn"][1].__setitem__(2, 5), r"fn\[1\]\[2\] must be the path"),
        (lambda d: d["w2c"][0][1][3].__setitem__(3, 2.0), "last row"),
        (lambda d: d["cam_id"][0].__setitem__(0, {}), r"cam_id\[0\]\[0\] must be"),
        (lambda d: d.update(h=[]), "h must be a finite number"),
    ],
)
def test_panoptic_file_with_a_wrong_entry(tmp_path, change, match):
    edit(write_panoptic(tmp_path, TOY), change)
    refused(tmp_path, match)


def distortion(*values: float) -> tuple[str, str]:
    """Return the text of five coefficients that are 0, and that of others in its place."""
    old, new = (
        f"cols: {len(found)}\n  dt: d\n  data: [ {', '.join(map(repr, found))} ]"
        for found in ((0.0,) * 5, values)
    )
    return old, new


@pytest.mark.parametrize(
    ("name", "old", "new", "match"),
    [
        ("intri.yml", "K_01", "L_01", "K_01 has 0 values; expected 9"),
        ("intri.yml", "cols: 5\n  dt: d\n  data: [ 0.0", "cols: 5\n  dt: d\n  data: [ 0.2", "k1=0.2"),
        ("extri.yml", "rows: 3\n  cols: 1", "rows: 4\n  cols: 1", "has 3 values; expected 4x1"),
        ("extri.yml", "data: [ ", "data: [ x", "expected numbers"),
        ("extri.yml", "names:", "nomes:", "names is no list"),
        ("intri.yml", *distortion(*[0.0] * 8, 0.3), "s1=0.3"),
        ("intri.yml", *distortion(*[0.0] * 15), "dist_00 has 15 values; expected at most 14"),
    ],
)
def test_easymocap_file_with_a_wrong_entry(tmp_path, name, old, new, match):
    path = write_easymocap(tmp_path, TOY) / name
    path.write_text(path.read_text().replace(old, new, 1))
    refused(tmp_path, match)


def test_easymocap_text_that_is_slow_to_search(tmp_path):
    path = write_easymocap(tmp_path, TOY) / "extri.yml"
    path.write_text("names:\n" + "  - " * 500_000 + "a " * 1_000_000)
    refused(tmp_path, "names is no list|has 0 values|cameras have no")
