"""View sets from images: cameras of each preset, order, the reference and its size, given cameras, joins."""

import logging
from dataclasses import replace

import pytest
import torch

from stag4d.geometry import (
    CAMERA_RIGS,
    CameraRig,
    camera_info,
    input_camera,
    rig_cameras,
    view_indices,
    world_offsets,
)
from stag4d.pipeline import (
    GivenCameras,
    ObjectImages,
    ReferenceVideo,
    ViewSettings,
    check_reference,
    check_rig,
    join_views,
    preset_indices,
    set_cameras,
    shortest_length,
    split_sheets,
    split_views,
    views_of_given_cameras,
    views_of_rig,
)
from stag4d.toys import render_toy, toy_object
from stag4d.types import Cameras

SIZE, TIMES = 64, [0.0, 1.0]
RING = CameraRig(azimuths_deg=(90.0, 180.0), elevations_deg=(0.0, 0.0), radius=2.0)


@pytest.fixture(scope="module")
def toy():
    return toy_object(2)


def rendered(toy, found, size=(SIZE, SIZE)):
    """Return images [C, F, h, w, 3] and alphas [C, F, h, w] from cameras of a rig."""
    return render_toy(toy, Cameras.from_rig(found, *size), TIMES)


def seen(toy, rig, elevation=0.0, size=(SIZE, SIZE)):
    """Return the images of each camera of a rig, those that are no views included."""
    images, alphas = rendered(toy, rig_cameras(replace(rig, kept=None), *size, elevation), size)
    return [ObjectImages(*pair) for pair in zip(images, alphas, strict=True)]


def frames_of(toy, rig, elevation=0.0, size=(SIZE, SIZE)):
    images, alphas = rendered(toy, input_camera(replace(rig, reference="azimuth 0"), *size, elevation), size)
    return ObjectImages(images[0], alphas[0])


def batch(views, order):
    """Return the images of views as one batch."""
    images, alphas = (torch.stack(parts) for parts in zip(*views, strict=True))  # [V, F, ...]
    if order == "frame by frame":
        images, alphas = images.transpose(0, 1), alphas.transpose(0, 1)
    return ObjectImages(images.flatten(0, 1), alphas.flatten(0, 1))


@pytest.mark.parametrize("name", CAMERA_RIGS)
def test_views_of_every_preset_are_explained_by_their_cameras(toy, name, caplog):
    rig = CAMERA_RIGS[name]
    size = (72, 48) if name == "charactershot" else (SIZE, SIZE)
    elevation = 0.0 if rig.elevation_kind == "absolute" else 10.0
    images = batch(seen(toy, rig, elevation, size), rig.order)
    found, indices = preset_indices(name, len(images.images), len(TIMES))
    frames = None if rig.reference == "not a view" else frames_of(toy, rig, elevation, size)
    video = ReferenceVideo(frames=frames, elevation_deg=elevation)
    views = views_of_rig(split_views(images, indices), found, video, ViewSettings(match_fill=True))
    assert (views.reference is None) == (rig.reference == "not a view")
    assert views.num_views == len(rig.view_images)
    given, better = check_rig(views, rig.order)
    assert better is None
    assert given.median > 0.97
    assert given.shares.min() > 0.96
    assert caplog.records == []  # frames and views show the object at the same size


def test_wrong_order_is_found_by_the_silhouettes():
    toy = toy_object(0)
    rig = CAMERA_RIGS["sv4d2"]
    images = batch(seen(toy, rig), "view by view")
    indices = view_indices(len(images.images), num_frames=2, num_views=4, order="frame by frame")
    views = views_of_rig(split_views(images, indices), rig, ReferenceVideo(frames=frames_of(toy, rig)))
    _, better = check_rig(views, "frame by frame")
    assert better is not None


def test_last_image_of_the_sv3d_script_is_the_first_view(toy):
    rig = CAMERA_RIGS["sv3d-script"]
    views = views_of_rig(seen(toy, rig), rig)
    assert views.reference == 0
    assert views.tracks[0].pose.azimuth_deg == 0
    assert torch.equal(views.images, seen(toy, rig)[-1].images)


