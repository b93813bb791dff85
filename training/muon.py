"""Muon (Jordan et al. 2024): momentum whose matrices are made orthogonal, so that all directions learn alike.

torch's own works in bfloat16 and on linear layers only. This one works in float32, takes convolutions as
matrices [outputs, inputs x kernel], and iterates on the small product of a matrix with itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .parallel import NUM_PROCESSES, RANK, add_up

MOMENTUM = 0.95
WEIGHT_DECAY = 0.01
ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: steep at 0, within 0.7 to 1.2 after five iterations


class Muon(torch.optim.Optimizer):
    """For weights of two dimensions and more.

    Args:
        parameters: Weights.
        lr: Of a change whose singular values are about 1.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change the weights by their gradients, which are the same in all processes."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            changes = [
                self._change(weight, index % NUM_PROCESSES == RANK) for index, weight in enumerate(weights)
            ]
            add_up(changes)
            for weight, change in zip(weights, changes, strict=True):
                weight.mul_(1 - group["lr"] * WEIGHT_DECAY).sub_(change.view_as(weight), alpha=group["lr"])

    def _change(self, weight: nn.Parameter, is_ours: bool) -> Tensor:
        """Take in a gradient; return the change as a matrix, zeros if another process works it out."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        if not is_ours:
            return torch.zeros_like(weight).flatten(1)
        change = orthogonal(weight.grad.lerp(momentum, MOMENTUM).flatten(1))  # Nesterov's
        return change * max(1.0, change.shape[0] / change.shape[1]) ** 0.5


def orthogonal(matrix: Tensor) -> Tensor:
    """Return the matrix [m, n] with its singular values brought near 1.

    Newton-Schulz: X becomes p(X X^T) X with a quadratic p. All its factors are polynomials of A = X X^T, so
    they are multiplied first, and with X once.
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
    found = factor @ wide
    return found.T if is_tall else found
