"""The training loop: an interrupted run ends where an uninterrupted one does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training import loop
from training.loop import Plan, train, weights_key

STEPS = 12


class Stop(Exception):
    """What interrupts."""


def plan(folder: Path) -> Plan:
    """Return a short run in a folder."""
    return Plan(
        folder=folder, num_steps=STEPS, learning_rate=0.05, ema_decay=0.6, seed=3, device=torch.device("cpu"),
        shards=(0, 26),
    )  # fmt: skip


def module() -> nn.Module:
    """Return a small network."""
    torch.manual_seed(0)
    return nn.Linear(4, 1)


def losses_of(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Return how far the network is from a sum, on a random batch."""
    given = torch.randn(8, 4, generator=generator)
    return {"error": (network(given)[:, 0] - given.sum(dim=-1)).square().mean()}


def sheet(network: nn.Module, path: Path) -> None:
    """Draw nothing that matters."""
    path.write_text("drawn")


def test_a_run_learns_and_leaves_its_curve_and_a_sheet(tmp_path):
    averaged = train(module(), losses_of, plan(tmp_path), sheet)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [STEPS]
    assert (
        losses_of(averaged, torch.Generator().manual_seed(9))["error"]
        < losses_of(module(), torch.Generator().manual_seed(9))["error"]
    )
    assert (tmp_path / f"sheet_{STEPS:06d}.png").read_text() == "drawn"


def test_the_result_is_the_moving_average_of_the_weights(tmp_path):
    weights = []  # before each step, and after the last

    def watched(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        weights.append(network.weight.detach().clone())
        return losses_of(network, generator)

    trained = module()
    averaged = train(trained, watched, plan(tmp_path), sheet)
    weights.append(trained.weight.detach())
    expected = weights[0]
    for step, weight in enumerate(weights[1:]):
        decay = min(0.6, (1 + step) / (10 + step))  # it follows closely at first
        expected = decay * expected + (1 - decay) * weight
    torch.testing.assert_close(averaged.weight, expected)
    assert not torch.allclose(averaged.weight, trained.weight, atol=1e-3)


def test_weights_that_are_not_finite_end_the_run_and_keeps_what_was_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)

    def from_the_sixth(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        is_late = generator.initial_seed() % 1_000_003 >= 6
        return {"error": losses_of(network, generator)["error"] * (float("nan") if is_late else 1.0)}

    with pytest.raises(RuntimeError, match="step 7: weight is no longer finite; lower the learning rate"):
        train(module(), from_the_sixth, plan(tmp_path), sheet)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["module"].values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "seed 3 .* has 4"),
        ({"num_steps": 99}, "steps 12 .* has 99"),
        ({"shards": (26, 26)}, "first shard 0 .* has 26"),
        ({"made_of": {"--vision": "abc"}}, "--vision 123 .* has abc"),
        ({"made_of": {}}, "--vision 123 .* has None"),
        ({"made_of": {"--vision": "123", "--vae": "456"}}, "--vae None .* has 456"),
    ],
)
def test_another_plans_run_is_not_gone_on_with(tmp_path, change, words):
    made = replace(plan(tmp_path), made_of={"--vision": "123"})
    train(module(), losses_of, made, sheet)
    with pytest.raises(ValueError, match=f"a run with {words}; go on with the same"):
        train(module(), losses_of, replace(made, **change), sheet)


def test_a_key_tells_networks_apart_by_their_weights():
    first, same, other = module(), module(), module()
    with torch.no_grad():
        other.bias[0] += 1e-6
    assert weights_key(first) == weights_key(same)
    assert len({weights_key(first), weights_key(other), weights_key(first, other)}) == 3


@pytest.mark.parametrize("rest", ['{"step": 9, "sec', '{"step": 9, "error": 0.5}', "\0\0\0"])
def test_a_log_whose_last_line_was_cut_short_is_gone_on_with(tmp_path, monkeypatch, rest):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(loop, "LOG_STEPS", 2)
    train(module(), losses_of, plan(tmp_path), sheet)
    log = tmp_path / "log.jsonl"
    whole = log.read_text()
    lines = whole.splitlines(keepends=True)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.save(state | {"step": 8}, tmp_path / "state.pt")
    log.write_text("".join(lines[:4]) + rest)
    train(module(), losses_of, plan(tmp_path), sheet)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [2, 4, 6, 8, 10, 12]
    assert log.read_text().startswith("".join(lines[:4]))


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)  # after every step
    monkeypatch.setattr(loop, "LOG_STEPS", 2)
    whole = train(module(), losses_of, plan(tmp_path / "whole"), sheet)

    def until_the_seventh(network: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        if generator.initial_seed() % 1_000_003 == 7:
            raise Stop
        return losses_of(network, generator)

    with pytest.raises(Stop):
        train(module(), until_the_seventh, plan(tmp_path / "parts"), sheet)
    resumed = train(nn.Linear(4, 1), losses_of, plan(tmp_path / "parts"), sheet)
    assert all(
        torch.equal(one, other) for one, other in zip(whole.parameters(), resumed.parameters(), strict=True)
    )
    logs = [(tmp_path / folder / "log.jsonl").read_text().splitlines() for folder in ("whole", "parts")]
    assert all([json.loads(line)["step"] for line in log] == list(range(2, STEPS + 1, 2)) for log in logs)