@pytest.mark.parametrize(
    ("name", "num_images", "num_frames", "message"),
    [
        ("sv4d2", 84, 20, "views: 84 images for 20 frames and 4 views, view by view; expected 80"),
        ("sv4d2", 126, 21, "rig sv4d2: 6 images of each frame; expected 4"),
        ("era3d", 13, None, "views: 13 images for 6 views, frame by frame; expected a multiple of 6"),
        ("zero123", 6, 1, "rig: unknown rig 'zero123'"),
    ],
)
def test_numbers_that_do_not_match_are_refused(name, num_images, num_frames, message):
    with pytest.raises(ValueError, match=message):
        preset_indices(name, num_images, num_frames)


def test_rings_of_sv3d_may_have_other_numbers_of_images():
    rig, indices = preset_indices("sv3d-core", 18, 2)
    assert rig.num_images == 9
    assert len(rig.view_images) == 8
    assert indices.tolist() == [list(range(9)), list(range(9, 18))]


def test_raw_output_of_charactershot_is_recognized_by_its_number():
    _, indices = preset_indices("charactershot", 50, 2)
    assert indices[:, 0].tolist() == [0, 1]
    assert indices[0, 1] == 2  # view 1 is the second of the first pass
    assert indices.shape == (2, 21)


@pytest.mark.parametrize("name", ["sv3d-core", "sv3d-script"])
def test_ring_of_sv3d_passes_through_an_input_camera_of_any_elevation(toy, name):
    rig = CAMERA_RIGS[name]
    views = views_of_rig(seen(toy, rig, elevation=20.0), rig, ReferenceVideo(elevation_deg=20.0))
    assert views.reference == 0
    assert {track.pose.elevation_deg for track in views.tracks} == {20.0}
    given, better = check_rig(views, rig.order)
    assert better is None
    assert given.median > 0.97


def test_reference_is_the_view_with_its_camera_where_it_has_no_frames(toy):
    rig = CAMERA_RIGS["unique3d"]
    views = views_of_rig(seen(toy, rig), rig, settings=ViewSettings(weight=0.5))
    assert views.reference == 0
    assert views.reference_track.weights is None
    assert views.views[0].weights.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="reference: no frames of the input video, and none of the views"):
        views_of_rig(seen(toy, RING), RING)
    unknown = views_of_rig(seen(toy, RING), RING, ReferenceVideo(use="not a view"))
    assert unknown.reference is None


@pytest.mark.parametrize("name", CAMERA_RIGS)
def test_check_before_the_run_agrees_with_the_set(toy, name):
    rig = CAMERA_RIGS[name]
    video = ReferenceVideo(elevation_deg=0.0)
    has_front = rig.reference == "not a view" or any(
        azimuth % 360 == 0 for azimuth in (rig.azimuths_deg[index] for index in rig.view_images)
    )
    check_reference(rig, video, has_frames=True)
    if has_front:
        check_reference(rig, video, has_frames=False)
    else:
        with pytest.raises(ValueError, match="reference: no frames"):
            check_reference(rig, video, has_frames=False)


def smaller(images, factor):
    """Return images with the object at a smaller size, on a larger canvas of the same size."""
    side = round(SIZE * factor)
    scaled = torch.nn.functional.interpolate(
        torch.cat([images.images, images.alphas[..., None]], -1).permute(0, 3, 1, 2), size=(side, side)
    ).permute(0, 2, 3, 1)
    canvas = torch.zeros(len(scaled), SIZE, SIZE, 4)
    low = (SIZE - side) // 2
    canvas[:, low : low + side, low : low + side] = scaled
    return ObjectImages(canvas[..., :3], canvas[..., 3])


@pytest.mark.parametrize(("name", "factor"), [("unique3d", 0.75), ("sv4d2", 0.5)])
def test_frames_with_a_smaller_object_get_a_shorter_focal_length(toy, name, factor, caplog):
    rig = CAMERA_RIGS[name]
    frames = smaller(frames_of(toy, rig), factor)
    with caplog.at_level(logging.WARNING):
        video = ReferenceVideo(frames=frames, crop_offsets=torch.tensor([[0.0, 0.0], [0.5, 0.0]]))
        views = views_of_rig(seen(toy, rig), rig, video, ViewSettings(match_fill=True))
    assert "reference: the object takes" in caplog.text
    track = views.reference_track
    expected = input_camera(rig, SIZE, SIZE).Ks[0, 0, 0] * factor
    torch.testing.assert_close(track.cameras.Ks[0, 0, 0], expected, rtol=0.12, atol=0)
    assert views.tracks[1].cameras.Ks[0, 0, 0] == rig_cameras(rig, SIZE, SIZE).Ks[0, 0, 0]
    width = 2 * track.cameras.half_extent  # the plane of the origin that the frames show
    torch.testing.assert_close(views.offsets[1, 0].item(), 0.5 * width, rtol=1e-4, atol=0)
    torch.testing.assert_close(views.offsets, world_offsets(video.crop_offsets, track.pose))


