"""What renders on a machine and why, on this one and on stand-ins for others."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stag4d.rendering import diagnosis
from stag4d.rendering.backends import Choice
from stag4d.rendering.diagnosis import DeviceReport, advice, find_devices, report_device, versions

pytestmark = pytest.mark.usefixtures("one_thread")

GPU = torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make one CUDA device whose kernels are not compiled yet; returns the file where they will be."""
    file = tmp_path / "stag4d_kernels" / "rasterizer-sm_89-3-0123.bin"
    properties = SimpleNamespace(total_memory=24 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(diagnosis, "kernel_file", lambda device, channels: file)
    monkeypatch.setattr(diagnosis, "fastest_backend", lambda device: Choice("cuda", ()))

    def warm_up(device: torch.device) -> None:
        file.parent.mkdir(exist_ok=True)
        file.touch()

    monkeypatch.setattr(diagnosis, "warm_up", warm_up)
    monkeypatch.setattr(diagnosis, "_render_one", lambda device: None)
    return file


def report(device: str, backend: str, *reasons: str) -> DeviceReport:
    return DeviceReport(
        device=torch.device(device), name=device, backend=backend, reasons=reasons, kernels="", error=None
    )


def test_this_machine_renders_on_its_cpu():
    pytest.importorskip("numba")
    found = report_device(torch.device("cpu"))
    assert (found.backend, found.reasons, found.error) == ("numba", (), None)
    assert found.kernels.startswith("kernels ") and " cached in " in found.kernels
    assert Path(found.kernels.split(" cached in ")[1]).is_dir()
    second = report_device(torch.device("cpu"))
    assert second.kernels.split(" in ")[0] == found.kernels.split(" in ")[0]
    assert torch.device("cpu") == find_devices()[-1]


def test_a_gpu_comes_first_and_tells_whether_its_kernels_had_to_be_compiled(gpu):
    assert find_devices() == [GPU, torch.device("cpu")]
    first, second = report_device(GPU), report_device(GPU)
    assert first.name == "cuda:0 (Some GPU, compute capability 8.9), 24.0 GiB"
    assert first.kernels.startswith("kernels compiled in ")
    assert second.kernels.startswith("kernels loaded in ")
    assert second.kernels.endswith(f", cached in {gpu.parent}")


def test_a_rasterizer_that_fails_is_reported_with_its_error(gpu, monkeypatch):
    def fail(device: torch.device) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(diagnosis, "warm_up", fail)
    found = report_device(GPU)
    assert (found.error, found.kernels) == ("CUDA error: out of memory", "")


def test_a_black_image_is_an_error(monkeypatch):
    """As of kernels that do nothing."""
    monkeypatch.setattr(diagnosis, "rasterize", lambda **inputs: (torch.zeros(1, 16, 16, 3), None, None))
    assert report_device(torch.device("cpu")).error == "the image of a Gaussian is black"


def test_a_gpu_without_kernels_is_reported_with_the_reasons(gpu, monkeypatch):
    def missing(device: torch.device, channels: int) -> Path:
        raise RuntimeError("NVRTC: no library for CUDA 13 loads")

    monkeypatch.setattr(diagnosis, "kernel_file", missing)
    monkeypatch.setattr(diagnosis, "fastest_backend", lambda device: Choice("torch", ("NVRTC is missing.",)))
    found = report_device(GPU)
    assert (found.backend, found.reasons, found.kernels) == ("torch", ("NVRTC is missing.",), "")
    assert advice([found, report("cpu", "numba")]) == ["cuda:0: NVRTC is missing."]


@pytest.mark.parametrize(
    ("driver", "cuda", "expected"),
    [
        (None, "13.0", "The CUDA kernels need an NVIDIA GPU; there is none, or its driver is not installed."),
        (
            "12.8",
            None,
            "An NVIDIA driver for CUDA 12.8 is installed, but torch is built without CUDA; install ",
        ),
        ("12.8", "13.0", "The NVIDIA driver supports CUDA 12.8, and torch is built for CUDA 13.0; update "),
        ("12.10", "12.8", "An NVIDIA driver is installed, but torch finds no CUDA device; see CUDA_VISIBLE"),
    ],
)
def test_without_a_cuda_device_the_advice_depends_on_driver_and_torch(driver, cuda, expected, monkeypatch):
    monkeypatch.setattr(diagnosis, "driver_version", lambda: driver)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    reports = [report("cpu", "torch", "Backend 'numba' is not available: pip install numba.")]
    first, second = advice(reports)
    assert first == "cpu: Backend 'numba' is not available: pip install numba."
    assert second.startswith(expected)


def test_the_advice_names_devices_without_kernels(monkeypatch):
    monkeypatch.setattr(diagnosis, "driver_version", lambda: None)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert advice([report("cpu", "numba")]) == ["Fits run on the CPU: there are no kernels for mps."]
    assert advice([report("cuda:0", "cuda"), report("cpu", "numba")]) == []


def test_versions_name_libraries_and_what_is_missing(monkeypatch, tmp_path):
    def missing() -> None:
        raise RuntimeError("NVRTC: no library for CUDA 13 loads (x); pip install nvidia-cuda-nvrtc.")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(diagnosis, "compiler", missing)
    monkeypatch.setattr(diagnosis, "driver_version", lambda: "12.8")
    monkeypatch.setattr(diagnosis, "installed_version", {"numba": "0.68.1"}.get)
    found = versions()
    assert found["torch"] == f"{torch.__version__}, for CUDA 13.0"
    assert found["NVIDIA driver"] == "supports CUDA 12.8"
    assert found["NVRTC"].startswith("not found. NVRTC: no library for CUDA 13 loads (x); pip install")
    assert (found["Numba"], found["gsplat"]) == ("0.68.1", "not installed")
    assert found["threads"] == f"1 of {os.cpu_count()} CPU cores"
    assert found["CUDA kernels"] == f"{tmp_path / 'stag4d_kernels'}, 0 files"
    library = SimpleNamespace(NAME="NVRTC", version_text="13.0", library="libnvrtc.so.13")
    monkeypatch.setattr(diagnosis, "compiler", lambda: library)
    assert versions()["NVRTC"] == "NVRTC 13.0, libnvrtc.so.13"
