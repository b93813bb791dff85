"""STAG4DViewsFromImages: order, cameras, mattes, and what it refuses."""

import importlib

import pytest
import torch

DEFAULTS = {
    "azimuths": "30, -90",
    "elevations": "20,-10.5",
    "fovy": 30.0,
    "radius": 2.5,
    "fps": 12.0,
    "input_elevation": 5.0,
}
NUM_FRAMES, NUM_VIEWS = 3, 2


@pytest.fixture(scope="module")
def join(pack):
    node = importlib.import_module(f"{pack.__name__}.nodes.views_from_images").STAG4DViewsFromImages

    def call(reference, views, **others):
        (view_set,) = node.execute(reference=reference, views=views, **{**DEFAULTS, **others}).args
        return view_set

    return call


def masks(count, size):
    """Return mattes of a centered square, half as wide as the image."""
    alphas = torch.zeros(count, size, size)
    alphas[:, size // 4 : -size // 4, size // 4 : -size // 4] = 1
    return alphas


def pictures(count, size):
    """Return images of that square on white, its gray the image's number over 100."""
    alphas = masks(count, size)[..., None]
    grays = (torch.arange(count) / 100)[:, None, None, None]
    return (alphas * grays + 1 - alphas).repeat(1, 1, 1, 3)


@pytest.fixture
def reference():
    return pictures(NUM_FRAMES, 16)


@pytest.fixture
def views():
    return pictures(NUM_FRAMES * NUM_VIEWS, 8)


def test_views_are_taken_frame_by_frame(join, reference, views):
    joined = join(reference, views)
    assert torch.equal(joined.images, reference)
    assert joined.view_images.shape == (NUM_FRAMES, NUM_VIEWS, 8, 8, 3)
    grays = joined.view_images[:, :, 4, 4, 0]
    torch.testing.assert_close(grays, torch.tensor([[0.0, 0.01], [0.02, 0.03], [0.04, 0.05]]))


def test_cameras_are_those_given(pack, join, reference, views):
    pose = importlib.import_module(f"{pack.__name__}.stag4d.geometry").OrbitPose
    joined = join(reference, views)
    lens = {"radius": 2.5, "fovy_deg": 30.0}
    assert joined.input_pose == pose(azimuth_deg=0.0, elevation_deg=5.0, **lens)
    assert joined.view_poses == (
        pose(azimuth_deg=30.0, elevation_deg=20.0, **lens),
        pose(azimuth_deg=-90.0, elevation_deg=-10.5, **lens),
    )
    assert joined.fps == 12.0


def test_missing_mattes_come_from_alpha_or_a_plain_background(join, reference, views):
    alphas, view_alphas = masks(NUM_FRAMES, 16), masks(NUM_FRAMES * NUM_VIEWS, 8)
    given = join(reference, views, reference_mask=alphas, views_mask=view_alphas)
    derived = join(reference, torch.cat([views, view_alphas[..., None]], dim=-1))
    assert torch.equal(given.alphas, alphas)
    assert torch.equal(given.view_alphas, view_alphas.reshape(NUM_FRAMES, NUM_VIEWS, 8, 8))
    for name in ("images", "alphas", "view_images", "view_alphas"):
        assert torch.equal(getattr(derived, name), getattr(given, name)), name


@pytest.mark.parametrize("with_masks", [False, True])
def test_what_is_handed_on_can_be_optimized_and_is_nobody_elses(join, with_masks):
    with torch.inference_mode():  # as the host runs its nodes
        reference, views = pictures(NUM_FRAMES, 16), pictures(NUM_FRAMES * NUM_VIEWS, 8)
        given = {"reference_mask": masks(NUM_FRAMES, 16), "views_mask": masks(NUM_FRAMES * NUM_VIEWS, 8)}
        joined = join(reference, views, **(given if with_masks else {}))
        reference.zero_()
        given["reference_mask"].zero_()
    tensors = (joined.images, joined.alphas, joined.view_images, joined.view_alphas)
    for tensor in tensors:
        assert not tensor.is_inference()
        assert tensor.dtype == torch.float32
        assert tensor.max() == 1


def test_half_precision_is_converted(join, reference, views):
    assert join(reference.half(), views.half()).view_images.dtype == torch.float32


def test_the_default_cameras_are_those_of_zero123plus(pack):
    module = importlib.import_module(f"{pack.__name__}.nodes.views_from_images")
    inputs = {item.id: item for item in module.STAG4DViewsFromImages.define_schema().inputs}
    texts = [inputs[name].options["default"] for name in ("azimuths", "elevations")]
    assert module.view_directions(*texts) == [
        (30.0, 30.0),
        (90.0, -20.0),
        (150.0, 30.0),
        (210.0, -20.0),
        (270.0, 30.0),
        (330.0, -20.0),
    ]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"azimuths": "30, 90, 150"}, "views: 3 azimuths and 2 elevations; expected one of each a view"),
        ({"elevations": "20, up"}, "elevations: 'up' is not a number; expected numbers separated by commas"),
        ({"azimuths": "30, 90,"}, "azimuths: '' is not a number"),
        ({"azimuths": ""}, "azimuths: '' is not a number"),
        ({"azimuths": "nan, 90"}, "camera pose: .* is not finite"),
        ({"elevations": "20, 90"}, "elevation 90 degrees; expected -89.9 to 89.9"),
        (
            {"azimuths": "0, 90, 180", "elevations": "0, 0, 0"},
            "views: 6 view images for 3 frames and 3 views; expected 9, frame by frame",
        ),
        (
            {"reference_mask": masks(1, 16)},
            r"reference: mattes have shape \[1, 16, 16\]; expected \[3, 16, 16\]",
        ),
        ({"views_mask": masks(3, 8)}, r"views: mattes have shape \[3, 8, 8\]; expected \[6, 8, 8\]"),
        ({"views_mask": masks(6, 16)}, "views: mattes of 16x16 pixels; expected 8x8, as the images"),
        ({"reference": torch.ones(3, 16, 20, 3)}, "reference: images of 20x16 .*use STAG4D Prepare Frames"),
        ({"views": torch.ones(6, 8, 6, 3)}, "views: images of 6x8 .*use STAG4D Prepare Frames"),
        ({"views": torch.ones(6, 8, 8, 3)}, "views: image 0 has an empty matte"),
    ],
)
def test_what_does_not_fit_is_refused(join, reference, views, others, message):
    with pytest.raises(ValueError, match=message):
        join(**{"reference": reference, "views": views, **others})
