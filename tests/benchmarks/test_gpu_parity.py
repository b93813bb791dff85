"""The parity benchmark runs with and without a GPU, prints its measurements, and fails on wrong results."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from benchmarks import gpu_parity
from stag4d.rendering import backends

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Run on one thread: for such small images a second one costs more than it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the benchmark as it runs on a machine without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    backends._unavailable_reason.cache_clear()
    yield gpu_parity
    backends._unavailable_reason.cache_clear()


def test_without_a_gpu_numba_is_compared(script: ModuleType, capsys: pytest.CaptureFixture[str]):
    """First why the CUDA rasterizers are not available, then the smallest size."""
    assert script.main(["--sizes", "1"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Not on cuda: backend: 'cuda' is not available: torch finds no CUDA device")
    assert "\nNot on cuda: backend: 'gsplat' is not available: " in output
    scenes = [f"numba: 500 Gaussians, 48x48 pixels, {projection}\n" for projection in ("pinhole", "ortho")]
    for word in (*scenes, "image", "alpha", "depth", "d means2d"):
        assert word in output
    assert "above" not in output


def test_without_gsplat_and_numba_nothing_is_compared(script: ModuleType, monkeypatch, capsys):
    """The reasons are printed and the exit status is 0."""

    def unavailable(device: torch.device, backend: str) -> str:
        raise RuntimeError(f"no {backend}")

    monkeypatch.setattr(script, "select_backend", unavailable)
    assert script.main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Not on cuda: no cuda",
        "Not on cuda: no gsplat",
        "Not on cpu: no numba",
    ]


def test_wrong_colors_exceed_the_image_tolerance(script: ModuleType, monkeypatch, capsys):
    """Numba's colors are one percent too bright."""
    exact = script.rasterize

    def too_bright(*, colors: torch.Tensor, backend: str, **rest):
        return exact(colors=colors * (1.01 if backend == "numba" else 1.0), backend="torch", **rest)

    monkeypatch.setattr(script, "rasterize", too_bright)
    assert script.main(["--sizes", "1"]) == 1
    assert "above 0.002" in capsys.readouterr().out
