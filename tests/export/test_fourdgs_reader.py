"""``.4dgs`` files become scenes again: related and unrelated frames, frame rate, damaged files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from seed_files import changing_frames, moving_frames, random_gaussians, scene_of

from stag4d.export import read_4dgs, write_4dgs
from stag4d.export.fourdgs import _gaussian_set

pytest.importorskip("fourdgs")
from fourdgs.keyframe_delta_file import write_sequence
from fourdgs.keyframe_delta_writer import Sample


def test_moving_scene_is_read_within_the_documented_error(tmp_path):
    model = scene_of(moving_frames(12), fps=12.5)
    write_4dgs(tmp_path / "a.4dgs", model)
    frames, fps = read_4dgs(tmp_path / "a.4dgs")
    assert fps == pytest.approx(12.5)
    assert (len(frames), frames.counts) == (12, None)
    spread = 0.0525 * model.frames.log_scales.exp().median()
    assert (frames.means - model.frames.means).abs().max() < spread
    for frame in range(12):
        found, truth = frames[frame], model.frames[frame]
        torch.testing.assert_close(found.scales, truth.scales, rtol=0.021, atol=0)
        torch.testing.assert_close(found.opacities, truth.opacities, atol=1.01 / 255, rtol=0)
        torch.testing.assert_close(found.colors, truth.colors.clamp(0, 1), atol=1.01 / 255, rtol=0)


def test_unrelated_frames_keep_their_numbers_of_gaussians(tmp_path):
    model = scene_of(changing_frames())
    write_4dgs(tmp_path / "a.4dgs", model)
    frames, _ = read_4dgs(tmp_path / "a.4dgs")
    assert frames.counts == (5, 12, 8)
    for frame, count in enumerate(frames.counts):
        truth = model.frames[frame].means[:count]
        torch.testing.assert_close(frames[frame].means[:count], truth, atol=0.01, rtol=0)


def equal_gaussians(count: int, num_frames: int) -> bytes:
    """Return a file of equal Gaussians that do not move, which takes a few bytes per frame."""
    one = random_gaussians(1).map(lambda values: values.expand(count, *values.shape[1:]))
    samples = [
        Sample(
            frame / 8,
            np.arange(count),
            _gaussian_set(one, torch.zeros(count, 3), frame / 8, num_frames / 8),
        )
        for frame in range(num_frames)
    ]
    return write_sequence(samples, num_frames / 8)


def test_file_that_expands_too_far_is_refused(tmp_path):
    path = tmp_path / "a.4dgs"
    path.write_bytes(equal_gaussians(1000, 4))
    assert len(read_4dgs(path).frames) == 4
    path.write_bytes(equal_gaussians(20_000, 12))
    with pytest.raises(ValueError, match=r"a\.4dgs: .*declares \d+ bytes of Gaussians in a file of \d+"):
        read_4dgs(path)


def test_damaged_file_is_refused_by_name(tmp_path):
    path = tmp_path / "a.4dgs"
    with pytest.raises(FileNotFoundError, match=r"a\.4dgs: no such file"):
        read_4dgs(path)
    write_4dgs(path, scene_of(moving_frames()))
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:40], whole[: len(whole) // 3], whole[:8] + bytes(400)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.4dgs: damaged, or of another kind"):
            read_4dgs(path)


def test_missing_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.4dgs").touch()
    monkeypatch.setitem(sys.modules, "fourdgs", None)
    with pytest.raises(RuntimeError, match=r'pip install "fourdgs>='):
        read_4dgs(tmp_path / "a.4dgs")
