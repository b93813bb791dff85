"""STAG4DRender of one Gaussian that slides from left to right: its position gives the time of an image."""

import pytest
import torch

NUM_FRAMES = 5
SIZE = 32
ALL, PING_PONG = {"time_mode": "all frames"}, {"time_mode": "ping-pong"}


@pytest.fixture(scope="module")
def render(pack_module):
    return pack_module("nodes.render")


@pytest.fixture
def cameras_in_front(pack_module):
    """A function that returns C cameras, all at the pose of the input camera."""
    make = pack_module("stag4d.types").Cameras.from_poses
    front = pack_module("stag4d.geometry").OrbitPose(azimuth_deg=0.0)

    def cameras(count, size=SIZE):
        return make([front] * count, size, size)

    return cameras


def columns(mask):
    """Return the mean column of the object in each image, pixels."""
    weights = mask.sum(dim=1)  # [T, W]
    return (weights * (torch.arange(SIZE) + 0.5)).sum(dim=1) / weights.sum(dim=1)


def test_single_camera_renders_every_frame_in_order(render, sliding_scene, cameras_in_front):
    images, mask, depth, _, _ = render.STAG4DRender.execute(
        sliding_scene, cameras_in_front(1), "#ffffff", ALL
    ).args
    assert images.shape == depth.shape == (NUM_FRAMES, SIZE, SIZE, 3)
    assert mask.shape == (NUM_FRAMES, SIZE, SIZE)
    positions = columns(mask)
    assert (positions.diff() > 1).all()
    assert positions[2].item() == pytest.approx(SIZE / 2, abs=1e-3)  # it is in the center at half time


def test_several_cameras_render_one_image_each_over_all_frames(render, sliding_scene, cameras_in_front):
    _, nine, _, _, _ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(9), "#ffffff", ALL).args
    _, five, _, _, _ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", ALL).args
    torch.testing.assert_close(nine[::2], five)  # every second of nine images is at the time of a frame


def test_ping_pong_is_symmetric(render, sliding_scene, cameras_in_front):
    _, mask, _, _, _ = render.STAG4DRender.execute(
        sliding_scene, cameras_in_front(1), "#ffffff", PING_PONG
    ).args
    assert len(mask) == 2 * NUM_FRAMES - 2
    torch.testing.assert_close(mask[1:], mask[1:].flip(0))


def test_freeze_renders_one_moment_from_all_cameras(render, sliding_scene, cameras_in_front):
    freeze = {"time_mode": "freeze", "moment": 1.0}
    _, frozen, _, _, _ = render.STAG4DRender.execute(
        sliding_scene, cameras_in_front(3), "#ffffff", freeze
    ).args
    _, played, _, _, _ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", ALL).args
    torch.testing.assert_close(frozen, played[-1].expand(3, -1, -1))


VIEW_BY_VIEW = {"time_mode": "view by view"}
BULLET = {"time_mode": "bullet time", "moment": 0.5, "hold": 0.5}


@pytest.mark.parametrize(
    ("num_cameras", "mode", "rate"),
    [
        (1, ALL, 8.0),  # one image per frame
        (9, ALL, 16.0),  # two images from each frame to the next
        (16, PING_PONG, 16.0),  # forward and back are eight frames
        (1, BULLET, 8.0),
        (18, BULLET, 16.0),  # nine images are in motion, and nine stand still
        (3, {"time_mode": "freeze", "moment": 0.5}, 8.0),
        (3, VIEW_BY_VIEW, 8.0),  # every frame, three times
    ],
)
def test_motion_has_its_original_speed_at_the_fps_output(
    render, sliding_scene, cameras_in_front, num_cameras, mode, rate
):
    assert sliding_scene.info.fps == 8.0
    found = render.STAG4DRender.execute(sliding_scene, cameras_in_front(num_cameras), "#ffffff", mode).args[3]
    assert found == pytest.approx(rate, rel=1e-4)


