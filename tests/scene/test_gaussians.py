"""Raw parameters of Gaussians and their activated values."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.scene import SH_C0, Gaussians
from stag4d.scene.gaussians import check_values, logit, valid_rows


def test_activations_equal_hand_computed_values():
    gaussians = Gaussians(
        means=torch.zeros(2, 3),
        log_scales=torch.tensor([[0.0, math.log(2), math.log(0.5)], [-1.0, -2.0, -3.0]]),
        quats=torch.ones(2, 4),
        logit_opacities=torch.tensor([0.0, math.log(3)]),
        sh0=torch.tensor([[[0.0, 1.0, -2.0]], [[0.5 / SH_C0, -0.5 / SH_C0, 2.0]]]),
    )
    assert len(gaussians) == 2
    torch.testing.assert_close(gaussians.scales[0], torch.tensor([1.0, 2.0, 0.5]))
    torch.testing.assert_close(gaussians.opacities, torch.tensor([0.5, 0.75]))  # 3 / (1 + 3)
    # 1 / (2 sqrt(pi)) = 0.2820948: 0.5 - 2 * 0.28 would be negative
    expected = torch.tensor([[0.5, 0.7820948, 0.0], [1.0, 0.0, 1.0641896]])
    torch.testing.assert_close(gaussians.colors, expected)


def test_logit_inverts_the_sigmoid(make_gaussians):
    gaussians = make_gaussians()
    torch.testing.assert_close(logit(gaussians.opacities), gaussians.logit_opacities)
    torch.testing.assert_close(logit(torch.tensor(0.75)), torch.tensor(math.log(3)))


def test_map_and_as_dict_cover_every_parameter_in_order(make_gaussians):
    gaussians = make_gaussians(4)
    halved = gaussians.map(lambda value: value[:2]).as_dict()
    assert tuple(halved) == ("means", "log_scales", "quats", "logit_opacities", "sh0")
    for name, value in halved.items():
        assert torch.equal(value, getattr(gaussians, name)[:2])


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("log_scales", (6, 1), r"log_scales has shape \[6, 1\]; expected \[6, 3\]"),
        ("quats", (5, 4), r"quats has shape \[5, 4\]; expected \[6, 4\]"),
        ("logit_opacities", (6, 1), r"logit_opacities has shape \[6, 1\]; expected \[6\]"),
        ("sh0", (6, 3), r"sh0 has shape \[6, 3\]; expected \[6, 1, 3\]"),
        ("means", (6, 2), r"means has shape \[6, 2\]; expected \[6, 3\]"),
        ("means", (), r"means has shape \[\]; expected \[0, 3\]"),
    ],
)
def test_mismatched_shape_is_refused_with_its_parameter(make_gaussians, name, shape, message):
    tensors = make_gaussians(6).as_dict()
    with pytest.raises(ValueError, match=f"Gaussians: {message}"):
        Gaussians(**tensors | {name: torch.zeros(shape)})


@pytest.mark.parametrize("name", Gaussians.names())
@pytest.mark.parametrize("value", [math.nan, math.inf, 2e9, -2e9])
def test_rows_and_values_have_the_same_limits(make_gaussians, name, value):
    gaussians = make_gaussians(3)
    check_values(gaussians.as_dict(), "a")
    assert valid_rows(gaussians).tolist() == [True, True, True]
    getattr(gaussians, name)[1].view(-1)[-1] = value
    assert valid_rows(gaussians).tolist() == [True, False, True]
    with pytest.raises(ValueError, match=f"^a: {name} "):
        check_values(gaussians.as_dict(), "a")


def test_standard_deviations_are_limited_too(make_gaussians):
    gaussians = make_gaussians(2)
    gaussians.log_scales[:, 0] = torch.tensor([math.log(0.9e9), math.log(1.1e9)])
    assert valid_rows(gaussians).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"^a: log_scales up to 20\.8\d*; expected at most 20\.7"):
        check_values(gaussians.as_dict(), "a")
