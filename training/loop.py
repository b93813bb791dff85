"""The loop that every model here is trained by: resumable, repeatable for a seed, on any device.

Started by torchrun, several processes share each batch. On a CPU that is faster than several threads.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from stag4d.atomic import write_whole
from stag4d.diffusion.folders import weight_sums

from .muon import Muon
from .parallel import NUM_PROCESSES, RANK, add_up, meet

SAVE_SECONDS = 120.0
SHEET_STEPS = 500  # between two sample sheets
LOG_STEPS = 25
WARMUP_STEPS = 200
GRADIENT_NORM = 1.0
BETAS = (0.9, 0.99)
MUON_RATE = 30.0  # Muon's learning rate over AdamW's
ADAMW_PARTS = ("conv_in", "conv_out", "embed", "places")  # of names: weights beside pictures, and embeddings


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
        shards: Of toys: the first, and how many.
        made_of: Hashes of the networks that it begins with or learns from, by name; see ``weights_key``.
    """

    folder: Path
    num_steps: int
    learning_rate: float
    ema_decay: float
    seed: int
    device: torch.device
    shards: tuple[int, int]
    made_of: Mapping[str, str] = field(default_factory=dict)

    def decides(self) -> dict[str, float | str]:
        """Return what decides the result, by name."""
        return {
            "steps": self.num_steps,
            "learning rate": self.learning_rate,
            "EMA decay": self.ema_decay,
            "seed": self.seed,
            "first shard": self.shards[0],
            "shards": self.shards[1],
            "processes": NUM_PROCESSES,
            **self.made_of,
        }


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

    Raises:
        ValueError: if the folder holds another plan's run.
        RuntimeError: if a weight is no longer finite; what was saved last stays.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    averaged = copy.deepcopy(module).requires_grad_(False).eval()
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizers = _optimizers(module)
    parts: dict[str, nn.Module | torch.optim.Optimizer] = {
        "module": module,
        "averaged": averaged,
        **optimizers,
    }
    first, seconds = _resume(plan, parts)
    began = saved = time.monotonic()
    averages = Averages()
    for step in range(first, plan.num_steps):
        for name, optimizer in optimizers.items():
            share = 1.0 if name == "adamw" else MUON_RATE
            for group in optimizer.param_groups:
                group["lr"] = share * plan.learning_rate * _rate(step, plan.num_steps)
        generator = torch.Generator().manual_seed(batch_seed(plan.seed, step))
        losses = losses_of(module, generator)
        module.zero_grad()
        (sum(losses.values()) / NUM_PROCESSES).backward()  # type: ignore[union-attr]
        add_up([parameter.grad for parameter in trained if parameter.grad is not None])
        nn.utils.clip_grad_norm_(trained, GRADIENT_NORM)
        for optimizer in optimizers.values():
            optimizer.step()
        _average(averaged, module, min(plan.ema_decay, (1 + step) / (10 + step)))
        averages.add(losses)
        done, now = step + 1, time.monotonic()
        if RANK > 0:
            continue
        is_last = done == plan.num_steps
        is_due = now - saved > SAVE_SECONDS or is_last
        if done % LOG_STEPS == 0 or is_due:
            _check_finite(done, module)
        if done % LOG_STEPS == 0 or is_last:
            _log(plan, done, seconds + now - began, averages.take())
        if done % SHEET_STEPS == 0 or is_last:
            draw_sheet(averaged, plan.folder / f"sheet_{done:06d}.png")
        if is_due:  # after the result: a run that says it is done has one
            _save(plan, parts, done, seconds + now - began)
            saved = now
    return averaged


def batch_seed(seed: int, step: int) -> int:
    """Return the seed of this process's part of a step's batch; a CPU's generator heeds 32 bits of it."""
    return ((seed * 1_000_003 + step) * NUM_PROCESSES + RANK) % 2**32


