"""STAG4DPrepareFrames with a VIDEO: frames that are read, trimmed videos, alpha, frame rate, and refusals."""

import io
import sys
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from host_validation import LINK, refusals
from media_files import write_video

DEFAULTS = {"num_frames": 0, "size": 32, "margin": 0.25}
LEVELS = [*range(20, 240, 20)]  # of red, of eleven frames
EVERY = range(11)


@pytest.fixture(scope="module")
def node(pack_module):
    return pack_module("nodes.prepare_frames").STAG4DPrepareFrames


@pytest.fixture
def host(host_folders):
    """The host's classes of videos, and its folders."""
    latest = sys.modules["comfy_api.latest"]
    return SimpleNamespace(
        file=latest.InputImpl.VideoFromFile,
        images=latest.InputImpl.VideoFromComponents,
        components=latest.Types.VideoComponents,
        folder=host_folders,
    )


def frames(shown=EVERY):
    """Return eleven frames with a square of growing red, which only some show, uint8 [F, 48, 64, 4]."""
    pixels = np.zeros((len(LEVELS), 48, 64, 4), np.uint8)
    for index in shown:
        pixels[index, 8:40, 16:48] = (LEVELS[index], 128, 0, 255)
    return pixels


def with_alpha(host, shown=EVERY, **options):
    """Write the frames with alpha, without loss and 24 a second; return the path."""
    path = host.folder / "input" / "alpha.mov"
    return str(write_video(path, list(frames(shown)), "qtrle", "argb", fps=24, **options))


def on_white(pixels):
    """Return frames with alpha on white, uint8 [F, H, W, 3]."""
    return np.where(pixels[..., 3:] > 0, pixels[..., :3], 255).astype(np.uint8)


def kept(result):
    """Return the levels of red in the middle of the results' images."""
    return (255 * result.args[0][:, 16, 16, 0]).round().int().tolist()


def test_video_gives_the_same_result_as_its_images_and_alpha(node, host):
    pixels = torch.from_numpy(frames())
    mask, images = (pixels[..., 3] / 255).float(), pixels[..., :3].float() / 255
    found = node.execute(video=host.file(with_alpha(host)), **DEFAULTS | {"num_frames": 4}).args
    expected = node.execute(images=images, mask=mask, fps=24.0, **DEFAULTS | {"num_frames": 4}).args
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert found[2:] == expected[2:] == (24 * 3 / 10, None)


def test_only_the_kept_frames_are_converted(node, host, pack_module, monkeypatch):
    """Of eleven frames, three; the host decodes none."""
    display = sys.modules[pack_module("stag4d.data").__name__ + ".display"]
    convert, counts = display.Presentation.pixels, []

    def counted(*arguments):
        counts.append(None)
        return convert(*arguments)

    monkeypatch.setattr(display.Presentation, "pixels", counted)
    monkeypatch.setattr(host.file, "get_components", None)
    result = node.execute(video=host.file(with_alpha(host)), **DEFAULTS | {"num_frames": 3})
    assert kept(result) == [20, 120, 220]
    assert len(counts) == 3


def test_frames_of_a_variable_rate_are_chosen_by_time(node, host):
    times_ms = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 1000]
    path = host.folder / "input" / "variable.mkv"
    write_video(path, list(frames()), "ffv1", "bgra", times_ms=times_ms)
    result = node.execute(video=host.file(str(path)), **DEFAULTS | {"num_frames": 3})
    assert kept(result) == [20, 200, 220]  # at 0, 0.09 and 1 s


@pytest.mark.parametrize(
    ("trim", "levels"),
    [
        ({"start_time": 0.25}, LEVELS[6:]),
        ({"duration": 0.25}, LEVELS[:6]),
        ({"start_time": 2 / 24, "duration": 3 / 24}, LEVELS[2:5]),
        ({"start_time": -3 / 24}, LEVELS[8:]),
    ],
)
@pytest.mark.parametrize("in_memory", [False, True])
def test_trimmed_video_has_only_its_own_frames(node, host, trim, levels, in_memory):
    path = with_alpha(host)
    if in_memory:
        with open(path, "rb") as file:  # noqa: PTH123
            path = io.BytesIO(file.read())
    result = node.execute(video=host.file(path, **trim), **DEFAULTS)
    assert kept(result) == levels
    assert result.args[2] == 24.0
    assert not list((host.folder / "temp").rglob("*.part"))  # no copy of a file in memory is left


