"""STAG4DRender on one Gaussian that slides from left to right: where it is tells the time of an image."""

import importlib
import sys

import pytest
import torch

NUM_FRAMES = 5
SIZE = 32
ALL, PING_PONG = {"time_mode": "all frames"}, {"time_mode": "ping-pong"}


@pytest.fixture(scope="module")
def render(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.render")


@pytest.fixture
def cameras_in_front(pack):
    """A function that returns C cameras, all where the input camera is."""
    types = importlib.import_module(f"{pack.__name__}.stag4d.types")
    geometry = importlib.import_module(f"{pack.__name__}.stag4d.geometry")

    def cameras(count):
        return types.Cameras.from_poses([geometry.OrbitPose(azimuth_deg=0.0)] * count, SIZE, SIZE)

    return cameras


def columns(mask):
    """Return where the object is, as the mean column of each image, pixels."""
    weights = mask.sum(dim=1)  # [T, W]
    return (weights * (torch.arange(SIZE) + 0.5)).sum(dim=1) / weights.sum(dim=1)


def test_one_camera_films_every_frame_in_order(render, sliding_scene, cameras_in_front):
    images, mask, depth, _ = render.STAG4DRender.execute(
        sliding_scene, cameras_in_front(1), "#ffffff", ALL
    ).args
    assert images.shape == depth.shape == (NUM_FRAMES, SIZE, SIZE, 3)
    assert mask.shape == (NUM_FRAMES, SIZE, SIZE)
    where = columns(mask)
    assert (where.diff() > 1).all()
    assert where[2].item() == pytest.approx(SIZE / 2, abs=1e-3)  # half way through it crosses the middle


def test_several_cameras_spread_the_clip_over_one_image_each(render, sliding_scene, cameras_in_front):
    _, nine, _, _ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(9), "#ffffff", ALL).args
    _, five, _, _ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", ALL).args
    torch.testing.assert_close(nine[::2], five)  # every second of nine images falls on a frame of the clip


def test_ping_pong_comes_back_the_same_way(render, sliding_scene, cameras_in_front):
    _, mask, _, _ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", PING_PONG).args
    assert len(mask) == 2 * NUM_FRAMES - 2
    torch.testing.assert_close(mask[1:], mask[1:].flip(0))


def test_frozen_time_stands_still_at_the_moment_asked_for(render, sliding_scene, cameras_in_front):
    freeze = {"time_mode": "freeze", "moment": 1.0}
    _, frozen, _, _ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(3), "#ffffff", freeze).args
    _, played, _, _ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", ALL).args
    torch.testing.assert_close(frozen, played[-1].expand(3, -1, -1))


BULLET = {"time_mode": "bullet time", "moment": 0.5, "hold": 0.5}


@pytest.mark.parametrize(
    ("num_cameras", "mode", "rate"),
    [
        (1, ALL, 8.0),  # an image a frame
        (9, ALL, 16.0),  # two images from each frame to the next
        (16, PING_PONG, 16.0),  # there and back are eight frames
        (1, BULLET, 8.0),
        (18, BULLET, 16.0),  # nine images play, and nine stand still
        (3, {"time_mode": "freeze", "moment": 0.5}, 8.0),
    ],
)
def test_at_the_rate_that_comes_out_the_scene_moves_at_its_own_speed(
    render, sliding_scene, cameras_in_front, num_cameras, mode, rate
):
    assert sliding_scene.info.fps == 8.0
    found = render.STAG4DRender.execute(sliding_scene, cameras_in_front(num_cameras), "#ffffff", mode).args[3]
    assert found == pytest.approx(rate, rel=1e-4)


def test_the_background_is_seen_where_the_mask_is_empty(render, sliding_scene, cameras_in_front):
    images, mask, depth, _ = render.STAG4DRender.execute(
        sliding_scene, cameras_in_front(1), "#ff8000", ALL
    ).args
    empty = mask < 1e-6
    assert empty.any()
    expected = torch.tensor([1.0, 128 / 255, 0.0]).expand(int(empty.sum()), 3)
    torch.testing.assert_close(images[empty], expected, atol=1e-4, rtol=0)
    assert depth[empty].abs().max() == 0
    assert depth[mask > 0.6].min() > 0


