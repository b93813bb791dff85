"""Normals from depth: exact on planes, close on spheres, and nothing in the background."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from stag4d.geometry import PROJECTIONS, OrbitPose, intrinsics
from stag4d.rendering import encode_normals, normals_from_depth, render
from stag4d.scene import Gaussians, logit
from stag4d.types import Cameras

SIZE = 64
KS = intrinsics([50.0], SIZE, SIZE)


def rays() -> torch.Tensor:
    """Return the rays [S, S, 3] of the pixel centers, with z = 1."""
    centers = torch.arange(SIZE) + 0.5
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    return torch.stack(
        [(x - KS[0, 0, 2]) / KS[0, 0, 0], (y - KS[0, 1, 2]) / KS[0, 1, 1], torch.ones_like(x)], dim=-1
    )


@pytest.mark.parametrize("normal", [(0.0, 0.0, -1.0), (0.5, 0.0, -1.0), (0.0, -0.7, -1.0), (-0.4, 0.3, -0.6)])
def test_normals_of_a_plane_are_exact_up_to_the_edge_of_the_image(normal):
    normal = torch.nn.functional.normalize(torch.tensor(normal), dim=0)
    depths = (2 * normal[2] / (rays() @ normal))[None]  # of the plane through (0, 0, 2)
    found = normals_from_depth(depths, torch.ones_like(depths), KS)
    torch.testing.assert_close(found, normal.expand_as(found), atol=2e-3, rtol=0)


@pytest.mark.parametrize("normal", [(0.0, 0.0, -1.0), (0.5, 0.0, -1.0), (-0.4, 0.3, -0.6)])
def test_normals_of_a_plane_are_exact_with_parallel_rays(normal):
    """Off-center, fx unlike fy, not square."""
    normal = torch.nn.functional.normalize(torch.tensor(normal), dim=0)
    K = torch.tensor([[[30.0, 0.0, 20.0], [0.0, 25.0, 33.0], [0.0, 0.0, 1.0]]])
    y, x = torch.meshgrid(
        (torch.arange(40) + 0.5 - 33) / 25, (torch.arange(56) + 0.5 - 20) / 30, indexing="ij"
    )
    depths = (2 - (normal[0] * x + normal[1] * y) / normal[2])[None]  # of the plane through (0, 0, 2)
    found = normals_from_depth(depths, torch.ones_like(depths), K, "ortho")
    torch.testing.assert_close(found, normal.expand_as(found), atol=1e-4, rtol=0)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_normals_do_not_depend_on_the_unit_of_length(unit):
    normal = torch.nn.functional.normalize(torch.tensor([0.3, -0.2, -1.0]), dim=0)
    depths = unit * (2 * normal[2] / (rays() @ normal))[None]
    found = normals_from_depth(depths, torch.ones_like(depths), KS)
    torch.testing.assert_close(found, normal.expand_as(found), atol=2e-3, rtol=0)


def test_normals_of_a_sphere_point_from_its_center():
    directions, center, radius = rays(), torch.tensor([0.1, -0.05, 2.0]), 0.6
    a, b = directions.square().sum(dim=-1), directions @ center
    discriminant = b.square() - a * (center.square().sum() - radius**2)
    hit = discriminant > 0
    depths = torch.where(hit, (b - discriminant.clamp_min(0).sqrt()) / a, 0.0)
    truth = (directions * depths[..., None] - center) / radius
    found = normals_from_depth(depths[None], hit[None].float(), KS)[0]
    inner = hit & (truth[..., 2] < -0.7)  # steeper surfaces change within a pixel
    assert inner.sum() > 200
    assert (found * truth).sum(dim=-1)[inner].min() > math.cos(math.radians(6))
    assert (found[~hit] == 0).all()


def test_background_next_to_a_surface_does_not_bend_its_normals():
    depths = torch.full((1, SIZE, SIZE), 2.0)
    alphas = torch.ones_like(depths)
    depths[:, :, SIZE // 2 :] = 0
    alphas[:, :, SIZE // 2 :] = 0.5
    found = normals_from_depth(depths, alphas, KS)
    toward = torch.tensor([0.0, 0.0, -1.0])
    left = found[:, :, : SIZE // 2]
    torch.testing.assert_close(left, toward.expand_as(left))
    assert (found[:, :, SIZE // 2 :] == 0).all()


def test_lone_pixels_have_no_normal():
    depths, alphas = torch.full((1, SIZE, SIZE), 2.0), torch.zeros(1, SIZE, SIZE)
    alphas[0, 10, 10] = 1
    assert (normals_from_depth(depths, alphas, KS) == 0).all()
    assert (normals_from_depth(depths[:, :1, :1], torch.ones(1, 1, 1), KS) == 0).all()


def test_colors_are_those_of_opengl_normal_maps_and_black_without_a_normal():
    normals = torch.tensor([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[0.5, 0.5, 1.0], [1.0, 0.5, 0.5], [0.5, 1.0, 0.5], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(encode_normals(normals), expected)


def wall_of_gaussians() -> Gaussians:
    """Return the plane z = 0, made of flat Gaussians."""
    line = torch.linspace(-0.8, 0.8, 41)
    y, x = torch.meshgrid(line, line, indexing="ij")
    count = x.numel()
    return Gaussians(
        means=torch.stack([x.flatten(), y.flatten(), torch.zeros(count)], dim=-1),
        log_scales=torch.tensor([0.04, 0.04, 0.002]).log().expand(count, 3),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(count, 4),
        logit_opacities=logit(torch.full((count,), 0.9)),
        sh0=torch.zeros(count, 1, 3),
    )


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize(("azimuth", "elevation"), [(0.0, 0.0), (40.0, 0.0), (0.0, -35.0)])
def test_rendered_wall_has_the_normal_of_its_plane(azimuth, elevation, projection):
    cameras = Cameras.from_poses([OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)], SIZE, SIZE)
    if projection == "ortho":
        Ks = cameras.Ks * torch.tensor([0.5, 0.5, 1.0])[:, None]  # as large as from the distance 2
        Ks[:, :2, 2] = SIZE / 2
        cameras = replace(cameras, Ks=Ks, projection="ortho")
    output = render(wall_of_gaussians(), cameras, with_depth=True)
    found = normals_from_depth(output.depths, output.alphas, cameras.Ks, cameras.projection)
    expected = cameras.viewmats[0, :3, 2]  # +z of the world in camera axes
    middle = found[0, 24:40, 24:40].reshape(-1, 3)
    assert (middle @ expected).min() > math.cos(math.radians(3))
