"""The selection of a backend, the availability of gsplat, and the arguments that gsplat is called with."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from stag4d.rendering import BACKENDS, backends, gsplat_backend, select_backend, warm_up
from stag4d.rendering.cuda import check as cuda_check
from stag4d.rendering.inputs import RasterInputs
from stag4d.rendering.torch import backend as torch_backend


@pytest.fixture
def no_cached_selection() -> Iterator[None]:
    """Clear the caches of the selection, before and after."""
    cached = (
        backends.fastest_backend,
        backends._unavailable_reason,
        backends._log_use,
        backends._load,
    )
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.fixture
def gsplat_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make an importable gsplat without kernels, and a CUDA device."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "gsplat" / "cuda").mkdir(parents=True)
    (tmp_path / "gsplat" / "__init__.py").touch()
    (tmp_path / "gsplat" / "cuda" / "__init__.py").touch()
    (tmp_path / "gsplat" / "cuda" / "_backend.py").write_text("raise AssertionError('would compile')")
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "gsplat"]:
        del sys.modules[name]


def test_importing_the_package_imports_neither_numba_nor_gsplat_nor_the_cuda_backend():
    """They are imported when they are selected."""
    names = {"numba", "gsplat", "stag4d.rendering.cuda"}
    code = f"import sys, stag4d.rendering; sys.exit(bool({names} & set(sys.modules)))"
    root = Path(torch_backend.__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_numba_is_selected_on_the_cpu(no_cached_selection: None):
    pytest.importorskip("numba")
    assert select_backend("cpu") == "numba"
    assert select_backend(torch.device("cpu"), "numba") == "numba"


def test_selection_is_logged_once_with_what_to_install(no_cached_selection: None, monkeypatch, caplog):
    """Without Numba torch renders."""
    monkeypatch.setitem(sys.modules, "stag4d.rendering.numba.backend", None)  # makes its import fail
    with caplog.at_level(logging.INFO, logger="stag4d.rendering"):
        assert [select_backend("cpu") for _ in range(3)] == ["torch"] * 3
    assert len(caplog.records) == 1
    assert "pip install numba" in caplog.text
    with pytest.raises(RuntimeError, match=r"^backend: 'numba' is not available: Numba does not import"):
        select_backend("cpu", "numba")


def test_numba_is_unavailable_when_its_library_does_not_load(no_cached_selection: None, monkeypatch):
    """For instance when llvmlite was built for another system."""

    def broken(name: str, package: str) -> None:
        raise OSError("libllvmlite.so: cannot open")

    monkeypatch.setattr("importlib.import_module", broken)
    reason = backends._unavailable_reason("numba", torch.device("cpu"))
    assert reason == "Numba does not import (libllvmlite.so: cannot open); pip install numba"


def test_torch_is_selected_where_no_other_backend_is_available(
    no_cached_selection: None, monkeypatch, caplog
):
    """On other devices, and on CUDA without NVRTC and gsplat; both reasons are logged."""
    monkeypatch.setattr(
        cuda_check, "unavailable_reason", lambda device: "NVRTC: does not load; pip install it"
    )
    monkeypatch.setattr(gsplat_backend, "unavailable_reason", lambda: "not installed; pip install gsplat")
    version = f"torch {torch.__version__}"
    assert select_backend("mps") == "torch"
    assert caplog.messages == [
        f"Rasterizing with backend 'torch', which is slow, on mps, {version}. No faster backend supports mps."
    ]
    caplog.clear()
    assert [select_backend(device) for device in ("cuda:0", "cuda:0", "cuda:1")] == ["torch"] * 3
    assert caplog.messages == [
        f"Rasterizing with backend 'torch', which is slow, on {device}, {version}. "
        "Backend 'cuda' is not available: NVRTC: does not load; pip install it. "
        "Backend 'gsplat' is not available: not installed; pip install gsplat."
        for device in ("cuda:0", "cuda:1")
    ]
    assert select_backend("cuda", "torch") == "torch"
    with pytest.raises(RuntimeError, match=r"^backend: 'gsplat' is not available: not installed; pip"):
        select_backend("cuda", "gsplat")
    with pytest.raises(RuntimeError, match=r"^backend: 'cuda' is not available: NVRTC: does not load; pip"):
        select_backend("cuda", "cuda")


@pytest.fixture
def two_gpus(no_cached_selection: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make two CUDA devices, an old and a new one; the new one is current on this thread."""
    names = {0: "Old GPU", 1: "New GPU"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[device.index])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6 + 2 * device.index, 1))
    monkeypatch.setattr(cuda_check, "versions", lambda: "NVRTC 13.0")
    reasons = {0: "NVRTC: version 13.0 does not compile for it", 1: None}
    monkeypatch.setattr(cuda_check, "unavailable_reason", lambda device: reasons[device.index])


