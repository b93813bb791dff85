"""STAG4DPrepareFrames: which mask it goes by, at what rate its frames play, and what it hands on."""

import importlib

import pytest
import torch

DEFAULTS = {"num_frames": 0, "size": 32, "margin": 0.25, "invert_mask": False}


@pytest.fixture(scope="module")
def node(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.prepare_frames").STAG4DPrepareFrames


@pytest.fixture(scope="module")
def prepare(node):
    """Frames and their mattes."""

    def call(images, mask=None, **settings):
        connected = {} if mask is None else {"mask": mask}
        return node.execute(images=images, **{**DEFAULTS, **settings}, **connected).args[:2]

    return call


@pytest.fixture
def mask():
    """Three frames of a 16 x 16 square that steps 8 pixels to the right, then stays."""
    frames = torch.zeros(3, 40, 40)
    for frame, left in zip(frames, (4, 12, 12), strict=True):
        frame[12:28, left : left + 16] = 1
    return frames


@pytest.fixture
def images(mask):
    """Gray squares on white."""
    return (1 - 0.5 * mask)[..., None].repeat(1, 1, 1, 3)


def test_the_square_is_the_same_for_all_frames(prepare, images, mask):
    cut_images, cut_mask = prepare(images, mask, size=48)  # 24 across with half of 48 free: nothing is scaled
    expected = torch.zeros(3, 48, 48)
    for frame, left in zip(expected, (12, 20, 20), strict=True):
        frame[16:32, left : left + 16] = 1
    torch.testing.assert_close(cut_mask, expected)
    torch.testing.assert_close(cut_images, (1 - 0.5 * expected)[..., None].expand(3, 48, 48, 3))


def test_numbers_of_frames_and_pixels_are_those_asked_for(prepare, images, mask):
    cut_images, cut_mask = prepare(images, mask, num_frames=2, size=40)
    assert cut_images.shape == (2, 40, 40, 3)
    assert cut_mask.shape == (2, 40, 40)


def test_alpha_and_a_plain_background_serve_in_place_of_a_mask(prepare, images, mask):
    expected = prepare(images, mask)
    with_alpha = torch.cat([images, mask[..., None]], dim=-1)
    for found in (prepare(images), prepare(with_alpha)):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_mask_of_the_background_is_inverted_when_asked_for(prepare, images, mask):
    expected = prepare(images, mask)
    inverted = prepare(images, 1 - mask, invert_mask=True)
    without = prepare(images, invert_mask=True)  # a matte that is derived is never inverted
    for found in (inverted, without):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_masks_than_frames_are_refused_with_what_to_do(prepare, images, mask, count):
    with pytest.raises(ValueError, match=f"mask: {count} for 3 images; .* Remove Background .* whole clip"):
        prepare(images, mask[:count])


@pytest.mark.parametrize(
    ("count", "kept", "expected"),
    [
        (97, 16, 3.75),  # 15 steps in the 4 seconds of 96
        (97, 0, 24.0),
        (5, 16, 24.0),  # there are no more
        (97, 1, 24.0),  # a single frame lasts no time
    ],
)
def test_kept_frames_last_as_long_as_the_video(node, images, mask, count, kept, expected):
    settings = DEFAULTS | {"num_frames": kept, "mask": mask[:1].expand(count, -1, -1)}
    results = node.execute(images=images[:1].expand(count, -1, -1, -1), **settings, fps=24.0).args
    assert results[2] == pytest.approx(expected)


def test_graphs_from_before_the_rate_still_run(node, images, mask):
    schema = node.define_schema()
    assert schema.inputs[-1].id == schema.outputs[-1].id == "fps"  # values and links are saved by position
    assert schema.inputs[-1].is_optional  # else the host would refuse prompts that lack it
    assert node.execute(images=images, mask=mask, **DEFAULTS).args[2] == 8.0


def test_the_mask_that_load_image_makes_without_alpha_is_refused(prepare, images):
    with pytest.raises(ValueError, match="mattes of 64x64 pixels; expected 40x40, as the images"):
        prepare(images, torch.zeros(3, 64, 64))
