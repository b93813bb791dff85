"""STAG4DLoadViews: listed folders, outputs, changes on disk, and errors."""

import json
import os

import pytest
import torch


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
    assert message in load_views.STAG4DLoadViews.validate_inputs(name)
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
    assert "4" in node.validate_inputs("toy")
    assert "expected" in node.validate_inputs("toy")
    poses.write_text(text, encoding="utf-8")
    assert node.validate_inputs("toy") is True
    (folder / "zero123" / "1_rgba" / "5.png").unlink()
    assert "1_rgba has 5 views; expected 6" in node.validate_inputs("toy")
