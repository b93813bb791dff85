"""A fit with the CUDA kernels, which an emulator runs on the CPU, is as good as one with Numba."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cuda_emulator
import pytest
import torch

from benchmarks._true_views import true_views
from stag4d.evaluation import compare
from stag4d.optimization import OptimizationConfig, preset
from stag4d.pipeline import fit, render_views
from stag4d.rendering.cuda import backend
from stag4d.rendering.inputs import RasterInputs
from stag4d.toys import TEST_POSES, toy_seed

SIZE = 32  # pixels
TOLERANCE_DB = 0.1

pytestmark = pytest.mark.skipif(
    cuda_emulator.unavailable_reason() is not None, reason=str(cuda_emulator.unavailable_reason())
)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Fit the frames of a step in turn: the emulator runs one kernel at a time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def load(device: torch.device, channels: int) -> cuda_emulator.EmulatedKernels:
    return cuda_emulator.emulated_kernels(channels, torch.float32)


def psnrs(config: OptimizationConfig, num_frames: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the PSNR at the test views of a toy, of a fit with Numba and of one with the emulator, dB."""
    views, truth = true_views(toy_seed("val", 0), num_frames, SIZE)
    module: Any = importlib.import_module("stag4d.rendering.rasterize")
    found = []
    for is_emulated in (False, True):
        launches = load(torch.device("cpu"), 3).launches
        launches.clear()
        with monkeypatch.context() as patch:
            if is_emulated:
                patch.setattr(module, "backend_for", lambda inputs, name: rasterize_emulated)
            model, _ = fit(views, config)
        assert bool(launches) == is_emulated
        images, alphas = render_views(model, list(TEST_POSES), list(range(num_frames)), SIZE)
        found.append(float(compare(images, alphas, *truth)["psnr"]))
    return found


def rasterize_emulated(inputs: RasterInputs) -> Any:
    return backend.rasterize(inputs, load)


def config_for(steps: int, num_points: int, every: int) -> OptimizationConfig:
    """Return preset ``fast`` with as many Gaussians as such small images need; some are added in the fit."""
    config = preset("fast", steps=steps, size=SIZE)
    return replace(
        config,
        start=replace(config.start, num_points=num_points),
        densification=replace(config.densification, max_gaussians=2 * num_points, every=every),
    )


def test_a_short_fit_with_the_cuda_kernels_is_as_good_as_with_numba(one_thread, monkeypatch):
    pytest.importorskip("numba")
    numba, emulated = psnrs(config_for(steps=30, num_points=100, every=5), 2, monkeypatch)
    assert numba > 16
    assert abs(emulated - numba) < TOLERANCE_DB


@pytest.mark.slow
def test_a_fit_with_the_cuda_kernels_is_as_good_as_with_numba(one_thread, monkeypatch):
    """All steps of the preset; a quarter of an hour."""
    pytest.importorskip("numba")
    config = preset("fast")
    config = config_for(config.steps, config.start.num_points // 10, config.densification.every)
    numba, emulated = psnrs(config, 4, monkeypatch)
    assert numba > 22
    assert abs(emulated - numba) < TOLERANCE_DB
