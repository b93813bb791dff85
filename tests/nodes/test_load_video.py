"""STAG4DLoadVideo: listed videos, frames and masks, warnings, changes on disk, and names that are refused."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from media_files import half_transparent, write_animation, write_video
from PIL import Image

ALL = {"num_frames": 0, "start": 0.0, "end": 0.0}
LEVELS = [0, 60, 120, 180, 240]  # of red
RED_LEFT = torch.tensor([1.0, 0.0])  # alpha at the left and at the right


@pytest.fixture(scope="module")
def node(pack_module):
    return pack_module("nodes.load_video").STAG4DLoadVideo


@pytest.fixture
def folder(host_folders):
    """The input folder."""
    return host_folders / "input"


@pytest.fixture
def text_on_node(node, monkeypatch):
    """A function that returns the text that the server was last asked to show on node 7, or None."""
    server = sys.modules["server"].PromptServer.instance
    monkeypatch.setattr(server, "sent", [])
    monkeypatch.setattr(node, "hidden", SimpleNamespace(unique_id="7"))
    return lambda: server.sent[-1][1][1] if server.sent else None


def write_any(folder, kind):
    """Write five frames, opaque in their left half, as a file or folder of a kind; return its name."""
    frames = [half_transparent(level) for level in LEVELS]
    if kind == "folder/":
        (folder / "folder").mkdir()
        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / "folder" / f"{index}.png")
    elif kind == "masked/":
        for name, part in (("images", slice(3)), ("masks", 3)):
            (folder / "masked" / name).mkdir(parents=True)
            for index, frame in enumerate(frames):
                Image.fromarray(frame[..., part]).save(folder / "masked" / name / f"{index}.png")
    elif kind == "a.webm":
        write_video(folder / kind, frames, "libvpx-vp9", "yuva420p", options={"lossless": "1"})
    elif kind == "a.mov":
        write_video(folder / kind, frames, "prores_ks", "yuva444p10le")
    else:
        write_animation(folder / kind, frames, 125)
    return kind


@pytest.mark.parametrize("kind", ["a.webm", "a.mov", "a.webp", "a.png", "folder/", "masked/"])
def test_alpha_of_every_kind_of_video_is_the_mask(node, folder, kind):
    name = write_any(folder, kind)
    assert node.define_schema().inputs[0].options["options"] == [name]
    assert node.validate_inputs(name) is True
    images, mask, fps, count = node.execute(name, **ALL).args
    assert images.shape == (5, 48, 64, 3)
    assert images.dtype == mask.dtype == torch.float32
    torch.testing.assert_close(
        images[:, 20, 20, 0], torch.tensor(LEVELS) / 255, atol=0.03, rtol=0
    )  # of a lossy codec
    expected = RED_LEFT.repeat_interleave(32).expand(5, 48, 64)
    away = [*range(30), *range(34, 64)]  # from the edge, which lossy codecs soften
    torch.testing.assert_close(mask[..., away], expected[..., away], atol=0.02, rtol=0)
    assert (fps, count) == (pytest.approx(8.0), 5)


def test_video_without_alpha_has_a_mask_of_ones(node, folder, pack_module):
    frames = np.full((3, 48, 64, 3), 255, np.uint8)
    frames[:, 10:30, 20:44] = 90
    write_video(folder / "a.mp4", list(frames), fps=24)
    images, mask, fps, count = node.execute("a.mp4", **ALL).args
    assert (mask == 1).all()
    assert (fps, count) == (24.0, 3)
    # which Prepare Frames takes for none: the plain background gives the alpha
    prepare = pack_module("nodes.prepare_frames").STAG4DPrepareFrames
    square = {"num_frames": 0, "size": 48, "margin": 0.1}
    found = prepare.execute(images=images, mask=mask, **square).args
    expected = prepare.execute(images=images, **square).args
    assert 0.1 < found[1].mean() < 0.9
    assert all(torch.equal(found[index], expected[index]) for index in (0, 1))


@pytest.mark.parametrize(
    ("settings", "levels", "fps"),
    [
        ({"num_frames": 3}, [0, 120, 240], 4.0),
        ({"start": 0.25}, [120, 180, 240], 8.0),
        ({"end": 0.25}, [0, 60], 8.0),
        ({"start": 0.125, "end": 0.5, "num_frames": 2}, [60, 180], 4.0),
        ({"num_frames": 99}, LEVELS, 8.0),
    ],
)
def test_frames_are_chosen_by_time(node, folder, settings, levels, fps):
    name = write_any(folder, "a.png")
    images, _, rate, count = node.execute(name, **ALL | settings).args
    assert (255 * images[:, 0, 0, 0]).round().int().tolist() == levels
    assert (rate, count) == (fps, len(levels))


def test_span_without_frames_is_rejected(node, folder):
    name = write_any(folder, "a.png")
    with pytest.raises(ValueError, match=r"video: frames from 2 s to 1 s; expected 0 <= start < end"):
        node.execute(name, **ALL | {"start": 2.0, "end": 1.0})
    with pytest.raises(ValueError, match=r"video: no frame from 2 s to its end"):
        node.execute(name, **ALL | {"start": 2.0})


def test_object_at_the_image_border_is_reported_with_frames_and_share(node, folder, text_on_node, caplog):
    frames = np.zeros((3, 48, 64, 4), np.uint8)
    frames[:, 8:40, 16:48, 3] = 255
    write_animation(folder / "inside.png", list(frames), 100)
    result = node.execute("inside.png", **ALL)
    assert (result.ui, text_on_node()) == (None, None)
    frames[1] = np.roll(frames[1], 16, axis=1)  # 32 of the 124 pixels of its outline are on the border
    write_animation(folder / "cut.png", list(frames), 100)
    result = node.execute("cut.png", **ALL)
    text = text_on_node()
    expected = "the image border cuts off the object in frame 1 of cut.png, up to 26% of its outline"
    assert text.startswith(expected)
    assert result.ui.as_dict() == {"text": (text,)}
    assert text in caplog.text


def test_changed_file_changes_the_fingerprint(node, folder):
    for kind in ("a.png", "masked/"):
        name = write_any(folder, kind)
        before = node.fingerprint_inputs(name, **ALL)
        assert node.fingerprint_inputs(name, **ALL) == before
        changed = folder / ("a.png" if kind == "a.png" else "masked/masks/3.png")
        os.utime(changed, ns=(0, 0))
        assert node.fingerprint_inputs(name, **ALL) != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../secret.mp4", "video: '../secret.mp4' lies outside ComfyUI's folders"),
        ("/etc/passwd", "lies outside ComfyUI's folders"),
        ("b.mp4 [output]", r"'b.mp4 \[output\]' lies outside ComfyUI's input folder; choose one in the list"),
        ("", "video: '' lies outside ComfyUI's input folder"),
        ("gone.mp4", "video: 'gone.mp4' was not found; choose one in the list"),
        ("empty", "no images; expected files such as 0.png"),
        ("a\0b", r"video: 'a\\x00b' has a null character"),
    ],
)
def test_other_names_are_refused_before_the_run(node, folder, host_folders, name, message):
    (host_folders / "output" / "b.mp4").touch()
    (host_folders / "secret.mp4").touch()
    (folder / "empty").mkdir()
    refusal = node.validate_inputs(name)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        node.execute(name, **ALL)
    assert refusal == str(error.value)


def test_links_out_of_the_input_folder_are_refused(node, folder, host_folders):
    write_any(host_folders, "folder/")
    (folder / "inner").mkdir()
    for name, target in (("link.png", "folder/0.png"), ("linked", "folder"), ("inner/0.png", "folder/0.png")):
        try:
            (folder / name).symlink_to(host_folders / target)
        except OSError:
            pytest.skip("this system does not allow symbolic links")
    assert "lies outside ComfyUI's folders" in node.validate_inputs("link.png")
    assert "lies outside ComfyUI's folders" in node.validate_inputs("linked/")
    assert "has links that lead out of the input folder, such as 0.png" in node.validate_inputs("inner/")


def test_images_that_do_not_fit_in_memory_are_refused_at_the_first(node, folder, monkeypatch, progress_bar):
    name = write_any(folder, "a.png")
    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "get_free_memory", lambda device: 1000)
    with pytest.raises(ValueError, match=r"5 frames of 64x48: needs .* GB of memory"):
        node.execute(name, **ALL)
    assert progress_bar.reported[-1][0] <= 120  # after one of five frames of the second pass


@pytest.mark.parametrize("kind", ["a.webm", "a.png", "folder/"])
def test_reading_has_progress_and_can_be_cancelled(node, folder, kind, progress_bar, cancel_at, interrupt):
    name = write_any(folder, kind)
    node.execute(name, **ALL)
    positions = [done for done, total in progress_bar.reported if total == 200]
    assert len(positions) == len(progress_bar.reported)
    assert positions[-5:] == [120, 140, 160, 180, 200]
    assert (positions[0] <= 100) == (kind != "folder/")  # images of a folder need one pass only
    checks = cancel_at(3)  # of five frames
    with pytest.raises(interrupt):
        node.execute(name, **ALL)
    assert len(checks) == 3
