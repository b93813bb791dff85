"""Data parallelism: different random seeds and summed tensors in every process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from training import parallel

SCRIPT = """
import atexit
import torch
from torch import distributed
from training.loop import batch_seed
from training.parallel import RANK, NUM_PROCESSES, join_processes, sum_over_processes
atexit.register(lambda: print("left" if not distributed.is_initialized() else "stayed"))  # last
join_processes()
seeds = torch.zeros(2, 3, dtype=torch.int64)
seeds[RANK] = torch.tensor([batch_seed(seed, step) for seed, step in ((0, 0), (0, 1), (7000, 5000))])
sum_over_processes([seeds])
generator = torch.Generator()
samples = [torch.rand((), generator=generator.manual_seed(seed)).item() for seed in seeds.flatten().tolist()]
assert len(set(samples)) == 6  # every part of every batch is different
found = [torch.full((2, 3), 1.0 + RANK), torch.tensor([10.0 * RANK])]
sum_over_processes(found)
assert NUM_PROCESSES == 2 and found[0].shape == (2, 3)
assert (found[0] == 3).all() and found[1] == 10
print("agreed")
"""


def test_two_processes_sum_tensors(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(script),
    ]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command,
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout.count("agreed") == 2, done.stderr
    assert done.stdout.count("left") == 2  # the process group


def test_batch_is_divided_evenly_or_refused(monkeypatch):
    monkeypatch.setattr(parallel, "NUM_PROCESSES", 3)
    assert parallel.local_batch_size(12) == 4
    with pytest.raises(ValueError, match="3 processes cannot share a batch of 16"):
        parallel.local_batch_size(16)