def test_background_color_and_depth_0_outside_the_mask(render, sliding_scene, cameras_in_front):
    images, mask, depth, _, _ = render.STAG4DRender.execute(
        sliding_scene, cameras_in_front(1), "#ff8000", ALL
    ).args
    empty = mask < 1e-6
    assert empty.any()
    expected = torch.tensor([1.0, 128 / 255, 0.0]).expand(int(empty.sum()), 3)
    torch.testing.assert_close(images[empty], expected, atol=1e-4, rtol=0)
    assert depth[empty].abs().max() == 0
    assert depth[mask > 0.6].min() > 0


def test_render_has_progress_and_can_be_cancelled(
    render, sliding_scene, cameras_in_front, progress_bar, cancel_at, interrupt
):
    render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", ALL)
    total = 2 * NUM_FRAMES  # renders and normals
    assert progress_bar.reported == [(done, total) for done in range(1, total + 1)]
    for number in (3, NUM_FRAMES + 2):
        cancel_at(number)
        with pytest.raises(interrupt):
            render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#ffffff", ALL)
        assert len(progress_bar.reported) == number - 1


def test_playback_times_by_hand(render):
    frame_times = torch.tensor([0.0, 0.2, 1.0])  # uneven: positions are resampled, then converted to times
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


def test_scene_of_one_frame_renders_in_every_mode(render):
    for mode in (ALL, PING_PONG, {"time_mode": "freeze", "moment": 0.0}):
        assert render.playback_times(torch.zeros(1), 1, mode).tolist() == [0.0]
        assert render.playback_times(torch.zeros(1), 3, mode).tolist() == [0.0] * 3


def test_depth_is_white_at_the_nearest_dark_at_the_farthest_and_black_at_no_surface(render):
    depths = torch.tensor([[[1.0, 2.0, 3.0, 9.0]]])
    alphas = torch.tensor([[[1.0, 0.9, 0.6, 0.5]]])  # the last one is not counted as surface
    images = render.depth_images(depths, alphas)
    torch.testing.assert_close(images[0, 0, :, 0], torch.tensor([1.0, 0.55, 0.1, 0.0]))
    assert torch.equal(images[..., 0], images[..., 2])


def test_depth_of_an_empty_image_is_black_and_of_a_flat_surface_white(render):
    zeros, ones = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    assert torch.equal(render.depth_images(zeros, zeros), torch.zeros(1, 2, 2, 3))
    assert torch.equal(render.depth_images(2 * ones, ones), torch.ones(1, 2, 2, 3))


@pytest.mark.parametrize("text", ["white", "#fff", "#ff80zz", "", "#ff 000"])
def test_invalid_background_color_is_rejected(render, text):
    with pytest.raises(ValueError, match="is not a color; expected #rrggbb"):
        render.parse_color(text)


def test_bullet_time_pauses_for_its_share_of_the_images(render):
    frame_times = torch.linspace(0, 1, 5)
    mode = {"time_mode": "bullet time", "moment": 0.5, "hold": 0.5}
    several = render.playback_times(frame_times, 10, mode)  # five images are in motion, five stand still
    expected = torch.tensor([0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.75, 1.0])
    torch.testing.assert_close(several, expected)
    one = render.playback_times(frame_times, 1, mode)  # five frames, and as many images stand still
    torch.testing.assert_close(one, expected)
    ends = render.playback_times(frame_times, 4, mode | {"moment": 1.0, "hold": 0.25})
    torch.testing.assert_close(ends, torch.tensor([0, 0.5, 1.0, 1.0]))


def test_view_by_view_renders_all_frames_from_each_camera(render, sliding_scene, cameras_in_front):
    cameras = cameras_in_front(2)
    cameras.viewmats[1, 2, 3] += 1.0  # the second one is farther away
    images, mask, *_ = render.STAG4DRender.execute(sliding_scene, cameras, "#ffffff", VIEW_BY_VIEW).args
    singles = [render.STAG4DRender.execute(sliding_scene, cameras[[i]], "#ffffff", ALL).args for i in (0, 1)]
    torch.testing.assert_close(images, torch.cat([single[0] for single in singles]))
    torch.testing.assert_close(mask, torch.cat([single[1] for single in singles]))
    assert not torch.equal(*mask.chunk(2))


