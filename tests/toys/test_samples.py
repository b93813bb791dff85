"""View sets and ground truth of toys: determinism, framing, baselines."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stag4d.geometry import PROJECTIONS, OrbitPose, angle_between_deg, zero123plus_rig
from stag4d.progress import Interrupted
from stag4d.toys import (
    TEST_AZIMUTHS_DEG,
    TEST_POSES,
    raycast,
    render_toy,
    render_toys,
    toy_object,
    toy_seed,
    toy_truth,
    toy_views,
)
from stag4d.types import Cameras

SEEDS = tuple(toy_seed("test", index) for index in range(6))
FRAMES, SIZE = 2, 40
GIVEN_POSES = (OrbitPose(azimuth_deg=0.0), *zero123plus_rig())


def on_white(images: Tensor, alphas: Tensor) -> Tensor:
    return images * alphas[..., None] + 1 - alphas[..., None]


def psnr(first: Tensor, second: Tensor) -> float:
    return -10 * math.log10(((first - second) ** 2).mean().item())


@pytest.fixture(scope="module")
def renders() -> dict[int, tuple[Tensor, Tensor]]:
    """Return images [11, F, S, S, 3] and alphas of a few toys: the seven given views, then the test views."""
    poses = (*GIVEN_POSES, *TEST_POSES)
    return {seed: toy_truth(seed, poses, FRAMES, SIZE) for seed in SEEDS}


def test_view_set_holds_the_true_views_of_the_rig():
    views = toy_views(SEEDS[0], num_frames=4, size=24)
    assert (views.num_frames, views.num_views) == (4, 6)
    assert views.input_pose == OrbitPose(azimuth_deg=0.0) and views.view_poses == zero123plus_rig("v1.1")
    rear, rear_alphas = toy_truth(SEEDS[0], views.view_poses[2:3], num_frames=4, size=24)
    assert ((views.view_images[:, 2] - rear[0]).abs() < 1e-3).float().mean() > 0.995
    assert ((views.view_alphas[:, 2] - rear_alphas[0]).abs() < 1e-3).float().mean() > 0.995
    assert not torch.equal(views.images[0], views.images[1])


def test_same_seed_gives_same_images():
    first, second = (toy_views(5, num_frames=2, size=24) for _ in range(2))
    assert first.images.numpy().tobytes() == second.images.numpy().tobytes()
    assert first.view_images.numpy().tobytes() == second.view_images.numpy().tobytes()


def test_progress_counts_images_and_previews_show_them_on_white():
    """The front view comes first, frame after frame."""
    calls, previews = [], []

    def monitor(stage, done, total, *, note="", preview=None):
        calls.append((stage, done, total))
        if preview is not None:
            previews.append(preview())

    views = toy_views(SEEDS[0], num_frames=2, size=24, monitor=monitor)
    done = [count for _, count, _ in calls]
    assert {(stage, total) for stage, _, total in calls} == {("render", 14)}
    assert done == sorted(done) and set(done) == set(range(15))
    rendered = on_white(views.view_images, views.view_alphas).transpose(0, 1).flatten(0, 1)  # view after view
    expected = torch.cat([on_white(views.images, views.alphas), rendered])  # [14, S, S, 3]
    assert torch.equal(torch.stack(previews), expected)


@pytest.mark.parametrize("number", [1, 2, 9, 29])
def test_every_call_of_the_monitor_can_cancel(number):
    calls = []

    def monitor(stage, done, total, **_):
        calls.append(done)
        if len(calls) == number:
            raise Interrupted

    toy_views(SEEDS[0], num_frames=1, size=24)  # afterwards the kernel is compiled
    with pytest.raises(Interrupted):
        toy_views(SEEDS[0], num_frames=3, size=24, monitor=monitor)
    assert len(calls) == number


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_render_toy_sees_every_time_from_every_camera(odd_cameras, projection):
    toy, cameras = toy_object(SEEDS[1]), odd_cameras[projection]
    images, alphas = render_toy(toy, cameras, [0.0, 0.3, 1.0])
    assert images.shape == (2, 3, 45, 60, 3) and alphas.shape == (2, 3, 45, 60)
    for frame, time in enumerate((0.0, 0.3, 1.0)):
        expected, expected_alphas, _ = raycast(toy, time, cameras)
        assert torch.equal(images[:, frame], expected) and torch.equal(alphas[:, frame], expected_alphas)


def test_render_toys_gives_the_first_of_a_split_at_different_times():
    images, alphas = render_toys("val", 3, TEST_POSES[:2], SIZE)
    expected = [
        raycast(toy_object(toy_seed("val", toy)), time, Cameras.from_poses(TEST_POSES[:2], SIZE, SIZE))
        for toy, time in enumerate((0.0, 0.618, 2 * 0.618 % 1))
    ]
    torch.testing.assert_close(images, torch.stack([render[0] for render in expected], dim=1))
    torch.testing.assert_close(alphas, torch.stack([render[1] for render in expected], dim=1))


def test_render_toys_refuses_zero_toys_and_zero_cameras():
    with pytest.raises(ValueError, match="toys: 0 of split 'val'; expected at least one"):
        render_toys("val", 0, TEST_POSES, SIZE)
    with pytest.raises(ValueError, match="toys: no camera poses; expected at least one"):
        render_toys("val", 1, (), SIZE)


def test_test_poses_are_those_of_consistent4d():
    assert TEST_AZIMUTHS_DEG == (-75.0, 15.0, 105.0, 195.0)
    assert [(pose.azimuth_deg, pose.elevation_deg) for pose in TEST_POSES] == [
        (-75, 0),
        (15, 0),
        (105, 0),
        (195, 0),
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_toys_stay_within_the_frame_and_fill_half_of_it(renders, seed):
    images, alphas = renders[seed]
    assert images.min() >= 0 and images.max() <= 1 and alphas.min() >= 0 and alphas.max() <= 1
    for border in (alphas[..., 0, :], alphas[..., -1, :], alphas[..., 0], alphas[..., -1]):
        assert not border.any()
    heights = alphas.amax(-1).sum(-1) / SIZE
    widths = alphas.amax(-2).sum(-1) / SIZE
    assert torch.maximum(heights, widths).max() > 0.5


def test_blank_and_nearest_view_baselines_have_low_psnr(renders):
    blank, nearest = [], []
    for seed in SEEDS:
        given, truth = on_white(*renders[seed]).split([len(GIVEN_POSES), len(TEST_POSES)])
        for view, pose in enumerate(TEST_POSES):
            angles = [angle_between_deg(other, pose) for other in GIVEN_POSES]
            closest = angles.index(min(angles))
            for frame in range(FRAMES):
                blank.append(psnr(truth[view, frame], torch.ones(SIZE, SIZE, 3)))
                nearest.append(psnr(truth[view, frame], given[closest, frame]))
    assert sum(blank) / len(blank) < 16
    assert 8 < sum(nearest) / len(nearest) < 19


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="seed is -3"):
        toy_views(-3)
    with pytest.raises(ValueError, match="0 frames"):
        toy_views(1, num_frames=0)
    with pytest.raises(ValueError, match="image size 0x0"):
        toy_views(1, size=0)
    with pytest.raises(ValueError, match="no camera poses"):
        toy_truth(1, [])
