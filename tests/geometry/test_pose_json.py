"""Poses as JSON: round trips, defaults, and errors with the path of the field."""

from __future__ import annotations

import json

import pytest

from stag4d.geometry import OrbitPose
from stag4d.geometry.pose_json import (
    check_version,
    finite_number,
    pose_from_json,
    pose_to_json,
    poses_from_json,
    read_json_object,
)


def test_pose_round_trips_through_json():
    pose = OrbitPose(azimuth_deg=12.3456789012345, elevation_deg=-20.1, radius=1 / 3, fovy_deg=49.1)
    assert pose_from_json(json.loads(json.dumps(pose_to_json(pose))), "pose") == pose


def test_radius_and_fovy_are_optional_and_angles_are_required():
    assert pose_from_json({"azimuth": 5, "elevation": 6}, "p") == OrbitPose(azimuth_deg=5, elevation_deg=6)
    with pytest.raises(ValueError, match=r"p\.elevation must be a finite number, not nothing"):
        pose_from_json({"azimuth": 5}, "p")
    assert pose_from_json({}, "p", {"azimuth": 0, "elevation": 0}) == OrbitPose(azimuth_deg=0)


@pytest.mark.parametrize(
    "value",
    [None, True, "30", [1], {}, float("nan"), float("-inf"), 10**400],
    ids=lambda value: str(value)[:8],
)
def test_value_other_than_a_finite_number_is_refused_with_its_path(value):
    with pytest.raises(ValueError, match=r"^views\.json: fps must be a finite number, not "):
        finite_number(value, "views.json: fps")


def test_error_path_of_a_pose_in_an_array_has_its_index():
    good = {"azimuth": 0, "elevation": 0}
    with pytest.raises(ValueError, match=r'v\[1\]\.elevation must be a finite number, not "up"'):
        poses_from_json([good, {"azimuth": 0, "elevation": "up"}], "v")
    with pytest.raises(ValueError, match=r"v\[2\] must be an object with azimuth and elevation, not 7"):
        poses_from_json([good, good, 7], "v")
    with pytest.raises(ValueError, match=r"v\[0\]: camera pose: elevation 95"):
        poses_from_json([{"azimuth": 0, "elevation": 95}], "v")
    for value in (None, "text", {"0": good}, 3):
        with pytest.raises(ValueError, match="v must be an array of poses, not "):
            poses_from_json(value, "v")


@pytest.mark.parametrize("version", [None, "1", 1.5, 0, -1, True])
def test_invalid_version_is_refused(version):
    with pytest.raises(ValueError, match="v: version must be a whole number from 1"):
        check_version({"version": version}, 1, "v")


def test_versions_up_to_the_newest_pass_and_newer_ones_are_refused():
    check_version({"version": 1}, 2, "v")
    check_version({"version": 2}, 2, "v")
    with pytest.raises(ValueError, match="v: version 3 is newer than 2"):
        check_version({"version": 3}, 2, "v")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "cannot be read as JSON"), (b"\xff\xfe\xfa", "cannot be read as JSON"), (b"[1]", r"holds \[1\]")],
)
def test_file_without_a_json_object_is_refused_with_its_name(tmp_path, content, message):
    (tmp_path / "views.json").write_bytes(content)
    with pytest.raises(ValueError, match=f"views.json: {message}"):
        read_json_object(tmp_path / "views.json")


def test_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json_object(tmp_path / "a.json") == {"a": 1}
