"""HexPlane features against a naive twin that samples one point in one plane at a time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stag4d.scene import HexPlane
from stag4d.scene.hexplane import _Product

AXES = ((0, 1), (0, 2), (1, 2))  # of the spatial planes: columns, rows


def random_planes(resolutions=(3, 6), time_resolution=4, channels=2) -> HexPlane:
    """Return planes of random values, those of time included."""
    generator = torch.Generator().manual_seed(0)
    planes = HexPlane(resolutions, time_resolution, channels, generator)
    for parameter in planes.parameters():
        parameter.data.uniform_(0.5, 1.5, generator=generator)
    return planes


def twin_lookup(plane: Tensor, column: float, row: float) -> Tensor:
    """Interpolate [C, H, W] bilinearly; coordinates -1 and 1 are the outermost samples."""
    corners = []
    for coordinate, count in ((row, plane.shape[1]), (column, plane.shape[2])):
        place = (min(max(coordinate, -1.0), 1.0) + 1) / 2 * (count - 1)
        low = min(math.floor(place), max(count - 2, 0))
        corners.append(((low, 1 - (place - low)), (min(low + 1, count - 1), place - low)))
    rows, columns = corners
    return sum(plane[:, i][:, j] * (wi * wj) for i, wi in rows for j, wj in columns)


def twin(planes: HexPlane, point: list[float], time: float) -> Tensor:
    """Return the features [L * C] of one point at one time."""
    features = []
    for spatial, temporal in zip(planes.spatial_planes, planes.time_planes, strict=True):
        product = torch.ones(spatial.shape[1])
        for index in range(3):
            column, row = AXES[index]
            product = product * twin_lookup(spatial[index], point[column], point[row])
            product = product * twin_lookup(temporal[index], point[index], time)
        features.append(product)
    return torch.cat(features)


@pytest.mark.parametrize("time_resolution", [1, 2, 4])
def test_features_equal_the_naive_twin(time_resolution):
    planes = random_planes(time_resolution=time_resolution)
    points = torch.rand(12, 3, generator=torch.Generator().manual_seed(1)) * 2.6 - 1.3  # some lie outside
    times = torch.tensor([-1.0, -0.2, 0.0, 0.77, 1.0])
    with torch.no_grad():
        features = planes(points, times)
        expected = torch.stack(
            [torch.stack([twin(planes, point, time) for point in points.tolist()]) for time in times.tolist()]
        )
    assert features.shape == (5, 12, planes.num_features) == (5, 12, 4)
    torch.testing.assert_close(features, expected)


def test_spatial_plane_samples_lie_at_their_row_and_column():
    for index, (column, row) in enumerate(AXES):
        planes = HexPlane((2,), 1, 1, torch.Generator())
        planes.spatial_planes[0].data.fill_(1.0)
        planes.spatial_planes[0].data[index, 0, 1, 0] = 5.0  # second row, first column
        point = torch.zeros(1, 3)
        point[0, row], point[0, column] = 1.0, -1.0
        swapped = -point
        assert planes(point, torch.zeros(1)).item() == 5.0
        assert planes(swapped, torch.zeros(1)).item() == 1.0


def test_time_is_interpolated_linearly_from_first_to_last_sample():
    planes = HexPlane((2,), 3, 1, torch.Generator())
    planes.spatial_planes[0].data.fill_(1.0)
    planes.time_planes[0].data[0, 0] = torch.tensor([2.0, 4.0, 8.0])[:, None]  # [K, R], x over time
    times = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    features = planes(torch.tensor([[0.3, -0.2, 0.9]]), times)[:, 0, 0]
    torch.testing.assert_close(features, torch.tensor([2.0, 3.0, 4.0, 6.0, 8.0]))


def test_times_and_points_outside_take_border_values():
    planes = random_planes()
    far, border = torch.tensor([[-7.0, 3.0, 0.1]]), torch.tensor([[-1.0, 1.0, 0.1]])
    assert torch.equal(planes(far, torch.tensor([-2.0, 5.0])), planes(border, torch.tensor([-1.0, 1.0])))


def test_new_planes_have_the_same_features_at_all_times():
    planes = HexPlane((4, 8), 5, 3, torch.Generator().manual_seed(2))
    for plane in planes.spatial_planes:
        assert 0.1 <= plane.min() < 0.15 < 0.45 < plane.max() <= 0.5
    features = planes(torch.rand(9, 3, generator=torch.Generator().manual_seed(3)), torch.linspace(-1, 1, 7))
    torch.testing.assert_close(features, features[:1].expand(7, -1, -1))


def test_gradients_agree_with_finite_differences():
    planes = random_planes(resolutions=(3,)).double()
    points = (
        torch.rand(4, 3, generator=torch.Generator().manual_seed(3)).double() * 1.6 - 0.8
    ).requires_grad_()
    times = torch.tensor([-0.9, 0.1, 0.6]).double()
    spatial, temporal = planes.spatial_planes[0], planes.time_planes[0]

    def features(points: Tensor, spatial: Tensor, temporal: Tensor) -> Tensor:
        given = {"spatial_planes.0": spatial, "time_planes.0": temporal}
        return torch.func.functional_call(planes, given, (points, times))

    assert torch.autograd.gradcheck(features, (points, spatial, temporal))


def test_zero_points_give_an_empty_batch():
    assert random_planes()(torch.zeros(0, 3), torch.zeros(2)).shape == (2, 0, 4)


def test_the_gradient_of_the_product_also_holds_where_planes_are_zero():
    samples = torch.rand(3, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    samples[0, 0, 0] = 0.0
    samples[:2, 1, 1] = 0.0
    assert torch.autograd.gradcheck(_Product.apply, samples.requires_grad_())
