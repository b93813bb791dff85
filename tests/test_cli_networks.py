"""Data types of networks that the commands choose, and who can be asked."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch

from stag4d.cli import networks
from stag4d.cli.console import is_interactive


@pytest.mark.parametrize(
    ("name", "major", "dtype"),
    [
        ("NVIDIA GeForce GTX 1660 SUPER", 7, "float32"),  # NaN
        ("NVIDIA GeForce GTX 1650", 7, "float32"),
        ("NVIDIA T1000 8GB", 7, "float32"),
        ("NVIDIA GeForce MX450", 7, "float32"),
        ("Quadro T2000", 7, "float32"),
        ("NVIDIA GeForce GTX 1080", 6, "float32"),  # slow
        ("NVIDIA GeForce RTX 2060", 7, "float16"),
        ("Tesla T4", 7, "float16"),
        ("NVIDIA RTX A2000", 8, "float16"),
        ("NVIDIA GeForce RTX 4090", 8, "float16"),
        ("NVIDIA H200", 9, "float16"),
    ],
)
def test_half_precision_is_chosen_where_a_gpu_is_good_at_it(monkeypatch, name, major, dtype):
    monkeypatch.setattr(networks, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(name=name, major=major)
    )
    assert networks.default_dtype() == dtype


def test_single_precision_is_chosen_on_a_cpu(monkeypatch):
    monkeypatch.setattr(networks, "device", lambda: torch.device("cpu"))
    assert networks.default_dtype() == "float32"


@pytest.mark.parametrize("kind", ["closed", "pipe", "foreground", "background", "not controlling"])
def test_only_the_foreground_of_a_terminal_can_be_asked(monkeypatch, kind):
    if kind == "closed":
        monkeypatch.setattr(sys, "stdin", None)
        assert not is_interactive()
        return
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: kind != "pipe", fileno=lambda: 0))

    def foreground(descriptor):
        if kind == "not controlling":
            raise OSError("Inappropriate ioctl for device")
        return os.getpgrp() + (kind == "background")

    monkeypatch.setattr(os, "tcgetpgrp", foreground)
    assert is_interactive() == (kind in ("foreground", "not controlling"))
