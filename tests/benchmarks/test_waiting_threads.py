"""Waiting threads: the table, and the measurements at a small size."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from benchmarks import waiting_threads as script

TINY = "--rounds 2 --busy-loops 0 1 --threads 1 --frames 2 --size 16 --repeats 1 --limit 0.1"


@pytest.fixture
def same_threads():
    """Restore the number of torch's threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_ratios_are_those_of_each_round_and_of_the_medians():
    spinning = [{"step, one thread": 2.0, "step, parallel": second} for second in (3.0, 6.0, 8.0)]
    sleeping = [{"step, one thread": 4.0, "step, parallel": second} for second in (3.0, 2.0, 1.0)]
    assert list(script.table_rows(1, spinning, sleeping)) == [
        "| 1 | step, one thread | 2.000 | 4.000 | 0.50 (0.50 to 0.50) | 1.00 | 1.00 |",
        "| 1 | step, parallel | 6.000 | 2.000 | 3.00 (1.00 to 8.00) | 3.00 | 0.50 |",
    ]


def test_policies_alternate_and_are_measured_alone_and_beside_busy_loops(monkeypatch, capsys, same_threads):
    policies = []

    def run_here(command, *, env, **options):
        policies.append(env.get("OMP_WAIT_POLICY"))
        script.main(command[command.index("benchmarks.waiting_threads") + 1 :])
        return SimpleNamespace(stdout=capsys.readouterr().out)

    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setattr(script.subprocess, "run", run_here)
    monkeypatch.setattr(script, "TURNTABLE_SIZE", 16)
    script.main(TINY.split())
    rows = [row.split("|")[1:-1] for row in capsys.readouterr().out.splitlines()[1:]]
    assert policies == [None, "PASSIVE", "PASSIVE", None]
    assert [row[0].strip() for row in rows[2:]] == ["0"] * 5 + ["1"] * 5
    assert all(float(row[column]) > 0 for row in rows[2:] for column in (2, 3, 5, 6))
    assert {len(row) for row in rows} == {7}
