"""STAG4DPrepareFrames: crops, sources of the alpha, frame rate, and errors."""

import sys
from types import SimpleNamespace

import pytest
import torch

DEFAULTS = {"num_frames": 0, "size": 32, "margin": 0.25, "invert_mask": False}


@pytest.fixture(scope="module")
def node(pack_module):
    return pack_module("nodes.prepare_frames").STAG4DPrepareFrames


@pytest.fixture(scope="module")
def prepare(node):
    """A function that returns the square frames and their alphas."""

    def call(images, mask=None, **settings):
        connected = {} if mask is None else {"mask": mask}
        return node.execute(images=images, **{**DEFAULTS, **settings}, **connected).args[:2]

    return call


@pytest.fixture
def mask():
    """Three frames of a 16x16 square that moves 8 pixels to the right, then stays."""
    frames = torch.zeros(3, 40, 40)
    for frame, left in zip(frames, (4, 12, 12), strict=True):
        frame[12:28, left : left + 16] = 1
    return frames


@pytest.fixture
def images(mask):
    """Gray squares on white."""
    return (1 - 0.5 * mask)[..., None].repeat(1, 1, 1, 3)


def test_crop_is_the_same_for_all_frames(prepare, images, mask):
    cropped, cropped_mask = prepare(images, mask, size=48)  # 24 wide, half is margin: not scaled
    expected = torch.zeros(3, 48, 48)
    for frame, left in zip(expected, (12, 20, 20), strict=True):
        frame[16:32, left : left + 16] = 1
    torch.testing.assert_close(cropped_mask, expected)
    torch.testing.assert_close(cropped, (1 - 0.5 * expected)[..., None].expand(3, 48, 48, 3))


def test_number_and_size_of_frames(prepare, images, mask):
    cropped, cropped_mask = prepare(images, mask, num_frames=2, size=40)
    assert cropped.shape == (2, 40, 40, 3)
    assert cropped_mask.shape == (2, 40, 40)


def test_alpha_or_plain_background_replace_a_mask(prepare, images, mask):
    expected = prepare(images, mask)
    with_alpha = torch.cat([images, mask[..., None]], dim=-1)
    for found in (prepare(images), prepare(with_alpha)):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_mask_of_the_background_can_be_inverted(prepare, images, mask):
    expected = prepare(images, mask)
    with_alpha = torch.cat([images, 1 - mask[..., None]], dim=-1)
    inverted = prepare(images, 1 - mask, invert_mask=True)
    without = prepare(with_alpha, invert_mask=True)
    both = prepare(with_alpha, 1 - mask, invert_mask=True)
    for found in (inverted, without, both):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_nothing_to_invert_is_rejected(prepare, images):
    with pytest.raises(ValueError, match="invert_mask: there is no mask, and the images have no alpha"):
        prepare(images, invert_mask=True)


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_masks_than_frames_are_rejected(prepare, images, mask, count):
    with pytest.raises(ValueError, match=f"mask: {count} masks for 3 images; .* Remove Background of"):
        prepare(images, mask[:count])


@pytest.mark.parametrize(
    ("count", "kept", "expected"),
    [
        (97, 16, 3.75),  # 15 intervals in the 4 seconds of 96
        (97, 0, 24.0),
        (5, 16, 24.0),  # all are kept
        (97, 1, 24.0),  # a single frame has no duration
    ],
)
def test_kept_frames_have_the_duration_of_the_video(node, images, mask, count, kept, expected):
    settings = DEFAULTS | {"num_frames": kept, "mask": mask[:1].expand(count, -1, -1)}
    results = node.execute(images=images[:1].expand(count, -1, -1, -1), **settings, fps=24.0).args
    assert results[2] == pytest.approx(expected)


def test_crop_can_follow_the_object(node, images, mask):
    settings = DEFAULTS | {"mask": mask, "size": 32}
    cropped, cropped_mask, _, offsets = node.execute(images=images, **settings, crop="follow").args
    expected = torch.zeros(3, 32, 32)
    expected[:, 8:24, 8:24] = 1  # a square of 32 around one of 16
    torch.testing.assert_close(cropped_mask, expected)
    torch.testing.assert_close(cropped, (1 - 0.5 * expected)[..., None].expand(3, 32, 32, 3))
    torch.testing.assert_close(offsets, torch.tensor([[-0.125, 0.0], [0.125, 0.0], [0.125, 0.0]]))
    assert node.execute(images=images, **settings).args[3] is None


