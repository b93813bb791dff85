"""Which folders, videos and images of a capture are those of its cameras, and which are those of masks."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from capture_writers import (
    NUM_FRAMES,
    Toy,
    llff_row,
    on_white,
    save_image,
    save_json,
    write_4danyone,
    write_camera_videos,
    write_colmap,
    write_easymocap,
    write_llff,
    write_nerfstudio,
)
from media_files import set_display_matrix, write_video
from PIL import Image

from stag4d.data.captures import find_capture, read_capture, read_multicam

TOY = Toy()
EASYMOCAP = {
    f"{camera:02d}": [f"images/{camera:02d}/{frame:06d}.png" for frame in range(NUM_FRAMES)]
    for camera in range(3)
}


def frames_of(root: Path) -> dict[str, list[str]]:
    """Return the files of each camera, relative to the folder of the capture."""
    found = {}
    for view in find_capture(root, "all").views:
        files = [view.frames] if isinstance(view.frames, Path) else view.frames
        found[view.name] = [file.relative_to(root).as_posix() for file in files]
    return found


def save_any(path: Path) -> None:
    """Write an image or a video of another camera than those of the capture."""
    if path.suffix == ".mp4":
        write_video(path, [on_white(TOY.image(0, 0))])
    else:
        save_image(path, TOY.image(0, 0))


def save_rows(root: Path) -> None:
    np.save(root / "poses_bounds.npy", np.stack([llff_row(c2w, TOY.size, TOY.focals[0]) for c2w in TOY.c2ws]))


@pytest.mark.parametrize("other", ["background/00.png", "00/background.png", "preview.mp4", "00.mp4"])
def test_easymocap_with_others_beside_the_folder_of_images(tmp_path, other):
    """Even if they are named after one of the cameras."""
    write_easymocap(tmp_path, TOY)
    save_any(tmp_path / other)
    assert frames_of(tmp_path) == EASYMOCAP


def test_easymocap_folder_of_no_camera_is_left_out_with_a_warning(tmp_path, caplog):
    write_easymocap(tmp_path, TOY)
    save_any(tmp_path / "images/03/000000.png")
    assert frames_of(tmp_path) == EASYMOCAP
    assert "1 beside the 3 cameras of extri.yml, the first 03, are left out" in caplog.text


def test_easymocap_camera_without_images_is_named(tmp_path):
    write_easymocap(tmp_path, TOY)
    (tmp_path / "images/01").rename(tmp_path / "images/09")
    with pytest.raises(FileNotFoundError, match=r"1 of 3 cameras have no images/NAME .* the first 01"):
        find_capture(tmp_path)


def test_llff_scene_with_reduced_images(tmp_path):
    """As LLFF and nerfstudio write them; names of the images are not those of cameras."""
    save_rows(tmp_path)
    for folder in ("images", "images_4", "images_8", "images_4_png", "images_24x16"):
        for index in range(3):
            save_any(tmp_path / folder / f"IMG_{index + 40}.png")
    assert frames_of(tmp_path) == {f"IMG_{n}": [f"images/IMG_{n}.png"] for n in (40, 41, 42)}


@pytest.mark.parametrize(
    "others",
    [
        ["images_4/0.png", "images_8/0.png"],
        ["background/0.png"],
        ["preview.mp4"],
        ["images/0.png", "images/1.png", "images/2.png"],
        ["a/0.png", "b/0.png", "c/0.png"],  # as many as cameras
    ],
)
@pytest.mark.parametrize("is_video", [True, False])
def test_llff_cameras_are_those_named_cam(tmp_path, others, is_video):
    if is_video:
        write_llff(tmp_path, TOY)
    else:
        save_rows(tmp_path)
        for camera in range(3):
            for frame in range(NUM_FRAMES):
                save_image(tmp_path / f"cam{camera:02d}/{frame:04d}.png", TOY.image(camera, frame))
    for other in others:
        save_any(tmp_path / other)
    names = ["cam00", "cam01", "cam02"]
    files = [".mp4"] if is_video else ["/0000.png", "/0001.png"]
    assert frames_of(tmp_path) == {name: [f"{name}{file}" for file in files] for name in names}


def test_llff_folders_of_other_names_without_masks_and_depth_maps(tmp_path):
    save_rows(tmp_path)
    folders = ("left", "middle", "right", "masks_2", "mask-schp-parsing.v2", "depths_4", "fmask", "Alpha")
    for folder in folders:
        save_any(tmp_path / folder / "0.png")
    assert frames_of(tmp_path) == {name: [f"{name}/0.png"] for name in folders[:3]}


def test_llff_images_with_masks_named_after_them(tmp_path):
    save_rows(tmp_path)
    for index in range(3):
        save_any(tmp_path / f"images/{index}.png")
        save_any(tmp_path / f"images/{index}_mask.png")
    assert frames_of(tmp_path) == {str(n): [f"images/{n}.png"] for n in range(3)}


@pytest.mark.parametrize("other", ["background/0.png", "preview.mp4", "images_4/0.png", "1/0.png"])
def test_colmap_with_others_beside_the_folder_of_images(tmp_path, other):
    write_colmap(tmp_path, TOY, is_binary=True)
    save_any(tmp_path / other)
    assert frames_of(tmp_path) == {
        f"cam{camera:02d}": [f"images/cam{camera:02d}/{frame:05d}.png" for frame in range(NUM_FRAMES)]
        for camera in range(3)
    }


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("images_2/cam{c}/{f}.png", ["cam0", "cam1", "cam2"]),
        ("images_4_png/cam{c}/{f}.png", ["cam0", "cam1", "cam2"]),
        ("image_{c:02d}/{f}.png", ["image_00", "image_01", "image_02"]),  # cameras, as in KITTI
        ("colmap_{f}/images/cam{c}.png", ["cam0", "cam1", "cam2"]),
        ("timestep-{f}/cam{c}/a.png", ["cam0", "cam1", "cam2"]),
    ],
)
def test_folders_of_listed_images(tmp_path, pattern, expected):
    frames = []
    for camera in range(3):
        for frame in range(NUM_FRAMES):
            name = pattern.format(c=camera, f=frame)
            save_image(tmp_path / name, TOY.image(camera, frame))
            frames.append({"file_path": name, "transform_matrix": TOY.nerf_c2ws[camera].tolist()})
    save_json(tmp_path / "transforms.json", {"fl_x": 60, "w": 48, "h": 32, "frames": frames})
    assert frames_of(tmp_path) == {
        name: [pattern.format(c=camera, f=frame) for frame in range(NUM_FRAMES)]
        for camera, name in enumerate(expected)
    }


def test_videos_are_in_natural_order_of_their_cameras(tmp_path):
    """As images are; the file lists 10 before 2."""
    write_easymocap(tmp_path, TOY)
    for name in ("intri.yml", "extri.yml"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("01", "10").replace("00", "2").replace("02", "1"))
    write_camera_videos(tmp_path / "videos", TOY, ["2.mp4", "10.mp4", "1.mp4"])
    assert list(frames_of(tmp_path)) == ["1", "2", "10"]


def test_numbers_of_frames_are_places_in_all_folders_if_one_has_none(tmp_path):
    """Else the frames 1 and 2 of two cameras were paired with the places 0 and 1 of the third."""
    write_easymocap(tmp_path, TOY)
    for camera in range(3):
        for frame in (1, 0):
            file = tmp_path / f"images/{camera:02d}/{frame:06d}.png"
            file.rename(file.with_name(("ab"[frame] if camera == 1 else f"{frame + 1:06d}") + ".png"))
    assert [files[0] for files in frames_of(tmp_path).values()] == [
        "images/00/000001.png",
        "images/01/a.png",
        "images/02/000001.png",
    ]


def test_two_images_of_one_frame_of_a_camera(tmp_path):
    write_easymocap(tmp_path, TOY)
    save_any(tmp_path / "images/01/000001.jpg")
    with pytest.raises(ValueError, match=r"000001\.jpg and 000001\.png: two images of one frame"):
        find_capture(tmp_path)


@pytest.mark.parametrize("camera", [0, 2])
def test_mask_that_only_the_first_image_lacks(tmp_path, camera):
    write_nerfstudio(tmp_path, TOY)
    for index in range(3):
        for frame in range(NUM_FRAMES):
            mask = tmp_path / f"masks/cam{index:02d}/{frame:05d}.PNG"  # suffixes of any case
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(TOY.image(index, frame)[..., 3]).save(mask)
    masks = find_capture(tmp_path).views[camera].masks
    assert [mask.name for mask in masks] == ["00000.PNG", "00001.PNG"]
    masks[0].unlink()
    with pytest.raises(FileNotFoundError, match=rf"1 of 6 mask files .*/masks/cam{camera:02d}/00000"):
        find_capture(tmp_path)


def test_4danyone_cameras_with_the_same_video(tmp_path):
    path = write_4danyone(tmp_path, TOY)
    path.write_text(path.read_text().replace("videos/dense/01.mp4", "/elsewhere/sparse/00.mp4"))
    with pytest.raises(ValueError, match=r"cameras 0 and 1 have the same video .*00\.mp4"):
        find_capture(tmp_path)


def test_4danyone_front_that_is_no_camera_is_reported(tmp_path, caplog):
    path = write_4danyone(tmp_path, TOY)
    path.write_text(path.read_text().replace('"front_camera_ids": [0]', '"front_camera_ids": [7]'))
    with caplog.at_level(logging.WARNING):
        assert find_capture(tmp_path).front == 0
    assert "front_camera_ids is" in caplog.text


def test_colmap_folder_without_image_in_the_model_is_left_out_with_a_warning(tmp_path, caplog):
    """COLMAP does not register all images."""
    write_colmap(tmp_path, TOY, is_binary=False)
    save_any(tmp_path / "images/cam03/00000.png")
    assert list(frames_of(tmp_path)) == ["cam00", "cam01", "cam02"]
    assert "sparse/0: 1 of 4 folders or videos have no image, the first cam03; they are" in caplog.text


def test_listed_images_of_one_name_in_folders_of_frames(tmp_path):
    write_colmap(tmp_path, TOY, is_binary=False)
    files = {}
    for camera in range(3):
        name = f"cam{camera:02d}"
        files[name] = [tmp_path / f"frame_{frame}/{name}.png" for frame in range(NUM_FRAMES)]
        for frame, file in enumerate(files[name]):
            save_image(file, TOY.image(camera, frame))
    views = read_multicam(files, tmp_path).views
    assert {view.name: list(view.frames) for view in views} == files


def test_easymocap_videos_on_their_side_have_the_size_as_shown(tmp_path):
    """The video is stored as 32x48 pixels, with a display matrix that turns it to 48x32."""
    write_easymocap(tmp_path, TOY)
    shutil.rmtree(tmp_path / "images")
    for camera in range(3):
        frames = [np.ascontiguousarray(on_white(TOY.image(camera, frame)).swapaxes(0, 1)) for frame in (0, 1)]
        write_video(tmp_path / f"videos/{camera:02d}.mp4", frames)
        set_display_matrix(tmp_path / f"videos/{camera:02d}.mp4", (0, 1, 1, 0))
    capture = find_capture(tmp_path)
    assert [(view.width, view.height) for view in capture.views] == [TOY.size] * 3
    assert read_capture(capture).num_frames == 2
