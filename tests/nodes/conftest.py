"""Fixtures of the node tests: modules of the pack, and the fake host's progress bar and cancel button."""

import importlib
import sys

import pytest
from small_fit import shrunk


@pytest.fixture(scope="session")
def pack_module(pack):
    """A function that imports a module of the pack, such as ``nodes.render``."""
    return lambda name: importlib.import_module(f"{pack.__name__}.{name}")


@pytest.fixture
def small_presets(pack_module, monkeypatch):
    """Presets of STAG4D Optimize with few Gaussians, small planes and a coarse visual hull."""
    optimize, initialization = pack_module("nodes.optimize"), pack_module("stag4d.scene.initialization")
    preset = optimize.preset
    monkeypatch.setattr(optimize, "preset", lambda name, **options: shrunk(preset(name, **options)))
    monkeypatch.setattr(initialization, "_HULL_RESOLUTION", 32)


@pytest.fixture
def progress_bar(pack):
    """The class that keeps the updates of the last progress bar."""
    return sys.modules["comfy.utils"].ProgressBar


@pytest.fixture
def interrupt(pack):
    """The exception by which the host cancels a node."""
    return sys.modules["comfy.model_management"].InterruptProcessingException


@pytest.fixture
def cancel_at(pack, monkeypatch):
    """A function that presses cancel, once, just before the n-th time from now that the host checks for it.

    It returns a list that grows with every check.
    """
    management = sys.modules["comfy.model_management"]
    check = management.throw_exception_if_processing_interrupted

    def arrange(number):
        checks = []

        def counted():
            checks.append(None)
            if len(checks) == number:
                management.interrupt_current_processing()
            check()

        monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", counted)
        return checks

    yield arrange
    management.interrupt_current_processing(False)


@pytest.fixture
def cancel_after_step(pack_module, monkeypatch):
    """A function that presses cancel, once, between an optimization step and the monitor's call after it."""
    progress = pack_module("nodes.host.progress")
    management, call = sys.modules["comfy.model_management"], progress.HostMonitor.__call__

    def arrange(number):
        presses = iter([None])

        def pressed(monitor, stage, done, total, **options):
            if (stage, done) == ("optimize", number) and options.get("preview") is not None:
                for _ in presses:
                    management.interrupt_current_processing()
            call(monitor, stage, done, total, **options)

        monkeypatch.setattr(progress.HostMonitor, "__call__", pressed)

    yield arrange
    management.interrupt_current_processing(False)


@pytest.fixture
def previews_always_due(pack_module, monkeypatch):
    """No time has to pass between two previews."""

    class Due:
        def __init__(self, seconds):
            pass

        def is_due(self):
            return True

        def restart(self):
            pass

    monkeypatch.setattr(pack_module("nodes.host.progress"), "Timer", Due)