def test_older_workflows_without_fps_still_run(node, images, mask):
    schema = node.define_schema()
    # Values and links are saved by position.
    assert [item.id for item in schema.inputs][-5:] == ["fps", "start", "end", "crop", "video"]
    assert [item.id for item in schema.outputs] == ["images", "mask", "fps", "offsets"]
    assert all(
        item.is_optional for item in schema.inputs[-5:]
    )  # else the host would reject prompts without them
    assert node.execute(images=images, mask=mask, **DEFAULTS).args[2] == 8.0


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [(0, -1, [0, 1, 2]), (1, -1, [1, 2]), (0, 1, [0, 1]), (1, 1, [1]), (1, 99, [1, 2])],
)
def test_start_and_end_are_indices_of_frames(prepare, images, mask, start, end, kept):
    images = images * torch.tensor([0.4, 0.6, 0.8])[:, None, None, None]
    found = prepare(images, mask, start=start, end=end)
    expected = prepare(images[kept], mask[kept])
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_frame_rate_is_that_of_the_frames_between_start_and_end(node, images, mask):
    frames, masks = images[:1].expand(97, -1, -1, -1), mask[:1].expand(97, -1, -1)
    settings = DEFAULTS | {"num_frames": 5, "start": 10, "end": 34, "fps": 24.0}
    assert node.execute(images=frames, mask=masks, **settings).args[2] == 4.0  # 24 intervals by 4


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ({"start": 3}, "start: 3; expected 0 to 2, the video has 3 images"),
        ({"start": 2, "end": 1}, r"end: 1; expected 2 \(start\) or more, or -1 for the last image"),
    ],
)
def test_span_without_frames_is_rejected(prepare, images, mask, span, message):
    with pytest.raises(ValueError, match=message):
        prepare(images, mask, **span)


def test_frames_without_object_are_left_out_and_named_on_the_node(node, images, mask, monkeypatch):
    server = sys.modules["server"].PromptServer.instance
    monkeypatch.setattr(server, "sent", [])
    monkeypatch.setattr(node, "hidden", SimpleNamespace(unique_id="7"))
    node.execute(images=images, mask=mask, **DEFAULTS)
    assert server.sent == []
    images, mask = images[[0, 1, 2, 2, 2]], mask[[0, 1, 2, 2, 2]]
    mask[[0, 3]] = 0
    result = node.execute(images=images, mask=mask, **DEFAULTS, fps=12.0, start=1)
    assert result.args[0].shape[0] == 3
    assert result.args[2] == 12.0
    (_, (node_id, text), _) = server.sent[0]
    assert node_id == "7"
    assert text.startswith("image 3 has no object: 1 of 4 frames are left out")
    assert result.ui.as_dict() == {"text": (text,)}


def test_inverted_mask_is_refused_with_the_name_of_the_widget(prepare, images, mask):
    with pytest.raises(
        ValueError, match=r"the mask is inverted, 100% of the image border .* Set invert_mask"
    ):
        prepare(images, 1 - mask)
    with pytest.raises(ValueError, match="the mask is inverted"):
        prepare(images, mask, invert_mask=True)


def test_mask_of_load_image_without_alpha_is_rejected(prepare, images):
    with pytest.raises(ValueError, match="of 64x64 pixels; expected 40x40, as the images"):
        prepare(images, torch.zeros(3, 64, 64))


def test_preparation_has_progress_and_can_be_cancelled(
    prepare, images, mask, progress_bar, cancel_at, interrupt
):
    prepare(images, mask, num_frames=2)
    assert progress_bar.reported == [(done, 4) for done in range(1, 5)]  # alpha and crop of two frames
    cancel_at(2)
    with pytest.raises(interrupt):
        prepare(images, mask)
