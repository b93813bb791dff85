"""The trainable tensors: what is added to their gradients moves the numbers that it belongs to."""

from __future__ import annotations

import torch

from stag4d.optimization.parameters import TrainableScene


def test_a_gradient_that_lies_in_another_order_of_memory_moves_the_right_numbers(make_gaussians):
    start = make_gaussians(5)
    gradients = [torch.zeros_like(value) for value in start.as_dict().values()]
    direction = torch.where(torch.arange(15).reshape(5, 3) % 4 == 0, 1.0, -1.0)
    moved = []
    for laid_out in (direction, direction.T.contiguous().T):
        scene = TrainableScene(start, None)
        scene.add_gradients([laid_out, *gradients[1:]])
        scene.optimizer.step()
        moved.append(scene.gaussians.means.detach())
    assert next(iter(start.as_dict())) == "means"
    assert torch.equal((moved[0] - start.means).sign(), -direction)
    assert torch.equal(*moved)


def test_gradients_of_several_frames_add_up_and_none_adds_nothing(make_gaussians):
    scene = TrainableScene(make_gaussians(4), None)
    count = len(scene.parameters())
    ones = [torch.ones_like(value) for value in scene.parameters()]
    scene.add_gradients(ones)
    scene.add_gradients([None] * (count - 1) + ones[-1:])
    assert [parameter.grad.unique().tolist() for parameter in scene.parameters()] == [[1]] * (count - 1) + [
        [2]
    ]
