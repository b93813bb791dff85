"""Captures against numeric vectors that were computed apart from this project, to 1e-5."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from capture_writers import Toy, on_white, save_image, save_json, write_easymocap
from media_files import write_video

from stag4d.data.captures import CaptureOptions, find_capture, read_capture

VECTORS = json.loads((Path(__file__).parent / "capture_vectors.json").read_text(encoding="utf-8"))
Z_UP_TO_Y_UP = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)


def assert_close(found: torch.Tensor, expected: object, atol: float = 1e-5) -> None:
    torch.testing.assert_close(
        found.double(), torch.tensor(expected, dtype=torch.float64), atol=atol, rtol=1e-7
    )


def ball(size: tuple[int, int], center: tuple[float, float], radius: float) -> np.ndarray:
    """Return a red disk, uint8 [H, W, 4]."""
    columns, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    pixels[..., 0] = 200
    pixels[..., 3] = 255 * (np.hypot(columns - center[0], rows - center[1]) <= radius)
    return pixels


def test_nerfstudio_poses(tmp_path):
    cases = VECTORS["nerfstudio_identity_alignment"]
    frames = []
    for index, case in enumerate(cases):
        save_image(tmp_path / f"images/{index}.png", ball((32, 24), (16, 12), 8))
        frames.append({"file_path": f"images/{index}.png", "transform_matrix": case["transform_matrix"]})
    save_json(tmp_path / "transforms.json", {"fl_x": 30, "w": 32, "h": 24, "frames": frames})
    capture = find_capture(tmp_path)
    for view, case in zip(capture.views, cases, strict=True):
        assert_close(view.viewmats[0] @ Z_UP_TO_Y_UP.T, case["viewmat"])
    options = CaptureOptions(center=(0, 0, 0), scale=1.0)
    for track, case in zip(read_capture(capture, options).tracks, cases, strict=True):
        assert_close(track.cameras.viewmats[0], case["viewmat"])


@pytest.fixture
def four_d_anyone(tmp_path: Path) -> Path:
    """The vector's cameras at an eighth of the size, with a ball in the middle."""
    cameras = []
    for index, view in enumerate(VECTORS["4danyone"]["views"]):
        write_video(tmp_path / f"videos/dense/{index:02d}.mp4", [on_white(ball((88, 160), (44, 80), 39))] * 2)
        cameras.append({"camera_id": index, **view, "video": f"{index:02d}.mp4"})
    save_json(
        tmp_path / "cameras.json", {"camera_model": "OPENCV", "cameras": cameras, "front_camera_ids": [0]}
    )
    return tmp_path


def test_4danyone_aligned_by_the_scale_of_the_vector(four_d_anyone):
    case = VECTORS["4danyone"]
    loaded = read_capture(find_capture(four_d_anyone), CaptureOptions(scale=case["views"][0]["scale"]))
    assert loaded.reference is None
    for track, view in zip(loaded.tracks, case["views"], strict=True):
        assert_close(track.cameras.viewmats[0], view["viewmat"])


def test_4danyone_framed_by_the_longer_side(four_d_anyone):
    loaded = read_capture(find_capture(four_d_anyone))
    radius = VECTORS["4danyone"]["by_framing_of_the_longer_side"]["radius"]
    assert_close(loaded.tracks[0].cameras.viewmats[0, 2, 3], radius)
    focal = loaded.tracks[0].cameras.Ks[0, 0, 0]
    assert_close(focal, 1664.0 / 8)  # the videos are an eighth of the declared size


@pytest.mark.parametrize("scale", [1, 2])
def test_colmap_line(tmp_path, scale):
    case = VECTORS["colmap"]
    (tmp_path / "sparse/0").mkdir(parents=True)
    (tmp_path / "sparse/0/cameras.txt").write_text(case["cameras_txt"] + "\n")
    (tmp_path / "sparse/0/images.txt").write_text(case["images_txt"] + "\n\n")
    size = 704 // scale, 1280 // scale
    save_image(tmp_path / "images/cam00.png", ball(size, (size[0] / 2, size[1] / 2), 20))
    capture = find_capture(tmp_path)
    (view,) = capture.views
    assert_close(view.viewmats[0], case["viewmat_before_alignment"])
    assert_close(view.Ks[0], case["K"])
    (track,) = read_capture(capture, CaptureOptions(center=(0, 0, 0), reference="cam00")).tracks
    K, expected = track.cameras.Ks[0], case["K" if scale == 1 else "K_scaled_half"]
    assert_close(K.diagonal(), np.diagonal(expected).tolist())


def test_llff_row(tmp_path):
    case = VECTORS["llff_poses_bounds"]
    np.save(tmp_path / "poses_bounds.npy", np.array([case["row17"]]))
    write_video(tmp_path / "cam00.mp4", [on_white(ball((32, 24), (16, 12), 8))])
    (view,) = find_capture(tmp_path).views
    assert_close(view.viewmats[0], case["viewmat_before_alignment"])
    assert_close(view.Ks[0], case["K"])
    assert (view.width, view.height) == (1352, 1014)


def test_hypernerf_camera(tmp_path):
    case = VECTORS["hypernerf"]
    save_json(tmp_path / "scene.json", {"scale": 1.0, "center": [0, 0, 0]})
    save_json(tmp_path / "camera/000001.json", case["camera_json"])
    save_image(tmp_path / "rgb/1x/000001.png", ball((536, 960), (268, 480), 50))
    (view,) = find_capture(tmp_path).views
    assert_close(view.viewmats[0], case["viewmat_before_alignment"])
    assert_close(view.Ks[0], case["K"])


