"""NVRTC: where it is looked for, what it makes of the kernels; and the cache of compiled kernels."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import pytest
import torch

from stag4d.rendering.cuda import compilation, nvrtc
from stag4d.rendering.cuda.compilation import cache_folder, compiled_image
from stag4d.rendering.cuda.layout import KERNELS, KERNELS_PATH, MAX_CHANNELS, definitions
from stag4d.rendering.cuda.nvrtc import Nvrtc, find_nvrtc


class FakeNvrtc(Nvrtc):
    """Compiles a source to a text that names it."""

    def __init__(self, version: tuple[int, int] = (12, 8)) -> None:
        self.version = version
        self.architectures = [75, 80, 86, 90]
        self.compiled: list[list[str]] = []

    def compile(self, source: str, name: str, options: list[str]) -> tuple[bytes, str]:
        self.compiled.append(options)
        return f"{name} {options[0]} {options[2]} number {len(self.compiled)}".encode(), ""


def test_kernels_are_compiled_once_per_architecture_channels_and_version(tmp_path: Path, caplog):
    """The log says how long it took and where the result is."""
    compiler = FakeNvrtc()
    with caplog.at_level(logging.INFO, logger="stag4d.rendering"):
        first = compiled_image(compiler, 86, 3, folder=tmp_path)
    assert first == b"kernels.cu --gpu-architecture=sm_86 -DCHANNELS=3 number 1"
    (message,) = caplog.messages
    assert re.match(
        r"Compiled the CUDA rasterizer for sm_86 and 3 channels in \d+\.\d s with NVRTC 12\.8; kept as ",
        message,
    )
    caplog.clear()
    assert compiled_image(compiler, 86, 3, folder=tmp_path) == first
    assert not caplog.messages
    for architecture, channels in ((86, 4), (75, 3)):
        assert compiled_image(compiler, architecture, channels, folder=tmp_path) != first
    assert len(compiler.compiled) == 3
    other = FakeNvrtc((13, 0))
    compiled_image(other, 86, 3, folder=tmp_path)
    assert len(other.compiled) == 1
    assert len(list(tmp_path.glob("rasterizer-*.bin"))) == 4


def test_changed_source_is_compiled_again(tmp_path: Path, monkeypatch):
    compiler = FakeNvrtc()
    compiled_image(compiler, 86, 3, folder=tmp_path)
    changed = tmp_path / "kernels.cu"
    changed.write_text(KERNELS_PATH.read_text(encoding="utf-8") + "\n// changed")
    monkeypatch.setattr(compilation, "KERNELS_PATH", changed)
    compiled_image(compiler, 86, 3, folder=tmp_path)
    assert len(compiler.compiled) == 2


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 200])
def test_damaged_file_of_the_cache_is_replaced(content: bytes, tmp_path: Path):
    compiler = FakeNvrtc()
    compiled_image(compiler, 86, 3, folder=tmp_path)
    (path,) = tmp_path.glob("*.bin")
    path.write_bytes(content)
    second = compiled_image(compiler, 86, 3, folder=tmp_path)
    assert second.endswith(b"number 2")
    assert compiled_image(compiler, 86, 3, folder=tmp_path) == second


def test_kernels_work_where_the_cache_cannot_be_written(tmp_path: Path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.INFO, logger="stag4d.rendering"):
        image = compiled_image(FakeNvrtc(), 86, 3, folder=tmp_path / "file" / "folder")
    assert image.startswith(b"kernels.cu")
    assert "; not kept: " in caplog.text


def test_kernels_work_for_users_without_a_home_folder(tmp_path: Path, monkeypatch, caplog):
    """As in containers that run as a user that the system does not know."""

    def unknown(user: int) -> None:
        raise KeyError(user)

    for name in ("HOME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform != "win32":
        monkeypatch.setattr("pwd.getpwuid", unknown)
    with caplog.at_level(logging.INFO, logger="stag4d.rendering"):
        image = compiled_image(FakeNvrtc(), 86, 3)
    assert image.startswith(b"kernels.cu")
    assert "; not kept: there is no home folder; TORCH_HOME names another one" in caplog.text


def test_cache_is_in_the_folder_of_torch(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "torch" / "stag4d_kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("~/.cache/torch/stag4d_kernels").expanduser()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert cache_folder() == tmp_path / "torch" / "stag4d_kernels"


def test_gpus_newer_than_the_compiler_get_intermediate_code_and_older_ones_an_error():
    compiler = FakeNvrtc()
    assert [compiler.target(number) for number in (75, 86, 89, 120)] == [
        "sm_75",
        "sm_86",
        "compute_86",
        "compute_90",
    ]
    with pytest.raises(
        RuntimeError, match=r"^NVRTC: version 12\.8 does not compile for .* 6\.1, only from 7\.5"
    ):
        compiler.target(61)


@pytest.mark.parametrize(
    ("platform", "files", "expected"),
    [
        ("linux", ["nvidia/cuda_nvrtc/lib/libnvrtc.so.12"], "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"),
        ("linux", ["nvidia/cu13/lib/libnvrtc.so.13"], "libnvrtc.so.12"),
        ("linux", ["lib/libnvrtc.alt.so.12.8.61", "lib/libnvrtc.so.12"], "lib/libnvrtc.so.12"),  # conda
        (
            "linux",
            ["torch/lib/libnvrtc-builtins.so.12.8", "torch/lib/libnvrtc-672ee683.so.12"],
            "torch/lib/libnvrtc-672ee683.so.12",
        ),
        (
            "win32",
            ["torch/lib/nvrtc64_120_0.alt.dll", "torch/lib/nvrtc64_120_0.dll"],
            "torch/lib/nvrtc64_120_0.dll",
        ),
        ("win32", ["nvidia/cuda_nvrtc/bin/nvrtc64_120_0.dll"], "nvidia/cuda_nvrtc/bin/nvrtc64_120_0.dll"),
        ("win32", ["torch/lib/nvrtc64_130_0.dll"], "nvrtc64_120_0.dll"),
        ("win32", ["Library/bin/nvrtc64_120_0.dll"], "Library/bin/nvrtc64_120_0.dll"),  # conda
    ],
)
def test_library_of_the_same_major_version_is_found_where_torch_installs_it(
    platform: str, files: list[str], expected: str, tmp_path: Path, monkeypatch
):
    """CUDA 12 here; a name alone is left to the loader of the system."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "platform", platform)
    first = next(iter(nvrtc._candidates(12, [tmp_path])))
    assert first == (tmp_path / expected if "/" in expected else expected)


