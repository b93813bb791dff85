"""STAG4DCameraPath: positions by hand, in the world where +z is the input camera's side and +y is up."""

import importlib
import math

import pytest
import torch

DEFAULTS = {"width": 64, "height": 32, "fovy": 49.1, "radius": 2.0}


@pytest.fixture(scope="module")
def make_path(pack):
    node = importlib.import_module(f"{pack.__name__}.nodes.camera_path").STAG4DCameraPath

    def make(num_cameras, **mode):
        (cameras,) = node.execute(num_cameras=num_cameras, mode=mode, **DEFAULTS).args
        return cameras

    return make


def test_a_turntable_of_four_stands_in_front_right_behind_and_left(make_path):
    cameras = make_path(4, mode="turntable", elevation=0.0, azimuth_start=0.0, turns=1.0)
    expected = torch.tensor([[0.0, 0, 2], [2, 0, 0], [0, 0, -2], [-2, 0, 0]])
    torch.testing.assert_close(cameras.centers, expected, atol=1e-5, rtol=0)


def test_negative_turns_go_the_other_way(make_path):
    cameras = make_path(4, mode="turntable", elevation=0.0, azimuth_start=0.0, turns=-1.0)
    torch.testing.assert_close(cameras.centers[1], torch.tensor([-2.0, 0, 0]), atol=1e-5, rtol=0)


def test_an_orbit_includes_both_ends(make_path):
    cameras = make_path(
        3, mode="orbit", azimuth_start=0.0, azimuth_end=90.0, elevation_start=0.0, elevation_end=60.0
    )
    half = math.radians(45)
    lift = math.radians(30)
    middle = [2 * math.cos(lift) * math.sin(half), 2 * math.sin(lift), 2 * math.cos(lift) * math.cos(half)]
    expected = torch.tensor([[0.0, 0, 2], middle, [1.0, math.sqrt(3), 0]])
    torch.testing.assert_close(cameras.centers, expected, atol=1e-5, rtol=0)


def test_a_single_camera_is_at_the_start_of_an_orbit(make_path):
    cameras = make_path(
        1, mode="orbit", azimuth_start=90.0, azimuth_end=180.0, elevation_start=0.0, elevation_end=0.0
    )
    torch.testing.assert_close(cameras.centers, torch.tensor([[2.0, 0, 0]]), atol=1e-5, rtol=0)


def test_size_and_lens_reach_the_cameras(make_path):
    cameras = make_path(2, mode="turntable", elevation=0.0, azimuth_start=0.0, turns=1.0)
    focal = 16 / math.tan(math.radians(49.1) / 2)  # half the height over the half angle's tangent
    expected = torch.tensor([[focal, 0, 32], [0, focal, 16], [0, 0, 1]])
    assert (cameras.width, cameras.height) == (64, 32)
    torch.testing.assert_close(cameras.Ks, expected.expand(2, 3, 3))
