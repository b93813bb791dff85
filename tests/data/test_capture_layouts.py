"""Captures: names of cameras and times, splits, masks, sizes, frames, and how they become a ViewSet."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from capture_writers import (
    NUM_FRAMES,
    WRITERS,
    Toy,
    hypernerf_camera,
    on_white,
    save_image,
    save_json,
    write_4danyone,
    write_camera_videos,
    write_colmap,
    write_dnerf,
    write_easymocap,
    write_frameset,
    write_llff,
    write_nerfstudio,
    write_panoptic,
)
from disk_views import disk_views
from media_files import write_video
from PIL import Image

from stag4d.data import write_views
from stag4d.data.captures import CaptureOptions, find_capture, read_capture, read_frameset

TOY = Toy()
DETECTED = {  # in the order of detection: beginnings of their descriptions
    "frameset": "frameset",
    "4danyone": "4DAnyone",
    "nerfstudio": "nerfstudio",
    "llff": "LLFF",
    "hypernerf": "HyperNeRF",
    "panoptic": "Panoptic Sports",
    "easymocap": "EasyMocap",
    "colmap text": "COLMAP",
}


def entries(toy: Toy, names: dict[tuple[int, int], str], **extra: object) -> dict[str, object]:
    """Return a transforms.json with a file for each camera and frame."""
    frames = [
        {"file_path": name, "transform_matrix": toy.nerf_c2ws[camera].tolist()}
        | ({"time": frame / 2} if extra.get("with_time") else {})
        for (camera, frame), name in names.items()
    ]
    return {"fl_x": toy.focals[0], "w": toy.size[0], "h": toy.size[1], "frames": frames}


@pytest.mark.parametrize(
    ("pattern", "with_time", "expected"),
    [
        ("images/cam{c}/{f:04d}.png", False, ["cam0", "cam1", "cam2"]),
        ("cam{c}/rgb_{f}.png", False, ["cam0", "cam1", "cam2"]),
        ("images/frame_{f}/{c:02d}.png", False, ["00", "01", "02"]),
        ("images/cam{c}_{f:04d}.png", False, ["cam0", "cam1", "cam2"]),
        ("images/cam{c}_{f:04d}.png", True, ["cam0", "cam1", "cam2"]),
        ("images/{f:04d}_{c}.png", True, ["0000_0", "0000_1", "0000_2"]),
        ("train/{c}{f}.png", True, ["00", "10", "20"]),
    ],
)
def test_cameras_and_times_from_names(tmp_path, pattern, with_time, expected):
    names = {(c, f): pattern.format(c=c, f=f) for c in range(3) for f in range(NUM_FRAMES)}
    for (camera, frame), name in names.items():
        save_image(tmp_path / name, TOY.image(camera, frame))
    save_json(tmp_path / "transforms.json", entries(TOY, names, with_time=with_time))
    capture = find_capture(tmp_path)
    assert [view.name for view in capture.views] == expected
    for camera, view in enumerate(capture.views):
        assert [file.relative_to(tmp_path).as_posix() for file in view.frames] == [
            names[camera, 0],
            names[camera, 1],
        ]


def test_images_without_times_in_one_folder_are_of_one_instant(tmp_path):
    names = {(camera, 0): f"images/frame_{camera:05d}.png" for camera in range(3)}
    for (camera, _), name in names.items():
        save_image(tmp_path / name, TOY.image(camera, 0))
    save_json(tmp_path / "transforms.json", entries(TOY, names))
    assert [len(view.frames) for view in find_capture(tmp_path).views] == [1, 1, 1]


def test_static_cameras_that_are_listed_once_have_all_images_of_their_folders(tmp_path):
    path = write_nerfstudio(tmp_path, TOY)
    document = json.loads(path.read_text())
    once = [entry for entry in document["frames"] if entry.pop("time") == 0]
    for camera, entry in enumerate(once):
        entry["camera_label"] = f"{camera:02d}"
    save_json(path, {**document, "frames": once})
    capture = find_capture(tmp_path)
    assert [(view.name, len(view.frames)) for view in capture.views] == [("00", 2), ("01", 2), ("02", 2)]
    assert capture.frame_ids == (0.0, 1.0)


def test_one_moving_camera(tmp_path):
    capture = find_capture(write_dnerf(tmp_path, TOY))
    (view,) = capture.views
    assert view.viewmats.shape == (3, 4, 4)
    assert capture.reference is None
    assert capture.frame_ids == (0.0, 0.5, 1.0)
    views = read_capture(capture)
    assert views.reference is None
    assert len(views.tracks[0].cameras) == len(views.tracks[0]) == 3


@pytest.mark.parametrize(("split", "count"), [("train", 3), ("test", 1)])
def test_split_of_blender_files(tmp_path, split, count):
    (view,) = find_capture(write_dnerf(tmp_path, TOY), split).views
    assert len(view.frames) == count
    (view,) = find_capture(tmp_path / f"transforms_{split}.json").views
    assert len(view.frames) == count


def test_split_of_a_format_that_holds_out_nothing(tmp_path):
    with pytest.raises(ValueError, match="holds out no images"):
        find_capture(write_easymocap(tmp_path, TOY), "test")
    with pytest.raises(ValueError, match="unknown value 'val'"):
        find_capture(tmp_path, "val")


def test_folders_of_this_project_and_others_are_no_captures(tmp_path):
    write_views(tmp_path / "views", disk_views())
    (tmp_path / "other").mkdir()
    save_image(tmp_path / "other/0.png", TOY.image(0, 0))
    assert find_capture(tmp_path / "views") is None
    assert find_capture(tmp_path / "other") is None
    assert find_capture(tmp_path / "other/0.png") is None
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        find_capture(tmp_path / "missing")


@pytest.mark.parametrize("name", DETECTED)
def test_format_and_order_of_detection(tmp_path, name):
    """A folder in all the formats from this one on is of this format."""
    for other in list(DETECTED)[list(DETECTED).index(name) :]:
        WRITERS[other](tmp_path, TOY)
    assert find_capture(tmp_path).format.startswith(DETECTED[name])


def test_chosen_frames_of_a_frameset(tmp_path):
    write_frameset(tmp_path, TOY, first=7)
    assert find_capture(tmp_path).frame_ids == (7.0, 8.0)
    assert read_frameset(tmp_path, [8]).frame_ids == (8.0,)
    with pytest.raises(FileNotFoundError, match="no frame 9"):
        read_frameset(tmp_path, [8, 9])


def test_single_frame_folder_is_one_instant(tmp_path):
    write_frameset(tmp_path, TOY)
    capture = find_capture(tmp_path / "frame_001")
    assert [len(view.frames) for view in capture.views] == [1, 1, 1]


def test_colmap_model_of_the_first_frames(tmp_path):
    """``cam01/frame_00001.png`` beside ``sparse_``, whose images are ``image1.png`` and so on."""
    write_colmap(tmp_path / "model", TOY, is_binary=False)
    (tmp_path / "model/sparse/0").rename(tmp_path / "sparse_")
    path = tmp_path / "sparse_/images.txt"
    text = path.read_text()
    for camera in range(3):
        text = text.replace(f"cam{camera:02d}/00000.png", f"image{camera}.png")
        for frame in range(NUM_FRAMES):
            save_image(tmp_path / f"cam{camera:02d}/frame_{frame + 1:05d}.png", TOY.image(camera, frame))
    path.write_text(text)
    (tmp_path / "model").rename(tmp_path.parent / f"{tmp_path.name} model")
    capture = find_capture(tmp_path)
    assert [len(view.frames) for view in capture.views] == [2, 2, 2]
    torch.testing.assert_close(capture.views[1].viewmats[0], torch.from_numpy(TOY.viewmats[1]))


def test_colmap_model_for_each_frame(tmp_path):
    for frame in range(NUM_FRAMES):
        write_colmap(tmp_path / f"frame_{frame}", TOY, is_binary=True)
        for camera in range(3):
            (tmp_path / f"frame_{frame}/images/cam{camera:02d}/00000.png").rename(
                tmp_path / f"frame_{frame}/images/c_{camera:02d}.png"
            )
        path = tmp_path / f"frame_{frame}/sparse/0/images.bin"
        content = path.read_bytes()
        for camera in range(3):
            content = content.replace(b"cam%02d/00000.png" % camera, b"c_%02d.png" % camera)
        path.write_bytes(content)
    capture = find_capture(tmp_path)
    assert [(view.name, len(view.frames)) for view in capture.views] == [
        ("c_00", 2),
        ("c_01", 2),
        ("c_02", 2),
    ]
    text = Toy(distance=4.1)
    moved = write_colmap(tmp_path.parent / f"{tmp_path.name} moved", text, is_binary=True)
    (tmp_path / "frame_1/sparse/0/cameras.bin").write_bytes((moved / "sparse/0/cameras.bin").read_bytes())
    content = (moved / "sparse/0/images.bin").read_bytes()
    for camera in range(3):
        content = content.replace(b"cam%02d/00000.png" % camera, b"c_%02d.png" % camera)
    (tmp_path / "frame_1/sparse/0/images.bin").write_bytes(content)
    with pytest.raises(ValueError, match="expected static cameras"):
        find_capture(tmp_path)


@pytest.mark.parametrize("is_binary", [True, False])
def test_colmap_times(tmp_path, is_binary):
    write_colmap(tmp_path, TOY, is_binary=False)
    path = tmp_path / "sparse/0/images.txt"
    lines = path.read_text().splitlines()
    for index, camera in enumerate(range(3)):
        line = lines[1 + 2 * index].split()
        lines += [" ".join(["1" + line[0], *line[1:9], f"cam{camera:02d}/00001.png"]), ""]
    path.write_text("\n".join(lines) + "\n")
    ids = {1: 0, 2: 0, 3: 0, 11: 40_000_000, 12: 40_000_000, 13: 40_000_000}
    if is_binary:
        records = b"".join(
            key.to_bytes(4, "little") + value.to_bytes(8, "little", signed=True) for key, value in ids.items()
        )
        (tmp_path / "sparse/0/times.bin").write_bytes(len(ids).to_bytes(8, "little") + records)
    else:
        text = "# IMAGE_ID T_NS\n" + "".join(f"{key} {value}\n" for key, value in ids.items())
        (tmp_path / "sparse/0/times.txt").write_text(text)
    capture = find_capture(tmp_path)
    assert [len(view.frames) for view in capture.views] == [2, 2, 2]
    assert capture.fps == pytest.approx(25)


@pytest.mark.parametrize(
    "mask",
    [
        "masks/cam{c:02d}/{f:05d}.png",
        "fmasks/cam{c:02d}/{f:05d}.png",
        "images/cam{c:02d}/{f:05d}_mask.png",
        "images/cam{c:02d}/masks/{f:05d}.png",
        "masks/images/cam{c:02d}/{f:05d}.jpg.png",
        "mask-schp/cam{c:02d}/{f:05d}.png",
        "mask-schp-parsing.v2/cam{c:02d}/{f:05d}.png",
    ],
)
def test_masks_are_found_beside_images(tmp_path, mask):
    path = write_nerfstudio(tmp_path, TOY)
    path.write_text(path.read_text().replace(".png", ".jpg"))
    for camera in range(3):
        for frame in range(NUM_FRAMES):
            pixels = TOY.image(camera, frame)
            noise = np.random.default_rng(0).integers(0, 255, (*pixels.shape[:2], 3), np.uint8)
            (tmp_path / f"images/cam{camera:02d}/{frame:05d}.png").unlink()
            noise[pixels[..., 3] > 0] = pixels[pixels[..., 3] > 0][:, :3]
            Image.fromarray(noise).save(tmp_path / f"images/cam{camera:02d}/{frame:05d}.jpg", quality=95)
            file = tmp_path / mask.format(c=camera, f=frame)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[..., 3]).save(file)
    capture = find_capture(tmp_path)
    assert all(len(view.masks) == 2 for view in capture.views)
    track = read_capture(capture).tracks[1]
    count = int((TOY.image(1, 0)[..., 3] > 0).sum())
    assert int((track.alphas[0] == 255).sum()) == count


def test_missing_masks_are_counted(tmp_path):
    write_panoptic(tmp_path, TOY)
    (tmp_path / "seg/1/000001.png").unlink()
    with pytest.raises(FileNotFoundError, match="1 of 6 mask files are missing"):
        find_capture(tmp_path)


def test_image_without_alpha_and_plain_background(tmp_path):
    write_nerfstudio(tmp_path, TOY)
    noise = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "images/cam01/00001.png")
    capture = find_capture(tmp_path)
    with pytest.raises(
        ValueError, match=r"00001.png: camera cam01 has no alpha, no mask and no plain .*masks"
    ):
        read_capture(capture)


def test_unequal_videos_are_cut_to_the_shortest(tmp_path, caplog):
    write_llff(tmp_path, TOY)
    write_camera_videos(tmp_path, TOY, ["cam00.mp4", "cam01.mp4", "cam02.mp4"], (4, 3, 5))
    with caplog.at_level(logging.INFO):
        views = read_capture(find_capture(tmp_path, "all"))
    assert views.num_frames == 3
    assert views.fps == 30
    assert "videos of 3 to 5 frames; all are cut to 3, the length of cam01" in caplog.text
    assert "LLFF poses_bounds.npy, 3 cameras" in caplog.text


def test_first_frame_step_and_number_of_frames(tmp_path):
    write_llff(tmp_path, TOY)
    write_camera_videos(tmp_path, TOY, ["cam00.mp4", "cam01.mp4", "cam02.mp4"], (7, 7, 7))
    capture = find_capture(tmp_path)
    views = read_capture(capture, CaptureOptions(first_frame=1, frame_step=2, max_frames=2))
    assert (views.num_frames, views.fps) == (2, 15)
    with pytest.raises(ValueError, match="first frame 7 of 7"):
        read_capture(capture, CaptureOptions(first_frame=7))


@pytest.mark.parametrize("size", [(24, 16), (96, 64), (47, 31)])
def test_images_of_another_size_than_declared(tmp_path, size):
    write_nerfstudio(tmp_path, TOY)
    for file in tmp_path.glob("images/*/*.png"):
        Image.open(file).resize(size, Image.Resampling.NEAREST).save(file)
    capture = find_capture(tmp_path)
    K = read_capture(capture).tracks[0].cameras.Ks[0]
    torch.testing.assert_close(K[0, 0].item(), 60 * size[0] / 48)
    for file in tmp_path.glob("images/cam01/*.png"):
        Image.open(file).resize((48, 24)).save(file)
    with pytest.raises(ValueError, match="camera cam01: images of 48x24 pixels for a camera of 48x32"):
        read_capture(capture)


def test_tracks_are_cropped_and_their_cameras_project_as_before(tmp_path):
    """The ball's center is at the same place of the object in the crop as in the whole image."""
    toy = Toy(principal=(30.0, 12.0))
    views = read_capture(find_capture(write_nerfstudio(tmp_path, toy).parent))
    for track in views.tracks:
        rows, columns = (track.alphas[0] > 0).nonzero().T
        pixel, _ = track.cameras.project(torch.zeros(1, 3))
        torch.testing.assert_close(
            pixel[0, 0].item(), (columns.min() + columns.max() + 1).item() / 2, atol=0.5, rtol=0
        )
        torch.testing.assert_close(
            pixel[0, 1].item(), (rows.min() + rows.max() + 1).item() / 2, atol=0.5, rtol=0
        )
        assert track.images.dtype == track.alphas.dtype == torch.uint8
        assert track.images.shape[2] < toy.size[0]


