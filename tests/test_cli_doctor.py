"""``stag4d doctor``: its report and its exit status."""

from __future__ import annotations

import re

import pytest
import torch

from stag4d import __version__
from stag4d.cli import doctor, main
from stag4d.rendering.diagnosis import DeviceReport


def test_report_names_versions_and_the_rasterizer_of_each_device(capsys):
    """On this machine."""
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"stag4d: {__version__}\nPython: ")
    for name in ("torch", "NVIDIA driver", "NVRTC", "Numba", "gsplat", "threads", "CUDA kernels"):
        assert re.search(rf"^{name}: .+$", output, re.MULTILINE), name
    assert re.search(r"^cpu \(.*\): rasterizer (numba; kernels .*|torch)$", output, re.MULTILINE)


def test_device_whose_rasterizer_fails_is_an_exit_status_and_a_line(monkeypatch, capsys):
    """The other devices and the advice are reported nevertheless."""
    reports = {
        "cuda": DeviceReport(
            device=torch.device("cuda:0"),
            name="cuda:0 (Some GPU)",
            backend="torch",
            reasons=("NVRTC is missing.",),
            kernels="",
            error="CUDA error: out of memory",
        ),
        "cpu": DeviceReport(
            device=torch.device("cpu"),
            name="cpu",
            backend="numba",
            reasons=(),
            kernels="kernels loaded in 0.3 s, cached in CACHE",
            error=None,
        ),
    }
    monkeypatch.setattr(doctor, "find_devices", lambda: [torch.device("cuda:0"), torch.device("cpu")])
    monkeypatch.setattr(doctor, "report_device", lambda device: reports[device.type])
    assert main(["doctor"]) == 2
    _, devices, faster = capsys.readouterr().out.split("\n\n")
    assert devices.splitlines() == [
        "cuda:0 (Some GPU): rasterizer torch fails: CUDA error: out of memory",
        "cpu: rasterizer numba; kernels loaded in 0.3 s, cached in CACHE",
    ]
    assert faster.splitlines() == ["For a faster rasterizer:", "- cuda:0: NVRTC is missing."]


def test_help_lists_and_explains_the_command(capsys):
    for words in (["--help"], ["doctor", "--help"]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
        output = " ".join(capsys.readouterr().out.split())
        assert "doctor" in output and "devices, versions and the rasterizer of each device" in output


@pytest.mark.parametrize("words", [["doctor", "now"], ["doctor", "--fix"]])
def test_other_arguments_are_refused(words, capsys):
    assert main(words) == 2
    assert "see `stag4d --help`." in capsys.readouterr().err
