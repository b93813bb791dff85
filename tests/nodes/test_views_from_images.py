"""STAG4DViewsFromImages: order of the views, cameras, alphas, and errors."""

import re

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
def combine(pack_module):
    """A function that executes the node and returns the view set."""
    node = pack_module("nodes.views_from_images").STAG4DViewsFromImages

    def call(reference, views, **others):
        (view_set,) = node.execute(reference=reference, views=views, **{**DEFAULTS, **others}).args
        return view_set

    return call


def masks(count, size):
    """Return masks of a centered square, half as wide as the image."""
    alphas = torch.zeros(count, size, size)
    alphas[:, size // 4 : -size // 4, size // 4 : -size // 4] = 1
    return alphas


def images(count, size):
    """Return images of that square on white, its gray value the index of the image over 100."""
    alphas = masks(count, size)[..., None]
    grays = (torch.arange(count) / 100)[:, None, None, None]
    return (alphas * grays + 1 - alphas).repeat(1, 1, 1, 3)


@pytest.fixture
def reference():
    return images(NUM_FRAMES, 16)


@pytest.fixture
def views():
    return images(NUM_FRAMES * NUM_VIEWS, 8)


def test_views_are_ordered_frame_by_frame(combine, reference, views):
    combined = combine(reference, views)
    assert torch.equal(combined.images, reference)
    assert combined.offsets is None
    assert combined.view_images.shape == (NUM_FRAMES, NUM_VIEWS, 8, 8, 3)
    grays = combined.view_images[:, :, 4, 4, 0]
    torch.testing.assert_close(grays, torch.tensor([[0.0, 0.01], [0.02, 0.03], [0.04, 0.05]]))


def test_poses_and_fps_are_those_of_the_widgets(pack_module, combine, reference, views):
    pose = pack_module("stag4d.geometry").OrbitPose
    combined = combine(reference, views)
    lens = {"radius": 2.5, "fovy_deg": 30.0}
    assert combined.input_pose == pose(azimuth_deg=0.0, elevation_deg=5.0, **lens)
    assert combined.view_poses == (
        pose(azimuth_deg=30.0, elevation_deg=20.0, **lens),
        pose(azimuth_deg=-90.0, elevation_deg=-10.5, **lens),
    )
    assert combined.fps == 12.0


def test_missing_masks_come_from_alpha_or_a_plain_background(combine, reference, views):
    alphas, view_alphas = masks(NUM_FRAMES, 16), masks(NUM_FRAMES * NUM_VIEWS, 8)
    given = combine(reference, views, reference_mask=alphas, views_mask=view_alphas)
    derived = combine(reference, torch.cat([views, view_alphas[..., None]], dim=-1))
    assert torch.equal(given.alphas, alphas)
    assert torch.equal(given.view_alphas, view_alphas.reshape(NUM_FRAMES, NUM_VIEWS, 8, 8))
    for name in ("images", "alphas", "view_images", "view_alphas"):
        assert torch.equal(getattr(derived, name), getattr(given, name)), name


@pytest.mark.parametrize("with_masks", [False, True])
def test_views_are_copies_that_can_be_used_in_a_fit(combine, with_masks):
    with torch.inference_mode():  # as ComfyUI runs nodes
        reference, views = images(NUM_FRAMES, 16), images(NUM_FRAMES * NUM_VIEWS, 8)
        given = {"reference_mask": masks(NUM_FRAMES, 16), "views_mask": masks(NUM_FRAMES * NUM_VIEWS, 8)}
        combined = combine(reference, views, **(given if with_masks else {}))
        reference.zero_()
        given["reference_mask"].zero_()
    tensors = (combined.images, combined.alphas, combined.view_images, combined.view_alphas)
    for tensor in tensors:
        assert not tensor.is_inference()
        assert tensor.dtype == torch.float32
        assert tensor.max() == 1


def test_offsets_are_in_the_units_of_the_scene(combine, reference, views):
    assert combine(reference, views, offsets=None).offsets is None
    with torch.inference_mode():
        offsets = torch.tensor([[-0.5, 0.0], [0.0, 0.0], [0.5, 0.0]])
        moved = combine(reference, views, offsets=offsets, radius=3.0, fovy=90.0).offsets
    torch.testing.assert_close(moved, torch.tensor([[-3.0, 0, 0], [0, 0, 0], [3, 0, 0]]))  # 6 wide
    assert not moved.is_inference()
    with pytest.raises(ValueError, match="2 offsets for 3 frames; expected one per frame"):
        combine(reference, views, offsets=offsets[:2])


def test_half_precision_is_converted_to_float32(combine, reference, views):
    assert combine(reference.half(), views.half()).view_images.dtype == torch.float32


def test_default_angles_are_those_of_zero123plus(pack_module):
    module = pack_module("nodes.views_from_images")
    inputs = {item.id: item for item in module.STAG4DViewsFromImages.define_schema().inputs}
    texts = [inputs[name].options["default"] for name in ("azimuths", "elevations")]
    rig = module.CustomRig(azimuths=texts[0], elevations=texts[1]).rig()
    assert list(zip(rig.azimuths_deg, rig.elevations_deg, strict=True)) == [
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
        ({"azimuths": "30, 90, 150"}, "views: 3 azimuths and 2 elevations; expected one of each per view"),
        ({"elevations": "20, up"}, "elevations: 'up' is not a number; expected numbers separated by commas"),
        ({"azimuths": "30, 90,"}, "azimuths: '' is not a number"),
        ({"azimuths": ""}, "azimuths: '' is not a number"),
        ({"azimuths": "nan, 90"}, "camera pose: .* is not finite"),
        ({"elevations": "20, 90"}, "elevation 90 degrees; expected -89.9 to 89.9"),
        (
            {"azimuths": "0, 90, 180", "elevations": "0, 0, 0"},
            "views: 6 images for 3 frames and 3 views, frame by frame; expected 9",
        ),
        (
            {"reference_mask": masks(1, 16)},
            r"reference: \w+ have shape \[1, 16, 16\]; expected \[3, 16, 16\]",
        ),
        ({"views_mask": masks(3, 8)}, r"views: \w+ have shape \[3, 8, 8\]; expected \[6, 8, 8\]"),
        ({"views_mask": masks(6, 16)}, "views: .* of 16x16 pixels; expected 8x8, as the images"),
        (
            {"reference": images(3, 16)[:, 1:], "offsets": torch.zeros(3, 2)},
            "reference: 16x15 pixels; expected square images",
        ),
        ({"views": torch.ones(6, 8, 8, 3)}, "views: image 0 "),
    ],
)
def test_inputs_that_do_not_match_are_rejected(combine, reference, views, others, message):
    with pytest.raises(ValueError, match=message):
        combine(**{"reference": reference, "views": views, **others})


