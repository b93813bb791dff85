"""Commands whose fits take a fraction of a second, whatever the preset."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from small_fit import small_config

from stag4d import cli
from stag4d.optimization import OptimizationConfig, PresetName, preset
from stag4d.pipeline import fitting, scenes


def make_commands_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every preset small, after the checks of its ranges, and other work of ``fit`` and ``run``, too.

    Cameras are not compared with the silhouettes, and turntables have six frames.
    """

    def small(name: PresetName, *, steps: int | None, size: int | None, seed: int) -> OptimizationConfig:
        preset(name, steps=steps, size=size, seed=seed)
        return replace(small_config(steps or 4, size or 24, seed), preset=name)

    monkeypatch.setattr(cli.fit_options, "preset", small)
    monkeypatch.setattr(cli.fitting, "check_rig", lambda *_: None)
    short = functools.partial(scenes.write_turntable, num_frames=6)
    monkeypatch.setattr(fitting, "write_turntable", short)
