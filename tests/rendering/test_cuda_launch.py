"""Loading and launching of compiled kernels, with a stand-in for the driver whose devices are the CPU."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import cuda_emulator
import pytest
import torch

from stag4d.rendering.cuda import backend, check, hip, loading
from stag4d.rendering.cuda.driver import Driver, LoadedKernels, driver_version
from stag4d.rendering.cuda.layout import KERNELS
from stag4d.rendering.inputs import RasterInputs

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(
        cuda_emulator.unavailable_reason() is not None, reason=str(cuda_emulator.unavailable_reason())
    ),
]

CHANNELS = 3


class StandIn:
    """The stand-in's own functions.

    Args:
        options: Of its compilation.
    """

    def __init__(self, *options: str) -> None:
        self.path = str(cuda_emulator.build(cuda_emulator.FOLDER / "driver.cpp", ["-ldl", *options]))
        self.library = ctypes.CDLL(self.path)
        self.library.driver_log.restype = ctypes.c_char_p
        self.calls()

    def calls(self) -> list[str]:
        """Return what was called since the last time."""
        return self.library.driver_log().decode().splitlines()

    def num_contexts(self) -> int:
        """Return how many contexts are on the stack of this thread."""
        return self.library.num_contexts()


@pytest.fixture(scope="module")
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture(scope="module")
def driver(stand_in: StandIn) -> Driver:
    return Driver(stand_in.path)


@pytest.fixture(scope="module")
def image() -> bytes:
    """Return an image that the stand-in loads: kernels for three channels."""
    return f"IMAGE:{cuda_emulator.build_kernels(CHANNELS, torch.float32)}".encode()


def gradients(inputs: RasterInputs, load) -> list[torch.Tensor]:
    renders, _, _ = backend.rasterize(inputs, load)
    tensors = (inputs.means, inputs.quats, inputs.scales, inputs.opacities, inputs.colors)
    return [renders.detach(), *torch.autograd.grad(renders.square().sum(), tensors)]


def test_launched_kernels_give_the_same_bits_as_called_ones(driver, stand_in, image, random_scene):
    kernels = LoadedKernels(driver, 0, image, KERNELS, lambda: 7)
    inputs = RasterInputs(**random_scene(40).arguments("cpu", torch.float32))
    stand_in.calls()
    launched = gradients(inputs, lambda *_: kernels)
    blocks = {"project": 1, "list_tiles": 1, "composite": 24, "composite_backward": 24, "sum_rows": 1}
    expected = [f"{name} x{count} on 0 stream 7" for name, count in blocks.items()]
    assert stand_in.calls() == [*expected, "project_backward x1 on 0 stream 7"]
    called = gradients(inputs, lambda *_: cuda_emulator.emulated_kernels(CHANNELS, torch.float32))
    assert all(map(torch.equal, launched, called))
    assert stand_in.num_contexts() == 0


def test_kernels_launch_on_their_device_whatever_is_current(driver, stand_in, image):
    """Also on a thread without any context, as those of autograd."""
    kernels = [LoadedKernels(driver, index, image, KERNELS, lambda: 0) for index in (0, 1)]
    arguments = (0, *[torch.zeros(1, dtype=torch.int64)] * 2, torch.zeros(1, dtype=torch.int32))
    tensors = [torch.zeros(1) for _ in range(5)]
    stand_in.calls()
    with driver.current(driver.primary_context(0)):
        kernels[1].launch("sum_rows", 1, *arguments, *tensors)
        assert stand_in.num_contexts() == 1
    contexts: list[int] = []

    def run() -> None:
        kernels[1].launch("sum_rows", 1, *arguments, *tensors)
        kernels[0].launch("sum_rows", 2, *arguments, *tensors)
        contexts.append(stand_in.num_contexts())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert contexts == [0]
    launches = [f"sum_rows x{blocks} on {device} stream 0" for blocks, device in ((1, 1), (1, 1), (2, 0))]
    assert stand_in.calls() == launches


def test_nothing_is_launched_without_blocks(driver, stand_in, image):
    kernels = LoadedKernels(driver, 0, image, KERNELS, lambda: 0)
    stand_in.calls()
    kernels.launch("sum_rows", 0)
    assert stand_in.calls() == []


def test_error_of_a_launch_is_raised_and_the_context_restored(driver, stand_in, image, monkeypatch):
    kernels = LoadedKernels(driver, 0, image, KERNELS, lambda: 0)
    monkeypatch.setitem(kernels._functions, "project", ctypes.c_void_p(1))  # a handle of nothing
    with pytest.raises(
        RuntimeError, match=r"^CUDA driver: cuLaunchKernel: named symbol not found \(500\)\.$"
    ):
        kernels.launch("project", 1)
    assert stand_in.num_contexts() == 0


def test_image_that_the_driver_refuses_is_an_error(driver, stand_in):
    with pytest.raises(RuntimeError, match=r"^CUDA driver: cuModuleLoadData: device kernel image is invalid"):
        LoadedKernels(driver, 0, b"\x7fELF", KERNELS, lambda: 0)
    assert stand_in.num_contexts() == 0
    with pytest.raises(RuntimeError, match=r"^CUDA driver: cuDeviceGet: invalid device ordinal"):
        LoadedKernels(driver, 2, b"\x7fELF", KERNELS, lambda: 0)


def test_missing_driver_is_an_error_that_says_what_to_install():
    with pytest.raises(RuntimeError, match=r"^CUDA driver: does not load \(.*\); install NVIDIA's driver\.$"):
        Driver("libno-such-driver.so")
    with pytest.raises(RuntimeError, match=r"^CUDA driver: does not load \(.*cuInit"):
        Driver(str(cuda_emulator.build_kernels(CHANNELS, torch.float32)))


def test_driver_tells_its_version_also_without_a_gpu(stand_in):
    assert driver_version(stand_in.path) == "12.8"
    assert driver_version("libno-such-driver.so") is None
    assert driver_version("libc.so.6") is None


@pytest.fixture
def device(driver: Driver, image: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Make two CUDA devices of the stand-in; yields the channels that were compiled for."""
    compiled: list[int] = []

    def compile_image(compiler: object, architecture: int, channels: int) -> bytes:
        assert architecture == 86
        compiled.append(channels)
        return image

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index=None: (8, 6))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: SimpleNamespace(cuda_stream=index + 20))
    monkeypatch.setattr(loading, "compiler", lambda: SimpleNamespace(NAME="NVRTC", version_text="12.8"))
    monkeypatch.setattr(loading, "_driver", lambda: driver)
    monkeypatch.setattr(loading, "compiled_image", compile_image)
    monkeypatch.setattr(loading, "_loaded", {})
    yield compiled


