"""The memory benchmark counts the tensors of a fit."""

from __future__ import annotations

import torch

from benchmarks import memory


def test_memory_of_a_fit_has_images_and_tensors(monkeypatch):
    """Images of 32 frames, six views and the input, and at least their pixels and parameters of a step."""
    threads = torch.get_num_threads()
    found = {}
    for size in (16, 32):
        small = memory.preset("fast", size=size)
        monkeypatch.setattr(memory, "preset", lambda name, config=small: config)
        try:
            found[size] = memory.fit_bytes("fast") - 32 * 7 * size**2 * 4
        finally:
            torch.set_num_threads(threads)
        monkeypatch.undo()
    assert 1e6 < found[16] < found[32] < 1e9
