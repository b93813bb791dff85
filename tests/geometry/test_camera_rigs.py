"""Rigs of given angles."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from camera_vectors import VECTORS, assert_close, tensor

from stag4d.geometry import CameraRig, OrbitPose, orbit_viewmats, project_points, rig_cameras


def test_pinhole_rig_keeps_its_distance():
    rig = CameraRig(azimuths_deg=(0.0, 90.0), elevations_deg=(10.0, -10.0), fovy_deg=40.0, radius=3.0)
    cameras = rig_cameras(rig, 64, 32)
    poses = (
        OrbitPose(azimuth_deg=0.0, elevation_deg=10.0, radius=3.0, fovy_deg=40.0),
        OrbitPose(azimuth_deg=90.0, elevation_deg=-10.0, radius=3.0, fovy_deg=40.0),
    )
    assert cameras.poses == poses
    assert torch.equal(cameras.viewmats, orbit_viewmats(poses))
    assert_close(cameras.Ks[1, 0], [16 / math.tan(math.radians(20)), 0, 32])


def test_orthographic_rig_keeps_its_half_extent_straight_from_above():
    rig = CameraRig(azimuths_deg=(0.0,), elevations_deg=(90.0,), projection="ortho", half_extent=0.5)
    cameras = rig_cameras(rig, 64, 64)
    assert_close(cameras.viewmats[0], [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 2], [0, 0, 0, 1]])
    assert cameras.Ks[0, 0, 0] == 64  # pixels per world unit


def test_orthographic_camera_is_in_front_of_the_object_at_any_radius():
    rig = CameraRig(azimuths_deg=(90.0,), elevations_deg=(0.0,), projection="ortho", radius=0.05)
    cameras = rig_cameras(rig, 64, 64)
    assert cameras.viewmats[0, 2, 3] == 2.0
    assert cameras.poses[0].radius == 2.0
    assert cameras.poses[0].fovy_deg == pytest.approx(49.1)  # the same extent at the origin
    assert rig_cameras(replace(rig, radius=3.0), 64, 64).viewmats[0, 2, 3] == 3.0


def test_points_project_as_in_the_vectors():
    for vector in VECTORS["orbit"]:
        rig = CameraRig(
            azimuths_deg=(vector["azimuth"],),
            elevations_deg=(vector["elevation"],),
            radius=vector["radius"],
            fovy_deg=math.degrees(2 * math.atan(128 / 280)),
        )
        cameras = rig_cameras(rig, 256, 256)
        assert_close(cameras.viewmats[0], vector["viewmat"])
        K = cameras.Ks[0].double()
        pixels, depths = project_points(tensor(vector["points"]), cameras.viewmats[0].double(), K)
        assert_close(pixels, vector["uv"], atol=2e-4)  # float32 cameras
        assert_close(depths, vector["z"])


def test_a_narrow_pinhole_is_no_orthographic_camera():
    """Orthographic images that are taken as those of a pinhole: the errors that the vectors give."""
    vector = VECTORS["pinhole_1deg_standin"]
    ring = {"azimuths_deg": (0.0,), "elevations_deg": (0.0,)}
    rigs = (CameraRig(**ring, fovy_deg=1.0), CameraRig(**ring))
    ortho = rig_cameras(CameraRig(**ring, projection="ortho"), 256, 256)
    points = tensor(vector["points"])
    expected, _ = project_points(points, ortho.viewmats[0].double(), ortho.Ks[0].double(), "ortho")
    for rig, name in zip(rigs, ("error_px", "error_px_if_taken_as_default_pinhole"), strict=True):
        cameras = rig_cameras(rig, 256, 256)
        found, _ = project_points(points, cameras.viewmats[0].double(), cameras.Ks[0].double())
        assert_close((found - expected).abs(), vector[name], atol=2e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"elevations_deg": (0.0, 0.0)},
            r"^rig: 1 azimuths and 2 elevations; expected one of each per view\.$",
        ),
        ({"azimuths_deg": (math.nan,)}, r"^rig: an angle is not finite; every one must be\.$"),
        (
            {"projection": "ortho", "half_extent": 0.0},
            r"^rig: half extent 0; expected a positive number\.$",
        ),
    ],
)
def test_invalid_rig_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        CameraRig(**{"azimuths_deg": (0.0,), "elevations_deg": (0.0,), **fields})
