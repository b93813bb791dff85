"""Regularizers by hand, on small planes and Gaussians."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stag4d.optimization import RegularizerWeights
from stag4d.optimization.regularizers import (
    depth_roughness,
    field_regularization,
    gaussian_regularization,
    novel_view_regularization,
    share_of_smoothness,
)
from stag4d.scene import Gaussians, HexPlane
from stag4d.types import RenderOutput

TIMES, WIDTH, LEVELS = 5, 4, 2


@pytest.fixture
def make_field() -> Callable[[Callable[[Tensor, Tensor], Tensor]], HexPlane]:
    """A function that fills every plane with f(row, column); rows of time planes are times."""

    def make(function: Callable[[Tensor, Tensor], Tensor], times: int = TIMES) -> HexPlane:
        field = HexPlane((WIDTH,) * LEVELS, times, 3, torch.Generator())
        for plane in (*field.spatial_planes, *field.time_planes):
            rows, columns = (torch.arange(float(count)) for count in plane.shape[2:])
            plane.data[:] = function(rows[:, None], columns[None, :])
        return field

    return make


def penalties(field: HexPlane) -> dict[str, float]:
    weights = RegularizerWeights(time_smoothness=5.0, space_smoothness=0.5, time_deviation=0.25)
    return {name: value.item() for name, value in field_regularization(field, weights).items()}


def test_ramps_are_perfectly_smooth(make_field):
    found = penalties(make_field(lambda rows, columns: 0.5 * rows - 3 * columns + 1))
    assert found["time_smoothness"] == pytest.approx(0, abs=1e-9)
    assert found["space_smoothness"] == pytest.approx(0, abs=1e-9)


def test_a_square_bends_by_two_along_its_axis(make_field):
    # second difference 2 everywhere, squared 4, in 3 planes of each level; weights 5 and 0.5
    along_rows = penalties(make_field(lambda rows, columns: rows**2 + 0 * columns))
    assert along_rows["time_smoothness"] == pytest.approx(5 * 4 * 3 * LEVELS)
    assert along_rows["space_smoothness"] == pytest.approx(0.5 * 4 * 3 * LEVELS)
    along_columns = penalties(make_field(lambda rows, columns: columns**2 + 0 * rows))
    assert along_columns["time_smoothness"] == pytest.approx(0)  # columns of time planes are places
    assert along_columns["space_smoothness"] == pytest.approx(0.5 * 4 * 3 * LEVELS)


def test_time_planes_deviate_from_one_where_things_move(make_field):
    assert penalties(make_field(lambda rows, columns: 1 + 0 * rows * columns))["time_deviation"] == 0
    alternating = make_field(lambda rows, columns: 1 + 0.5 * (-1) ** (rows + columns))
    assert penalties(alternating)["time_deviation"] == pytest.approx(0.25 * 0.5 * 3 * LEVELS)


def test_two_times_cannot_bend(make_field):
    assert penalties(make_field(lambda rows, columns: 9 * rows * columns, times=2))["time_smoothness"] == 0


def of_scales(*scales: tuple[float, float, float]) -> Gaussians:
    count = len(scales)
    return Gaussians(
        means=torch.zeros(count, 3),
        log_scales=torch.tensor(scales).log().requires_grad_(),
        quats=torch.ones(count, 4),
        logit_opacities=torch.zeros(count),
        sh0=torch.zeros(count, 1, 3),
    )


def test_the_ratio_is_of_scales_not_of_their_logarithms():
    gaussians = of_scales((0.1, 0.05, 0.01), (0.07, 0.01, 0.02), (0.3, 0.3, 0.01))  # ratios 10, 7, 30
    weights = RegularizerWeights(scale_ratio=2.0, max_scale_ratio=7.5)
    found = gaussian_regularization(gaussians, weights)["scale_ratio"]
    assert found.item() == pytest.approx(2 * (2.5 + 0 + 22.5) / 3)
    found.backward()
    # d ratio / d log longest = ratio: the longest shrink, the shortest grow, what is round enough stays
    share = 2 / 3
    expected = [[share * 10, 0, -share * 10], [0, 0, 0], [share * 15, share * 15, -share * 30]]
    torch.testing.assert_close(gaussians.log_scales.grad, torch.tensor(expected))


def test_the_scale_cap_sums_the_excess_of_standard_deviations():
    gaussians = of_scales((0.1, 0.01, 0.05), (0.04, 0.02, 0.03))
    found = gaussian_regularization(gaussians, RegularizerWeights(scale_cap=3.0, max_scale=0.04))
    assert found["scale_cap"].item() == pytest.approx(3 * (0.06 + 0.01) / 2, rel=1e-5)


def test_a_zero_weight_switches_a_term_off(make_field):
    weights = RegularizerWeights()
    assert gaussian_regularization(of_scales((1.0, 1e-4, 1.0)), weights) == {}
    assert field_regularization(make_field(lambda rows, columns: rows**3 + columns**3), weights) == {}


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="no weight may be negative"):
        RegularizerWeights(scale_cap=-math.pi)


def test_a_tilted_plane_has_no_rough_depth():
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(5.0), indexing="ij")
    depths = (2 + 0.3 * rows - 0.1 * columns)[None]
    assert depth_roughness(depths, torch.ones_like(depths)).item() == pytest.approx(0, abs=1e-6)


def test_a_bend_counts_and_an_edge_counts_no_more_than_its_limit():
    depths = torch.full((1, 3, 3), 2.0)
    depths[0, 1, 1] += 0.01  # bends the middle row and the middle column by 0.02 each
    assert depth_roughness(depths, torch.ones_like(depths)).item() == pytest.approx(2 * 0.02 / 9, rel=1e-4)
    depths[0, 1, 1] += 5
    assert depth_roughness(depths, torch.ones_like(depths)).item() == pytest.approx(2 * 0.05 / 9)


def test_depth_counts_only_where_three_neighbors_are_covered():
    depths = torch.full((1, 3, 3), 2.0)
    depths[0, 1, 1] += 0.01
    alphas = torch.ones(1, 3, 3)
    alphas[0, 1, 0] = 0.4  # spoils the row, and not the column
    assert depth_roughness(depths, alphas).item() == pytest.approx(0.02 / 9, rel=1e-4)


def test_the_gradient_smooths_and_leaves_edges_alone():
    depths = torch.full((1, 3, 3), 2.0)
    depths[0, 1, 1] += 0.01
    depths.requires_grad_(True)
    depth_roughness(depths, torch.ones(1, 3, 3)).backward()
    assert depths.grad[0, 1, 1] > 0
    steep = torch.tensor([[[2.0, 2.0, 3.0]] * 3], requires_grad=True)
    depth_roughness(steep, torch.ones(1, 3, 3)).backward()
    assert not steep.grad.any()


def test_novel_view_terms_are_those_with_a_weight():
    alphas = torch.full((1, 3, 3), 0.75)
    depths = torch.full((1, 3, 3), 2.0)
    depths[0, 1, 1] += 0.01
    output = RenderOutput(torch.ones(1, 3, 3, 3), alphas, depths)
    weights = RegularizerWeights(silhouette_area=0.1, depth_roughness=3.0)
    found = {name: value.item() for name, value in novel_view_regularization(output, weights).items()}
    assert found == pytest.approx({"silhouette_area": 0.075, "depth_roughness": 3 * 0.04 / 9}, rel=1e-4)
    assert novel_view_regularization(output, RegularizerWeights()) == {}
    assert RegularizerWeights(depth_roughness=1.0).need_novel_views
    assert not RegularizerWeights(time_smoothness=1.0).need_novel_views


@pytest.mark.parametrize(
    ("motion", "share"), [((0.0, 0.0), 1.0), ((0.1, 0.2), 1.0), ((0.2, 0.25), 0.5), ((0.1, 0.9), 0.0)]
)
def test_time_smoothness_falls_from_calm_motion_to_none_at_twice_of_it(motion, share):
    assert share_of_smoothness(torch.tensor(motion), calm_motion=0.15) == pytest.approx(share)


def test_time_smoothness_is_whole_for_one_sample_of_time():
    assert share_of_smoothness(torch.empty(0), calm_motion=0.15) == 1.0