def test_opencv_calibration_has_integer_pixel_centers(tmp_path):
    case = VECTORS["opencv_calibration_y_down"]
    write_easymocap(tmp_path, Toy(size=(480, 270), principal=(240.0, 135.0)))
    path = tmp_path / "intri.yml"
    numbers = ", ".join(str(value) for row in case["K_opencv"] for value in row)
    start = path.read_text().index("data: [") + len("data: [")
    end = path.read_text().index("]", start)
    path.write_text(path.read_text()[:start] + numbers + path.read_text()[end:])
    assert_close(find_capture(tmp_path).views[0].Ks[0], case["K"])


def test_charactershot_files(tmp_path):
    case = VECTORS["charactershot_files"]
    frames = []
    for view in case["views"]:
        for frame in (1, 2):
            name = f"{view['file_path'][:-1]}{frame}"
            save_image(tmp_path / f"{name}.png", ball((72, 48), (36, 24), 18))
            entry = {
                "file_path": name,
                "time": (frame - 1) / 24,
                "transform_matrix": view["transform_matrix"],
            }
            frames.append(entry)
    save_json(
        tmp_path / "transforms_train.json", {"camera_angle_x": case["camera_angle_x"], "frames": frames}
    )
    capture = find_capture(tmp_path / "transforms_train.json")
    assert [view.name for view in capture.views] == ["view00", "view05", "view12"]
    assert_close(capture.views[0].Ks[0] * torch.tensor([[10.0], [10.0], [1.0]]), case["K"])
    loaded = read_capture(capture, CaptureOptions(center=tuple(case["center_z_up"])))
    for track, view in zip(loaded.tracks, case["views"], strict=True):
        assert_close(track.cameras.viewmats[0], view["viewmat"])
        assert len(track.images) == 2
    assert math.isclose(
        loaded.tracks[0].cameras.centers[0].norm().item(), case["views"][0]["radius"], abs_tol=1e-5
    )


def test_recammaster_poses_relative_to_the_first(tmp_path):
    case = VECTORS["recammaster"]
    document = {
        "frame0": dict.fromkeys(("cam01", "cam05", "cam07"), case["json"]["frame0"]["cam01"]),
        "frame80": case["json"]["frame80"],
    }
    scene = tmp_path / "f24_aperture5/scene1"
    save_json(scene / "cameras/camera_extrinsics.json", document)
    for name in document["frame0"]:
        write_video(scene / f"videos/{name}.mp4", [on_white(ball((64, 48), (32, 24), 18))] * 2)
    capture = find_capture(scene)
    views = {view.name: view for view in capture.views}
    for expected in case["expect"]:
        found = views[expected["cam"]].viewmats
        assert_close(found[0], torch.eye(4).tolist())
        assert_close(found[1], expected["viewmat"])
    assert_close(views["cam01"].Ks[0, 0, 0], 64 * 24 / 23.76)
    loaded = read_capture(capture, CaptureOptions(center=(0, 0, 4.0)))
    assert loaded.tracks[0].cameras.viewmats.shape == (2, 4, 4)
    assert_close(loaded.tracks[0].cameras.viewmats[0, :2, 3], [0.0, 0.0])


def recammaster(scene: Path, document: dict[str, dict[str, str]]) -> Path:
    """Write poses, and a video of as many frames for each camera of the first."""
    save_json(scene / "cameras/camera_extrinsics.json", document)
    for name in document["frame0"]:
        frames = [on_white(ball((64, 48), (32, 24), 18))] * len(document)
        write_video(scene / f"videos/{name}.mp4", frames)
    return scene


def row_text(x: float) -> str:
    """Return a pose of ReCamMaster without rotation, ``x`` centimeters along its first axis."""
    return f"[1 0 0 0] [0 1 0 0] [0 0 1 0] [{x} 0 0 1]"


def test_recammaster_cameras_are_in_natural_order(tmp_path):
    """The world is that of camera 2, which is before 10."""
    document = {f"frame{t}": {"cam10": row_text(30), "cam2": row_text(10)} for t in range(2)}
    views = find_capture(recammaster(tmp_path / "f24", document)).views
    assert [view.name for view in views] == ["cam2", "cam10"]
    assert_close(views[0].viewmats[0], torch.eye(4).tolist())
    assert views[1].viewmats[0, :3, 3].norm().item() == pytest.approx(0.2)  # meters


@pytest.mark.parametrize("frame", [0, 1])
def test_recammaster_camera_that_one_frame_lacks(tmp_path, frame):
    document = {f"frame{t}": {"cam01": row_text(0), "cam02": row_text(1)} for t in range(2)}
    document[f"frame{frame}"].pop("cam02")
    with pytest.raises(ValueError, match="cam02 has 1 of 2 frames"):
        find_capture(recammaster(tmp_path / "f24", document))


def test_recammaster_camera_named_after_another_folder(tmp_path):
    document = {"frame0": {"cam01": row_text(0), "../cam02": row_text(1)}}
    with pytest.raises(ValueError, match=r"the name of a camera is .*inside the folder of videos"):
        find_capture(recammaster(tmp_path / "f24", document))
