"""CUDA tensors simulated on a CPU: what they count, and the errors of tensors on another device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmarks._simulated_cuda import DeviceLog, SimulatedTensor, simulated_cuda
from stag4d.devices import to_device

CUDA = torch.device("cuda")


def counted(function: Callable[[Tensor], object]) -> DeviceLog:
    """Return what a function of a [2, 3] tensor on CUDA counts."""
    with simulated_cuda() as log:
        tensor = to_device(torch.arange(6.0).reshape(2, 3), CUDA)
        log.clear()
        function(tensor)
    return log


@pytest.mark.parametrize(
    "function",
    [
        lambda tensor: tensor.sum().item(),
        lambda tensor: bool(tensor.any()),
        lambda tensor: float(tensor[0, 0]),
        lambda tensor: tensor.tolist(),
        lambda tensor: tensor.cpu(),
        lambda tensor: tensor.to("cpu"),
        lambda tensor: tensor.nonzero(),
        lambda tensor: tensor[tensor > 1],
        lambda tensor: tensor[[1, 0]],
        lambda tensor: tensor[:, [1, 0]],
        lambda tensor: tensor[torch.tensor([0, 1])],
        lambda tensor: tensor.new_tensor([1.0, 2.0]),
        lambda tensor: torch.tensor([1.0], device=tensor.device),
        lambda tensor: torch.ones(3).to(tensor.device),
        lambda tensor: torch.ones(3).to(tensor),
        lambda tensor: torch.ones(3).to(tensor.device, non_blocking=True),
    ],
)
def test_what_makes_the_host_wait_is_counted(function):
    assert counted(function).waits.total() == 1


def test_launches_are_counted_without_views_and_memory():
    log = counted(lambda tensor: (tensor[0] + 1).exp_() + torch.empty(3, device=CUDA))
    assert (log.launches.total(), log.waits.total()) == (3, 0)
    log = counted(lambda tensor: tensor.T[None].expand(4, 3, 2).flatten(0, 1))  # the last one is a copy
    assert log.launches.total() == 1
    log = counted(lambda tensor: torch.zeros(2, device=CUDA) + torch.ones_like(tensor[:, 0]))
    assert log.launches.total() == 3


def test_copies_from_pinned_memory_do_not_make_the_host_wait():
    log = counted(lambda tensor: to_device(torch.ones(3), tensor.device))
    assert (log.copies.total(), log.waits.total(), log.launches.total()) == (1, 0, 0)
    assert not counted(lambda tensor: to_device(tensor, tensor.device)).copies


@pytest.mark.parametrize(
    "function",
    [lambda tensor: tensor + torch.ones(2, 3), lambda tensor: torch.cat([tensor, torch.ones(1, 3)])],
)
def test_tensors_on_two_devices_are_an_error_except_for_scalars(function):
    with pytest.raises(RuntimeError, match="found tensors on cuda:0 and cpu"):
        counted(function)
    assert counted(lambda tensor: tensor * torch.tensor(2.0)).launches.total() == 1


def test_values_and_gradients_are_those_of_the_cpu():
    layer, inputs = nn.Linear(3, 2), torch.rand(4, 3)

    def loss_of(module: nn.Module, values: Tensor) -> Tensor:
        clamped = module(values).clamp(min=0.1).prod(dim=0)
        return clamped.sum()

    expected = torch.autograd.grad(loss_of(layer, inputs), layer.weight)[0]
    with simulated_cuda() as log:
        moved = nn.Linear(3, 2)
        moved.load_state_dict(layer.state_dict())
        moved.to(CUDA)
        assert moved.weight.device.type == "cuda"
        loss_of(moved, to_device(inputs, CUDA)).backward()
        gradient = moved.weight.grad
        assert isinstance(gradient, SimulatedTensor)
        assert gradient.device.type == "cuda"
        torch.testing.assert_close(gradient.cpu(), expected)
    assert log.launches["backward pass"] > 5
