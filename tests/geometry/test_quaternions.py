"""Quaternions against hand-computed rotations and matrix products."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.geometry import multiply_quats, quats_to_rotations, rotations_to_quats

HALF_SQRT2 = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("quat", "rotation"),
    [
        ((1, 0, 0, 0), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ((HALF_SQRT2, HALF_SQRT2, 0, 0), [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),  # 90 degrees about x: y to z
        ((HALF_SQRT2, 0, HALF_SQRT2, 0), [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),  # about y: z to x
        ((HALF_SQRT2, 0, 0, HALF_SQRT2), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),  # about z: x to y
        ((0.5, 0.5, 0.5, 0.5), [[0, 0, 1], [1, 0, 0], [0, 1, 0]]),  # 120 degrees about the diagonal
    ],
)
def test_rotations_equal_hand_computed_matrices(quat, rotation):
    expected = torch.tensor(rotation, dtype=torch.float32)
    torch.testing.assert_close(
        quats_to_rotations(torch.tensor(quat, dtype=torch.float32)), expected, atol=1e-6, rtol=0
    )


def test_length_and_sign_do_not_change_the_rotation(generator):
    quats = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(quats_to_rotations(-3.5 * quats), quats_to_rotations(quats))


def test_product_applies_the_right_rotation_first(generator):
    left, right = torch.randn(2, 7, 3, 4, generator=generator, dtype=torch.float64)
    product = quats_to_rotations(multiply_quats(left, right))
    torch.testing.assert_close(product, quats_to_rotations(left) @ quats_to_rotations(right))


def test_products_of_units_follow_hamiltons_table():
    one, i, j, k = torch.eye(4)
    assert torch.equal(multiply_quats(i, j), k)
    assert torch.equal(multiply_quats(j, k), i)
    assert torch.equal(multiply_quats(k, i), j)
    assert torch.equal(multiply_quats(j, i), -k)
    assert all(torch.equal(multiply_quats(unit, unit), -one) for unit in (i, j, k))


def test_gradients_agree_with_finite_differences(generator):
    quats = torch.randn(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(quats_to_rotations, quats)
    assert torch.autograd.gradcheck(multiply_quats, (quats, quats.detach().flip(0).requires_grad_()))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_quaternions_of_rotations_are_the_inverse(generator):
    random = torch.randn(3, 50, 4, generator=generator, dtype=torch.float64)
    half_turns = torch.eye(4, dtype=torch.float64)[None].expand(3, 4, 4)  # w is 0
    quats = torch.nn.functional.normalize(torch.cat([random, half_turns], dim=1), dim=-1)
    found = rotations_to_quats(quats_to_rotations(quats))
    assert (found[..., 0] >= 0).all()
    torch.testing.assert_close((found * quats).sum(dim=-1).abs(), torch.ones(3, 54, dtype=torch.float64))