def weights_key(*networks: nn.Module) -> str:
    """Return a hash of networks' weights, which does not depend on where they are."""
    return hashlib.sha256(repr(weight_sums(*networks)).encode()).hexdigest()[:16]


def autocast(device: torch.device) -> torch.autocast:
    """Return the context of networks: bfloat16, but on processors that are ten times slower in it."""
    is_fast = device.type != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.autocast(device.type, torch.bfloat16, enabled=is_fast)


def plan_parser(description: str | None, *, num_steps: int, learning_rate: float) -> argparse.ArgumentParser:
    """Return a command's parser, with the options that all training commands share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toys", type=Path, required=True, help="folder of shards, see training.toys")
    parser.add_argument(
        "--shards", type=int, default=26, help="how many of them to use (default: %(default)s)"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; an interrupted one goes on"
    )
    parser.add_argument("--steps", type=int, default=num_steps)
    parser.add_argument("--learning-rate", type=float, default=learning_rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    return parser


def plan_of(arguments: argparse.Namespace, *, ema_decay: float) -> Plan:
    """Return the plan of a command line; meet the other processes, and seed the weights to come."""
    meet()
    torch.manual_seed(arguments.seed)
    return Plan(
        folder=arguments.out,
        num_steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        ema_decay=ema_decay,
        seed=arguments.seed,
        device=arguments.device,
        shards=(arguments.first, arguments.shards),
    )


def _optimizers(module: nn.Module) -> dict[str, torch.optim.Optimizer]:
    """Return Muon for what turns features into features, AdamW for ends, norms and biases."""
    groups: dict[str, list[nn.Parameter]] = {"muon": [], "adamw": []}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            is_inner = parameter.dim() > 1 and not any(part in name for part in ADAMW_PARTS)
            groups["muon" if is_inner else "adamw"].append(parameter)
    found: dict[str, torch.optim.Optimizer] = {}
    if groups["muon"]:
        found["muon"] = Muon(groups["muon"], lr=0.0)
    if groups["adamw"]:
        found["adamw"] = torch.optim.AdamW(groups["adamw"], lr=0.0, betas=BETAS, weight_decay=0.01)
    return found


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


def _check_finite(step: int, module: nn.Module) -> None:
    """Raise RuntimeError with the first weight that is not finite, if one is not."""
    for name, weight in module.named_parameters():
        if not torch.isfinite(weight).all():
            raise RuntimeError(f"step {step}: {name} is no longer finite; lower the learning rate.")


def _save(
    plan: Plan, parts: Mapping[str, nn.Module | torch.optim.Optimizer], step: int, seconds: float
) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    path = plan.folder / "state.pt"
    partial = path.with_suffix(".part")
    torch.save({**state, "step": step, "seconds": seconds, "plan": plan.decides()}, partial)
    partial.replace(path)


def _resume(plan: Plan, parts: Mapping[str, nn.Module | torch.optim.Optimizer]) -> tuple[int, float]:
    """Load a run's state, if there is one; return the steps done and the seconds that they took.

    Lines of the log that come after it, of steps that will be done again, are taken out, and one that was cut
    short.
    """
    path, log = plan.folder / "state.pt", plan.folder / "log.jsonl"
    step, seconds = 0, 0.0
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        there, here = state["plan"], plan.decides()
        for name in here | there:
            if there.get(name) != here.get(name):
                raise ValueError(
                    f"{plan.folder}: a run with {name} {there.get(name)} is there, this one has "
                    f"{here.get(name)}; go on with the same, or choose another folder."
                )
        for name, part in parts.items():
            part.load_state_dict(state[name])
        step, seconds = state["step"], state["seconds"]
        print(f"going on from step {step}", flush=True)
    if RANK == 0 and log.exists():
        kept = []
        for line in log.read_bytes().splitlines():
            with suppress(ValueError):  # of what is not JSON
                if json.loads(line)["step"] <= step:
                    kept.append(line + b"\n")
        write_whole(log, b"".join(kept))
    return step, seconds
