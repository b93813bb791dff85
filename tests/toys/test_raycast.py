"""Renders of known solids: positions, occlusion, depths, pixel coverage, patterns."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import DEFAULT_FOVY_DEG, OrbitPose, orbit_viewmats
from stag4d.toys import raycast
from stag4d.toys.materials import Material
from stag4d.toys.skeleton import Swing
from stag4d.types import Cameras

RED, GREEN, BLUE = Material((1.0, 0.0, 0.0)), Material((0.0, 1.0, 0.0)), Material((0.0, 0.0, 1.0))


def cameras(*azimuths: float, size: int = 33, elevation: float = 0.0) -> Cameras:
    poses = [OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation) for azimuth in azimuths]
    return Cameras.from_poses(poses, size, size)


def position_of(images: torch.Tensor, alphas: torch.Tensor, channel: int) -> tuple[float, float]:
    """Return the mean row and column of the pixels of one pure color, from -1 (top, left) to 1."""
    color = torch.eye(3)[channel]
    rows, columns = ((images - color).abs().amax(-1) + (1 - alphas) < 0.5).nonzero(as_tuple=True)
    half = images.shape[0] / 2
    return ((rows + 0.5).mean().item() / half - 1, (columns + 0.5).mean().item() / half - 1)


def test_features_appear_at_the_columns_of_their_azimuth(one_joint):
    one_joint.builder.ball(0, (0.5, 0, 0), 0.15, RED)
    one_joint.builder.ball(0, (0, 0.5, 0), 0.15, GREEN)
    images, alphas, _ = raycast(one_joint.toy(), 0.0, cameras(0, 90, 180, 270))
    columns = [position_of(images[view], alphas[view], 0)[1] for view in range(4)]
    at_side = 0.5 / (2 * math.tan(math.radians(DEFAULT_FOVY_DEG / 2)))  # in half frames
    assert columns == pytest.approx([at_side, 0, -at_side, 0], abs=0.03)
    for view in range(4):
        assert position_of(images[view], alphas[view], 1) == pytest.approx((-at_side, 0), abs=0.03)


def test_camera_above_sees_the_top(one_joint):
    one_joint.builder.ball(0, (0, 0.3, 0), 0.3, RED)
    one_joint.builder.ball(0, (0, -0.3, 0), 0.3, BLUE)
    counts = []
    for elevation in (-60.0, 60.0):
        images, alphas, _ = raycast(one_joint.toy(), 0.0, cameras(20, elevation=elevation))
        counts.append([(images[..., channel] * alphas).sum().item() for channel in (0, 2)])
    (red_below, blue_below), (red_above, blue_above) = counts
    assert red_above > 1.5 * blue_above and blue_below > 1.5 * red_below


def test_depth_is_camera_z_of_the_nearest_surface(one_joint):
    one_joint.builder.ball(0, (0, 0, 0), 0.25, RED)
    one_joint.builder.box(0, (0.45, 0, 0), (0.15, 0.6, 0.5), GREEN)
    images, alphas, depths = raycast(one_joint.toy(), 0.0, cameras(0), supersample=1)
    assert depths[0, 16, 16].item() == pytest.approx(1.75, abs=1e-4)  # the ball's front, on the axis
    # the box's front face is a plane of constant camera z, however far from the axis the pixel is
    front = depths[0][(images[0, :, :, 1] == 1) & (alphas[0] == 1) & (depths[0] < 1.51)]
    assert len(front) > 50
    torch.testing.assert_close(front, torch.full_like(front, 1.5), atol=1e-4, rtol=0)
    assert (depths[alphas == 0] == 0).all()


def test_edge_through_a_pixel_has_fractional_alpha_and_straight_color(one_joint):
    size, depth = 8, 1.5
    focal = size / 2 / math.tan(math.radians(DEFAULT_FOVY_DEG / 2))
    half_width = 1.5 * depth / focal  # the edge falls in the middle of the second pixel right of the center
    one_joint.builder.box(0, (0, 0, 0), (half_width, 3.0, 0.5), RED)
    images, alphas, depths = raycast(one_joint.toy(), 0.0, cameras(0, size=size), supersample=2)
    row = alphas[0, 4]
    assert row.tolist() == [0, 0, 0.5, 1, 1, 0.5, 0, 0]
    assert images[0, 4, 2:6].tolist() == [[1, 0, 0]] * 4  # straight color: not mixed with the background
    assert images[0, 4, 0].tolist() == [1, 1, 1]
    assert depths[0, 4, 2:6].tolist() == pytest.approx([1.5] * 4, abs=1e-4)


def test_rotating_the_toy_equals_rotating_the_camera_backwards(one_joint):
    """So patterns move with their solids."""
    checks = Material((1.0, 0.2, 0.0), (0.0, 0.1, 0.6), "checks", cell=0.31, phase=0.13)
    stripes = Material(
        (0.9, 0.9, 0.0), (0.3, 0.0, 0.4), "stripes", axis=(0.0, 0.6, 0.8), cell=0.23, phase=0.4
    )
    one_joint.builder.ellipsoid(0, (0.1, 0, 0.1), (0.4, 0.3, 0.5), checks, (10, 20, 30))
    one_joint.builder.limb(0, (0, 0, 0), (0.3, 0.5, 0.2), (0.2, 0.12), stripes)
    toy = one_joint.toy([Swing((0.0, 1.0, 0.0), spin_deg=80.0)])
    turned, turned_alphas, _ = raycast(toy, 0.5, cameras(0, size=48), 1)
    circled, circled_alphas, _ = raycast(toy, 0.0, cameras(-40, size=48), 1)
    still, _, _ = raycast(toy, 0.0, cameras(0, size=48), 1)
    same = ((turned - circled).abs().amax(-1) < 1e-3) & (turned_alphas == circled_alphas)
    assert same.float().mean() > 0.995  # a ray along an edge may fall on either side
    assert ((turned - still).abs().amax(-1) > 0.1).float().mean() > 0.05


# A flat face at z = 0.05 cuts the lattice of spots (cell 0.2, radius 0.36 of a cell, centers at z = 0.1) at
# 0.25 of a cell from their centers: circles of radius^2 0.36^2 - 0.25^2 cells.
SPOT_SHARE = math.pi * (0.36**2 - 0.25**2)


@pytest.mark.parametrize(
    ("pattern", "share"),
    [("flat", 0), ("stripes", 0.5), ("checks", 0.5), ("two_tone", 0.5), ("spots", SPOT_SHARE)],
)
def test_every_pattern_covers_its_fraction_of_a_face(one_joint, pattern, share):
    material = Material((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), pattern, axis=(1.0, 0.0, 0.0), cell=0.2, phase=0.0)
    one_joint.builder.box(0, (0, 0, 0), (4.0, 4.0, 0.05), material)
    images, _, _ = raycast(one_joint.toy(), 0.0, cameras(0, size=64))
    assert images[..., 2].mean().item() == pytest.approx(share, abs=0.03)


def test_batched_cameras_equal_single_cameras(toys):
    toy = toys["quadruped"]
    together = raycast(toy, 0.3, cameras(0, 100, 230, size=24))
    for view, azimuth in enumerate((0, 100, 230)):
        for both, alone in zip(together, raycast(toy, 0.3, cameras(azimuth, size=24)), strict=True):
            close = (both[view] - alone[0]).abs() < 1e-3
            assert close.float().mean() > 0.995


def test_orthographic_ball_is_an_ellipse_at_its_projected_center(one_joint, odd_cameras):
    """Its half axes are fx and fy times the radius, wherever it is; alpha is the share of the rays inside."""
    center, radius, samples = torch.tensor([0.3, -0.2, 0.25]), 0.4, 4
    one_joint.builder.ball(0, tuple(center.tolist()), radius, RED)
    cameras = odd_cameras["ortho"]
    images, alphas, depths = raycast(one_joint.toy(), 0.0, cameras, supersample=samples)
    ys, xs = (((torch.arange(side * samples) + 0.5) / samples).double() for side in (45, 60))
    for view in range(2):
        x, y, z = (cameras.viewmats[view, :3, :3] @ center + cameras.viewmats[view, :3, 3]).tolist()
        across, down = (xs - 33.0) / 35.0 - x, (ys - 20.5) / 31.0 - y  # world units from the center
        squares = down[:, None] ** 2 + across**2
        inside = squares < radius**2
        expected = inside.double().reshape(45, samples, 60, samples).mean(dim=(1, 3)).float()
        torch.testing.assert_close(alphas[view], expected, rtol=0, atol=0)
        heights = torch.where(inside, z - (radius**2 - squares).clamp_min(0).sqrt(), 0.0)
        hits = inside.double().reshape(45, samples, 60, samples).sum(dim=(1, 3))
        mean = heights.reshape(45, samples, 60, samples).sum(dim=(1, 3)) / hits.clamp_min(1)
        torch.testing.assert_close(depths[view], mean.float(), rtol=0, atol=1e-5)
        assert (images[view][expected > 0] == torch.tensor([1.0, 0.0, 0.0])).all()


def test_orthographic_box_has_the_size_of_its_face_at_any_distance(one_joint):
    one_joint.builder.box(0, (0.25, 0.0, 0.3), (0.25, 0.375, 0.4), RED)
    K = torch.tensor([[[16.0, 0.0, 12.0], [0.0, 16.0, 10.0], [0.0, 0.0, 1.0]]])
    expected = torch.zeros(20, 24)
    expected[4:16, 12:20] = 1  # 16 pixels per unit: x from 0 to 0.5, y from -0.375 to 0.375
    for distance in (2.0, 50.0):
        viewmat = orbit_viewmats([OrbitPose(azimuth_deg=0.0, radius=distance)])
        _, alphas, depths = raycast(one_joint.toy(), 0.0, Cameras(viewmat, K, 24, 20, "ortho"))
        torch.testing.assert_close(alphas[0], expected, rtol=0, atol=0)
        front = depths[0][expected == 1]
        torch.testing.assert_close(front, torch.full_like(front, distance - 0.7), rtol=0, atol=1e-4)


def test_errors_name_the_value(one_joint):
    one_joint.builder.ball(0, (0, 0, 0), 0.3, RED)
    toy = one_joint.toy()
    with pytest.raises(ValueError, match="supersample is 0"):
        raycast(toy, 0.0, cameras(0), supersample=0)
    with pytest.raises(ValueError, match=r"frame time is 1\.5"):
        raycast(toy, 1.5, cameras(0))
    with pytest.raises(ValueError, match="no cameras"):
        raycast(toy, 0.0, cameras(0)[:0])