def test_trim_is_by_the_clock_of_the_file(node, host):
    """As in the host: the first frame of this file is shown at 1 s."""
    times_ms = [1000 + 125 * index for index in range(len(LEVELS))]
    path = host.folder / "input" / "late.mkv"
    write_video(path, list(frames()), "ffv1", "bgra", times_ms=times_ms)
    video = host.file(str(path), start_time=1.25, duration=0.25)
    assert kept(node.execute(video=video, **DEFAULTS)) == LEVELS[2:4]
    assert kept(node.execute(video=host.file(str(path), start_time=0.5), **DEFAULTS)) == LEVELS


def test_trim_is_rounded_down_to_the_clock_of_the_file(node, host):
    """As in the host: 0.1255 s is 125 ms, when frame 1 of this file is shown, and 0.2505 s is 250 ms."""
    times_ms = [125 * index for index in range(len(LEVELS))]
    path = host.folder / "input" / "milliseconds.mkv"
    write_video(path, list(frames()), "ffv1", "bgra", times_ms=times_ms)
    video = host.file(str(path), start_time=0.1255, duration=0.125)
    assert kept(node.execute(video=video, **DEFAULTS)) == LEVELS[1:2]


def test_start_and_end_are_indices_of_the_frames_of_the_trimmed_video(node, host):
    video = host.file(with_alpha(host), start_time=2 / 24)
    result = node.execute(video=video, **DEFAULTS, start=1, end=3)
    assert kept(result) == LEVELS[3:6]
    with pytest.raises(ValueError, match="start: 9; expected 0 to 8, the video has 9 images"):
        node.execute(video=video, **DEFAULTS, start=9)


def test_masks_are_those_of_the_frames_of_the_trimmed_video(node, host):
    video = host.file(with_alpha(host), start_time=2 / 24)
    mask = torch.zeros(9, 48, 64)
    for index in range(9):
        mask[index, 16:32, 16 : 24 + 2 * index] = 1
    settings = DEFAULTS | {"start": 2, "num_frames": 3}
    result = node.execute(video=video, mask=mask, **settings)
    expected = node.execute(images=torch.from_numpy(frames()[2:, ..., :3]) / 255, mask=mask, **settings)
    torch.testing.assert_close(result.args[1], expected.args[1])
    inverted = node.execute(video=video, mask=1 - mask, invert_mask=True, **settings)
    assert torch.equal(inverted.args[1], result.args[1])
    with pytest.raises(ValueError, match="mask: 11 masks for 9 images; expected one per image"):
        node.execute(video=video, mask=torch.zeros(11, 48, 64), **settings)


def test_alpha_of_the_video_can_be_inverted(node, host):
    pixels = frames()
    pixels[..., 3] = 255 - pixels[..., 3]
    path = host.folder / "input" / "inverted.mov"
    write_video(path, list(pixels), "qtrle", "argb", fps=24)
    found = node.execute(video=host.file(str(path)), invert_mask=True, **DEFAULTS).args
    assert torch.equal(found[1], node.execute(video=host.file(with_alpha(host)), **DEFAULTS).args[1])
    with pytest.raises(ValueError, match="the mask is inverted"):
        node.execute(video=host.file(str(path)), **DEFAULTS)


def test_plain_background_gives_the_alpha_of_a_video_without(node, host):
    path = host.folder / "input" / "plain.mp4"
    write_video(path, list(on_white(frames())), "libx264rgb", "rgb24", fps=24, options={"qp": "0"})
    found = node.execute(video=host.file(str(path)), **DEFAULTS).args
    assert torch.equal(found[1], node.execute(video=host.file(with_alpha(host)), **DEFAULTS).args[1])
    with pytest.raises(ValueError, match="invert_mask: there is no mask, and the images have no alpha"):
        node.execute(video=host.file(str(path)), invert_mask=True, **DEFAULTS)


def test_frames_without_object_are_replaced_by_others(node, host):
    """Of frames 0, 5 and 10 the last has none, so that three of 0 to 8 are kept."""
    video = host.file(with_alpha(host, shown=range(9)))
    result = node.execute(video=video, **DEFAULTS | {"num_frames": 3})
    assert kept(result) == [LEVELS[0], LEVELS[4], LEVELS[8]]
    assert result.args[2] == 24 * 2 / 8
    assert result.ui.as_dict()["text"][0].startswith("frame 9, frame 10 have no object: 2 of 11 frames")