def test_every_image_is_reported_and_cancel_ends_the_render(
    render, sliding_scene, cameras_in_front, monkeypatch
):
    comfy = sys.modules["comfy"]
    render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", ALL)
    assert comfy.utils.ProgressBar.reported == [(done, NUM_FRAMES) for done in range(1, NUM_FRAMES + 1)]

    def cancel_after_two():
        if len(comfy.utils.ProgressBar.reported) == 2:
            raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", cancel_after_two)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", ALL)
    assert len(comfy.utils.ProgressBar.reported) == 2


def test_playback_times_by_hand(render):
    frame_times = torch.tensor([0.0, 0.2, 1.0])  # uneven: frames are resampled, then their times read
    expected = {
        ("all frames", 1): [0.0, 0.2, 1.0],
        ("all frames", 5): [0.0, 0.1, 0.2, 0.6, 1.0],
        ("ping-pong", 1): [0.0, 0.2, 1.0, 0.2],
        ("ping-pong", 2): [0.0, 1.0],
        ("ping-pong", 8): [0.0, 0.1, 0.2, 0.6, 1.0, 0.6, 0.2, 0.1],
    }
    for (mode, count), times in expected.items():
        found = render.playback_times(frame_times, count, {"time_mode": mode})
        torch.testing.assert_close(found, torch.tensor(times), msg=f"{mode} with {count} cameras")


def test_a_scene_of_one_frame_plays_in_every_mode(render):
    for mode in (ALL, PING_PONG, {"time_mode": "freeze", "moment": 0.0}):
        assert render.playback_times(torch.zeros(1), 1, mode).tolist() == [0.0]
        assert render.playback_times(torch.zeros(1), 3, mode).tolist() == [0.0] * 3


def test_depth_is_white_near_dark_far_and_black_where_there_is_nothing(render):
    depths = torch.tensor([[[1.0, 2.0, 3.0, 9.0]]])
    alphas = torch.tensor([[[1.0, 0.9, 0.6, 0.5]]])  # the last one is not counted as surface
    picture = render.depth_picture(depths, alphas)
    torch.testing.assert_close(picture[0, 0, :, 0], torch.tensor([1.0, 0.55, 0.1, 0.0]))
    assert torch.equal(picture[..., 0], picture[..., 2])


def test_depth_of_an_empty_image_is_black_and_of_a_flat_surface_white(render):
    nothing, everything = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    assert torch.equal(render.depth_picture(nothing, nothing), torch.zeros(1, 2, 2, 3))
    assert torch.equal(render.depth_picture(2 * everything, everything), torch.ones(1, 2, 2, 3))


@pytest.mark.parametrize("text", ["white", "#fff", "#ff80zz", "", "#ff 000"])
def test_a_background_that_is_no_colour_is_named(render, text):
    with pytest.raises(ValueError, match="is not a colour; expected #rrggbb"):
        render.parse_color(text)


def test_bullet_time_stops_for_its_share_of_the_images(render):
    frame_times = torch.linspace(0, 1, 5)
    mode = {"time_mode": "bullet time", "moment": 0.5, "hold": 0.5}
    several = render.playback_times(frame_times, 10, mode)  # five images play, five stand still
    expected = torch.tensor([0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.75, 1.0])
    torch.testing.assert_close(several, expected)
    one = render.playback_times(frame_times, 1, mode)  # every frame plays, as many stand still
    torch.testing.assert_close(one, expected)
    ends = render.playback_times(frame_times, 4, mode | {"moment": 1.0, "hold": 0.25})
    torch.testing.assert_close(ends, torch.tensor([0, 0.5, 1.0, 1.0]))


def test_a_path_whose_images_do_not_fit_into_memory_is_refused_before_it_starts(render, pack, sliding_scene):
    types = importlib.import_module(f"{pack.__name__}.stag4d.types")
    geometry = importlib.import_module(f"{pack.__name__}.stag4d.geometry")
    cameras = types.Cameras.from_poses([geometry.OrbitPose(azimuth_deg=0.0)] * 500, 4096, 4096)
    sentence = r"render of 500 images of 4096x4096: needs 503\.3 GB of memory, 8\.0 GB are free"
    with pytest.raises(ValueError, match=sentence):
        render.STAG4DRender.execute(sliding_scene, cameras, "#ffffff", ALL)