def test_longer_side_reduces_images_and_intrinsics(tmp_path):
    capture = find_capture(write_nerfstudio(tmp_path, TOY).parent)
    whole, half = (read_capture(capture, CaptureOptions(longer_side=side)).tracks[0] for side in (None, 24))
    assert abs(half.images.shape[1] - whole.images.shape[1] / 2) <= 0.5
    ratio = half.images.shape[2] / whole.images.shape[2]
    torch.testing.assert_close(half.cameras.Ks[0, 0], whole.cameras.Ks[0, 0] * ratio)
    torch.testing.assert_close(half.alphas.float().mean(), whole.alphas.float().mean(), atol=4.0, rtol=0)
    assert torch.equal(read_capture(capture, CaptureOptions(longer_side=480)).tracks[0].images, whole.images)


def test_alignment_puts_the_reference_at_azimuth_0(tmp_path):
    capture = find_capture(write_nerfstudio(tmp_path, TOY).parent)
    for reference, azimuth in ((0, 50.0), ("cam01", 0.0), (2, -150.0)):
        views = read_capture(capture, CaptureOptions(reference=reference))
        x, y, z = views.tracks[1].cameras.centers[0].tolist()
        assert np.degrees(np.arctan2(x, z)) == pytest.approx(azimuth, abs=1e-3)
        assert np.degrees(np.arctan2(y, np.hypot(x, z))) == pytest.approx(12, abs=1e-3)
    views = read_capture(capture, CaptureOptions(reference="none", front="cam02"))
    assert views.reference is None
    assert abs(views.tracks[2].cameras.centers[0, 0]) < 1e-5
    with pytest.raises(ValueError, match="reference 'cam7' is no view; expected an index or one of cam00"):
        read_capture(capture, CaptureOptions(reference="cam7"))