def test_kernels_are_loaded_once_per_device_and_launched_on_its_stream(device, stand_in, random_scene):
    first = loading.load_kernels(torch.device("cuda:0"), CHANNELS)
    current = loading.load_kernels(torch.device("cuda"), CHANNELS)
    assert loading.load_kernels(torch.device("cuda:0"), CHANNELS) is first
    assert loading.load_kernels(torch.device("cuda:1"), CHANNELS) is current
    assert current is not first
    assert device == [CHANNELS, CHANNELS]
    stand_in.calls()
    backend.rasterize(random_scene(1).inputs(), lambda *_: current)
    assert [call.split(" on ")[1] for call in stand_in.calls()] == ["1 stream 21"] * 3


def test_availability_is_that_of_the_device_in_question(device, driver, monkeypatch):
    """One machine may have GPUs of different ages."""

    def compile_for(compiler: object, architecture: int, channels: int) -> bytes:
        if architecture == 61:
            raise RuntimeError("NVRTC: version 13.0 does not compile for GPUs of compute capability 6.1.")
        return b"\x7fELF"  # the next error

    capabilities = {0: (8, 6), 1: (6, 1)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capabilities[index])
    monkeypatch.setattr(loading, "compiled_image", compile_for)
    monkeypatch.setattr(check, "_render", lambda device, dtype, mode, load: load(device, CHANNELS))
    reasons = [str(check.unavailable_reason(torch.device("cuda", index))) for index in (0, 1)]
    assert reasons[0].startswith("CUDA driver: cuModuleLoadData: device kernel image is invalid")
    assert reasons[1] == "NVRTC: version 13.0 does not compile for GPUs of compute capability 6.1"