def test_object_at_the_image_border_is_reported_with_frames_and_share(node, host, caplog):
    pixels = frames()
    pixels[[3, 7]] = np.roll(pixels[[3, 7]], 16, axis=2)
    path = host.folder / "input" / "cut.mov"
    write_video(path, list(pixels), "qtrle", "argb", fps=24)
    result = node.execute(video=host.file(str(path)), **DEFAULTS, start=2)
    text = "the image border cuts off the object in frame 3, frame 7, up to 26% of its outline"
    assert result.ui.as_dict()["text"][0].startswith(text)
    assert text in caplog.text


@pytest.mark.parametrize("alpha_shape", [(11, 48, 64), (11, 48, 64, 1), None])
def test_video_of_images_is_not_encoded(node, host, alpha_shape):
    pixels = torch.from_numpy(frames() if alpha_shape else on_white(frames()))
    alpha = None if alpha_shape is None else (pixels[..., 3] / 255).float().reshape(alpha_shape)
    components = host.components((pixels[..., :3] / 255).float(), Fraction(24), alpha=alpha)
    result = node.execute(video=host.images(components), **DEFAULTS | {"num_frames": 3}, start=2)
    assert kept(result) == [LEVELS[2], LEVELS[6], LEVELS[10]]
    assert result.args[2] == 24 * 2 / 8


def test_host_that_does_not_tell_the_trim_decodes_the_video(node, host, monkeypatch):
    path = host.folder / "input" / "plain.mp4"
    write_video(path, list(on_white(frames())), "libx264rgb", "rgb24", fps=24, options={"qp": "0"})
    trimmed = host.file(str(path), start_time=0.25)
    components = trimmed.get_components()
    monkeypatch.setattr(host.file, "get_components", lambda video: components)
    monkeypatch.delattr(host.file, "get_active_trim_window")
    monkeypatch.delattr(host.file.__base__, "get_active_trim_window")
    assert kept(node.execute(video=trimmed, **DEFAULTS)) == LEVELS[6:]


def test_long_video_that_does_not_fit_in_memory_is_refused(node, host, monkeypatch):
    video = host.file(with_alpha(host))
    needed = 3 * 48 * 64 * 9
    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "get_free_memory", lambda device: needed - 1)
    with pytest.raises(ValueError, match=r"3 frames of 64x48: needs 0.0 GB of memory"):
        node.execute(video=video, **DEFAULTS | {"num_frames": 3, "size": 8})


@pytest.mark.parametrize(
    ("linked", "message"),
    [
        (["images"], None),
        (["video", "mask", "fps"], None),
        (["images", "num_frames", "size", "margin", "invert_mask"], None),
        ([], "images: not connected, nor is video; expected one of them"),
        (["mask"], "images: not connected, nor is video; expected one of them"),
        (["images", "video"], "images: connected, and video too; expected one of them"),
    ],
)
def test_exactly_one_of_images_and_video_is_connected_before_the_run(node, linked, message):
    widgets = {"num_frames": 16, "size": 512, "margin": 0.1, "invert_mask": False}
    found = refusals(node, widgets | dict.fromkeys(linked, LINK))
    assert bool(found) == (message is not None)
    assert all(message in text for text in found)


def test_neither_or_both_of_images_and_video_are_refused_in_the_run(node, host):
    with pytest.raises(ValueError, match="images: not connected, nor is video"):
        node.execute(**DEFAULTS)
    with pytest.raises(ValueError, match="images: connected, and video too"):
        node.execute(images=torch.zeros(1, 8, 8, 3), video=host.file("a.mp4"), **DEFAULTS)


def test_damaged_and_missing_files_are_named(node, host):
    path = host.folder / "input" / "damaged.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"damaged\.mp4: unreadable or cut short"):
        node.execute(video=host.file(str(path)), **DEFAULTS)
    with pytest.raises(ValueError, match=r"video: unreadable or cut short"):
        node.execute(video=host.file(io.BytesIO(b"no video")), **DEFAULTS)
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4: no such file"):
        node.execute(video=host.file(str(path.with_name("gone.mp4"))), **DEFAULTS)
    assert not list((host.folder / "temp").rglob("*.part"))


def test_reading_can_be_cancelled(node, host, cancel_at, interrupt):
    video = host.file(with_alpha(host))
    checks = cancel_at(5)  # of eleven frames
    with pytest.raises(interrupt):
        node.execute(video=video, **DEFAULTS)
    assert len(checks) == 5
