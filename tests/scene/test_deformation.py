"""Offsets of the deformation field: identity, time and space mapping, heads, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stag4d.scene import Deformation, FieldConfig
from stag4d.scene.deformation import parameter_shapes

TINY = FieldConfig(resolutions=(2,), time_resolution=2, num_channels=1, width=1, bound=2.0)


def transparent_field(**time_map: float) -> Deformation:
    """Return a field whose offsets equal its only feature: all weights are 1, and the feature is positive."""
    field = Deformation(TINY, torch.Generator(), **time_map)
    for layer in field.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data.fill_(1.0)
    field.hexplane.spatial_planes[0].data.fill_(1.0)
    return field


@pytest.mark.parametrize("deform_scales", [True, False])
def test_shapes_of_the_parameters_are_known_before_they_are_allocated(deform_scales):
    config = FieldConfig(
        resolutions=(4, 7), time_resolution=3, num_channels=5, width=6, deform_scales=deform_scales
    )
    state = Deformation(config, torch.Generator()).state_dict()
    assert parameter_shapes(config) == {name: tuple(value.shape) for name, value in state.items()}


def test_new_field_is_the_identity():
    generator = torch.Generator().manual_seed(0)
    field = Deformation(FieldConfig(resolutions=(4, 8), num_channels=4), generator)
    offsets = field(torch.randn(20, 3, generator=generator), torch.linspace(0, 1, 5))
    for values, size in zip(offsets, (3, 4, 3), strict=True):
        assert values.shape == (5, 20, size)
        assert not values.any()


def test_frame_times_span_the_whole_time_planes():
    field = transparent_field()
    field.hexplane.time_planes[0].data[1, 0] = torch.tensor([1.0, 3.0])[:, None]  # y over time
    offsets = field(torch.tensor([[0.4, 0.1, -0.3]]), torch.tensor([0.0, 0.25, 0.5, 1.0]))
    for values in offsets:
        torch.testing.assert_close(values[:, 0, 0], torch.tensor([1.0, 1.5, 2.0, 3.0]))


def test_time_mapping_selects_a_part_of_the_time_planes():
    field = transparent_field(time_scale=0.5, time_offset=0.0)
    field.hexplane.time_planes[0].data[1, 0] = torch.tensor([1.0, 3.0])[:, None]
    means = field(torch.zeros(1, 3), torch.tensor([0.0, 1.0])).means[:, 0, 0]
    torch.testing.assert_close(means, torch.tensor([2.0, 2.5]))  # the time planes at 0 and 0.5


def test_planes_span_the_bound():
    field = transparent_field()
    field.hexplane.spatial_planes[0].data[0, 0] = torch.tensor([[1.0, 3.0], [1.0, 3.0]])  # grows with x
    points = torch.tensor([[-2.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    means = field(points, torch.zeros(1)).means[0, :, 0]
    torch.testing.assert_close(means, torch.tensor([1.0, 1.5, 2.0, 3.0]))


def test_means_quats_and_scales_have_separate_heads(make_field):
    field = make_field()
    before = field(torch.zeros(1, 3), torch.tensor([0.3]))
    for index, head in enumerate((field.means_head, field.quats_head, field.log_scales_head)):
        head[-1].bias.data += 1.0
        after = field(torch.zeros(1, 3), torch.tensor([0.3]))
        changes = [(new - old).abs().max().item() for new, old in zip(after, before, strict=True)]
        assert [change > 0.5 for change in changes] == [index == other for other in range(3)]
        before = after


def test_field_with_static_scales_has_no_scale_head():
    field = Deformation(FieldConfig(resolutions=(2,), deform_scales=False), torch.Generator())
    assert field(torch.zeros(3, 3), torch.zeros(2)).log_scales is None
    assert not any("scales" in name for name, _ in field.named_parameters())


def test_gradients_reach_points_planes_and_every_layer(make_field):
    field = make_field()
    means = torch.rand(40, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    offsets = field(means, torch.tensor([0.1, 0.4, 0.8]))
    sum(values.square().sum() for values in offsets).backward()
    assert (means.grad.abs().sum(dim=1) > 0).all()
    for name, parameter in field.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_new_field_has_a_nonzero_gradient():
    generator = torch.Generator().manual_seed(0)
    field = Deformation(FieldConfig(resolutions=(4,)), generator)
    points = torch.rand(10, 3, generator=generator)
    (field(points, torch.tensor([0.5])).means - 1).square().sum().backward()
    assert field.means_head[-1].weight.grad.abs().sum() > 0


def test_same_seed_gives_same_field():
    first, second, other = (
        Deformation(FieldConfig(resolutions=(4,)), torch.Generator().manual_seed(seed)).state_dict()
        for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["trunk.weight"], other["trunk.weight"])
    assert not torch.equal(first["hexplane.spatial_planes.0"], other["hexplane.spatial_planes.0"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolutions": ()}, r"field: resolutions are \(\); expected one number of 2 or more per level"),
        ({"resolutions": (8, 1)}, r"field: resolutions are \(8, 1\)"),
        ({"time_resolution": 0}, r"field: .*time_resolution=0.*must be at least 1"),
        ({"num_channels": 0}, r"field: .*num_channels=0.*must be at least 1"),
        ({"width": 0}, r"field: .*width=0.*must be at least 1"),
        ({"bound": 0.0}, r"field: bound is 0\.0; expected above 0, at most 1e\+06"),
        ({"bound": float("nan")}, r"field: bound is nan"),
    ],
)
def test_sizes_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FieldConfig(**options)
