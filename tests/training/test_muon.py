"""Muon: its changes are orthogonal, whatever the gradient's scale, and it learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(20, 20), (12, 90), (90, 12)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonal(matrix)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ found @ right.T
    assert (turned.diag()[values > 0.05 * values[0]] > 0.3).all()
    assert torch.linalg.svdvals(found).max() < 1.3
    assert (turned - turned.diag().diag()).abs().max() < 1e-3


def test_a_change_is_as_large_as_the_rate_says_for_gradients_of_any_scale():
    for scale in (1e-4, 1e4):
        weight = nn.Parameter(torch.zeros(8, 4, 3, 3))
        optimizer = Muon([weight], lr=0.1)
        gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
        weight.grad = scale * gradient
        optimizer.step()
        values = torch.linalg.svdvals(weight.detach().flatten(1))
        assert (values > 0.05).all()
        assert (values < 0.13).all()
        assert (weight * gradient).sum() < 0


def test_it_fits_a_linear_map():
    generator = torch.Generator().manual_seed(2)
    truth, layer = torch.randn(6, 10, generator=generator), nn.Linear(10, 6, bias=False)
    optimizer = Muon(layer.parameters(), lr=0.1)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        given = torch.randn(32, 10, generator=generator)
        loss = (layer(given) - given @ truth.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02 * truth.square().sum(dim=1).mean()
