"""STAG4DLoadViews: listed folders, captures, values of other packs, outputs, changes on disk, and errors."""

import json
import logging
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from capture_writers import (
    OPENGL,
    WRITERS,
    Z_UP,
    Toy,
    save_image,
    write_4danyone,
    write_colmap,
    write_frameset,
    write_nerfstudio,
)
from host_validation import LINK, refusals


@pytest.fixture(scope="module")
def load_views(pack_module):
    return pack_module("nodes.load_views")


@pytest.fixture
def saved(pack_module, host_folders):
    """A toy of two frames as a view folder in the input folder, and another in the output folder."""
    views = pack_module("stag4d.toys").toy_views(2, num_frames=2, size=32)
    for name in ("input/toy", "output/runs/toy"):
        pack_module("stag4d.data").write_views(host_folders / name, views)
    return views


def test_folders_with_frames_are_listed_and_can_be_loaded(load_views, saved, host_folders):
    (host_folders / "input" / "holiday").mkdir()
    node = load_views.STAG4DLoadViews
    names = node.define_schema().inputs[0].options["options"]
    assert names == ["toy", "runs/toy [output]"]
    for name in names:
        assert node.validate_inputs(name) is True
        views, images, mask = node.execute(name).args
        assert views.view_images.shape == (2, 6, 32, 32, 3)
        torch.testing.assert_close(mask, saved.alphas, atol=1 / 255, rtol=0)
        assert (images[mask == 0] == 1).all()


def test_changed_image_changes_the_fingerprint(load_views, saved, host_folders):
    node, file = load_views.STAG4DLoadViews, host_folders / "input" / "toy" / "zero123" / "1_rgba" / "3.png"
    before = node.fingerprint_inputs("toy")
    file.touch()
    assert node.fingerprint_inputs("toy") == before  # by content, not by time
    file.write_bytes((file.parent / "2.png").read_bytes())
    assert node.fingerprint_inputs("toy") != before


@pytest.mark.parametrize(
    ("name", "message"),
    [("../secret", "lies outside"), ("gone", "has no folder 'ref'"), ("toy/ref", "has no folder 'ref'")],
)
@pytest.mark.usefixtures("saved")
def test_other_folders_are_rejected(load_views, name, message):
    (refused,) = refusals(load_views.STAG4DLoadViews, {"folder": name})
    assert message in refused
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_views.STAG4DLoadViews.execute(name)