def test_each_gpu_of_a_machine_has_its_backend(two_gpus: None, monkeypatch, caplog):
    """The log names the GPU and the versions, once per GPU."""
    monkeypatch.setattr(gsplat_backend, "unavailable_reason", lambda: "not installed")
    version = f"torch {torch.__version__}"
    with caplog.at_level(logging.INFO, logger="stag4d.rendering"):
        assert [select_backend(device) for device in ("cuda", "cuda:0", "cuda:1")] == [
            "cuda",
            "torch",
            "cuda",
        ]
    assert caplog.messages == [
        "Rasterizing with backend 'cuda' on cuda:1 (New GPU, compute capability 8.1), "
        f"{version}, NVRTC 13.0.",
        "Rasterizing with backend 'torch', which is slow, on cuda:0 (Old GPU, compute capability 6.1), "
        f"{version}. Backend 'cuda' is not available: NVRTC: version 13.0 does not compile for it. "
        "Backend 'gsplat' is not available: not installed.",
    ]
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_use_of_a_requested_backend_is_logged_once(no_cached_selection: None, caplog):
    """With the versions of what renders, also where "auto" would be another one."""
    pytest.importorskip("numba")
    with caplog.at_level(logging.INFO, logger="stag4d.rendering"):
        for backend in ("torch", "numba", "auto", "torch"):
            select_backend("cpu", backend)
    torch_line, numba_line = caplog.messages
    assert re.fullmatch(
        r"Rasterizing with backend 'torch' on cpu \(\w+, \d+ threads?\), torch [\w.+]+\.", torch_line
    )
    assert re.search(r"'numba' on cpu \(.*\), torch [\w.+]+, Numba \d[\w.]+\.$", numba_line)


