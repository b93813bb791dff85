"""Initialization from given points and in a ball; test_visual_hull.py has the visual hull."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.scene import gaussians_from_points, random_ball


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_scales_are_the_rms_distance_to_three_neighbors(generator):
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [7, 0, 0], [7, 2, 0]])
    start = gaussians_from_points(points, torch.full((5, 3), 0.5), generator, max_scale=100.0)
    squares = [  # of the three nearest, by hand
        1 + 9 + 49,
        1 + 4 + 36,
        4 + 9 + 16,
        4 + 16 + 36,
        4 + 20 + 40,
    ]
    expected = torch.tensor(squares).div(3).sqrt()
    torch.testing.assert_close(start.scales, expected[:, None].expand(5, 3))


def test_blockwise_neighbors_equal_the_full_distance_matrix(generator):
    points = torch.rand(2500, 3, generator=generator)
    start = gaussians_from_points(points, points, generator)
    some = torch.tensor([0, 1, 1023, 1024, 2047, 2048, 2499])  # on both sides of the blocks' borders
    table = (points[some, None].double() - points[None].double()).square().sum(-1).sort(dim=1).values
    expected = table[:, 1:4].mean(dim=1).sqrt().float()
    torch.testing.assert_close(start.scales[some, 0], expected, rtol=1e-3, atol=0)


def test_scales_are_clamped(generator):
    points = torch.zeros(5, 3)
    points[4] = 10.0  # the other four coincide
    scales = gaussians_from_points(points, torch.full((5, 3), 0.5), generator, max_scale=0.07).scales
    torch.testing.assert_close(scales[:, 0], torch.tensor([1e-4, 1e-4, 1e-4, 1e-4, 0.07]))


@pytest.mark.parametrize("count", [1, 3])
def test_fewer_than_four_points_have_a_fixed_scale(generator, count):
    start = gaussians_from_points(torch.eye(3)[:count], torch.zeros(count, 3), generator)
    torch.testing.assert_close(start.scales, torch.full((count, 3), 0.05))


def test_points_colors_and_opacity_are_kept(generator):
    points, colors = torch.eye(3) * 0.3, torch.tensor([[0.0, 0.5, 1.0], [0.2, 0.3, 0.4], [1.0, 1.0, 1.0]])
    start = gaussians_from_points(points, colors, generator, opacity=0.25)
    assert torch.equal(start.means, points)
    assert start.means.data_ptr() != points.data_ptr()
    torch.testing.assert_close(start.colors, colors)
    torch.testing.assert_close(start.logit_opacities, torch.full((3,), -math.log(3)))
    torch.testing.assert_close(start.quats.norm(dim=1), torch.ones(3))
    assert not torch.equal(start.quats[0], start.quats[1])
    assert not any(value.requires_grad for value in start.as_dict().values())


def test_missing_and_non_finite_points_are_refused(generator):
    for points in (torch.zeros(0, 3), torch.tensor([[0.0, float("nan"), 0.0]])):
        with pytest.raises(
            ValueError, match=rf"start: {len(points)} points, {len(points)} of them not finite; expected at"
        ):
            gaussians_from_points(points, torch.zeros(len(points), 3), generator)


def test_ball_is_uniform(generator):
    count, radius = 4000, 0.5
    ball = random_ball(count, radius, generator)
    radii = ball.means.norm(dim=1)
    assert radii.max() <= radius * 1.000001
    # The share of volume within a point's radius is uniform in 0..1: Kolmogorov-Smirnov at the 0.1 % level.
    shares = (radii / radius).pow(3).sort().values
    steps = torch.arange(count + 1) / count
    distance = torch.maximum((shares - steps[:-1]).abs(), (shares - steps[1:]).abs()).max()
    assert distance < 1.95 / math.sqrt(count)
    directions = ball.means / radii[:, None]
    assert directions.mean(dim=0).abs().max() < 4 / math.sqrt(3 * count)
    torch.testing.assert_close(directions.T @ directions / count, torch.eye(3) / 3, atol=0.02, rtol=0)


def test_ball_is_gray_at_the_official_opacity(generator):
    ball = random_ball(50, 0.5, generator)
    torch.testing.assert_close(ball.opacities, torch.full((50,), 0.1))
    torch.testing.assert_close(ball.colors, torch.full((50, 3), 0.5))


def test_same_seed_gives_same_ball():
    first, second, other = (random_ball(9, 1.0, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.means, second.means)
    assert torch.equal(first.quats, second.quats)
    assert not torch.equal(first.means, other.means)
