"""The speed benchmark refuses machines without a GPU; its parts run on the CPU, at small sizes."""

from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from small_fit import small_config

from benchmarks import gpu_speed

CPU = torch.device("cpu")


def print_line(value: object) -> None:
    sys.stdout.write(f"{value}\n")


def test_without_a_gpu_it_refuses_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_speed.main([]) == 2
    captured = capsys.readouterr()
    assert captured.err == "gpu_speed: torch finds no CUDA device; run it on a machine with a GPU.\n"
    assert captured.out == ""


def test_times_of_all_rasterizers_are_in_one_row(capsys):
    pytest.importorskip("numba")
    gpu_speed.time_rasterizers(CPU, ((20, 16), (10, 24)), ("numba", "torch"), repeats=1)
    rows = capsys.readouterr().out.splitlines()[2:]
    times = r"\d+\.\d\d / \d+\.\d\d"
    for row, (count, size) in zip(rows, ((20, 16), (10, 24)), strict=True):
        pattern = rf"  {count} Gaussians, {size}x{size}:  numba {times}  torch {times}"
        assert re.fullmatch(pattern, row), row


@pytest.mark.parametrize(("steps", "seconds"), [(80, 0.0), (2 * gpu_speed.WARM_UP_STEPS + 4, 1e9)])
def test_step_rate_is_measured_after_the_first_steps(steps: int, seconds: float):
    """Until the time is over or the fit ends."""
    rate, count = gpu_speed.step_rate(small_config(steps=steps, size=16), CPU, seconds)
    assert rate > 0
    assert count > 0


def test_all_parts_run_and_a_failing_one_is_an_exit_status(monkeypatch, capsys):
    """With stand-ins for what takes long; the GPU is the CPU."""
    commands: list[list[str]] = []
    statuses = {"benchmarks.multiview": 0, "benchmarks.guidance": 0}

    def run(command: list[str], check: bool) -> SimpleNamespace:
        commands.append(command[2:])
        return SimpleNamespace(returncode=statuses[command[2]])

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_speed, "run_command", print_line)
    monkeypatch.setattr(gpu_speed.gpu_parity, "main", lambda arguments: 0)
    monkeypatch.setattr(gpu_speed.gpu_parity, "available", lambda device, backends: ["cuda"])
    monkeypatch.setattr(
        gpu_speed, "time_rasterizers", lambda device, sizes, backends, repeats: print_line(backends)
    )
    monkeypatch.setattr(gpu_speed, "step_rate", lambda config, device, seconds: (25.0, 3000))
    assert gpu_speed.main([]) == 0
    output = capsys.readouterr().out
    assert "['doctor']\n" in output and "['cuda', 'torch']\n" in output
    assert "  fast: 25.0 steps/s, 256 pixels, 3000 Gaussians\n" in output
    assert [command[0] for command in commands] == ["benchmarks.multiview", "benchmarks.guidance"]
    assert all(command[1:3] == ["--config", "full"] for command in commands)
    statuses["benchmarks.guidance"] = 1
    assert gpu_speed.main([]) == 1
