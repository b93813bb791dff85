"""The training loop of all models: resumable, deterministic for a seed, on any device.

Processes started by torchrun share each batch. On a CPU that is faster than several threads.
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
from .parallel import NUM_PROCESSES, RANK, join_processes, sum_over_processes

SAVE_SECONDS = 120.0
SHEET_STEPS = 500  # between two sheets of samples
LOG_STEPS = 25
WARMUP_STEPS = 200
GRADIENT_NORM = 1.0
BETAS = (0.9, 0.99)
MUON_RATE = 30.0  # ratio of Muon's learning rate to AdamW's
# parts of the names of weights for AdamW: first and last convolutions, embeddings, heads that are not kept
ADAMW_PARTS = ("conv_in", "conv_out", "embed", "position_heads")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of one training run.

    Attributes:
        folder: Output folder of ``state.pt``, ``log.jsonl`` and sheets of samples.
        num_steps: Total steps; the learning rate decays to 0 over them, along a cosine.
        learning_rate: Peak learning rate.
        ema_decay: Decay of the averaged weights, which are the result.
        seed: Seed of weights, batches and noise.
        device: Device of the training.
        shards: Number of the first shard of toys, and number of shards.
        network_keys: ``weights_key`` of the networks that the run starts from or uses, by name.
    """

    folder: Path
    num_steps: int
    learning_rate: float
    ema_decay: float
    seed: int
    device: torch.device
    shards: tuple[int, int]
    network_keys: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> dict[str, float | str]:
        """Return the settings that determine the result, by the names that error messages use."""
        return {
            "steps": self.num_steps,
            "learning rate": self.learning_rate,
            "EMA decay": self.ema_decay,
            "seed": self.seed,
            "first shard": self.shards[0],
            "shards": self.shards[1],
            "processes": NUM_PROCESSES,
            **self.network_keys,
        }


@dataclass
class Averages:
    """Means of the losses since the last line of the log."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, values: dict[str, Tensor]) -> None:
        """Add the losses of one step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
        self.count += 1

    def take(self) -> dict[str, float]:
        """Return the means and reset them."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


def train(
    module: nn.Module,
    losses_of: Callable[[nn.Module, torch.Generator], dict[str, Tensor]],
    config: TrainingConfig,
    write_sheet: Callable[[nn.Module, Path], None],
) -> nn.Module:
    """Train a module; an interrupted run is resumed from ``state.pt``.

    Args:
        module: The module, on the config's device.
        losses_of: Returns named losses of one random batch, whose sum is minimized. Its random generator is
            on the CPU and seeded with the config's seed and the step, so a resumed run has the same batches.
        config: Settings.
        write_sheet: Writes samples of the averaged module into an image file.

    Returns:
        The module with averaged weights.

    Raises:
        ValueError: if the folder holds a run with other settings.
        RuntimeError: if a weight is no longer finite; the last saved state is kept.
    """
    config.folder.mkdir(parents=True, exist_ok=True)
    averaged = copy.deepcopy(module).requires_grad_(False).eval()
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizers = _optimizers(module)
    parts: dict[str, nn.Module | torch.optim.Optimizer] = {
        "module": module,
        "averaged": averaged,
        **optimizers,
    }
    first, seconds = _resume(config, parts)
    began = saved = time.monotonic()
    averages = Averages()
    for step in range(first, config.num_steps):
        for name, optimizer in optimizers.items():
            share = 1.0 if name == "adamw" else MUON_RATE
            for group in optimizer.param_groups:
                group["lr"] = share * config.learning_rate * _rate(step, config.num_steps)
        generator = torch.Generator().manual_seed(batch_seed(config.seed, step))
        losses = losses_of(module, generator)
        module.zero_grad()
        (sum(losses.values()) / NUM_PROCESSES).backward()  # type: ignore[union-attr]
        sum_over_processes([parameter.grad for parameter in trained if parameter.grad is not None])
        nn.utils.clip_grad_norm_(trained, GRADIENT_NORM)
        for optimizer in optimizers.values():
            optimizer.step()
        _average(averaged, module, min(config.ema_decay, (1 + step) / (10 + step)))
        averages.add(losses)
        done, now = step + 1, time.monotonic()
        if RANK > 0:
            continue
        is_last = done == config.num_steps
        is_due = now - saved > SAVE_SECONDS or is_last
        if done % LOG_STEPS == 0 or is_due:
            _check_finite(done, module)
        if done % LOG_STEPS == 0 or is_last:
            _log(config, done, seconds + now - began, averages.take())
        if done % SHEET_STEPS == 0 or is_last:
            write_sheet(averaged, config.folder / f"sheet_{done:06d}.png")
        if is_due:  # after the result, so that a finished run has one
            _save(config, parts, done, seconds + now - began)
            saved = now
    return averaged


def batch_seed(seed: int, step: int) -> int:
    """Return the seed of this process's part of a step's batch, 32 bits, as many as CPU generators use."""
    return ((seed * 1_000_003 + step) * NUM_PROCESSES + RANK) % 2**32


def weights_key(*networks: nn.Module) -> str:
    """Return a hash of networks' weights, which does not depend on their device."""
    return hashlib.sha256(repr(weight_sums(*networks)).encode()).hexdigest()[:16]


