"""View sets of any cameras: which pose previews use, what guidance models get, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from stag4d.geometry import OrbitPose, camera_rig, orbit_viewmats, rig_cameras
from stag4d.types import Cameras
from stag4d.view_set import ViewSet, ViewTrack

FRAMES = 2


def track(cameras: Cameras, **others) -> ViewTrack:
    shape = FRAMES, cameras.height, cameras.width
    return ViewTrack(images=torch.zeros(*shape, 3), alphas=torch.zeros(shape), cameras=cameras, **others)


def pinhole(azimuth: float, elevation: float = 0.0, width: int = 8, height: int = 8) -> Cameras:
    return Cameras.from_poses([OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)], width, height)


def ring(name: str) -> list[ViewTrack]:
    rig = rig_cameras(camera_rig(name), 8, 8)
    cameras = Cameras.from_rig(rig, 8, 8)
    return [track(cameras[[index]], name=f"view {index}") for index in range(len(cameras))]


def test_previews_begin_at_the_reference():
    views = ViewSet((track(pinhole(0)), track(pinhole(40, 10))), reference=1)
    assert views.first_pose.azimuth_deg == pytest.approx(40, abs=1e-4)
    assert views.first_pose.elevation_deg == pytest.approx(10, abs=1e-4)


def test_without_a_reference_previews_begin_at_the_frontmost_view():
    views = ViewSet((track(pinhole(90)), track(pinhole(-20, 5)), track(pinhole(180))), reference=None)
    assert views.first_pose.azimuth_deg == pytest.approx(-20, abs=1e-4)


def test_the_pose_of_an_orthographic_view_sees_as_much_of_the_object():
    views = ViewSet(tuple(ring("mv-adapter")), reference=None)
    pose = views.first_pose
    half_extent = pose.radius * math.tan(math.radians(pose.fovy_deg) / 2)
    assert half_extent == pytest.approx(views.tracks[0].cameras.half_extent, rel=1e-4)


def test_the_pose_of_a_camera_that_looks_past_the_origin_has_its_direction():
    viewmat = orbit_viewmats([OrbitPose(azimuth_deg=30)])
    viewmat[:, 0, 3] += 0.5
    camera = replace(pinhole(0), viewmats=viewmat)
    center = camera.centers[0]
    pose = ViewSet((track(camera),)).first_pose
    assert pose.azimuth_deg == pytest.approx(math.degrees(math.atan2(center[0], center[2])), abs=1e-3)


def test_guidance_gets_the_square_views_with_orbit_poses():
    rolled = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0])) @ pinhole(120).viewmats
    tracks = (
        track(pinhole(0)),
        track(pinhole(60)),
        track(pinhole(90, width=12)),  # not square
        track(replace(pinhole(120), viewmats=rolled)),  # upside down
        ring("mv-adapter")[3],  # orthographic
        track(Cameras.from_poses([OrbitPose(azimuth_deg=float(a)) for a in (5, 6)], 8, 8)),  # moves
    )
    usable = ViewSet(tracks).orbit_views()
    assert [round(pose.azimuth_deg) for pose in usable.view_poses] == [60]
    assert usable.reference == 0


@pytest.mark.parametrize(
    ("tracks", "reference", "message"),
    [
        ([track(pinhole(0))], None, "none is the input video; expected a set with a reference"),
        (ring("mv-adapter"), 0, "the camera of view 0 is no orbit pose"),
        ([track(pinhole(0, width=12))], 0, "12x8 pixels; expected square"),
    ],
)
def test_guidance_refuses_sets_without_a_usable_input_view(tracks, reference, message):
    with pytest.raises(ValueError, match=message):
        ViewSet(tuple(tracks), reference).orbit_views()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cameras": pinhole(0, width=9)}, "camera of 9x8 pixels for images of 8x8"),
        ({"cameras": Cameras.from_poses([OrbitPose(azimuth_deg=0)] * 3, 8, 8)}, "3 cameras for 2 frames"),
        ({"weights": torch.ones(3)}, r"weights have shape \[3\]; expected \[2\]"),
        ({"weights": torch.tensor([1.0, math.nan])}, "expected finite numbers of at least 0"),
        ({"images": torch.zeros(FRAMES, 8, 8, 3, dtype=torch.int64)}, "expected floats or uint8"),
        ({"alphas": torch.zeros(FRAMES, 8, 7)}, r"alphas have shape \[2, 8, 7\]"),
    ],
)
def test_inconsistent_tracks_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(track(pinhole(0)), **change)


def test_inconsistent_sets_are_refused():
    longer = ViewTrack(images=torch.zeros(3, 8, 8, 3), alphas=torch.zeros(3, 8, 8), cameras=pinhole(0))
    with pytest.raises(ValueError, match="different numbers of frames"):
        ViewSet((track(pinhole(0), name="first"), replace(longer, name="second")))
    with pytest.raises(ValueError, match="reference 1 of 1 tracks"):
        ViewSet((track(pinhole(0)),), reference=1)
    with pytest.raises(ValueError, match="no tracks"):
        ViewSet(())
    with pytest.raises(ValueError, match="images of 8x8, 9x8 pixels; expected one size"):
        _ = ViewSet((track(pinhole(0)), track(pinhole(1)), track(pinhole(2, width=9)))).view_images