def test_images_that_do_not_fit_into_memory_are_rejected_before_rendering(
    render, sliding_scene, cameras_in_front
):
    message = r"render of 500 images of 4096x4096: needs 604\.0 GB of memory, 8\.0 GB are free"
    with pytest.raises(ValueError, match=message):
        render.STAG4DRender.execute(sliding_scene, cameras_in_front(500, 4096), "#ffffff", ALL)


def test_normals_of_a_single_gaussian_face_the_camera_and_are_black_outside_the_mask(
    render, sliding_scene, cameras_in_front
):
    _, mask, _, _, normals = render.STAG4DRender.execute(
        sliding_scene, cameras_in_front(1), "#ffffff", ALL
    ).args
    assert normals.shape == (NUM_FRAMES, SIZE, SIZE, 3)
    assert (normals[mask < 0.5] == 0).all()
    inside = normals[mask > 0.5]  # one Gaussian has one depth
    torch.testing.assert_close(inside, torch.tensor([0.5, 0.5, 1.0]).expand_as(inside), atol=1e-3, rtol=0)


@pytest.mark.parametrize("count", [1, NUM_FRAMES])
def test_background_image_is_cropped_to_cover_the_renders(render, sliding_scene, cameras_in_front, count):
    background = torch.zeros(count, 20, 60, 4)  # an RGBA image, three times as wide as high
    background[:, :, 10:30] = torch.tensor([1.0, 0.0, 0.0, 0.5])  # left of the middle
    background[:, :, 30:50] = torch.tensor([0.0, 0.0, 1.0, 0.5])
    images, mask, *_ = render.STAG4DRender.execute(
        sliding_scene, cameras_in_front(1), "#00ff00", ALL, background
    ).args
    empty = mask < 1e-6
    left = torch.zeros_like(empty)
    left[:, :, : SIZE // 2 - 2] = True
    assert (images[empty & left] - torch.tensor([1.0, 0.0, 0.0])).abs().max() < 0.02
    right = left.flip(2)
    assert (images[empty & right] - torch.tensor([0.0, 0.0, 1.0])).abs().max() < 0.02
    on_black, *_ = render.STAG4DRender.execute(sliding_scene, cameras_in_front(1), "#000000", ALL).args
    expected = on_black + (1 - mask[..., None]) * torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(images[left], expected[left], atol=0.02, rtol=0)


def test_backgrounds_of_all_renders_need_no_memory_at_once(pack_module, monkeypatch):
    images = pack_module("nodes.host.render_images")
    interpolate, batches = torch.nn.functional.interpolate, []

    def counted(colors_bchw, *arguments, **options):
        batches.append(len(colors_bchw))
        return interpolate(colors_bchw, *arguments, **options)

    monkeypatch.setattr(torch.nn.functional, "interpolate", counted)
    renders = torch.zeros(3, 4, 4, 3)
    images.composite(renders, torch.zeros(3, 4, 4), torch.rand(1, 6, 6, 3))
    assert batches == [1]  # one image for all is scaled once
    assert torch.equal(renders[0], renders[2])
    backgrounds = torch.tensor([0.25, 0.5, 0.75])[:, None, None, None].expand(3, 6, 6, 3)
    renders = torch.zeros(3, 4, 4, 3)
    images.composite(renders, torch.zeros(3, 4, 4), backgrounds)
    assert batches == [1] * 4
    torch.testing.assert_close(renders[:, 0, 0, 0], torch.tensor([0.25, 0.5, 0.75]))


def test_wrong_number_of_background_images_is_refused(render, sliding_scene, cameras_in_front):
    with pytest.raises(
        ValueError, match="background_image: 2 images for 5 renders; expected one for all, or 5"
    ):
        render.STAG4DRender.execute(
            sliding_scene, cameras_in_front(1), "#ffffff", ALL, torch.zeros(2, 8, 8, 3)
        )