def test_missing_image_is_named(load_views, saved, host_folders):
    (host_folders / "input" / "toy" / "zero123" / "1_rgba" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1_rgba.3\.png is missing"):
        load_views.STAG4DLoadViews.execute("toy")


@pytest.mark.usefixtures("saved")
def test_pipes_are_rejected_without_waiting_for_a_writer(load_views, host_folders):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    file = host_folders / "input" / "toy" / "views.json"
    file.unlink()
    os.mkfifo(file)
    assert load_views.STAG4DLoadViews.fingerprint_inputs("toy")
    with pytest.raises(ValueError, match=r"views\.json: is a pipe, socket or device; expected a JSON file"):
        load_views.STAG4DLoadViews.execute("toy")


def test_folder_with_missing_files_or_another_number_of_cameras_is_refused_before_it_is_read(
    load_views, saved, host_folders
):
    node, folder = load_views.STAG4DLoadViews, host_folders / "input" / "toy"
    poses = folder / "views.json"
    text = poses.read_text(encoding="utf-8")
    document = json.loads(text)
    poses.write_text(json.dumps({**document, "views": document["views"][:4]}), encoding="utf-8")
    assert "views has 4 poses; expected 6" in refusals(node, {"folder": "toy"})[0]
    poses.write_text(text, encoding="utf-8")
    assert refusals(node, {"folder": "toy"}) == []
    (folder / "zero123" / "1_rgba" / "5.png").unlink()
    assert "1_rgba has 5 views; expected 6" in refusals(node, {"folder": "toy"})[0]


@pytest.fixture
def capture(host_folders):
    """A nerfstudio capture in the input folder, with 3 cameras and 2 frames."""
    write_nerfstudio(host_folders / "input" / "ball", Toy())
    return host_folders / "input" / "ball"


def same_sets(first, second):
    return (
        first.fps == second.fps
        and first.reference == second.reference
        and all(
            torch.equal(one.images, other.images)
            and torch.equal(one.alphas, other.alphas)
            and torch.equal(one.cameras.viewmats, other.cameras.viewmats)
            and torch.equal(one.cameras.Ks, other.cameras.Ks)
            for one, other in zip(first.tracks, second.tracks, strict=True)
        )
    )


@pytest.mark.parametrize("name", WRITERS)
def test_captures_are_listed_and_read_as_the_package_reads_them(
    load_views, pack_module, host_folders, name, caplog
):
    data, node = pack_module("stag4d.data"), load_views.STAG4DLoadViews
    root = host_folders / "output" / "runs" / "ball"
    WRITERS[name](root, Toy())
    names = node.define_schema().inputs[0].options["options"]
    assert names == ["runs/ball [output]"]  # not the folders inside
    assert refusals(node, {"folder": names[0]}) == []
    with caplog.at_level(logging.INFO):
        views, images, mask = node.execute(names[0]).args
    assert same_sets(views, data.read_capture(data.find_capture(root)))
    num_cameras = 2 if name == "llff" else 3  # cam00 is held out
    assert f"{num_cameras} cameras" in caplog.text
    assert len(images) == len(mask) == 2
    assert images.shape[:3] == mask.shape == views.first_track.images.shape[:3]


def test_old_prompt_gives_the_set_of_the_folder(load_views, pack_module, saved, host_folders):
    read = pack_module("stag4d.data").read_views(host_folders / "input" / "toy")
    views, _, _ = load_views.STAG4DLoadViews.execute(folder="toy").args
    assert same_sets(views, read)


def test_folders_of_any_depth_are_listed_once_and_hidden_ones_are_not(load_views, saved, host_folders):
    for name in ("input/a/b/c", "input/.trash/old", "output/x"):
        write_frameset(host_folders / name, Toy())
    (host_folders / "input" / "3dgs").mkdir()
    (host_folders / "input" / "3dgs" / "cameras.json").write_text('[{"id": 0, "rotation": []}]')
    (host_folders / "input" / "frames" / "frame_001").mkdir(parents=True)
    names = load_views.STAG4DLoadViews.define_schema().inputs[0].options["options"]
    assert names == ["a/b/c", "toy", "runs/toy [output]", "x [output]"]


def test_capture_in_the_input_folder_itself_does_not_hide_others(load_views, saved, host_folders):
    write_nerfstudio(host_folders / "input", Toy())
    names = load_views.STAG4DLoadViews.define_schema().inputs[0].options["options"]
    assert names == [".", "toy", "runs/toy [output]"]
    assert len(load_views.STAG4DLoadViews.execute(".").args[0].tracks) == 3


def test_listing_opens_no_file_but_small_parts_of_indices(load_views, capture, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("opened")

    monkeypatch.setattr(Path, "open", refuse)
    names = load_views.STAG4DLoadViews.define_schema().inputs[0].options["options"]
    assert names == ["ball"]


def test_options_of_a_capture_are_those_of_the_package(load_views, pack_module, capture):
    data, node = pack_module("stag4d.data"), load_views.STAG4DLoadViews
    values = {"first_frame": 1, "max_frames": 1, "longer_side": 24, "up": "z", "front": "cam01", "fps": 12.0}
    values |= {"center": "0.5, 0.25, 1", "reference": "none", "split": "all", "frame_step": 3}
    assert refusals(node, {"folder": "ball", **values}) == []
    options = {key: value for key, value in values.items() if key != "split"}
    options |= {"center": (0.5, 0.25, 1.0)}
    expected = data.read_capture(data.find_capture(capture, "all"), data.CaptureOptions(**options))
    views, images, _ = node.execute("ball", **values).args
    assert same_sets(views, expected)
    assert views.reference is None and views.fps == 4.0
    assert views.first_track.name == "cam01"  # the outputs are those of the frontmost view
    assert images.shape[1:3] == views.tracks[1].images.shape[1:3]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"first_frame": 2}, "first frame 2 of 2; expected 0 to 1"),
        ({"frame_step": 0}, "frame_step: 0; expected 1 to"),
        ({"center": "1, 2"}, "center: '1, 2'; expected auto, file, or three numbers"),
        ({"center": "1, b, 2"}, "center: '1, b, 2'; expected auto, file, or three numbers"),
        ({"center": "1, nan, 2"}, "expected auto, file, or three numbers"),
        ({"up": "x"}, "up: 'x' is no option; expected one of auto, y, z, -y, cameras"),
        ({"front": "cam9"}, "front 'cam9' is no view; expected an index or one of cam00, cam01, cam02"),
        ({"reference": "cam9"}, "reference 'cam9' is no view"),
        ({"split": "test"}, "split"),
        ({"colmap_data": LINK}, "colmap_data: connected without frameset"),
        ({"folder": "toy", "max_frames": 1, "front": "1"}, "max_frames, front: for captures"),
        (
            {"folder": "toy", "split": "all"},
            "split: for captures of other programs, but toy is a view folder",
        ),
    ],
)
@pytest.mark.usefixtures("saved", "capture")
def test_options_that_do_not_fit_are_refused_before_the_run(load_views, values, message):
    (refused,) = refusals(load_views.STAG4DLoadViews, {"folder": "ball", **values})
    assert message in refused


