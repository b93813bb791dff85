"""The trainable tensors with their Adam moments, through cloning, splitting and pruning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..scene import SH_C0, Deformation, Gaussians
from .schedules import LogLinear

_PLANES, _MLP = "planes", "mlp"


@dataclass(frozen=True, kw_only=True)
class LearningRates:
    """Learning rates by parameter group; in the official code only those of means, planes and mlp decay.

    Attributes:
        means: World units per step (official: 2e-3 to 2e-5 at a quarter of the steps).
        log_scales: Logarithms per step (official: 1e-2).
        quats: Raw quaternion components per step (official: 2e-3).
        opacities: Logits per step (official: 2e-2).
        colors: RGB units per step (official: 5e-3 of SH coefficients, which are 3.5 times as large).
        planes: HexPlane features (official: 1.6e-2 to 1.6e-3 at a quarter).
        mlp: Layers of the deformation (official: 1.6e-3 to 1.6e-4 at a quarter).
    """

    means: LogLinear
    log_scales: LogLinear
    quats: LogLinear
    opacities: LogLinear
    colors: LogLinear
    planes: LogLinear
    mlp: LogLinear


class TrainableScene:
    """The Gaussians and the field as leaf tensors, with their optimizer.

    Args:
        gaussians: Initial values; cloned.
        deformation: The field, or None for a static scene; trained in place.
    """

    def __init__(self, gaussians: Gaussians, deformation: Deformation | None) -> None:
        self.gaussians = gaussians.map(lambda value: value.detach().clone().requires_grad_())
        self.deformation = deformation
        groups = [{"name": name, "params": [value]} for name, value in self.gaussians.as_dict().items()]
        if deformation is not None:
            deformation.requires_grad_(True)
            planes = list(deformation.hexplane.parameters())
            plane_ids = {id(plane) for plane in planes}
            layers = [value for value in deformation.parameters() if id(value) not in plane_ids]
            groups += [{"name": _PLANES, "params": planes}, {"name": _MLP, "params": layers}]
        self.optimizer = torch.optim.Adam(groups, lr=1e-3, eps=1e-15, fused=True)  # eps: official

    def set_rates(self, rates: LearningRates, progress: float) -> None:
        """Set every group's learning rate for a progress in [0, 1]."""
        learning_rates = {
            "means": rates.means(progress),
            "log_scales": rates.log_scales(progress),
            "quats": rates.quats(progress),
            "logit_opacities": rates.opacities(progress),
            "sh0": rates.colors(progress) / SH_C0,  # a color changes SH_C0 times as much as its coefficient
            _PLANES: rates.planes(progress),
            _MLP: rates.mlp(progress),
        }
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rates[group["name"]]

    def parameters(self) -> list[Tensor]:
        """Return every trainable tensor, group by group."""
        return [value for group in self.optimizer.param_groups for value in group["params"]]

    def add_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        """Add to the parameters' gradients, in the order of ``parameters``; None adds nothing.

        Gradients may have other strides than their parameters. torch's fused Adam ignores that on a CPU and
        would update the wrong elements, so each is copied into the parameter's layout.
        """
        for parameter, gradient in zip(self.parameters(), gradients, strict=True):
            if gradient is not None:
                if parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter).copy_(gradient)
                else:
                    parameter.grad += gradient

    def replace_gaussians(self, kept: Tensor, added: Gaussians) -> None:
        """Keep some Gaussians with their moments and append new ones whose moments start at zero.

        Args:
            kept: [N] bool.
            added: M new Gaussians.
        """
        replaced = {}
        for group in self.optimizer.param_groups:
            if group["name"] not in Gaussians.names():
                continue
            old, new = group["params"][0], getattr(added, group["name"]).detach()
            value = torch.cat([old.detach()[kept], new]).requires_grad_()
            state = self.optimizer.state.pop(old, None)
            if state:
                for moment in ("exp_avg", "exp_avg_sq"):
                    state[moment] = torch.cat([state[moment][kept], torch.zeros_like(new)])
                self.optimizer.state[value] = state
            group["params"] = [value]
            replaced[group["name"]] = value
        self.gaussians = Gaussians(**replaced)

    def moments(self) -> dict[str, Tensor]:
        """Return Adam's state as flat tensors by group, position and kind, for a checkpoint."""
        return {
            f"{group['name']}.{index}.{kind}": value
            for group in self.optimizer.param_groups
            for index, parameter in enumerate(group["params"])
            for kind, value in self.optimizer.state.get(parameter, {}).items()
        }

    def load_moments(self, moments: dict[str, Tensor]) -> None:
        """Load what ``moments`` returned, for tensors of the same shapes."""
        for group in self.optimizer.param_groups:
            for index, parameter in enumerate(group["params"]):
                prefix = f"{group['name']}.{index}."
                state = {
                    key[len(prefix) :]: value for key, value in moments.items() if key.startswith(prefix)
                }
                if state:
                    self.optimizer.state[parameter] = {
                        key: value.to(parameter.device) for key, value in state.items()
                    }
