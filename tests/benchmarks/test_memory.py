"""The memory benchmark adds up the tensors that exist at the same time."""

from __future__ import annotations

import re

import pytest
import torch
from torch._subclasses import FakeTensorMode

from benchmarks import memory


def test_peak_is_the_largest_sum_of_tensors_at_one_time():
    layer = torch.nn.Linear(100, 100, bias=False)
    with memory.Allocations(layer) as allocations, torch.no_grad():
        first = torch.zeros(1000)
        del first
        second = torch.zeros(300)
        third = second + 1
        views = third[:10], layer.weight.t()  # not of their own memory
        assert allocations.peak == 4000
        fourth = third + 1
        fifth = fourth + 1
    assert allocations.peak == 4 * 1200
    assert len(views) + len(fifth) == 302


def test_memory_of_the_networks_grows_with_the_frames_and_is_more_than_their_weights(monkeypatch):
    """At small sizes."""
    monkeypatch.setitem(memory.MULTIVIEW, "full", memory.MULTIVIEW["small"])
    monkeypatch.setitem(memory.GUIDANCE, "full", memory.GUIDANCE["small"])
    for name in memory.CLIP:
        monkeypatch.setitem(memory.CLIP, name, (32, 2, 2, 64, 32))
    monkeypatch.setattr(memory, "gigabytes", lambda count: f"{count:.0f} bytes")
    with FakeTensorMode():
        weights, one, four, decoding = (numbers(row)[-1] for row in memory.multiview_rows())
        guidance = memory.guidance_row()
    assert 1e6 < weights < 1e8
    assert 3 * one < four < 5 * one
    assert decoding > 0
    networks, tensors = numbers(guidance)
    assert networks > 1e6 and tensors > 1e5


def numbers(row: str) -> list[int]:
    return [int(number) for number in re.findall(r"(\d+) bytes", row)]


def test_memory_of_a_fit_has_images_and_tensors(monkeypatch):
    small = memory.preset("fast", size=16)
    monkeypatch.setattr(memory, "preset", lambda name: small)
    threads = torch.get_num_threads()
    try:
        row = memory.fit_row("fast")
    finally:
        torch.set_num_threads(threads)
    assert re.fullmatch(
        r"fit, preset fast, 32 frames of 16 pixels: images 0\.00 GB \+ a step with \d+ .*\n", row
    )


@pytest.mark.parametrize(("count", "text"), [(0, "0.00 GB"), (3_900_000_000, "3.90 GB")])
def test_bytes_are_shown_as_gigabytes(count: int, text: str):
    assert memory.gigabytes(count) == text
