"""``stag4d views`` and ``stag4d fit`` on captures and on views of a camera rig."""

from __future__ import annotations

import functools
import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from capture_writers import Toy, write_nerfstudio
from PIL import Image
from small_fit import shrunk

from stag4d import cli
from stag4d.cli import main
from stag4d.data import read_views, write_views
from stag4d.geometry import camera_rig, input_camera, rig_cameras
from stag4d.optimization import preset
from stag4d.pipeline import fitting, scenes
from stag4d.toys import render_toy, toy_object, toy_seed, toy_views
from stag4d.types import Cameras

SIZE, FRAMES = 48, 3
TIMES = [0.0, 0.5, 1.0]
FIT = ["--preset", "fast", "--steps", "3", "--size", "32"]


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Make presets and turntables small."""
    monkeypatch.setattr(cli.fit_options, "preset", lambda name, **options: shrunk(preset(name, **options)))
    short = functools.partial(scenes.write_turntable, num_frames=6)
    monkeypatch.setattr(fitting, "write_turntable", short)


def printed(capsys) -> dict:
    """Return the JSON that the last command printed."""
    return json.loads(capsys.readouterr().out)


@functools.cache
def rig_images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return RGBA of a toy by the cameras of a rig [V, F, S, S, 4], and by its input camera [F, S, S, 4]."""
    toy = toy_object(toy_seed("test", 2))
    rig = camera_rig(name)
    found = [rig_cameras(rig, SIZE, SIZE), input_camera(rig, SIZE, SIZE)]
    rgba = []
    for cameras in found:
        if cameras is None:
            rgba.append(np.zeros((1, FRAMES, SIZE, SIZE, 4), np.uint8))
            continue
        batch = Cameras.from_rig(cameras, SIZE, SIZE)
        images, alphas = render_toy(toy, batch, TIMES)
        rgba.append((255 * np.concatenate([images, alphas[..., None]], axis=-1)).astype(np.uint8))
    return rgba[0], rgba[1][0]


def save(folder: Path, frames: np.ndarray) -> Path:
    """Write images as 00000.png, 00001.png, ..."""
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index:05d}.png")
    return folder


@pytest.fixture(scope="module")
def sv4d2(tmp_path_factory) -> Path:
    """A folder with one folder of images for each view of SV4D 2.0, and one for the input video."""
    root = tmp_path_factory.mktemp("sv4d2")
    views, video = rig_images("sv4d2")
    for index, view in enumerate(views):
        save(root / f"000001_v{index + 1:03d}", view)
    save(root / "000001_process_input", video)
    return root


