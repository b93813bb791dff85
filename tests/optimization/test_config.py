"""Preset ``paper`` has the published code's numbers, repeated here; values out of range are refused."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.optimization import (
    AdaptivePercentile,
    BatchConfig,
    GuidanceConfig,
    OptimizationConfig,
    auto_preset,
    preset,
)
from stag4d.optimization import config as config_module
from stag4d.scene import SH_C0

PAPER = {
    "steps": 8000,
    "start": {"kind": "ball", "num_points": 10_000, "bound": 0.5},
    "field": {
        "resolutions": (64, 128, 256, 512),
        "time_resolution": 25,
        "num_channels": 32,
        "width": 64,
        "deform_scales": True,
        "bound": 1.6,
    },
    "rates": {
        "means": {"start": 2e-3, "end": 2e-5, "until": 2000 / 8000},
        "planes": {"start": 1.6e-2, "end": 1.6e-3, "until": 2000 / 8000},
        "mlp": {"start": 1.6e-3, "end": 1.6e-4, "until": 2000 / 8000},
        "log_scales": {"start": 1e-2, "end": 1e-2},
        "quats": {"start": 2e-3, "end": 2e-3},
        "opacities": {"start": 2e-2, "end": 2e-2},
        "colors": {"start": 5e-3 * SH_C0, "end": 5e-3 * SH_C0},
    },
    "losses": {"kind": "mse", "view_color": 0, "view_alpha": 0, "ramp": 2000 / 8000},
    "regularizers": {
        "time_smoothness": 5.0,
        "space_smoothness": 0.05,
        "time_deviation": 0.05,
        "max_scale_ratio": 7.5,
        "silhouette_area": 0.0,
        "depth_roughness": 0.0,
        "scale_cap": 0.0,
    },
    "batch": {
        "num_frames": 4,
        "num_views": 0,
        "static_until": 700 / 8000,
        "spread_until": 0.0,
        "background": "white",
    },
    "densification": {
        "start": 1200 / 8000,
        "stop": 6000 / 8000,
        "every": 100,
        "clone_scale": 0.1,
        "min_opacity": 0.01,
        "min_scale": 0.001,
        "max_scale": 0.1,
    },
    "guidance": {
        "max_elevation_deg": 30.0,
        "guidance_scale": 5.0,
        "anchors": "sectors",
        "reference_share": 0.6,
        "reference_azimuth_deg": 30.0,
        "start_times": (0.5, 0.95),
        "end_times": (0.02, 0.5),
        "anneal_until": 3000 / 8000,
    },
}


def check(found: object, expected: object, path: str) -> None:
    """Compare nested numbers."""
    if not isinstance(expected, dict):
        assert found == (pytest.approx(expected) if isinstance(expected, float) else expected), path
        return
    for name, value in expected.items():
        part = found[name] if isinstance(found, dict) else getattr(found, name)
        check(part, value, f"{path}.{name}")


def test_preset_paper_has_the_published_numbers():
    config = preset("paper")
    check(config, PAPER, "paper")
    assert config.densification.strategy == AdaptivePercentile(top_share=0.025)


def test_the_json_of_a_configuration_names_its_strategy():
    config: OptimizationConfig = preset("paper")
    found = config.as_json()["densification"]["strategy"]
    assert found == {"kind": "AdaptivePercentile", "top_share": 0.025}


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_weight_of_guidance_that_is_no_weight_is_refused(weight):
    with pytest.raises(ValueError, match=r"^guidance: weight .*; expected a finite weight of at least 0"):
        GuidanceConfig(weight=weight)


@pytest.mark.parametrize("name", ["static_until", "spread_until"])
@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_a_progress_beyond_the_run_is_refused(name, value):
    with pytest.raises(ValueError, match=rf"^batch: {name} is {value}; expected a progress in 0 to 1"):
        BatchConfig(**{name: value})


@pytest.mark.parametrize("sizes", [((0.5, 0.25), (0.2, 0.5)), ((1.5, 0.5),), ((-0.1, 0.5),)])
def test_sizes_end_one_after_the_other(sizes):
    with pytest.raises(ValueError, match=r"^batch: sizes are .*; expected them to end one after the other"):
        BatchConfig(sizes=sizes)


@pytest.mark.parametrize(
    ("device", "backend", "expected"),
    [
        ("cuda", "cuda", "quality"),
        ("cuda", "gsplat", "quality"),
        ("cuda", "torch", "fast"),
        ("cpu", "numba", "fast"),
        ("mps", "torch", "fast"),
    ],
)
def test_auto_preset_is_quality_only_where_cuda_kernels_rasterize(monkeypatch, device, backend, expected):
    monkeypatch.setattr(config_module, "select_backend", lambda *_: backend)
    assert auto_preset(torch.device(device)) == expected
