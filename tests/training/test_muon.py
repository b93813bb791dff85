"""Muon: orthogonal updates, independent of the gradient's scale, and convergence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(20, 20), (12, 90), (90, 12)])
def test_orthogonalized_matrix_has_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonal(matrix)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    in_basis = left.T @ result @ right.T
    assert (in_basis.diag()[values > 0.05 * values[0]] > 0.3).all()
    assert torch.linalg.svdvals(result).max() < 1.3
    assert (in_basis - in_basis.diag().diag()).abs().max() < 1e-3


def test_update_size_does_not_depend_on_the_gradient_scale():
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


def test_muon_fits_a_linear_map():
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