def test_backend_is_unavailable_without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    reason = str(check.unavailable_reason(torch.device("cuda")))
    assert reason.startswith("torch finds no CUDA device; check")
    monkeypatch.setattr(torch.version, "cuda", None)
    loading.compiler.cache_clear()
    with pytest.raises(RuntimeError, match=r"is built without CUDA; install a CUDA build of torch\.$"):
        loading.compiler()


@pytest.fixture
def rocm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make a torch for ROCm."""
    monkeypatch.setattr(torch.version, "hip", "6.3.42134")
    monkeypatch.delenv("STAG4D_HIP", raising=False)
    functions = (loading.compiler, loading._driver)
    for function in functions:
        function.cache_clear()
    yield
    for function in functions:
        function.cache_clear()


def test_amd_gpus_are_used_only_on_request(rocm):
    with pytest.raises(
        RuntimeError, match=r"built for ROCm, .* not been tested; to try them, set .* STAG4D_HIP to 1"
    ):
        loading.compiler()


def test_amd_libraries_have_the_names_of_torch(rocm, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "__init__.py"))
    assert hip._libraries("hiprtc") == ["libhiprtc.so.6", "libhiprtc.so"]
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libhiprtc.so").touch()
    assert hip._libraries("hiprtc")[0] == str(tmp_path / "lib" / "libhiprtc.so")
    monkeypatch.setattr("sys.platform", "win32")
    assert hip._libraries("hiprtc") == ["hiprtc0603.dll"]
    assert hip._libraries("amdhip64") == ["amdhip64_6.dll"]


def test_kernels_are_compiled_and_launched_by_the_libraries_of_amd(
    rocm, image, random_scene, tmp_path, monkeypatch
):
    """Stand-ins for both. On AMD GPUs a device is called cuda by torch, too."""
    renames = [f"-D{ours}={theirs}" for ours, theirs in hip.HipDriver._NAMES.items()]
    runtime = StandIn(*renames)
    options = [f'-DIMAGE="{image.decode()}"']
    compiler_path = str(cuda_emulator.build(cuda_emulator.FOLDER / "hiprtc.cpp", options))
    paths = {"hiprtc": [str(tmp_path / "missing.so"), compiler_path], "amdhip64": [runtime.path]}
    monkeypatch.setattr(hip, "_libraries", paths.__getitem__)
    monkeypatch.setenv("STAG4D_HIP", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    properties = SimpleNamespace(gcnArchName="gfx90a:sramecc+:xnack-")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: SimpleNamespace(cuda_stream=index + 20))
    monkeypatch.setattr(loading, "_loaded", {})

    kernels = loading.load_kernels(torch.device("cuda"), CHANNELS)
    (file,) = (tmp_path / "stag4d_kernels").iterdir()
    assert file.name.startswith("rasterizer-gfx90a_sramecc_xnack_-3-")
    assert file == loading.kernel_file(torch.device("cuda"), CHANNELS)
    assert check.versions() == "HIPRTC 6.3"
    inputs = RasterInputs(**random_scene(30).arguments("cpu", torch.float32))
    runtime.calls()
    launched = gradients(inputs, lambda *_: kernels)
    assert [call.split(" on ")[1] for call in runtime.calls()] == ["1 stream 21"] * 6
    called = gradients(inputs, lambda *_: cuda_emulator.emulated_kernels(CHANNELS, torch.float32))
    assert all(map(torch.equal, launched, called))

    compiler = loading.compiler()
    _, log = compiler.compile("source", "kernels.cu", compiler.options(compiler.target("gfx1100")))
    assert log == "6 --offload-arch=gfx1100 -std=c++17"
    with pytest.raises(RuntimeError, match=r"^kernels\.cu: does not compile with HIPRTC 6\.3: 0 -O3$"):
        compiler.compile("", "kernels.cu", ["-O3"])


def test_missing_amd_compiler_is_an_error_that_says_what_to_install(rocm, monkeypatch):
    monkeypatch.setattr(hip, "_libraries", lambda name: ["libno-such-hiprtc.so"])
    with pytest.raises(RuntimeError, match=r"^HIPRTC: no library loads \(.*\); install torch for ROCm\.$"):
        hip.find_hiprtc()
    with pytest.raises(RuntimeError, match=r"^HIP: does not load \(.*\); install torch for ROCm\.$"):
        hip.HipDriver()