def test_views_of_a_view_folder_are_described_and_shown(tmp_path, capsys):
    write_views(tmp_path / "in", toy_views(3, FRAMES, SIZE))
    assert main(["views", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 0
    result = printed(capsys)
    assert (result["frames"], len(result["views"])) == (FRAMES, 7)
    assert [view["reference"] for view in result["views"]] == [True] + [False] * 6
    assert [view["azimuth"] for view in result["views"]][:3] == [0.0, 30.0, 90.0]
    assert result["explained"] > 0.95
    assert result["better"] is None
    with Image.open(tmp_path / "out" / "cameras.png") as image:
        assert image.size == (640, 640)
        assert len(image.getcolors(640 * 640)) > 50  # the object and the lines
    assert (tmp_path / "out" / "sheet.png").exists()


def test_a_capture_is_read_written_as_views_and_fitted(tmp_path, capsys, caplog):
    capture = write_nerfstudio(tmp_path / "capture", Toy())
    with caplog.at_level(logging.INFO):
        assert main(["views", str(capture), "-o", str(tmp_path / "out"), "--write-views"]) == 0
    assert "nerfstudio" in caplog.text
    described = printed(capsys)
    written = read_views(tmp_path / "out" / "views")
    assert len(written.tracks) == len(described["views"]) == 3
    assert main(["fit", str(capture), "-o", str(tmp_path / "fit"), *FIT]) == 0
    assert main(["fit", str(tmp_path / "out" / "views"), "-o", str(tmp_path / "again"), *FIT]) == 0
    assert main(["views", str(tmp_path / "out" / "views"), "--up", "z", "-o", str(tmp_path / "up")]) == 2
    assert "--up: given for view folder" in capsys.readouterr().err
    first, again = ((tmp_path / name / "scene.safetensors").read_bytes() for name in ("fit", "again"))
    assert first == again


def test_videos_of_a_rig_are_views_and_the_input_video_is_found(sv4d2, tmp_path, capsys, caplog):
    with caplog.at_level(logging.INFO):
        assert main(["views", str(sv4d2), "--rig", "sv4d2", "-o", str(tmp_path / "out")]) == 0
    assert "taken as the input video" in caplog.text
    result = printed(capsys)
    assert [view["azimuth"] for view in result["views"]] == [0.0, 60.0, 120.0, 180.0, -120.0]
    assert result["views"][0]["reference"]
    assert result["explained"] > 0.95
    assert main(["fit", str(sv4d2), "--rig", "sv4d2", "-o", str(tmp_path / "fit"), *FIT]) == 0


def test_the_wrong_rig_is_reported(sv4d2, tmp_path, capsys, caplog):
    assert main(["views", str(sv4d2), "--rig", "unique3d", "-o", str(tmp_path / "out")]) == 0
    result = printed(capsys)
    assert result["better"]["name"] == "rig sv4d2"
    assert "rig sv4d2 would explain" in caplog.text


@pytest.mark.parametrize("order", ["frame by frame", "view by view"])
def test_images_of_one_folder_are_split_in_the_given_order(tmp_path, capsys, caplog, order):
    views, _ = rig_images("mv-adapter")  # [V, F, S, S, 4]
    images = views.transpose(1, 0, 2, 3, 4) if order == "frame by frame" else views
    folder = save(tmp_path / "images", images.reshape(-1, SIZE, SIZE, 4))
    options = ["--rig", "mv-adapter", "--order", order, "-o", str(tmp_path / "out")]
    assert main(["views", str(folder), *options]) == 0
    result = printed(capsys)
    assert {view["projection"] for view in result["views"]} == {"ortho"}
    assert not any(view["reference"] for view in result["views"])
    assert result["better"] is None
    other = "view by view" if order == "frame by frame" else "frame by frame"
    options[options.index(order)] = other
    assert main(["views", str(folder), *options]) == 0
    assert printed(capsys)["better"]["name"] == f"order {order}"


def test_center_of_a_capture_must_be_a_point(tmp_path, capsys):
    capture = write_nerfstudio(tmp_path / "capture", Toy())
    assert main(["views", str(capture), "--center", "1,2", "-o", str(tmp_path / "out")]) == 2
    assert "--center: '1,2'; expected auto, file, or three numbers as x,y,z." in capsys.readouterr().err


def test_videos_of_a_rig_are_cut_to_the_shortest(sv4d2, tmp_path, capsys, caplog):
    root = tmp_path / "in"
    shutil.copytree(sv4d2, root)
    (root / "000001_v003" / f"{FRAMES - 1:05d}.png").unlink()
    assert main(["views", str(root), "--rig", "sv4d2", "-o", str(tmp_path / "out")]) == 0
    assert printed(capsys)["frames"] == FRAMES - 1
    assert f"000001_v001 ({FRAMES}), 000001_v002 ({FRAMES}), 000001_v004 ({FRAMES}) cut to" in caplog.text


def test_views_beside_the_input_video(sv4d2, tmp_path, capsys):
    views = tmp_path / "views"
    views.mkdir()
    for index in range(1, 5):
        (views / f"v{index}").symlink_to(sv4d2 / f"000001_v{index:03d}", target_is_directory=True)
    video = str(sv4d2 / "000001_process_input")
    options = ["--rig", "sv4d2", "--views-from", str(views), "-o", str(tmp_path / "out")]
    assert main(["views", video, *options]) == 0
    assert printed(capsys)["views"][0]["reference"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rig", "sv4d2-8"], "4 images for a rig|expected 8"),
        (["--order", "view by view"], "without --rig"),
        (["--rig", "sv4d2", "--reference", "view 1"], "--reference: 'view 1' with --rig"),
        (["--rig", "sv4d2", "--center", "1,2,3"], "--center: given for views of --rig sv4d2"),
        (["--rig", "sv4d2", "--frame-step", "2"], "--frame-step: given for views of --rig sv4d2"),
    ],
)
def test_options_that_do_not_fit_are_refused(sv4d2, tmp_path, capsys, options, message):
    assert main(["views", str(sv4d2), *options, "-o", str(tmp_path / "out")]) == 2
    assert re.search(message, capsys.readouterr().err)
