"""The loop that every model here is trained by: resumable, repeatable for a seed, on any device."""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

SAVE_SECONDS = 120.0
SHEET_STEPS = 500  # between two sample sheets
LOG_STEPS = 50
WARMUP_STEPS = 200
GRADIENT_NORM = 1.0
BETAS = (0.9, 0.99)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast one model learns.

    Attributes:
        folder: Gets ``state.pt``, ``log.jsonl`` and sample sheets.
        num_steps: In all; the learning rate falls to 0 over them, along a cosine.
        learning_rate: Its peak.
        ema_decay: Of the averaged weights, which are the result.
        seed: Of weights, batches and noise.
        device: Where to.
    """

    folder: Path
    num_steps: int
    learning_rate: float
    ema_decay: float
    seed: int
    device: torch.device


@dataclass
class Averages:
    """Means of what was logged since the last line."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, values: dict[str, Tensor]) -> None:
        """Take in one step's numbers."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
        self.count += 1

    def take(self) -> dict[str, float]:
        """Return the means and start again."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


def train(
    module: nn.Module,
    losses_of: Callable[[nn.Module, torch.Generator], dict[str, Tensor]],
    plan: Plan,
    draw_sheet: Callable[[nn.Module, Path], None],
) -> nn.Module:
    """Train a module, going on from ``state.pt`` where there is one.

    Args:
        module: On the plan's device.
        losses_of: Returns named losses of one random batch, whose sum is minimized; the generator is on the
            CPU and seeded by the plan and the step, so a run that was interrupted draws what it would have.
        plan: Length and rates.
        draw_sheet: Draws what the averaged module can do into a picture file.

    Returns:
        The module with averaged weights.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    averaged = copy.deepcopy(module).requires_grad_(False).eval()
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=plan.learning_rate, betas=BETAS, weight_decay=0.01)
    first, seconds = _resume(plan.folder / "state.pt", module, averaged, optimizer)
    began = saved = time.monotonic()
    averages = Averages()
    for step in range(first, plan.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * _rate(step, plan.num_steps)
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
        losses = losses_of(module, generator)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        nn.utils.clip_grad_norm_(trained, GRADIENT_NORM)
        optimizer.step()
        _average(averaged, module, min(plan.ema_decay, (1 + step) / (10 + step)))
        averages.add(losses)
        done, now = step + 1, time.monotonic()
        is_last = done == plan.num_steps
        if done % LOG_STEPS == 0 or is_last:
            _log(plan, done, seconds + now - began, averages.take())
        if now - saved > SAVE_SECONDS or is_last:
            state = {"module": module, "averaged": averaged, "optimizer": optimizer}
            _save(plan.folder / "state.pt", state, done, seconds + now - began)
            saved = now
        if done % SHEET_STEPS == 0 or is_last:
            draw_sheet(averaged, plan.folder / f"sheet_{done:06d}.png")
    return averaged


def autocast(device: torch.device) -> torch.autocast:
    """Return the context of mixed precision that networks run in."""
    return torch.autocast(device.type, torch.bfloat16)


def add_plan_arguments(parser: argparse.ArgumentParser, *, num_steps: int, learning_rate: float) -> None:
    """Add the options that all training commands share."""
    parser.add_argument("--toys", type=Path, required=True, help="folder of shards, see training.toys")
    parser.add_argument("--shards", type=int, default=20, help="how many of them to use")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; an interrupted one goes on"
    )
    parser.add_argument("--steps", type=int, default=num_steps)
    parser.add_argument("--learning-rate", type=float, default=learning_rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))


def plan_of(arguments: argparse.Namespace, *, ema_decay: float) -> Plan:
    """Return the plan that a command line asks for, and seed the weights to come."""
    torch.manual_seed(arguments.seed)
    return Plan(
        folder=arguments.out,
        num_steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        ema_decay=ema_decay,
        seed=arguments.seed,
        device=arguments.device,
    )


def _rate(step: int, num_steps: int) -> float:
    """Return the share of the peak learning rate at a step: a warm-up, then a cosine to 0."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm * 0.5 * (1 + math.cos(math.pi * step / num_steps))


@torch.no_grad()
def _average(averaged: nn.Module, module: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(averaged.parameters()), list(module.parameters()), 1 - decay)


def _log(plan: Plan, step: int, seconds: float, means: dict[str, float]) -> None:
    line = {
        "step": step,
        "seconds": round(seconds, 1),
        **{name: round(mean, 5) for name, mean in means.items()},
    }
    with (plan.folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    left = seconds / step * (plan.num_steps - step)
    print(f"{json.dumps(line)} of {plan.num_steps}, {left / 60:.0f} min left", flush=True)


def _save(path: Path, parts: dict[str, nn.Module | torch.optim.Optimizer], step: int, seconds: float) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    partial = path.with_suffix(".part")
    torch.save({**state, "step": step, "seconds": seconds}, partial)
    partial.replace(path)


def _resume(
    path: Path, module: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    """Load a run's state; return the steps done and the seconds that they took."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    averaged.load_state_dict(state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"going on from step {state['step']}", flush=True)
    return state["step"], state["seconds"]
