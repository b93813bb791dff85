"""Captures with a folder for each frame: their numbers, and COLMAP with a model for each."""

from __future__ import annotations

import shutil

import pytest
from capture_writers import NUM_FRAMES, Toy, write_colmap, write_frameset

from stag4d.data.captures import find_capture, find_view_folders, read_frameset

TOY = Toy()
CAMERAS = {f"cam{camera:02d}" for camera in range(3)}


def write_models(root, toys, pattern="frame_{}"):
    """Write a model of the first instant of a toy for each frame, of images ``cam00/00000.png``."""
    for frame, toy in enumerate(toys):
        write_colmap(root / pattern.format(frame), toy, is_binary=False)
    return root


@pytest.mark.parametrize("pattern", ["frame_{}", "colmap_{}", "colmap{}", "Frame-{:03d}", "time_{}"])
def test_cameras_of_a_model_for_each_frame_are_named_by_their_folders(tmp_path, pattern):
    """The images of all cameras have the same name."""
    root = write_models(tmp_path / "ball", [TOY] * 3, pattern)
    assert find_view_folders(tmp_path) == [root]
    capture = find_capture(root)
    assert {view.name for view in capture.views} == CAMERAS
    for view in capture.views:
        assert [file.relative_to(root).as_posix() for file in view.frames] == [
            f"{pattern.format(frame)}/images/{view.name}/00000.png" for frame in range(3)
        ]
    assert capture.frame_ids == (0.0, 1.0, 2.0)


def test_images_in_folders_of_several_cameras_are_named_by_themselves(tmp_path):
    """``left/0.png`` and ``left/1.png`` are two cameras."""
    write_models(tmp_path, [TOY] * 2)
    for frame in range(2):
        root = tmp_path / f"frame_{frame}"
        path = root / "sparse/0/images.txt"
        text = path.read_text()
        (root / "images/left").mkdir()
        for camera in range(3):
            name = f"cam{camera:02d}/00000.png"
            (root / "images" / name).rename(root / f"images/left/{camera}.png")
            text = text.replace(name, f"left/{camera}.png")
        path.write_text(text)
    assert [view.name for view in find_capture(tmp_path).views] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("second", "match"),
    [
        (
            Toy(focals=(60.0, 60.5)),
            r"frame_1/sparse/0: cam00/00000\.png: its intrinsic matrix differs by 0\.5",
        ),
        (Toy(principal=(24.25, 16.0)), "its intrinsic matrix differs by 0.25"),
        (Toy(size=(96, 64)), "is of 96x64 pixels; expected 48x32, as in the first frame"),
        (Toy(distance=4.1), "its pose differs by 0.1.*expected static cameras"),
    ],
)
def test_cameras_that_differ_between_models_are_refused(tmp_path, second, match):
    with pytest.raises(ValueError, match=match):
        find_capture(write_models(tmp_path, [TOY, second]))


def test_center_is_that_of_the_first_model(tmp_path):
    for frame, toy in enumerate([TOY, Toy(radius=0.4)]):
        write_colmap(tmp_path / f"frame_{frame}", toy, is_binary=True)
    assert find_capture(tmp_path).center == TOY.center
    (tmp_path / "frame_0/sparse/0/points3D.bin").unlink()
    assert find_capture(tmp_path).center is None  # not that of another frame


@pytest.mark.parametrize("write", [write_frameset, lambda root, toy: write_models(root, [toy] * NUM_FRAMES)])
def test_two_folders_of_one_frame(tmp_path, write):
    write(tmp_path, TOY)
    frames = sorted(entry.name for entry in tmp_path.iterdir())
    shutil.copytree(tmp_path / frames[1], tmp_path / "frame_0001")
    with pytest.raises(ValueError, match=rf"frame_0001 and {frames[1]} are two folders of frame 1"):
        find_capture(tmp_path)


@pytest.mark.parametrize(
    ("write", "file", "needed"),
    [
        (write_frameset, "transforms.json", "transforms.json"),
        (lambda root, toy: write_models(root, [toy] * NUM_FRAMES), "sparse/0/cameras.txt", "sparse model"),
    ],
)
def test_folders_of_frames_without_cameras_are_counted(tmp_path, caplog, write, file, needed):
    write(tmp_path, TOY)
    first = min(tmp_path.iterdir())
    (first / file).unlink()
    assert find_capture(tmp_path).frame_ids == (1.0,)
    assert (
        f"1 of 2 folders of frames have no {needed}, the first {first.name}; they are left out" in caplog.text
    )


def test_frames_that_are_not_chosen_may_be_incomplete(tmp_path, caplog):
    write_frameset(tmp_path, TOY)
    (tmp_path / "frame_000/transforms.json").unlink()
    assert read_frameset(tmp_path, [1]).frame_ids == (1.0,)
    assert not caplog.text


@pytest.mark.parametrize("name", ["../cam00/00000.png", "/cam00/00000.png", "cam00/../../00000.png"])
def test_colmap_image_outside_of_the_folder(tmp_path, name):
    path = write_colmap(tmp_path, TOY, is_binary=False) / "sparse/0/images.txt"
    path.write_text(path.read_text().replace("cam00/00000.png", name))
    with pytest.raises(
        ValueError, match=r"image 1: its name is .*expected a relative path inside the folder of"
    ):
        find_capture(tmp_path)


def test_colmap_images_with_separators_of_windows(tmp_path):
    path = write_colmap(tmp_path, TOY, is_binary=False) / "sparse/0/images.txt"
    path.write_text(path.read_text().replace("/00000.png", "\\00000.png"))
    assert {view.name for view in find_capture(tmp_path).views} == CAMERAS


@pytest.mark.parametrize("number", ["", "9"])
def test_colmap_image_is_not_paired_with_a_folder_of_another_number(tmp_path, number):
    """The only folder has no number, as the image has none; or another."""
    path = write_colmap(tmp_path, TOY, is_binary=False)
    lines = (path / "sparse/0/images.txt").read_text().splitlines()[1:3]
    (path / "sparse/0/images.txt").write_text("\n".join(lines).replace("cam00/00000", "front") + "\n")
    (path / "images/cam00/00000.png").rename(path / "images/front.png")
    (path / "images/cam00").rename(path / f"background{number}")
    for camera in (1, 2):
        shutil.rmtree(path / f"images/cam{camera:02d}")
    (view,) = find_capture(path).views
    assert view.frames == (path / "images/front.png",)