@pytest.mark.parametrize(
    ("platform", "major", "file"),
    [
        ("linux", 11, "nvidia/cuda_nvrtc/lib/libnvrtc.so.11.2"),
        ("linux", 13, "nvidia/cu13/lib/libnvrtc.so.13"),
        ("win32", 11, "torch/lib/nvrtc64_112_0.dll"),
        ("win32", 13, "torch/lib/nvrtc64_130_0.dll"),  # the portable build
        ("win32", 13, "nvidia/cu13/bin/x86_64/nvrtc64_130_0.dll"),
    ],
)
def test_library_of_other_versions_of_cuda_is_found(
    platform, major: int, file: str, tmp_path: Path, monkeypatch
):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    monkeypatch.setattr(sys, "platform", platform)
    paths = list(nvrtc._candidates(major, [tmp_path]))
    assert paths[0] == tmp_path / file
    assert paths[-1] == Path(file).name.removesuffix(".2" if platform == "linux" else "")


def test_no_library_of_the_current_folder_is_loaded(tmp_path: Path, monkeypatch):
    """The current folder may hold files of anybody, such as a downloaded archive."""
    (tmp_path / "libnvrtc-builtins.so.12.8").touch()
    monkeypatch.chdir(tmp_path)
    assert nvrtc._builtins(Path("libnvrtc.so.12")) == []
    assert nvrtc._builtins(tmp_path / "libnvrtc.so.12") == [tmp_path / "libnvrtc-builtins.so.12.8"]