def autocast(device: torch.device) -> torch.autocast:
    """Return the autocast context of networks: bfloat16, except on CPUs that are ten times slower with it."""
    is_fast = device.type != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512"
    return torch.autocast(device.type, torch.bfloat16, enabled=is_fast)


def training_parser(
    description: str | None, *, num_steps: int, learning_rate: float
) -> argparse.ArgumentParser:
    """Return an argument parser with the options that all training commands share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toys", type=Path, required=True, help="folder of shards from training.toys")
    parser.add_argument(
        "--shards", type=int, default=26, help="number of shards to use (default: %(default)s)"
    )
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first shard (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; an interrupted run is resumed"
    )
    parser.add_argument("--steps", type=int, default=num_steps)
    parser.add_argument("--learning-rate", type=float, default=learning_rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    return parser


def config_from(arguments: argparse.Namespace, *, ema_decay: float) -> TrainingConfig:
    """Join the process group, seed the weights of new networks, and return the config of a command line."""
    join_processes()
    torch.manual_seed(arguments.seed)
    return TrainingConfig(
        folder=arguments.out,
        num_steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        ema_decay=ema_decay,
        seed=arguments.seed,
        device=arguments.device,
        shards=(arguments.first, arguments.shards),
    )


def _optimizers(module: nn.Module) -> dict[str, torch.optim.Optimizer]:
    """Return Muon for inner weight matrices, and AdamW for ``ADAMW_PARTS``, norms and biases."""
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
    """Return the factor of the peak learning rate at a step: linear warm-up times a cosine decay to 0."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm * 0.5 * (1 + math.cos(math.pi * step / num_steps))


@torch.no_grad()
def _average(averaged: nn.Module, module: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(averaged.parameters()), list(module.parameters()), 1 - decay)


def _log(config: TrainingConfig, step: int, seconds: float, means: dict[str, float]) -> None:
    line = {
        "step": step,
        "seconds": round(seconds, 1),
        **{name: round(mean, 5) for name, mean in means.items()},
    }
    with (config.folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    left = seconds / step * (config.num_steps - step)
    print(f"{json.dumps(line)} of {config.num_steps}, {left / 60:.0f} min left", flush=True)


def _check_finite(step: int, module: nn.Module) -> None:
    """Raise RuntimeError with the first weight that is not finite, if one is not."""
    for name, weight in module.named_parameters():
        if not torch.isfinite(weight).all():
            raise RuntimeError(f"step {step}: {name} is no longer finite; lower the learning rate.")


def _save(
    config: TrainingConfig, parts: Mapping[str, nn.Module | torch.optim.Optimizer], step: int, seconds: float
) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    path = config.folder / "state.pt"
    partial = path.with_suffix(".part")
    torch.save({**state, "step": step, "seconds": seconds, "plan": config.identity()}, partial)
    partial.replace(path)


def _resume(
    config: TrainingConfig, parts: Mapping[str, nn.Module | torch.optim.Optimizer]
) -> tuple[int, float]:
    """Load a run's state, if there is one; return its completed steps and their seconds.

    Lines of the log for later steps, which will be repeated, and a truncated last line are removed.
    """
    path, log = config.folder / "state.pt", config.folder / "log.jsonl"
    step, seconds = 0, 0.0
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved, current = state["plan"], config.identity()
        for name in current | saved:
            if saved.get(name) != current.get(name):
                raise ValueError(
                    f"{config.folder}: holds a run with {name} {saved.get(name)}, but this one has "
                    f"{current.get(name)}; resume it with the same settings, or choose another folder."
                )
        for name, part in parts.items():
            part.load_state_dict(state[name])
        step, seconds = state["step"], state["seconds"]
        print(f"resuming from step {step}", flush=True)
    if RANK == 0 and log.exists():
        kept = []
        for line in log.read_bytes().splitlines():
            with suppress(ValueError):  # lines that are not JSON
                if json.loads(line)["step"] <= step:
                    kept.append(line + b"\n")
        write_whole(log, b"".join(kept))
    return step, seconds