def test_custom_rigs_keep_the_field_of_view_of_the_frames(toy):
    views = views_of_rig(seen(toy, RING), RING, ReferenceVideo(frames=smaller(frames_of(toy, RING), 0.5)))
    assert views.input_pose.fovy_deg == RING.fovy_deg


def test_offsets_need_a_square_reference(toy):
    offsets = torch.zeros(2, 2)
    with pytest.raises(ValueError, match="offsets: the frames that they belong to are no view"):
        views_of_rig(seen(toy, RING), RING, ReferenceVideo(use="not a view", crop_offsets=offsets))
    wide = ReferenceVideo(frames=frames_of(toy, RING, size=(72, 48)), crop_offsets=offsets)
    with pytest.raises(ValueError, match="reference: 72x48 pixels; expected square images"):
        views_of_rig(seen(toy, RING), RING, wide)


def infos(rig, size=(SIZE, SIZE)):
    found = rig_cameras(rig, *size)
    return [
        camera_info(viewmat, K, *size, found.projection)
        for viewmat, K in zip(found.viewmats, found.Ks, strict=True)
    ]


@pytest.mark.parametrize("projection", ["pinhole", "ortho"])
def test_given_cameras_are_those_of_the_rig_that_wrote_them(toy, projection):
    rig = replace(RING, projection=projection)
    expected = views_of_rig(seen(toy, rig), rig, ReferenceVideo(use="not a view"))
    found = rig_cameras(rig, SIZE, SIZE)
    for given in (
        GivenCameras(camera_info=infos(rig)),
        GivenCameras(extrinsics=found.viewmats, intrinsics=found.Ks),
        GivenCameras(extrinsics=found.viewmats),
    ):
        views = views_of_given_cameras(
            seen(toy, rig), given, replace(rig, azimuths_deg=(), elevations_deg=())
        )
        assert views.reference is None
        for track, other in zip(views.tracks, expected.tracks, strict=True):
            assert track.cameras.projection == projection
            torch.testing.assert_close(track.cameras.viewmats, other.cameras.viewmats, atol=1e-5, rtol=0)
            torch.testing.assert_close(track.cameras.Ks, other.cameras.Ks, atol=1e-3, rtol=1e-6)


def test_cameras_may_move_and_are_in_the_order_of_the_images(toy):
    cameras = [infos(replace(RING, azimuths_deg=(a, a + 5), elevations_deg=(0.0, 0.0))) for a in (90, 180)]
    by_view = [camera for of_view in cameras for camera in of_view]
    by_frame = [cameras[view][frame] for frame in (0, 1) for view in (0, 1)]
    images = seen(toy, RING)
    first = views_of_given_cameras(images, GivenCameras(camera_info=by_view, order="view by view"), RING)
    second = views_of_given_cameras(images, GivenCameras(camera_info=by_frame), RING)
    for track, other in zip(first.tracks, second.tracks, strict=True):
        assert len(track.cameras) == 2
        assert torch.equal(track.cameras.viewmats, other.cameras.viewmats)
    with pytest.raises(ValueError, match="camera_info: 3 cameras for 2 views of 2 frames; expected 2, or 4"):
        views_of_given_cameras(images, GivenCameras(camera_info=by_view[:3]), RING)


def test_cameras_of_another_world_are_centered_and_scaled(toy):
    rig = replace(RING, azimuths_deg=(0.0, 90.0, 180.0), elevations_deg=(0.0, 0.0, 0.0))
    found = rig_cameras(rig, SIZE, SIZE)
    moved = found.viewmats.clone()
    moved[:, :3, 3] = 3 * moved[:, :3, 3] - moved[:, :3, :3] @ torch.tensor([1.0, -2.0, 4.0])
    given = GivenCameras(extrinsics=moved, intrinsics=found.Ks, align=True)
    views = views_of_given_cameras(seen(toy, rig), given, rig)
    viewmats = torch.cat([track.cameras.viewmats for track in views.tracks])
    torch.testing.assert_close(viewmats, found.viewmats, atol=1e-4, rtol=0)
    behind = found.viewmats @ torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match="intrinsics: 2 matrices for 3 cameras"):
        views_of_given_cameras(seen(toy, rig), GivenCameras(extrinsics=behind, intrinsics=found.Ks[:2]), rig)
    away = found.viewmats.clone()
    away[:, 2, 3] *= -1
    with pytest.raises(ValueError, match="camera of view 0: the center of the object is behind the camera"):
        views_of_given_cameras(seen(toy, rig), GivenCameras(extrinsics=away), rig)