@pytest.mark.usefixtures("saved")
def test_view_folder_without_reference_shows_the_frontmost_view(load_views):
    views, images, _ = load_views.STAG4DLoadViews.execute("toy", reference="none").args
    assert views.reference is None
    assert len(images) == 2


def test_missing_image_of_a_capture_is_found_before_the_run(load_views, capture):
    (capture / "images" / "cam01" / "00001.png").unlink()
    (refused,) = refusals(load_views.STAG4DLoadViews, {"folder": "ball"})
    assert "1 of 6 image files are missing" in refused


def test_links_that_lead_out_are_refused(load_views, capture, tmp_path):
    image = capture / "images" / "cam01" / "00001.png"
    outside = tmp_path / "outside.png"
    shutil.move(image, outside)
    try:
        image.symlink_to(outside)
    except OSError:
        pytest.skip("this system does not let this user make links")
    (refused,) = refusals(load_views.STAG4DLoadViews, {"folder": "ball"})
    assert "links that lead out of ComfyUI's folders, such as 00001.png" in refused


def test_changed_files_of_a_capture_change_the_fingerprint(load_views, capture):
    node = load_views.STAG4DLoadViews
    before = node.fingerprint_inputs("ball", first_frame=0)
    assert node.fingerprint_inputs("ball") == before
    save_image(capture / "images" / "cam01" / "00001.png", np.zeros((2, 2, 4), np.uint8))
    assert node.fingerprint_inputs("ball") != before


def write_mirrored(root, views):
    """Write the first frame of views as a nerfstudio capture whose azimuths have the wrong sign."""
    listed = []
    for index, track in enumerate(views.tracks):
        viewmat = track.cameras.viewmats[0].double().numpy()
        mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
        z_up = np.eye(4)
        z_up[:3, :3] = Z_UP
        c2w = z_up @ np.linalg.inv(mirror @ viewmat @ mirror) @ OPENGL
        image, alpha = track.at(0)
        rgba = (255 * torch.cat([image, alpha[..., None]], dim=-1)).byte().numpy()
        save_image(root / "images" / f"cam{index}" / "00000.png", rgba)
        listed.append(
            {"file_path": f"images/cam{index}/00000.png", "time": 0, "transform_matrix": c2w.tolist()}
        )
    K, size = views.tracks[0].cameras.Ks[0], views.tracks[0].cameras.width
    lens = {"fl_x": K[0, 0].item(), "fl_y": K[1, 1].item(), "w": size, "h": size}
    (root / "transforms.json").write_text(json.dumps({**lens, "frames": listed}), encoding="utf-8")


def test_better_cameras_of_a_capture_are_shown_on_the_node(load_views, pack_module, host_folders):
    write_mirrored(host_folders / "input" / "wrong", pack_module("stag4d.toys").toy_views(0, 1, 64))
    shown = load_views.STAG4DLoadViews.execute("wrong").ui
    assert re.fullmatch(
        r"The cameras explain \d+% of the silhouettes; mirrored azimuths would explain \d+%\.", shown.value
    )


@pytest.mark.usefixtures("capture")
def test_nothing_is_shown_of_cameras_that_fit(load_views):
    assert load_views.STAG4DLoadViews.execute("ball").ui is None