def test_colors_little_beyond_0_to_1_are_clamped(combine, reference, views):
    combined = combine((reference - 0.5) * 1.5 + 0.5, views, reference_mask=masks(NUM_FRAMES, 16))
    assert (combined.images.min(), combined.images.max()) == (0, 1)


def test_colors_far_from_0_to_1_are_rejected(combine, reference, views):
    with pytest.raises(ValueError, match=r"^views: image 0 has pixels from 0 to 255; expected 0 to 1"):
        combine(reference, views * 255)
    with pytest.raises(
        ValueError, match=r"^reference: image 0 has alpha values from 0 to 3; expected 0 to 1"
    ):
        combine(reference, views, reference_mask=masks(NUM_FRAMES, 16) * 3)


def test_prompts_of_before_give_the_same_set_bit_by_bit(pack_module, combine, reference, views):
    module = pack_module("stag4d.view_set")
    offsets = torch.tensor([[-0.5, 0.0], [0.0, 0.1], [0.5, 0.0]])
    combined = combine(reference, views, offsets=offsets)
    pose = pack_module("stag4d.geometry").OrbitPose
    lens = {"radius": 2.5, "fovy_deg": 30.0}
    input_pose = pose(azimuth_deg=0.0, elevation_deg=5.0, **lens)
    expected = module.ViewSet.from_orbit(
        reference,
        masks(NUM_FRAMES, 16),
        views.unflatten(0, (NUM_FRAMES, NUM_VIEWS)),
        masks(NUM_FRAMES * NUM_VIEWS, 8).unflatten(0, (NUM_FRAMES, NUM_VIEWS)),
        input_pose,
        [
            pose(azimuth_deg=30.0, elevation_deg=20.0, **lens),
            pose(azimuth_deg=-90.0, elevation_deg=-10.5, **lens),
        ],
        12.0,
        pack_module("stag4d.geometry").world_offsets(offsets, input_pose),
    )
    assert (combined.reference, combined.fps) == (expected.reference, expected.fps)
    assert torch.equal(combined.offsets, expected.offsets)
    for track, other in zip(combined.tracks, expected.tracks, strict=True):
        assert (track.name, track.pose, track.weights) == (other.name, other.pose, other.weights)
        for found, value in (
            (track.images, other.images),
            (track.alphas, other.alphas),
            (track.cameras.viewmats, other.cameras.viewmats),
            (track.cameras.Ks, other.cameras.Ks),
        ):
            assert torch.equal(found, value)
            assert found.dtype == value.dtype


def test_views_may_come_view_by_view_and_need_not_be_square(combine, reference, views):
    wide = torch.nn.functional.pad(views, (0, 0, 2, 2), value=1.0)  # [6, 8, 12, 3]
    combined = combine(reference, wide, order="view by view", weight=0.5)
    grays = combined.view_images[:, :, 4, 6, 0]
    torch.testing.assert_close(grays, torch.tensor([[0.0, 0.03], [0.01, 0.04], [0.02, 0.05]]))
    assert combined.tracks[1].cameras.width == 12
    assert [track.weight(0) for track in combined.tracks] == [1.0, 0.5, 0.5]


