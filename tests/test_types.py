"""Cameras and view sets: derived values, and inconsistent input."""

from __future__ import annotations

import math

import pytest
import torch
from changed_views import changed_views

from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.types import Cameras, frame_times
from stag4d.view_set import ViewSet

INPUT_POSE = OrbitPose(azimuth_deg=0)


def views(frames: int = 2, num_views: int = 6, size: int = 4) -> ViewSet:
    return ViewSet.from_orbit(
        images=torch.zeros(frames, 5, 5, 3),
        alphas=torch.zeros(frames, 5, 5),
        view_images=torch.zeros(frames, num_views, size, size, 3),
        view_alphas=torch.zeros(frames, num_views, size, size),
        input_pose=INPUT_POSE,
        view_poses=zero123plus_rig()[:num_views],
    )


def test_camera_centers_equal_the_pose_positions():
    poses = [OrbitPose(azimuth_deg=0, elevation_deg=30), OrbitPose(azimuth_deg=90, radius=3)]
    expected = torch.tensor([[0, 1, math.sqrt(3)], [3, 0, 0]], dtype=torch.float32)
    torch.testing.assert_close(Cameras.from_poses(poses, 8, 8).centers, expected, atol=1e-6, rtol=0)


def test_cameras_are_indexed_as_a_batch():
    cameras = Cameras.from_poses(zero123plus_rig(), 20, 10)
    assert len(cameras) == 6
    chosen = cameras[[4, 1]]
    assert torch.equal(chosen.viewmats, torch.stack([cameras.viewmats[4], cameras.viewmats[1]]))
    assert torch.equal(chosen.Ks, torch.stack([cameras.Ks[4], cameras.Ks[1]]))
    assert (chosen.width, chosen.height, len(cameras[2:3])) == (20, 10, 1)
    assert cameras.to("cpu").viewmats.device.type == "cpu"


@pytest.mark.parametrize(
    ("viewmats", "intrinsics", "size", "message"),
    [
        ((4, 4), (1, 3, 3), 8, r"viewmats have shape \[4, 4\]; expected \[C, 4, 4\]"),
        ((2, 3, 4), (2, 3, 3), 8, r"viewmats have shape \[2, 3, 4\]"),
        ((2, 4, 4), (1, 3, 3), 8, r"Ks have shape \[1, 3, 3\]; expected \[2, 3, 3\]"),
        ((1, 4, 4), (1, 3, 3), 0, "image size 0x0"),
    ],
)
def test_cameras_of_wrong_shape_are_refused(viewmats, intrinsics, size, message):
    with pytest.raises(ValueError, match=f"cameras: {message}"):
        Cameras(torch.zeros(viewmats), torch.zeros(intrinsics), size, size)


def test_view_set_counts_frames_and_views():
    assert (views().num_frames, views().num_views, views(num_views=0).num_views) == (2, 6, 0)
    assert views(frames=3).frame_times.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.zeros(0, 5, 5, 3), "alphas": torch.zeros(0, 5, 5)}, "no frames"),
        ({"images": torch.zeros(2, 5, 5, 4)}, r"input frames: images have shape \[2, 5, 5, 4\]"),
        (
            {"alphas": torch.zeros(2, 4, 5)},
            r"input frames: alphas have shape \[2, 4, 5\]; expected \[2, 5, 5\]",
        ),
        ({"view_images": torch.zeros(3, 6, 4, 4, 3)}, r"posed views: images have shape \[3, 6"),
        ({"view_poses": zero123plus_rig()[:5]}, r"posed views: images have shape \[2, 6, .*expected \[2, 5"),
        ({"view_alphas": torch.zeros(2, 6, 4, 3)}, "posed views: alphas"),
        ({"images": torch.full((2, 5, 5, 3), math.nan)}, "input frames: not-a-number"),
        ({"view_alphas": torch.full((2, 6, 4, 4), math.inf)}, "view 0: not-a-number"),
        ({"fps": 0.0}, "fps is 0.0"),
        ({"fps": math.nan}, "fps is nan"),
        ({"fps": math.inf}, "fps is inf; expected above 0 and below 10000"),
        ({"fps": 1e300}, r"fps is 1e\+300; expected above 0 and below 10000"),
        (
            {"images": torch.full((2, 5, 5, 3), 1e30)},
            r"input frames: pixels from 1e\+30 to 1e\+30; expected 0",
        ),
        ({"alphas": torch.full((2, 5, 5), 3.0)}, "input frames: alphas from 3 to 3; expected 0 to 1"),
        ({"view_images": torch.full((2, 6, 4, 4, 3), 255.0)}, "view 0: pixels from 255 to 255"),
        ({"view_alphas": torch.full((2, 6, 4, 4), -0.5)}, "view 0: alphas from -0.5 to -0.5"),
        ({"offsets": torch.zeros(3, 3)}, "3 offsets for 2 frames; expected one per frame"),
        ({"offsets": torch.full((2, 3), math.nan)}, "offsets are not finite"),
    ],
)
def test_inconsistent_view_set_is_refused(changes, message):
    with pytest.raises(ValueError, match=f"views: {message}"):
        changed_views(views(), **changes)


def test_frame_times_span_zero_to_one():
    assert frame_times(1).tolist() == [0.0]
    assert frame_times(5).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert frame_times(0).shape == (0,)


def test_rounding_errors_of_half_precision_are_accepted():
    images = torch.full((2, 5, 5, 3), 1.004)
    assert torch.equal(changed_views(views(), images=images).images, images)