def test_backend_of_a_package_without_metadata_can_be_used(no_cached_selection: None, monkeypatch, caplog):
    """As in programs that are packed into one file."""
    pytest.importorskip("numba")

    def unknown(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", unknown)
    with caplog.at_level(logging.INFO, logger="stag4d.rendering"):
        assert select_backend("cpu") == "numba"
    assert caplog.messages[0].endswith(", Numba (unknown version).")


def test_gsplat_is_selected_on_cuda_without_our_kernels(two_gpus: None, monkeypatch, caplog):
    monkeypatch.setattr(gsplat_backend, "unavailable_reason", lambda: None)
    assert select_backend("cuda:0") == "gsplat"
    assert "Backend 'cuda' is not available: NVRTC: version 13.0 does not compile for it." in caplog.text
    assert select_backend("cuda:1", "gsplat") == "gsplat"


def test_kernels_are_warmed_up_on_the_device_that_will_render(two_gpus: None, monkeypatch):
    warmed: list[torch.device] = []
    monkeypatch.setattr(cuda_check, "warm_up", warmed.append)
    warm_up(torch.device("cuda:1"), "cuda")
    assert warmed == [torch.device("cuda:1")]


@pytest.mark.parametrize(
    ("device", "backend", "message"),
    [
        ("cpu", "cuda", "backend: 'cuda' cannot render on cpu; move the tensors to cuda or use 'auto'."),
        ("cpu", "gsplat", "backend: 'gsplat' cannot render on cpu; move the tensors to cuda or use 'auto'."),
        ("cuda", "numba", "backend: 'numba' cannot render on cuda; move the tensors to cpu or use 'auto'."),
        ("cpu", "metal", "backend: unknown 'metal'; expected one of auto, cuda, gsplat, numba, torch."),
    ],
)
def test_backend_that_does_not_support_the_device_is_an_error(device: str, backend: str, message: str):
    with pytest.raises(ValueError) as error:
        select_backend(device, backend)
    assert str(error.value) == message


def test_gsplat_needs_a_device_and_its_package(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA device" in str(gsplat_backend.unavailable_reason())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert str(gsplat_backend.unavailable_reason()).startswith("gsplat is not installed; ")


@pytest.mark.parametrize(
    ("python", "torch_version", "cuda", "advice"),
    [
        (
            (3, 10),
            "2.4.1+cu124",
            "12.4",
            "pip install gsplat --extra-index-url https://docs.gsplat.studio/whl/pt24cu124",
        ),
        (
            (3, 10),
            "2.0.1",
            "11.8",
            "pip install gsplat --extra-index-url https://docs.gsplat.studio/whl/pt20cu118",
        ),
        (
            (3, 10),
            "2.0.1",
            "12.1",
            "it has no wheels with kernels for Python 3.10 and torch 2.0: pip install gsplat, ",
        ),
        (
            (3, 13),
            "2.9.1+cu130",
            "13.0",
            "it has no wheels with kernels for Python 3.13 and torch 2.9: pip install",
        ),
        (
            (3, 11),
            "2.4.1+cu124",
            "12.4",
            "it has no wheels with kernels for Python 3.11 and torch 2.4: pip install",
        ),
    ],
)
def test_advice_is_a_wheel_with_kernels_where_there_is_one(
    python, torch_version, cuda, advice: str, monkeypatch
):
    monkeypatch.setattr(sys, "version_info", python)
    monkeypatch.setattr(torch, "__version__", torch_version)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    assert gsplat_backend.install_advice().startswith(advice)


def test_checking_gsplat_compiles_nothing(gsplat_folder: Path):
    """The reason names the command that builds the kernels; in this test compiling would raise."""
    assert "are not built; it has no wheels" in str(gsplat_backend.unavailable_reason())


def test_gsplat_with_compiled_kernels_is_available(gsplat_folder: Path, monkeypatch):
    """A library in torch's extension folder, if it loads; gsplat itself could compile it again."""
    build = gsplat_folder / "extensions" / "gsplat_cuda"
    build.mkdir(parents=True, exist_ok=True)
    (build / "gsplat_cuda.so").touch()
    backend = gsplat_folder / "gsplat" / "cuda" / "_backend.py"
    loading = "try:\n    from gsplat import csrc as _C\nexcept ImportError:\n    "
    backend.write_text(loading + "raise AssertionError('would compile')")
    assert "do not load" in str(gsplat_backend.unavailable_reason())  # an empty file is no library
    library = ModuleType("gsplat_cuda")
    monkeypatch.setattr(gsplat_backend, "_import_library", lambda path: library)
    assert gsplat_backend.unavailable_reason() is None
    assert sys.modules["gsplat.cuda._backend"]._C is library


def test_a_compiler_that_fails_while_gsplat_loads_is_a_reason(gsplat_folder: Path):
    """Torch's loader of extensions starts Visual Studio's compiler, which is not there outside its prompt."""
    failing = "import subprocess\nraise subprocess.CalledProcessError(1, ['where', 'cl'])"
    (gsplat_folder / "gsplat" / "csrc.py").write_text("loaded = True  # the kernels")
    (gsplat_folder / "gsplat" / "cuda" / "_backend.py").write_text(failing)
    assert "do not load" in str(gsplat_backend.unavailable_reason())
    (gsplat_folder / "gsplat" / "__init__.py").write_text(failing)
    for name in [name for name in sys.modules if name.split(".")[0] == "gsplat"]:
        del sys.modules[name]
    assert "gsplat does not import (Command '['where', 'cl']'" in str(gsplat_backend.unavailable_reason())


def test_gsplat_wheel_with_kernels_is_available_unless_it_fails_to_import(gsplat_folder: Path):
    """A wheel built for another torch does not import; that must not start a compilation."""
    (gsplat_folder / "gsplat" / "csrc.py").write_text("raise ImportError('undefined symbol')")
    assert "are not built" in str(gsplat_backend.unavailable_reason())
    (gsplat_folder / "gsplat" / "csrc.py").write_text("loaded = True  # the kernels")
    (gsplat_folder / "gsplat" / "cuda" / "_backend.py").write_text("from gsplat import csrc as _C")
    assert gsplat_backend.unavailable_reason() is None
    (gsplat_folder / "gsplat" / "__init__.py").write_text("raise OSError('libcudart.so.12')")
    for name in [name for name in sys.modules if name.split(".")[0] == "gsplat"]:
        del sys.modules[name]
    assert "does not import (libcudart.so.12)" in str(gsplat_backend.unavailable_reason())


def test_gsplat_is_called_unpacked_and_without_gaussians_that_are_not_finite(random_scene, monkeypatch):
    """A stand-in for the library records the arguments and renders with the reference."""
    recorded: dict[str, Any] = {}
    parameters = ("means", "quats", "scales", "opacities", "colors", "viewmats", "Ks", "width", "height")

    def rasterization(*arguments: Any, packed: bool, camera_model: str, **options: Any) -> Any:
        recorded.update(options, packed=packed, camera_model=camera_model, opacities=arguments[3])
        tensors = dict(zip(parameters, arguments, strict=True))
        inputs = RasterInputs(**tensors, **options, projection=camera_model)
        renders, alphas, meta = torch_backend.rasterize(inputs)
        return renders, alphas, meta | {"tile_size": 16}

    library = ModuleType("gsplat")
    library.rasterization = rasterization  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gsplat", library)
    scene = random_scene(9)
    scales, quats = scene.scales.clone(), scene.quats.clone()
    scales[2, 1], quats[4] = float("nan"), 0.0
    backgrounds = torch.tensor([[1.0, 0.5, 0.2], [0.1, 0.8, 0.3]])
    inputs = replace(scene, scales=scales, quats=quats).inputs(
        backgrounds=backgrounds, near_plane=0.2, render_mode="RGB+D", projection="ortho"
    )
    renders, _, meta = gsplat_backend.rasterize(inputs)
    assert renders.shape == (2, 41, 52, 4)
    assert set(meta) == {"means2d", "radii", "depths", "width", "height", "n_cameras", "gaussian_ids"}
    assert (recorded["packed"], recorded["near_plane"], recorded["eps2d"]) == (False, 0.2, 0.3)
    assert (recorded["render_mode"], recorded["camera_model"]) == ("RGB+D", "ortho")
    assert recorded["backgrounds"] is backgrounds
    assert (recorded["opacities"] == 0).nonzero().flatten().tolist() == [2, 4]


def test_gsplat_is_not_called_without_gaussians(random_scene, monkeypatch):
    """It would divide by their number; an import would fail here."""
    monkeypatch.setitem(sys.modules, "gsplat", None)
    renders, _, _ = gsplat_backend.rasterize(random_scene(0).inputs())
    assert not renders.any()


def test_backend_names_are_stable():
    """Commands and nodes offer them as choices."""
    assert BACKENDS == ("auto", "cuda", "gsplat", "numba", "torch")
