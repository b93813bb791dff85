"""Offsets of an object in the world: from those of its square, from JSON, and between frames."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import OrbitPose, check_offsets, interpolate_offsets, world_offsets
from stag4d.geometry.offsets import offsets_from_json
from stag4d.types import Cameras

CROP_OFFSETS = torch.tensor([[-0.5, 0.0], [0.25, 0.75], [1.5, -0.5]])
POSES = [
    OrbitPose(azimuth_deg=0.0),
    OrbitPose(azimuth_deg=0.0, elevation_deg=35.0, radius=3.41, fovy_deg=30.0),
    OrbitPose(azimuth_deg=50.0, elevation_deg=-20.0),
]


def test_one_side_to_the_right_or_down_is_the_width_that_the_camera_sees():
    pose = OrbitPose(azimuth_deg=0.0, elevation_deg=30.0, radius=2.0, fovy_deg=90.0)  # 4 wide
    offsets = world_offsets(torch.eye(2), pose)
    half, rest = math.sin(math.radians(30)), math.cos(math.radians(30))
    torch.testing.assert_close(offsets, torch.tensor([[4.0, 0.0, 0.0], [0.0, -4 * rest, 4 * half]]))


@pytest.mark.parametrize("pose", POSES)
def test_an_offset_of_the_origin_projects_to_that_of_the_square(pose):
    size = 200
    camera = Cameras.from_poses([pose], size, size)
    points = torch.cat([world_offsets(CROP_OFFSETS, pose), torch.ones(3, 1)], dim=1)  # [3, 4]
    projected = (points @ camera.viewmats[0].T)[:, :3] @ camera.Ks[0].T
    pixels = projected[:, :2] / projected[:, 2:]
    torch.testing.assert_close(pixels, size / 2 + size * CROP_OFFSETS, rtol=0, atol=1e-3)


def test_offsets_are_linear_between_frames():
    offsets = torch.tensor([[0.0, 1.0, 2.0], [4.0, 1.0, 0.0], [4.0, 3.0, 0.0]])
    times = torch.tensor([0.0, 0.125, 0.5, 0.75, 1.0])
    expected = [[0, 1, 2], [1, 1, 1.5], [4, 1, 0], [4, 2, 0], [4, 3, 0]]
    torch.testing.assert_close(interpolate_offsets(offsets, times), torch.tensor(expected))
    torch.testing.assert_close(interpolate_offsets(offsets[:1], torch.zeros(2)), offsets[:1].expand(2, 3))


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (torch.zeros(4, 3), "scene: 4 offsets for 3 frames; expected one per frame"),
        (torch.zeros(3, 2), r"offsets have shape \[3, 2\]; expected \[3, 3\]"),
        (torch.zeros(3), r"offsets have shape \[3\]; expected \[3, 3\]"),
        (torch.full((3, 3), math.nan), "offsets are not finite"),
        (torch.full((3, 3), -2e6), r"offsets up to 2e\+06; expected at most 1e\+06"),
    ],
)
def test_other_offsets_are_refused(offsets, message):
    with pytest.raises(ValueError, match=message):
        check_offsets(offsets, 3, "scene")


def test_offsets_of_a_crop_have_two_numbers():
    with pytest.raises(ValueError, match=r"crop offsets: shape \[2, 3\]; expected \[F, 2\]"):
        world_offsets(torch.zeros(2, 3), POSES[0])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", r"offsets must be an array of \[x, y, z\], not \"text\""),
        ({}, r"offsets must be an array of \[x, y, z\]"),
        ([[0, 0, 0]], "offsets has 1 entries; expected 2, one per frame"),
        ([[0, 0, 0], [0, 0]], r"offsets\[1\] must be \[x, y, z\], not \[0, 0\]"),
        ([[0, 0, 0], 5], r"offsets\[1\] must be \[x, y, z\], not 5"),
        ([[0, 0, "x"], [0, 0, 0]], r"offsets\[0\] must be a finite number"),
        ([[0, 0, 1e400], [0, 0, 0]], r"offsets\[0\] must be a finite number"),
        ([[0, 0, 0], [0, -2e6, 0]], r"offsets\[1\] is .*; expected at most 1e\+06"),
    ],
)
def test_other_json_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        offsets_from_json(value, 2, "offsets")
