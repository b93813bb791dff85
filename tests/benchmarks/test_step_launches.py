"""The table of kernel launches per step."""

from __future__ import annotations

from collections import Counter

from benchmarks import step_launches as script
from benchmarks._simulated_cuda import RASTERIZER, DeviceLog


def test_the_rasterizer_is_counted_apart_and_numbers_are_means_over_steps():
    log = DeviceLog(
        Counter({RASTERIZER: 8, "ssim.py": 20, "backward pass": 13}),
        Counter({"devices.py": 6}),
        Counter({f"{RASTERIZER}: _local_scalar_dense": 4, "ssim.py: nonzero": 2}),
    )
    assert script.row("fast", log, 2) == "| fast | 16.5 | 4 | 3 | 3 | 2 |"


def test_steps_of_a_preset_are_counted(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["step_launches", "--presets", "fast", "--steps", "1", "--places"])
    script.main()
    rows = capsys.readouterr().out.splitlines()
    assert rows[2].startswith("| fast | ")
    assert rows[2].endswith(" | 2 | 2 |")
    assert any(row.startswith("    backward pass: ") for row in rows[3:])
