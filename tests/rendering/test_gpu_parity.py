"""The parity benchmark runs on any machine, reports what it measured, and fails on a wrong rasterizer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from benchmarks import gpu_parity

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, as on a machine without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    missing = sys.modules["stag4d.rendering.rasterize"]._missing
    missing.cache_clear()
    yield gpu_parity
    missing.cache_clear()


def test_without_a_gpu_numba_is_compared_and_timed(script: ModuleType, capsys: pytest.CaptureFixture[str]):
    """One sentence on what is missing, then the smallest size with its ratio."""
    assert script.main(["--repeats", "1", "--sizes", "1"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Not comparing gsplat with torch on cuda. backend: 'gsplat' is not available: ")
    for word in ("500 Gaussians, 48x48", "image", "alpha", "depth", "d means2d", "with backward", "ratio"):
        assert word in output
    assert "above" not in output


def test_without_any_fast_backend_it_says_so_and_succeeds(script: ModuleType, monkeypatch, capsys):
    """Two sentences, no comparison."""

    def unavailable(device: torch.device, backend: str) -> str:
        raise RuntimeError(f"no {backend}")

    monkeypatch.setattr(script, "select_backend", unavailable)
    assert script.main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Not comparing gsplat with torch on cuda. no gsplat",
        "Not comparing numba with torch on cpu. no numba",
    ]


def test_a_wrong_rasterizer_is_found(script: ModuleType, monkeypatch, capsys):
    """Colors one percent too bright exceed the tolerance of the image."""
    exact = script.rasterize

    def too_bright(*, colors: torch.Tensor, backend: str, **rest):
        return exact(colors=colors * (1.01 if backend == "numba" else 1.0), backend="torch", **rest)

    monkeypatch.setattr(script, "rasterize", too_bright)
    assert script.main(["--repeats", "1", "--sizes", "1"]) == 1
    assert "above 0.002" in capsys.readouterr().out