def test_preset_gives_the_cameras_and_the_order_of_its_model(combine, reference):
    views = images(4 * NUM_FRAMES, 8)
    combined = combine(reference, views, rig="sv4d2")
    assert [pose.azimuth_deg for pose in combined.view_poses] == [60, 120, 180, 240]
    assert {pose.elevation_deg for pose in combined.view_poses} == {5.0}  # relative to the input's
    torch.testing.assert_close(combined.view_images[1, 2, 4, 4], torch.full((3,), 0.07))
    with pytest.raises(ValueError, match="views: 11 images for 3 frames and 4 views"):
        combine(reference, views[:11], rig="sv4d2")


def test_orthographic_views_of_unknown_input_need_no_reference(combine):
    combined = combine(None, images(6 * NUM_FRAMES, 8), rig="era3d")
    assert combined.reference is None
    assert combined.num_frames == NUM_FRAMES
    assert {track.cameras.projection for track in combined.tracks} == {"ortho"}
    custom = {"projection": "ortho", "half_extent": 0.5, "reference_use": "not a view"}
    combined = combine(None, images(4, 8), num_frames=2, **custom)
    assert combined.num_frames == 2
    assert combined.tracks[0].cameras.Ks[0, 0, 0] == 8.0
    with pytest.raises(ValueError, match="reference: no frames of the input video"):
        combine(None, images(4, 8))


def test_cameras_of_the_sockets_are_used(pack_module, combine, reference, views):
    posed = combine(reference, views)
    cameras = pack_module("nodes.view_cameras").STAG4DViewCameras
    info, extrinsics, intrinsics, count = cameras.execute(posed, False, 0).args
    assert count == len(info) == 2
    for sockets in (
        {"camera_info": info},
        {"camera_info": info, "intrinsics": intrinsics},
        {"extrinsics": extrinsics, "intrinsics": intrinsics},
    ):
        with torch.inference_mode():
            combined = combine(reference, views, rig="cameras", **sockets)
        for track, other in zip(combined.tracks, posed.tracks, strict=True):
            torch.testing.assert_close(track.cameras.viewmats, other.cameras.viewmats, atol=1e-5, rtol=0)
            torch.testing.assert_close(track.cameras.Ks, other.cameras.Ks, atol=1e-4, rtol=1e-5)
            assert not track.cameras.viewmats.is_inference()
            assert not track.cameras.Ks.is_inference()
    with pytest.raises(ValueError, match="camera_info: 3 cameras for 2 views of 3 frames; expected 2, or 6"):
        combine(reference, views, rig="cameras", camera_info=[info[0], *info])
    assert combine(None, views, rig="cameras", camera_info=info).reference is None


def test_better_arrangement_is_shown_on_the_node(pack_module):
    toys, node = pack_module("stag4d.toys"), pack_module("nodes.views_from_images").STAG4DViewsFromImages
    toy = toys.toy_views(0, num_frames=6, size=48)
    views = toy.view_images.transpose(0, 1).flatten(0, 1)  # view by view
    mask = toy.view_alphas.transpose(0, 1).flatten(0, 1)
    inputs = {item.id: item.options.get("default") for item in node.define_schema().inputs}
    given = {"reference": toy.images, "reference_mask": toy.alphas, "views": views, "views_mask": mask}
    result = node.execute(**{**inputs, **given})
    assert re.fullmatch(
        r"The cameras explain \d+% of the silhouettes; order view by view would explain \d+%\.",
        result.ui.value,
    )
    assert node.execute(**{**inputs, **given, "order": "view by view"}).ui is None


def test_one_camera_per_image_without_a_number_of_frames_is_logged(
    pack_module, combine, reference, views, caplog
):
    node = pack_module("nodes.view_cameras").STAG4DViewCameras
    info = node.execute(combine(reference, views), False, -1).args[0]  # 6, those of 3 frames
    video = combine(None, views, rig="cameras", camera_info=info, num_frames=3)
    assert (video.num_frames, video.num_views) == (3, 2)
    assert caplog.records == []
    frame = combine(None, views, rig="cameras", camera_info=info)
    assert (frame.num_frames, frame.num_views) == (1, 6)
    assert (
        "6 cameras for as many images are taken as the views of a single frame; for a video, set"
        in caplog.text
    )
    caplog.clear()
    combine(None, views, rig="cameras", camera_info=info[:2])  # 2 of each of 3 frames
    assert "single frame" not in caplog.text


def test_intrinsics_of_another_size_are_refused(pack_module, combine, reference, views):
    node = pack_module("nodes.view_cameras").STAG4DViewCameras
    _, extrinsics, intrinsics, _ = node.execute(combine(reference, views), False, 0).args
    enlarged = views.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    with pytest.raises(ValueError, match="expected intrinsics in pixels for images of 16x16"):
        combine(reference, enlarged, rig="cameras", extrinsics=extrinsics, intrinsics=intrinsics)
