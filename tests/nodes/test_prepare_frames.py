"""STAG4DPrepareFrames: crops, sources of the alpha, frame rate, and errors."""

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
    inverted = prepare(images, 1 - mask, invert_mask=True)
    without = prepare(images, invert_mask=True)  # computed alphas are not inverted
    for found in (inverted, without):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


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


def test_older_workflows_without_fps_still_run(node, images, mask):
    schema = node.define_schema()
    assert schema.inputs[-1].id == schema.outputs[-1].id == "fps"  # values and links are saved by position
    assert schema.inputs[-1].is_optional  # else the host would reject prompts without it
    assert node.execute(images=images, mask=mask, **DEFAULTS).args[2] == 8.0


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