def test_library_that_fails_is_passed_over(monkeypatch):
    """For instance because it does not find its second library."""

    def load(library: str) -> str:
        if library == "first":
            raise RuntimeError("NVRTC: builtin operation failed (7).")
        return library

    monkeypatch.setattr(nvrtc, "_candidates", lambda major, folders: ["first", "second"])
    monkeypatch.setattr(nvrtc, "Nvrtc", load)
    assert find_nvrtc("12.8", []) == "second"


@pytest.mark.parametrize(
    ("cuda_version", "package"), [("12.8", "nvidia-cuda-nvrtc-cu12"), ("99.0", "nvidia-cuda-nvrtc")]
)
def test_missing_library_is_an_error_that_names_the_package(
    cuda_version: str, package: str, tmp_path, monkeypatch
):
    monkeypatch.setattr(nvrtc, "_candidates", lambda major, folders: ["libno-such-nvrtc.so"])
    with pytest.raises(
        RuntimeError, match=rf"^NVRTC: no library for CUDA \d+ loads \(.*\); pip install {package}\.$"
    ):
        find_nvrtc(cuda_version, [tmp_path])


def test_library_without_its_functions_is_passed_over(tmp_path, monkeypatch):
    """For instance the C library."""
    monkeypatch.setattr(nvrtc, "_candidates", lambda major, folders: ["libc.so.6", "libno-such-nvrtc.so"])
    with pytest.raises(RuntimeError, match=r"^NVRTC: no library for CUDA 12 loads"):
        find_nvrtc("12.8", [tmp_path])


@pytest.fixture(scope="module")
def compiler() -> Nvrtc:
    """Return the compiler of an installed package; torch for the CPU does not bring one."""
    for version in (torch.version.cuda, "13.0", "12.0"):
        if version is not None:
            try:
                return find_nvrtc(version)
            except RuntimeError:
                continue
    pytest.skip("NVRTC is not installed; pip install nvidia-cuda-nvrtc, which needs no GPU")


def options_for(target: str, channels: int) -> list[str]:
    options = [f"--gpu-architecture={target}", "--std=c++17", "-Xptxas=-v"]
    return options + [f"-D{name}={value}" for name, value in definitions(channels).items()]


@pytest.mark.parametrize("architecture", [75, 80, 86, 89, 90, 100, 120])
@pytest.mark.parametrize("channels", [3, MAX_CHANNELS])
def test_nvrtc_compiles_the_kernels_without_local_memory(architecture: int, channels: int, compiler: Nvrtc):
    """No spilled registers and no arrays in memory, in any of the kernels."""
    if architecture not in compiler.architectures:
        pytest.skip(f"NVRTC {compiler.version_text} does not support sm_{architecture}")
    source = KERNELS_PATH.read_text(encoding="utf-8")
    image, log = compiler.compile(source, "kernels.cu", options_for(f"sm_{architecture}", channels))
    assert image.startswith(b"\x7fELF")
    kernels = re.findall(r"Compiling entry function '(\w+)'", log)
    assert sorted(kernels) == sorted(KERNELS)
    frames = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    assert frames == [("0", "0", "0")] * len(KERNELS)


def test_nvrtc_gives_intermediate_code_for_newer_gpus(compiler: Nvrtc):
    """A text that ends with a zero byte, as the driver expects it."""
    source = KERNELS_PATH.read_text(encoding="utf-8")
    image, _ = compiler.compile(
        source, "kernels.cu", options_for("compute_90", 3)[:2] + options_for("", 3)[3:]
    )
    assert b".target sm_90" in image
    assert image.endswith(b"\0")


def test_error_of_the_compiler_is_the_message(compiler: Nvrtc):
    with pytest.raises(
        RuntimeError, match=r"(?s)^broken\.cu: does not compile with NVRTC \d+\.\d+: .*undefined"
    ):
        compiler.compile("int x = nothing;", "broken.cu", ["--gpu-architecture=sm_90"])
