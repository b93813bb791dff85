"""Saved views: hand-computed cameras, and refused input (the Preview node's tests check each message)."""

import json
import math

import pytest
import torch

from stag4d.geometry import OrbitPose, SavedView, orbit_viewmats, read_camera_info, read_saved_view

INPUT = OrbitPose(azimuth_deg=20.0, elevation_deg=-10.0, radius=3.0, fovy_deg=40.0)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 0), (-135, 40), (200, -89.9), (17, 89.9)])
def test_view_around_the_origin_equals_the_orbit_camera(azimuth, elevation):
    pose = OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=2.5, fovy_deg=40.0)
    viewmat, fovy_deg = read_camera_info(SavedView(pose=pose).camera_info(1.5), 49.1)
    torch.testing.assert_close(viewmat, orbit_viewmats([pose])[0], atol=1e-5, rtol=0)
    assert fovy_deg == pytest.approx(40.0)


def test_target_translates_the_camera():
    pose = OrbitPose(azimuth_deg=90.0, elevation_deg=30.0)
    info = SavedView(pose=pose, target=(1.0, 2.0, 3.0)).camera_info(1.0)
    assert info["position"] == pytest.approx({"x": 1 + math.sqrt(3), "y": 3.0, "z": 3.0})
    assert info["target"] == {"x": 1.0, "y": 2.0, "z": 3.0}


def test_empty_text_is_the_input_camera_at_time_zero():
    assert read_saved_view("", INPUT) == SavedView(pose=INPUT, target=(0.0, 0.0, 0.0), time=0.0)


def test_view_saved_by_the_viewer_is_read():
    saved = {
        "version": 1,
        "azimuth": 1,
        "elevation": 2,
        "radius": 3,
        "fovy": 4,
        "target": [5, 6, 7],
        "time": 1,
    }
    pose = OrbitPose(azimuth_deg=1.0, elevation_deg=2.0, radius=3.0, fovy_deg=4.0)
    assert read_saved_view(json.dumps(saved), INPUT) == SavedView(pose=pose, target=(5, 6, 7), time=1.0)


@pytest.mark.parametrize("name", ["azimuth", "elevation", "radius", "fovy", "target", "time", "version"])
def test_every_field_is_required(name):
    saved = {
        "version": 1,
        "azimuth": 1,
        "elevation": 2,
        "radius": 3,
        "fovy": 4,
        "target": [5, 6, 7],
        "time": 1,
    }
    with pytest.raises(ValueError, match=f"^view[.:] ?{name}"):
        read_saved_view(json.dumps({key: value for key, value in saved.items() if key != name}), INPUT)


@pytest.mark.parametrize("target", [[0, 1e300, 0], [0, -1e7, 0], [0, 1], [[0] * 900] * 3])
def test_target_out_of_range_is_refused(target):
    saved = {"version": 1, "azimuth": 1, "elevation": 2, "radius": 3, "fovy": 4, "target": target, "time": 1}
    with pytest.raises(ValueError, match=r"^view\.target"):
        read_saved_view(json.dumps(saved), INPUT)


def test_value_other_than_text_is_refused():
    with pytest.raises(ValueError, match=r"^view: is not JSON"):
        read_saved_view({"version": 1}, INPUT)
