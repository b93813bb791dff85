"""The help of every benchmark and every training script."""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "benchmarks").glob("[!_]*.py"))
RUNS = sorted(
    path.stem for path in (ROOT / "training").glob("*.py") if "def main()" in path.read_text("utf-8")
)


def check_help(run, capsys) -> None:
    """Check that a call prints usage and exits with status 0."""
    with pytest.raises(SystemExit) as left:
        run()
    assert left.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_has_help(path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [str(path), "--help"])
    monkeypatch.delitem(sys.modules, f"benchmarks.{path.stem}", raising=False)  # it runs anew as a script
    check_help(lambda: runpy.run_module(f"benchmarks.{path.stem}", run_name="__main__"), capsys)


@pytest.mark.parametrize("name", RUNS)
def test_a_training_script_has_help(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [name, "--help"])
    check_help(importlib.import_module(f"training.{name}").main, capsys)
