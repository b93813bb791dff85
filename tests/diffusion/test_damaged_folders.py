"""Damaged model folders: each is read, or refused by name, in bounded memory and time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="memory limits need a POSIX system")

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "support" / "damaged_models.py"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def read_damaged(kind, seed, count):
    """Read damaged files in a process of its own; fails with the last file and the traceback."""
    command = [sys.executable, str(PROGRAM), kind, str(seed), str(count)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    files = done.stdout.splitlines()
    assert done.returncode == 0, f"{files[-1:]}\n{done.stderr[-3000:]}"
    assert len(files) == count


@pytest.mark.parametrize(("kind", "count"), [("multiview", 300), ("guidance", 200)])
def test_damaged_files_are_read_or_refused_by_name(kind, count):
    read_damaged(kind, seed=1, count=count)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_files_are_read_or_refused_by_name(seed):
    read_damaged(("multiview", "guidance")[seed % 2], seed=100 + seed, count=1000)