def test_4danyone_is_turned_to_its_front_camera(tmp_path):
    path = write_4danyone(tmp_path, TOY)
    document = json.loads(path.read_text())
    save_json(path, {**document, "front_camera_ids": [1]})
    capture = find_capture(path)
    assert (capture.front, capture.reference, capture.up) == (1, None, (0.0, 1.0, 0.0))
    assert abs(read_capture(capture).tracks[1].cameras.centers[0, 0]) < 1e-5


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"first_frame": -1}, "first_frame is -1"),
        ({"frame_step": 0}, "frame_step is 0"),
        ({"longer_side": 0}, "longer_side is 0"),
        ({"scale": -1.0}, "scale is -1"),
        ({"up": "x"}, "up is 'x'"),
        ({"center": "middle"}, "center is 'middle'"),
    ],
)
def test_options_out_of_range(options, match):
    with pytest.raises(ValueError, match=match):
        CaptureOptions(**options)


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
def test_memory_of_many_views(tmp_path):
    """Six views of 25 frames of 720x480 pixels; whole, they have 207 MB, and their crops 18 MB."""
    toy = Toy(size=(720, 480), focals=(1000.0, 1000.0), principal=(360.0, 240.0), distance=5.0)
    frames = []
    for camera in range(6):
        for frame in range(25):
            name = f"images/cam{camera}/{frame}.png"
            save_image(tmp_path / name, toy.image(0, 0))
            entry = {"file_path": name, "transform_matrix": toy.nerf_c2ws[camera % 3].tolist(), "time": frame}
            frames.append(entry)
    save_json(tmp_path / "transforms.json", {"fl_x": 1000, "w": 720, "h": 480, "frames": frames})
    code = (
        "import resource, sys\n"
        "from stag4d.data.captures import find_capture, read_capture\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"views = read_capture(find_capture({str(tmp_path)!r}))\n"
        "sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 120e6


def test_white_background_gives_alpha_and_a_warning(tmp_path, caplog):
    write_nerfstudio(tmp_path, TOY)
    for file in tmp_path.glob("images/*/*.png"):
        Image.fromarray(on_white(np.asarray(Image.open(file)))).save(file)
    read_capture(find_capture(tmp_path))
    assert "6 of 6 images have no alpha and no mask" in caplog.text


def test_mask_videos(tmp_path):
    write_4danyone(tmp_path, TOY)
    for camera in range(3):
        masks = [np.repeat(TOY.image(camera, frame)[..., 3:], 3, axis=-1) for frame in range(2)]
        write_video(tmp_path / f"masks/{camera:02d}.mkv", masks, "ffv1", "gray")
    capture = find_capture(tmp_path)
    assert [view.masks.name for view in capture.views] == ["00.mkv", "01.mkv", "02.mkv"]
    track = read_capture(capture).tracks[0]
    assert int((track.alphas[1] == 255).sum()) == int((TOY.image(0, 1)[..., 3] > 0).sum())
    write_video(tmp_path / "masks/01.mkv", masks[:1], "ffv1", "gray")
    with pytest.raises(ValueError, match=r"01.mkv: 1 masks; expected 2, one for each frame of 01.mp4"):
        read_capture(capture)


def test_4danyone_videos_that_were_moved(tmp_path):
    path = write_4danyone(tmp_path, TOY)
    document = json.loads(path.read_text())
    names = ("/data/clips/00.mp4", "C:\\clips\\01.mp4", None)
    for camera, name in zip(document["cameras"], names, strict=True):
        camera["video"] = name
    save_json(path, document)
    files = [view.frames.relative_to(tmp_path).as_posix() for view in find_capture(tmp_path).views]
    assert files == [f"videos/dense/0{camera}.mp4" for camera in range(3)]


@pytest.mark.parametrize("names", [["000001", "000002"], ["0_00001", "1_00001", "0_00002", "1_00002"]])
def test_hypernerf_without_metadata(tmp_path, names):
    """One camera that moves, or two."""
    save_json(tmp_path / "scene.json", {"scale": 1.0, "center": [0, 0, 0]})
    for index, name in enumerate(names):
        camera = hypernerf_camera(TOY, index % 3, np.zeros(3), 1.0)
        save_json(tmp_path / f"camera/{name}.json", camera)
        save_image(tmp_path / f"rgb/1x/{name}.png", TOY.image(index % 3, 0))
    views = find_capture(tmp_path).views
    assert [(len(view.frames), len(view.viewmats)) for view in views] == [(2, 2)] * (len(names) // 2)


def test_easymocap_videos(tmp_path):
    write_easymocap(tmp_path, TOY)
    shutil.rmtree(tmp_path / "images")
    write_camera_videos(tmp_path / "videos", TOY, ["00.mp4", "01.mp4", "02.mp4"])
    assert [(view.width, view.height) for view in find_capture(tmp_path).views] == [TOY.size] * 3


def test_a_path_to_held_out_transforms_reads_that_file(tmp_path):
    folder = write_dnerf(tmp_path, TOY)
    (folder / "transforms_val.json").write_text((folder / "transforms_test.json").read_text())
    for name in ("transforms_val.json", "transforms_test.json"):
        assert name in find_capture(folder / name).format