def test_cameras_come_from_one_socket():
    with pytest.raises(ValueError, match="camera_info: connected, and extrinsics too"):
        GivenCameras(camera_info=[], extrinsics=[])
    with pytest.raises(ValueError, match="camera_info: not connected, nor are extrinsics, and intrinsics"):
        GivenCameras(intrinsics=[])


def test_joined_sets_have_one_reference_and_their_weights(toy):
    rig = CAMERA_RIGS["mv-adapter"]
    canonical = views_of_rig(seen(toy, rig), rig, settings=ViewSettings(weight=0.5))
    ring = views_of_rig(seen(toy, RING), RING, ReferenceVideo(frames=frames_of(toy, RING)))
    joined = join_views(ring, canonical, weight=0.5)
    assert joined.reference == 0
    assert joined.num_views == 8
    assert joined.tracks[1].weights is None
    assert joined.tracks[3].weights.tolist() == [0.25, 0.25]
    assert len({track.name for track in joined.tracks}) == 9
    swapped = join_views(canonical, ring, weight=2.0)
    assert swapped.reference == 6
    assert torch.equal(swapped.images, ring.images)
    assert swapped.reference_track.weights is None
    assert join_views(ring, ring).num_views == 4


def test_longer_videos_are_logged(caplog):
    assert shortest_length({"a.mp4": 3, "b.mp4": 3}) == 3
    assert caplog.records == []
    assert shortest_length({"a.mp4": 3, "b.mp4": 5}) == 3
    assert "views: b.mp4 (5) cut to the 3 frames of the shortest video." in caplog.text


def test_sets_of_other_frames_are_not_joined(toy):
    ring = views_of_rig(seen(toy, RING), RING, ReferenceVideo(frames=frames_of(toy, RING)))
    with pytest.raises(ValueError, match="views: 8, 10 frames per second; expected equal frame rates"):
        join_views(ring, replace(ring, fps=10.0))
    with pytest.raises(ValueError, match="views: the offsets of the sets differ"):
        join_views(ring, replace(ring, offsets=torch.zeros(2, 3)))
    short = [ObjectImages(images[:1], alphas[:1]) for images, alphas in seen(toy, RING)]
    with pytest.raises(ValueError, match="views: sets of 2 and 1 frames; expected the same frames"):
        join_views(ring, views_of_rig(short, RING, ReferenceVideo(use="not a view")))


def test_cameras_of_a_set_are_in_the_order_of_its_views(toy):
    ring = views_of_rig(seen(toy, RING), RING, ReferenceVideo(frames=frames_of(toy, RING)))
    assert len(set_cameras(ring, 0)) == 3
    assert len(set_cameras(ring, None)) == 6
    without = set_cameras(ring, 1, with_reference=False)
    for one, track in zip(without, ring.views, strict=True):
        assert torch.equal(one.viewmats, track.cameras.viewmats)
    with pytest.raises(ValueError, match="frame: 2 of 2 frames; expected 0 to 1"):
        set_cameras(ring, 2)


def test_sheets_are_split_row_by_row():
    tiles = torch.arange(12).reshape(2, 6)
    sheets = torch.zeros(2, 6, 4, 3)
    for sheet in range(2):
        for index in range(6):
            row, column = divmod(index, 2)
            sheets[sheet, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = tiles[sheet, index]
    found = split_sheets(sheets, 3, 2)
    assert found.shape == (12, 2, 2, 3)
    assert found[:, 0, 0, 0].tolist() == list(range(12))
    assert split_sheets(sheets[..., 0], 3, 2)[:, 1, 1].tolist() == list(range(12))
    with pytest.raises(ValueError, match="grid: sheets of 4x6 pixels for 2 columns and 4 rows"):
        split_sheets(sheets, 4, 2)
