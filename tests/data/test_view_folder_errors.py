"""Errors of invalid ViewSet folders: they name the file, what is wrong and what was expected."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from stag4d.data import read_views, write_view_poses, write_views

POSE = {"azimuth": 0, "elevation": 0}


@pytest.fixture
def folder(tmp_path, make_views) -> Path:
    """A valid folder of three frames with six views of 12 pixels, which tests make invalid."""
    write_views(tmp_path / "set", make_views(3, 6))
    return tmp_path / "set"


def rgba(height: int, width: int, alpha: int | None = None) -> np.ndarray:
    """Return gray pixels with alpha 255 in a central square, or one alpha everywhere; uint8 [H, W, 4]."""
    pixels = np.full((height, width, 4), 128, dtype=np.uint8)
    pixels[..., 3] = 0 if alpha is None else alpha
    if alpha is None:
        pixels[2:-2, 2:-2, 3] = 255
    return pixels


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"views: .*nowhere does not exist; expected a folder"):
        read_views(tmp_path / "nowhere")


def test_file_instead_of_a_folder(tmp_path):
    (tmp_path / "clip.mp4").write_text("")
    with pytest.raises(ValueError, match=r"views: .*clip\.mp4 is not a folder"):
        read_views(tmp_path / "clip.mp4")


def test_folder_without_frames(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"has no frames; expected a folder that holds ref/0_rgba\.png"
    ):
        read_views(tmp_path)


@pytest.mark.parametrize("frame", [0, 1])
def test_missing_frame(folder, frame):
    (folder / "ref" / f"{frame}_rgba.png").unlink()
    with pytest.raises(FileNotFoundError, match=rf"ref.{frame}_rgba\.png is missing; expected no gap"):
        read_views(folder)


def test_missing_frame_before_number_one_billion_is_found_quickly(folder):
    (folder / "ref" / "1_rgba.png").rename(folder / "ref" / "999999999_rgba.png")
    with pytest.raises(FileNotFoundError, match=r"ref.1_rgba\.png is missing"):
        read_views(folder)


def test_missing_view(folder):
    (folder / "zero123" / "1_rgba" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1_rgba.3\.png is missing; expected no gap"):
        read_views(folder)


def test_fewer_views_than_in_the_first_frame(folder):
    (folder / "zero123" / "2_rgba" / "5.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"2_rgba has 5 views; expected 6, as .*0_rgba has"):
        read_views(folder)


def test_more_views_than_in_the_first_frame(folder):
    shutil.copy(folder / "zero123" / "1_rgba" / "5.png", folder / "zero123" / "1_rgba" / "6.png")
    with pytest.raises(FileNotFoundError, match="1_rgba has 7 views; expected 6"):
        read_views(folder)


def test_frame_without_views(folder):
    shutil.rmtree(folder / "zero123" / "1_rgba")
    with pytest.raises(FileNotFoundError, match="1_rgba has 0 views; expected 6"):
        read_views(folder)


def test_views_without_input_frame(folder):
    (folder / "ref" / "2_rgba.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"2_rgba has no input frame; expected .*ref.2_rgba\.png"):
        read_views(folder)


@pytest.mark.parametrize(
    ("name", "pixels", "message"),
    [
        ("ref/1_rgba.png", rgba(12, 16), r"ref.1_rgba\.png: 16x12 pixels; expected a square image"),
        (
            "ref/1_rgba.png",
            rgba(20, 20),
            r"ref.1_rgba\.png: 20 pixels on a side; expected 16, as .*ref.0_rgba\.png",
        ),
        (
            "zero123/2_rgba/4.png",
            rgba(16, 16),
            r"2_rgba.4\.png: 16 pixels on a side; expected 12, as .*0\.png has",
        ),
        ("ref/2_rgba.png", rgba(16, 16, 0), r"ref.2_rgba\.png: no object, alpha is at most 0;"),
        ("ref/2_rgba.png", rgba(16, 16, 1), r"ref.2_rgba\.png: no object, alpha is at most 0;"),
        ("zero123/0_rgba/1.png", rgba(12, 12, 255), r"0_rgba.1\.png: no background, alpha is at least 1;"),
        ("zero123/0_rgba/1.png", rgba(12, 12, 254), r"0_rgba.1\.png: no background, alpha is at least 1;"),
        ("ref/0_rgba.png", rgba(16, 16)[..., :3], r"ref.0_rgba\.png: no object, alpha is at most 0;"),
    ],
    ids=[
        "not square",
        "other size",
        "other view size",
        "alpha 0",
        "alpha 1 of 255",
        "alpha 255",
        "alpha 254",
        "one color without alpha",
    ],
)
@pytest.mark.parametrize("size", [None, 8])
def test_invalid_image(folder, save_png, name, pixels, message, size):
    save_png(folder / name, pixels)
    with pytest.raises(ValueError, match=message):
        read_views(folder, size)


def test_image_without_alpha_and_plain_background(folder, save_png):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    save_png(folder / "ref" / "1_rgba.png", noise)
    with pytest.raises(
        ValueError, match=r"ref.1_rgba\.png: no alpha and no plain background: \d+% of the border"
    ):
        read_views(folder)


def test_truncated_image(folder):
    path = folder / "zero123" / "0_rgba" / "2.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"0_rgba.2\.png: unreadable or cut short"):
        read_views(folder)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"version": 3}, "version 3 is newer than 2"),
        ({"fps": 8}, "version must be a whole number from 1, not nothing"),
        ({"version": 1, "fps": 0}, "fps is 0; expected a positive number"),
        ({"version": 1, "fps": 1e300}, r"fps is 1e\+300; expected a positive number, less than 10000"),
        ({"version": 1, "fps": "8"}, 'fps must be a finite number, not "8"'),
        ({"version": 1, "input": [0, 0]}, r"input must be an object .*, not \[0, 0\]"),
        ({"version": 1, "input": {"radius": -1}}, "input: camera pose: radius -1"),
        ({"version": 1, "views": "rig"}, 'views must be an array of poses, not "rig"'),
        ({"version": 1, "views": [POSE] * 5}, "views has 5 poses; expected 6"),
        (
            {
                "version": 1,
                "views": [POSE, POSE, POSE, {"azimuth": 0, "elevation": float("nan")}, POSE, POSE],
            },
            r"views\[3\]\.elevation must be a finite number",
        ),
        ({"version": 1, "view": [POSE] * 6}, r'unknown entry "view"; did you mean views\?'),
        ({"version": 1, "frames": 3}, 'unknown entry "frames"; expected version, fps, input, views, multi'),
        (
            {"version": 1, "input": {"elevaton": 9}},
            r'input: unknown entry "elevaton"; did you mean elev',
        ),
        (
            {"version": 1, "views": [POSE] * 5 + [POSE | {"fov": 50}]},
            r'views\[5\]: unknown entry "fov"; did you mean fovy\?',
        ),
        (
            {"version": 1, "input": {"radius": 1e300}},
            r"input: camera pose: radius 1e\+300; expected 1e-",
        ),
        (
            {"version": 1, "input": {"azimuth": -1e9}},
            r"input: camera pose: azimuth -1e\+09 degrees; exp",
        ),
        ({"version": 1, "offsets": [[0, 0, 0]] * 4}, "offsets has 4 entries; expected 3, one per frame"),
        ({"version": 1, "offsets": [[0, 0, 0], [0, 0, 0], [0, 0]]}, r"offsets\[2\] must be \[x, y, z\]"),
        ({"version": 1, "offsets": [[0, 1e30, 0]] * 3}, r"offsets\[0\] is .*; expected at most 1e\+06"),
        ({"version": 1, "offset": [[0, 0, 0]] * 3}, 'unknown entry "offset"; did you mean offsets'),
    ],
)
def test_malformed_poses(folder, document, message):
    (folder / "views.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=rf"^views\.json: {message}"):
        read_views(folder)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"a":' * 100_000, "9" * 5000])
def test_views_json_that_is_not_json(folder, text):
    (folder / "views.json").write_text(text)
    with pytest.raises(ValueError, match=r"views\.json: cannot be read as JSON"):
        read_views(folder)


def test_views_json_with_deeply_nested_values(folder):
    nested = "[" * 900 + "]" * 900
    (folder / "views.json").write_text(f'{{"version": 1, "fps": {nested}}}')
    with pytest.raises(ValueError, match=r"^views\.json: fps must be a finite number, not"):
        read_views(folder)


def test_record_of_the_multi_view_command_is_accepted(folder):
    record = {"key": "0" * 64, "flicker": 1.25}
    (folder / "views.json").write_text(json.dumps({"version": 1, "multiview": record}))
    assert read_views(folder).num_views == 6


def test_unknown_fields_are_not_written(tmp_path, make_views):
    views = make_views(1, 6)
    with pytest.raises(ValueError, match='unknown entry "notes"'):
        write_view_poses(tmp_path, views.input_pose, views.view_poses, 8.0, {"notes": "mine"})
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_as_views_json_is_refused_without_waiting_for_a_writer(folder):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    (folder / "views.json").unlink()
    os.mkfifo(folder / "views.json")
    with pytest.raises(ValueError, match=r"views\.json: is a pipe, socket or device; expected a JSON file"):
        read_views(folder)


def test_other_number_of_views_than_the_rig_without_poses(tmp_path, make_views):
    write_views(tmp_path, make_views(2, 4))
    (tmp_path / "views.json").unlink()
    with pytest.raises(
        ValueError, match=r"has 4 views a frame and no poses for them; expected 6, or a views\.json"
    ):
        read_views(tmp_path)


def test_size_of_zero(folder):
    with pytest.raises(ValueError, match="views: size 0; expected at least one pixel"):
        read_views(folder, size=0)


def test_unwritable_folder(tmp_path, make_views):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(RuntimeError, match="cannot be written"):
        write_views(tmp_path / "file", make_views(1, 0))
