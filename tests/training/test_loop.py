"""The training loop: results, logs, refused and resumed runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training import loop
from training.loop import TrainingConfig, train, weights_key

STEPS = 12


class Stop(Exception):
    """Interrupts a run."""


def config(folder: Path) -> TrainingConfig:
    """Return the settings of a short run in a folder."""
    return TrainingConfig(
        folder=folder,
        num_steps=STEPS,
        learning_rate=0.05,
        ema_decay=0.6,
        seed=3,
        device=torch.device("cpu"),
        shards=(0, 26),
    )


def module() -> nn.Module:
    """Return a small network."""
    torch.manual_seed(0)
    return nn.Linear(4, 1)


def losses_of(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Return the error of a network that should compute the sum of its inputs, on a random batch."""
    given = torch.randn(8, 4, generator=generator)
    return {"error": (network(given)[:, 0] - given.sum(dim=-1)).square().mean()}


def sheet(network: nn.Module, path: Path) -> None:
    """Write any file."""
    path.write_text("sheet")


def test_training_lowers_the_loss_and_writes_log_and_sheet(tmp_path):
    averaged = train(module(), losses_of, config(tmp_path), sheet)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [STEPS]
    assert (
        losses_of(averaged, torch.Generator().manual_seed(9))["error"]
        < losses_of(module(), torch.Generator().manual_seed(9))["error"]
    )
    assert (tmp_path / f"sheet_{STEPS:06d}.png").read_text() == "sheet"


def test_result_is_the_moving_average_of_the_weights(tmp_path):
    weights = []  # before each step, and after the last

    def recorded(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        weights.append(network.weight.detach().clone())
        return losses_of(network, generator)

    trained = module()
    averaged = train(trained, recorded, config(tmp_path), sheet)
    weights.append(trained.weight.detach())
    expected = weights[0]
    for step, weight in enumerate(weights[1:]):
        decay = min(0.6, (1 + step) / (10 + step))  # smaller at first
        expected = decay * expected + (1 - decay) * weight
    torch.testing.assert_close(averaged.weight, expected)
    assert not torch.allclose(averaged.weight, trained.weight, atol=1e-3)


def test_non_finite_weights_end_the_run_and_keep_the_last_state(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)

    def from_the_sixth(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        is_late = generator.initial_seed() % 1_000_003 >= 6
        return {"error": losses_of(network, generator)["error"] * (float("nan") if is_late else 1.0)}

    with pytest.raises(RuntimeError, match="step 7: weight is no longer finite; lower the learning rate"):
        train(module(), from_the_sixth, config(tmp_path), sheet)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["module"].values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "seed 3, .* has 4"),
        ({"num_steps": 99}, "steps 12, .* has 99"),
        ({"shards": (26, 26)}, "first shard 0, .* has 26"),
        ({"network_keys": {"--vision": "abc"}}, "--vision 123, .* has abc"),
        ({"network_keys": {}}, "--vision 123, .* has None"),
        ({"network_keys": {"--vision": "123", "--vae": "456"}}, "--vae None, .* has 456"),
    ],
)
def test_run_with_another_config_is_not_resumed(tmp_path, change, words):
    first = replace(config(tmp_path), network_keys={"--vision": "123"})
    train(module(), losses_of, first, sheet)
    with pytest.raises(ValueError, match=f"holds a run with {words}; resume it with the same settings"):
        train(module(), losses_of, replace(first, **change), sheet)


def test_weights_key_depends_on_the_weights():
    first, same, other = module(), module(), module()
    with torch.no_grad():
        other.bias[0] += 1e-6
    assert weights_key(first) == weights_key(same)
    assert len({weights_key(first), weights_key(other), weights_key(first, other)}) == 3


@pytest.mark.parametrize("rest", ['{"step": 9, "sec', '{"step": 9, "error": 0.5}', "\0\0\0"])
def test_log_with_surplus_or_truncated_lines_is_repaired(tmp_path, monkeypatch, rest):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(loop, "LOG_STEPS", 2)
    train(module(), losses_of, config(tmp_path), sheet)
    log = tmp_path / "log.jsonl"
    whole = log.read_text()
    lines = whole.splitlines(keepends=True)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.save(state | {"step": 8}, tmp_path / "state.pt")
    log.write_text("".join(lines[:4]) + rest)
    train(module(), losses_of, config(tmp_path), sheet)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [2, 4, 6, 8, 10, 12]
    assert log.read_text().startswith("".join(lines[:4]))


def test_resumed_run_equals_uninterrupted_run(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)  # after every step
    monkeypatch.setattr(loop, "LOG_STEPS", 2)
    whole = train(module(), losses_of, config(tmp_path / "whole"), sheet)

    def until_the_seventh(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        if generator.initial_seed() % 1_000_003 == 7:
            raise Stop
        return losses_of(network, generator)

    with pytest.raises(Stop):
        train(module(), until_the_seventh, config(tmp_path / "parts"), sheet)
    resumed = train(nn.Linear(4, 1), losses_of, config(tmp_path / "parts"), sheet)
    assert all(
        torch.equal(one, other) for one, other in zip(whole.parameters(), resumed.parameters(), strict=True)
    )
    logs = [(tmp_path / folder / "log.jsonl").read_text().splitlines() for folder in ("whole", "parts")]
    assert all([json.loads(line)["step"] for line in log] == list(range(2, STEPS + 1, 2)) for log in logs)
