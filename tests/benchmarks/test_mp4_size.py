"""Sizes of MP4 files with and without x264's macroblock tree."""

from __future__ import annotations

import pytest
import torch
from av.codec import codecs_available

from benchmarks import mp4_size as script
from stag4d.optimization import Trainer, preset
from stag4d.pipeline import write_turntable
from stag4d.toys import toy_seed, toy_views

pytestmark = pytest.mark.skipif("libx264" not in codecs_available, reason="this FFmpeg has no x264")


def test_files_are_written_without_the_macroblock_tree(tmp_path):
    views = toy_views(toy_seed("test", 0), num_frames=2, size=32)
    scene = Trainer(views, preset("fast", size=32)).model()
    without, with_tree = (script.turntable_bytes(scene, 48, mbtree) for mbtree in (0, 1))
    write_turntable(tmp_path / "a.mp4", scene, 48)
    assert (tmp_path / "a.mp4").stat().st_size == without != with_tree


def test_ratio_of_each_toy_and_size_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(script, "fit", lambda views, config: (config.steps, None))
    monkeypatch.setattr(script, "toy_views", lambda seed, num_frames, size: torch.zeros(0))
    monkeypatch.setattr(script, "turntable_bytes", lambda scene, size, mbtree: size * (200 - 40 * mbtree))
    script.main("--toys 2 --steps 1 --sizes 10 20".split())
    assert capsys.readouterr().out.splitlines() == [
        f"toy {toy}, {size} pixels: {size * 0.2:.0f} kB, ratio 1.25" for toy in (0, 1) for size in (10, 20)
    ]
