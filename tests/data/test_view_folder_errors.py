"""ViewSet folders that cannot be read: each says which file, what is wrong and what was expected."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stag4d.data import read_views, write_views

POSE = {"azimuth": 0, "elevation": 0}


@pytest.fixture
def folder(tmp_path, make_views) -> Path:
    """A good folder of three frames with six views of 12 pixels, to be spoiled by a test."""
    write_views(tmp_path / "set", make_views(3, 6))
    return tmp_path / "set"


def rgba(height: int, width: int, alpha: int | None = None) -> np.ndarray:
    """Return grey pixels with a square matte in the middle, or one alpha everywhere; uint8 [H, W, 4]."""
    pixels = np.full((height, width, 4), 128, dtype=np.uint8)
    pixels[..., 3] = 0 if alpha is None else alpha
    if alpha is None:
        pixels[2:-2, 2:-2, 3] = 255
    return pixels


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"views: .*nowhere does not exist; expected a folder"):
        read_views(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "clip.mp4").write_text("")
    with pytest.raises(ValueError, match=r"views: .*clip\.mp4 is not a folder"):
        read_views(tmp_path / "clip.mp4")


def test_no_frames(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"has no frames; expected a folder that holds ref/0_rgba\.png"
    ):
        read_views(tmp_path)


@pytest.mark.parametrize("frame", [0, 1])
def test_a_gap_in_the_frames(folder, frame):
    (folder / "ref" / f"{frame}_rgba.png").unlink()
    with pytest.raises(FileNotFoundError, match=rf"ref.{frame}_rgba\.png is missing; expected no gap"):
        read_views(folder)


def test_a_gap_of_a_billion_frames_is_found_at_once(folder):
    (folder / "ref" / "1_rgba.png").rename(folder / "ref" / "999999999_rgba.png")
    with pytest.raises(FileNotFoundError, match=r"ref.1_rgba\.png is missing"):
        read_views(folder)


def test_a_gap_in_the_views(folder):
    (folder / "zero123" / "1_rgba" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1_rgba.3\.png is missing; expected no gap"):
        read_views(folder)


def test_a_frame_with_fewer_views_than_the_first(folder):
    (folder / "zero123" / "2_rgba" / "5.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"2_rgba has 5 views; expected 6, as .*0_rgba has"):
        read_views(folder)


def test_a_frame_with_more_views_than_the_first(folder):
    shutil.copy(folder / "zero123" / "1_rgba" / "5.png", folder / "zero123" / "1_rgba" / "6.png")
    with pytest.raises(FileNotFoundError, match="1_rgba has 7 views; expected 6"):
        read_views(folder)


def test_a_frame_without_views(folder):
    shutil.rmtree(folder / "zero123" / "1_rgba")
    with pytest.raises(FileNotFoundError, match="1_rgba has 0 views; expected 6"):
        read_views(folder)


def test_views_of_a_frame_that_is_not_there(folder):
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
        ("ref/2_rgba.png", rgba(16, 16, 0), r"ref.2_rgba\.png: the matte is empty"),
        ("ref/2_rgba.png", rgba(16, 16, 1), r"ref.2_rgba\.png: the matte is empty"),
        ("zero123/0_rgba/1.png", rgba(12, 12, 255), r"0_rgba.1\.png: the matte is full"),
        ("zero123/0_rgba/1.png", rgba(12, 12, 254), r"0_rgba.1\.png: the matte is full"),
        ("ref/0_rgba.png", rgba(16, 16)[..., :3], r"ref.0_rgba\.png: the matte is empty"),
    ],
    ids=[
        "oblong",
        "other size",
        "other view size",
        "empty",
        "all faint",
        "full",
        "nearly full",
        "plain, no alpha",
    ],
)
@pytest.mark.parametrize("size", [None, 8])
def test_a_picture_that_does_not_fit(folder, save_png, name, pixels, message, size):
    save_png(folder / name, pixels)
    with pytest.raises(ValueError, match=message):
        read_views(folder, size)


def test_a_picture_without_alpha_in_front_of_something(folder, save_png):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    save_png(folder / "ref" / "1_rgba.png", noise)
    with pytest.raises(ValueError, match=r"ref.1_rgba\.png: no alpha, and matte: the border is not plain"):
        read_views(folder)


def test_a_picture_cut_short(folder):
    path = folder / "zero123" / "0_rgba" / "2.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"0_rgba.2\.png: unreadable or cut short"):
        read_views(folder)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"version": 2}, "version 2 is newer than 1"),
        ({"fps": 8}, "version must be a whole number from 1, not nothing"),
        ({"version": 1, "fps": 0}, "fps is 0; expected a positive number"),
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
    ],
)
def test_poses_that_are_malformed(folder, document, message):
    (folder / "views.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=rf"^views\.json: {message}"):
        read_views(folder)


def test_poses_that_are_no_json(folder):
    (folder / "views.json").write_text("{")
    with pytest.raises(ValueError, match=r"views\.json: cannot be read as JSON"):
        read_views(folder)


def test_views_whose_poses_nobody_says(tmp_path, make_views):
    write_views(tmp_path, make_views(2, 4))
    (tmp_path / "views.json").unlink()
    with pytest.raises(
        ValueError, match=r"has 4 views a frame and no poses for them; expected 6, or a views\.json"
    ):
        read_views(tmp_path)


def test_a_size_without_pixels(folder):
    with pytest.raises(ValueError, match="views: size 0; expected at least one pixel"):
        read_views(folder, size=0)


def test_a_folder_that_cannot_be_written(tmp_path, make_views):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RuntimeError, match="cannot be written"):
        write_views(tmp_path / "file", make_views(1, 0))
