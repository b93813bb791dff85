"""Muon (Jordan et al. 2024): updates are momentum matrices with all singular values brought near 1.

torch's own implementation works in bfloat16 and on linear layers only. This one works in float32, treats
convolutions as matrices [outputs, inputs x kernel], and iterates on the small product X X^T.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .parallel import NUM_PROCESSES, RANK, sum_over_processes

MOMENTUM = 0.95
WEIGHT_DECAY = 0.01
ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: singular values are 0.7 to 1.2 after five iterations


class Muon(torch.optim.Optimizer):
    """Optimizer of weights of two dimensions or more.

    Args:
        parameters: Weights.
        lr: Learning rate; it scales updates whose singular values are about 1.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights from their gradients, which are the same in all processes."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            updates = [
                self._update(weight, index % NUM_PROCESSES == RANK) for index, weight in enumerate(weights)
            ]
            sum_over_processes(updates)
            for weight, update in zip(weights, updates, strict=True):
                weight.mul_(1 - group["lr"] * WEIGHT_DECAY).sub_(update.view_as(weight), alpha=group["lr"])

    def _update(self, weight: nn.Parameter, is_ours: bool) -> Tensor:
        """Update the momentum; return the weight's update as a matrix, zeros if another process has it."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        if not is_ours:
            return torch.zeros_like(weight).flatten(1)
        update = orthogonal(weight.grad.lerp(momentum, MOMENTUM).flatten(1))  # Nesterov momentum
        return update * max(1.0, update.shape[0] / update.shape[1]) ** 0.5


def orthogonal(matrix: Tensor) -> Tensor:
    """Return a matrix [m, n] with the same singular vectors and singular values near 1.

    Newton-Schulz iteration: X becomes p(X X^T) X with a quadratic p. All factors are polynomials of
    A = X X^T, so they are multiplied with each other first, and with X once.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if is_tall else matrix
    wide = wide / (wide.norm() + 1e-7)
    product = wide @ wide.T  # [k, k], k the smaller of m and n
    identity = torch.eye(len(product), dtype=product.dtype, device=product.device)
    factor = identity
    for _ in range(ITERATIONS):
        first, second, third = QUINTIC
        step = first * identity + second * product + third * (product @ product)
        factor, product = step @ factor, step @ product @ step
    result = factor @ wide
    return result.T if is_tall else result