def multicam(root, cameras=("cam00", "cam01", "cam02")):
    """Images as FreeFlow's loader lists them, and a COLMAP model of their first frames."""
    write_colmap(root / "workspace", Toy(), is_binary=True)
    names = {f"{name}/00000.png": f"{name}_0000.png" for name in ("cam00", "cam01", "cam02")}
    path = root / "workspace" / "sparse" / "0" / "images.bin"
    content = path.read_bytes()
    for old, new in names.items():
        content = content.replace(old.encode(), new.encode())
    path.write_bytes(content)
    shutil.move(root / "workspace" / "images", root / "clip")
    return {name: [str(root / "clip" / name / f"{frame:05d}.png") for frame in (0, 1)] for name in cameras}


def test_values_of_other_packs_are_read_in_place_of_a_folder(load_views, pack_module, tmp_path):
    data, node = pack_module("stag4d.data"), load_views.STAG4DLoadViews
    frameset = write_frameset(tmp_path / "frames", Toy(), first=3)
    four = write_4danyone(tmp_path / "four", Toy()).parent
    value = {"dir": str(frameset), "frames": 1, "frame_ids": [4], "cameras": 3, "fingerprint": "a"}
    assert refusals(node, {"frameset": LINK}) == []
    views, images, _ = node.execute(frameset=value).args
    assert same_sets(views, data.read_capture(data.read_frameset(frameset, [4])))
    assert len(images) == 1
    single = {**value, "dir": str(frameset / "frame_003"), "frame_ids": [0]}
    views, _, _ = node.execute(frameset=single).args
    assert (len(views.tracks), views.num_frames) == (3, 1)
    views, _, _ = node.execute(folder="gone", frameset={"result_dir": str(four), "cameras": {}}).args
    assert same_sets(views, data.read_capture(data.find_capture(four)))


def test_images_by_camera_are_read_with_the_colmap_model(load_views, pack_module, tmp_path, caplog):
    node, data = load_views.STAG4DLoadViews, pack_module("stag4d.data")
    cameras = multicam(tmp_path)
    assert refusals(node, {"frameset": LINK, "colmap_data": LINK}) == []
    views, _, _ = node.execute(frameset=cameras, colmap_data=str(tmp_path / "workspace")).args
    expected = data.read_capture(data.find_capture(write_colmap(tmp_path / "b", Toy(), is_binary=True)))
    assert same_sets(views, expected)
    with pytest.raises(FileNotFoundError, match="no COLMAP sparse model; expected"):
        node.execute(frameset=cameras)
    shutil.move(tmp_path / "workspace", tmp_path / "clip" / "FreeFlow_Colmap")
    last = {name: files[1:] for name, files in cameras.items()}
    assert node.execute(frameset=last).args[0].num_frames == 1
    views, _, _ = node.execute(frameset={**cameras, "other": cameras["cam00"]}).args
    assert len(views.tracks) == 3
    assert "has 3 of 4 cameras; other" in caplog.text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("folder", "frameset: a value of type str; expected a SPLATKIT_FRAMESET"),
        ({"ply": 1, "meta": {}}, "frameset: has the entries ply, meta; expected"),
        ({"dir": "/gone", "frame_ids": [0]}, "is no folder; run the node that makes it again"),
        ({"result_dir": 3}, "frameset: result_dir: '3' is no path"),
        ({"cam00": []}, "cam00 has no image"),
        ({}, "has the entries none"),
    ],
)
def test_other_values_are_refused(load_views, value, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_views.STAG4DLoadViews.execute(frameset=value)


def test_prompt_without_folder_and_frameset_is_refused(load_views):
    (refused,) = refusals(load_views.STAG4DLoadViews, {})
    assert "folder: none; expected a view folder or a capture" in refused


def test_capture_with_videos_moves_the_bar_forward(load_views, host_folders, progress_bar):
    write_4danyone(host_folders / "input" / "four", Toy())
    load_views.STAG4DLoadViews.execute("four")
    positions = [done for done, _ in progress_bar.reported]
    assert positions == sorted(positions)
    assert progress_bar.reported[-1] == (400, 400)  # a pass over each of three videos, and one over all


def test_cancel_stops_the_reading_of_a_capture(load_views, capture, cancel_at, interrupt):
    cancel_at(3)
    with pytest.raises(interrupt):
        load_views.STAG4DLoadViews.execute("ball")
