"""Layouts of the published models: their sizes, folders of random weights, and memory computed for them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks._published_layouts import GUIDANCE, MULTIVIEW, write_guidance, write_multiview
from benchmarks.full_size import measured
from benchmarks.memory import PeakBytes
from stag4d.diffusion import (
    SamplingConfig,
    check_guidance_model,
    denoising_seconds,
    load_guidance_model,
    load_multiview_model,
    read_image_size,
)
from stag4d.diffusion.cpu_time import step_operations

SMALL = {  # widths and depths that a test can write
    "block_out_channels": (32, 32, 64, 64),
    "attention_head_dim": 8,
    "cross_attention_dim": 32,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "projection_dim": 32,
    "embedding_dim": 32,
    "vocab_size": 16,
    "bos_token_id": 14,
    "eos_token_id": 15,
    "pad_token_id": 15,
}


def small(networks: dict) -> dict:
    """Return the networks of a layout with small widths."""
    return {
        name: network._replace(config={key: SMALL.get(key, value) for key, value in network.config.items()})
        for name, network in networks.items()
    }


@pytest.mark.parametrize(
    ("networks", "millions"),
    [
        (MULTIVIEW, {"unet": 866, "vae": 84, "vision_encoder": 632, "text_encoder": 340}),
        (GUIDANCE, {"unet": 860, "vae": 84, "image_encoder": 304, "clip_camera_projection": 1}),
    ],
)
def test_networks_have_the_published_numbers_of_weights(networks, millions):
    found = {
        name: round(sum(weight.numel() for weight in network.on_meta().parameters()) / 1e6)
        for name, network in networks.items()
    }
    assert found == millions


@pytest.fixture(scope="module")
def multiview(tmp_path_factory) -> Path:
    """A folder in the layout of Zero123++ with small networks."""
    folder = tmp_path_factory.mktemp("multiview")
    write_multiview(folder, small(MULTIVIEW))
    return folder


def test_folders_of_random_weights_can_be_loaded(multiview, tmp_path):
    model = load_multiview_model(multiview, dtype=torch.float16)
    assert read_image_size(multiview) == model.image_size == 512
    assert model.grid_size == (120, 80)
    write_guidance(tmp_path, small(GUIDANCE))
    check_guidance_model(tmp_path)
    assert load_guidance_model(tmp_path).latent_shape == (4, 32, 32)
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    write_guidance(tmp_path, small(GUIDANCE))
    assert {path: path.stat().st_mtime_ns for path in weights} == weights  # not written again


def test_operations_of_a_step_are_those_of_both_passes_and_branches(multiview):
    model = load_multiview_model(multiview)
    both = step_operations(model, SamplingConfig(guidance_scale=4.0))
    assert both == 2 * step_operations(model, SamplingConfig(guidance_scale=1.0))
    # conv_in alone: 3 x 3 x 4 inputs, 32 outputs, a product and a sum, at the pixels of grid and reference
    assert both > 2 * 2 * 9 * 4 * 32 * (120 * 80 + 64 * 64)


def test_estimated_time_grows_with_frames_and_steps_and_is_for_cpus_alone(multiview, monkeypatch):
    model = load_multiview_model(multiview)
    monkeypatch.setattr("stag4d.diffusion.cpu_time._SLOWEST", 1.0)
    clock = iter(range(100))
    stopwatch = SimpleNamespace(perf_counter=lambda: float(next(clock)))
    monkeypatch.setattr("stag4d.diffusion.cpu_time.time", stopwatch)
    checks: list[None] = []
    config = SamplingConfig(num_steps=2)
    one = denoising_seconds(model, 1, config, lambda: checks.append(None))
    assert one is not None
    assert len(checks) == 2
    many = denoising_seconds(model, 3, replace(config, num_steps=10))
    assert many == pytest.approx(15 * one)
    model.unet.to("meta")
    assert denoising_seconds(model, 3, config) is None


def test_short_work_is_not_measured(multiview, monkeypatch):
    model = load_multiview_model(multiview)
    monkeypatch.setattr(model.unet, "forward", None)
    monkeypatch.setattr("stag4d.diffusion.cpu_time._SLOWEST", 1e15)
    assert denoising_seconds(model, 1, SamplingConfig(num_steps=2)) is None


def test_peak_counts_what_lives_at_the_same_time():
    with PeakBytes() as memory:
        first = torch.empty(1000, device="meta")
        view = first[:10]  # the same memory
        second = first * 2
        del first, view
        third = torch.empty(500, device="meta")
    assert memory.peak == 4 * 2000
    assert (len(second), len(third)) == (1000, 500)


def test_measured_command_has_the_peak_of_its_own_memory():
    code = "import sys; block = b'x' * 200_000_000; sys.exit(3)"
    seconds, gigabytes, status = measured([sys.executable, "-c", code])
    assert status == 3
    assert seconds > 0
    assert 0.2 < gigabytes < 0.5
