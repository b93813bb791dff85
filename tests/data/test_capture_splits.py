"""Captures: which images are for training and which are held out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from capture_writers import (
    Toy,
    llff_row,
    save_image,
    save_json,
    write_camera_videos,
    write_dnerf,
    write_hypernerf,
    write_llff,
    write_nerfstudio,
    write_panoptic,
)

from stag4d.data.captures import find_capture

TOY = Toy()


def names(root, split):
    return [view.name for view in find_capture(root, split).views]


def test_llff_holds_cam00_out_as_the_papers_on_neural_3d_video_do(tmp_path, caplog):
    write_llff(tmp_path, TOY)
    assert names(tmp_path, "all") == ["cam00", "cam01", "cam02"]
    assert names(tmp_path, "test") == ["cam00"]
    assert not caplog.text
    assert names(tmp_path, "train") == ["cam01", "cam02"]
    assert "cam00 is held out; split all reads it, too" in caplog.text
    capture = find_capture(tmp_path)
    assert [view.name for view in capture.views] == ["cam01", "cam02"]  # train is the default
    for view, expected in zip(capture.views, TOY.viewmats[1:], strict=True):
        np.testing.assert_allclose(
            view.viewmats[0].numpy(), expected, atol=1e-6
        )  # rows stay with their videos


@pytest.mark.parametrize("files", [["cam01.mp4", "cam02.mp4", "cam03.mp4"], ["cam00.mp4", "cam01.mp4"]])
def test_llff_without_cam00_or_with_too_few_others_holds_none_out(tmp_path, files):
    write_camera_videos(tmp_path, TOY, files, (2,) * len(files))
    rows = [llff_row(c2w, TOY.size, TOY.focals[0]) for c2w in TOY.c2ws[: len(files)]]
    np.save(tmp_path / "poses_bounds.npy", np.stack(rows))
    assert names(tmp_path, "train") == names(tmp_path, "all") == [file[:5] for file in files]
    with pytest.raises(ValueError, match="expected split train or all"):
        find_capture(tmp_path, "test")


def hypernerf(root, change):
    write_hypernerf(root, TOY)
    path = root / "dataset.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def of_camera(document, *cameras):
    return [name for name in document["ids"] if int(name[0]) in cameras]


def test_hypernerf_splits(tmp_path):
    hypernerf(tmp_path, lambda d: d.update(train_ids=of_camera(d, 0, 2), val_ids=of_camera(d, 1)))
    assert names(tmp_path, "train") == ["0", "2"]
    assert names(tmp_path, "test") == ["1"]
    assert names(tmp_path, "all") == ["0", "1", "2"]


@pytest.mark.parametrize("train", [None, []])
def test_hypernerf_without_list_for_training_leaves_the_held_out_images_out(tmp_path, train):
    hypernerf(tmp_path, lambda d: d.update(train_ids=train, val_ids=of_camera(d, 1)))
    assert names(tmp_path, "train") == ["0", "2"]


def test_hypernerf_without_list_of_all_has_both_others(tmp_path):
    hypernerf(tmp_path, lambda d: d.update(train_ids=of_camera(d, 0, 2), val_ids=of_camera(d, 1), ids=None))
    assert names(tmp_path, "all") == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("change", "split", "match"),
    [
        (lambda d: None, "test", "val_ids lists no image for split test; split all reads all images"),
        (
            lambda d: d.update(train_ids=[], val_ids=d["ids"]),
            "train",
            "train_ids lists no image for split train; split all reads all images",
        ),
        (
            lambda d: d.update(train_ids=[], ids=[]),
            "all",
            "ids lists no image .* expected at least one image",
        ),
        (lambda d: d.update(val_ids={}), "test", "val_ids must be a list"),
    ],
)
def test_empty_split_of_hypernerf_names_the_one_that_is_not(tmp_path, change, split, match):
    hypernerf(tmp_path, change)
    with pytest.raises(ValueError, match=match):
        find_capture(tmp_path, split)


def test_hypernerf_without_lists_holds_none_out(tmp_path):
    write_hypernerf(tmp_path, TOY)
    (tmp_path / "dataset.json").unlink()
    assert len(names(tmp_path, "train")) == 3
    with pytest.raises(ValueError, match=r"has no dataset\.json.*expected split train or all"):
        find_capture(tmp_path, "test")


def nerfstudio(root, **lists):
    """Write a capture and lists of its cameras, by their numbers."""
    path = write_nerfstudio(root, TOY)
    document = json.loads(path.read_text())
    for key, cameras in lists.items():
        document[f"{key}_filenames"] = [f"./images/cam{c:02d}/{f:05d}.png" for c in cameras for f in (0, 1)]
    return save_json(path, document)


@pytest.mark.parametrize(
    ("lists", "train", "test"),
    [
        ({"train": [0, 2], "test": [1]}, [0, 2], [1]),
        ({"test": [1]}, [0, 2], [1]),
        ({"val": [1]}, [0, 2], [1]),
        ({"train": [0], "val": [1], "test": [2]}, [0], [2]),
        ({"val": [1], "test": [2]}, [0], [2]),
    ],
)
def test_nerfstudio_splits(tmp_path, lists, train, test):
    nerfstudio(tmp_path, **lists)
    for split, cameras in (("train", train), ("test", test), ("all", [0, 1, 2])):
        assert names(tmp_path, split) == [f"cam{camera:02d}" for camera in cameras]


@pytest.mark.parametrize(
    ("lists", "split", "match"),
    [
        ({}, "test", "has no test_filenames; expected split train or all"),
        ({"test": [0, 1, 2]}, "train", "holds out all files of frames; expected split test or all"),
        ({"train": [0, 7]}, "train", r"2 of 4 names in train_filenames are no file of frames, .*cam07/00000"),
        ({"train": [0], "test": [7]}, "train", "2 of 2 names in test_filenames are no file of frames"),
    ],
)
def test_nerfstudio_split_that_does_not_fit(tmp_path, lists, split, match):
    nerfstudio(tmp_path, **lists)
    with pytest.raises(ValueError, match=match):
        find_capture(tmp_path, split)


def test_image_of_two_splits_is_read_once(tmp_path):
    write_dnerf(tmp_path, TOY)
    document = json.loads((tmp_path / "transforms_train.json").read_text())
    save_json(tmp_path / "transforms_val.json", {**document, "frames": document["frames"][1:2]})
    (tmp_path / "transforms_test.json").unlink()
    (view,) = find_capture(tmp_path, "all").views
    assert len(view.frames) == 3


@pytest.mark.parametrize("key", ["transform_matrix", "time"])
def test_image_that_is_listed_twice_with_another_camera_or_time(tmp_path, key):
    path = write_nerfstudio(tmp_path, TOY)
    document = json.loads(path.read_text())
    first = document["frames"][0]
    other = next(entry for entry in document["frames"] if entry[key] != first[key])
    save_json(path, {**document, "frames": [*document["frames"], first]})
    assert len(names(tmp_path, "train")) == 3
    save_json(path, {**document, "frames": [*document["frames"], {**first, key: other[key]}]})
    with pytest.raises(ValueError, match=r"cam00/00001\.png is listed twice"):
        find_capture(tmp_path)


@pytest.mark.parametrize("key", ["k", "w2c", "cam_id"])
def test_panoptic_lists_of_other_lengths(tmp_path, key):
    """None is cut to the others."""
    path = write_panoptic(tmp_path, TOY)
    document = json.loads(path.read_text())
    save_json(path, {**document, key: [*document[key], document[key][0]]})
    with pytest.raises(ValueError, match=f"{key} has 3 entries; expected 2, as many as fn has"):
        find_capture(tmp_path)
    document[key][1] = [*document[key][1], document[key][1][0]]
    save_json(path, document)
    with pytest.raises(ValueError, match=rf"{key}\[1\] has 4 entries; expected 3, as many as fn\[1\] has"):
        find_capture(tmp_path)


def test_panoptic_cameras_that_are_held_out(tmp_path):
    document = json.loads(write_panoptic(tmp_path, TOY).read_text())
    for frame in range(2):
        save_image(tmp_path / f"ims/7/{frame:06d}.png", TOY.image(0, frame))
    held_out = {key: [row[:1] for row in document[key]] for key in ("k", "w2c")}
    held_out |= {"fn": [["7/000000.png"], ["7/000001.png"]], "cam_id": [[7], [7]]}
    save_json(tmp_path / "test_meta.json", {**document, **held_out})
    for frame in range(2):
        (tmp_path / "seg/7").mkdir(exist_ok=True)
        save_image(tmp_path / f"seg/7/{frame:06d}.png", TOY.image(0, frame))
    assert names(tmp_path, "train") == ["0", "1", "2"]
    assert names(tmp_path, "test") == ["7"]
    assert names(tmp_path, "all") == ["0", "1", "2", "7"]
