"""The half turn between our world and the coordinate frame of 3DGS files."""

from __future__ import annotations

import torch

from stag4d.geometry import flip_splat_frame, quats_to_rotations


def test_flip_equals_hand_computed_values():
    means, quats = flip_splat_frame(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    assert means.tolist() == [[1, -2, -3]]
    # i (w + x i + y j + z k) = -x + w i - z j + y k
    torch.testing.assert_close(quats, torch.tensor([[-0.2, 0.1, -0.4, 0.3]]))


def test_centers_and_ellipsoids_rotate_together():
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    quats = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    flipped_means, flipped_quats = flip_splat_frame(means, quats)
    torch.testing.assert_close(flipped_means, means @ half_turn.T)
    torch.testing.assert_close(quats_to_rotations(flipped_quats), half_turn @ quats_to_rotations(quats))


def test_flip_twice_is_the_identity_up_to_the_sign_of_the_quaternions():
    means, quats = torch.rand(2, 3, 3), torch.rand(2, 3, 4)
    twice_means, twice_quats = flip_splat_frame(*flip_splat_frame(means, quats))
    assert torch.equal(twice_means, means)
    assert torch.equal(twice_quats, -quats)
