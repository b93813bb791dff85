"""The public entry: which backend is picked, what bad arguments are told, what gsplat is called with."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from stag4d.rendering import BACKENDS, gsplat_backend, rasterize, select_backend, torch_backend

entry = importlib.import_module("stag4d.rendering.rasterize")


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Forget which backends were found, before and after."""
    remembered = (entry._choose, entry._missing, entry._load)
    for function in remembered:
        function.cache_clear()
    yield
    for function in remembered:
        function.cache_clear()


@pytest.fixture
def gsplat_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make an importable gsplat without kernels on a machine that seems to have a GPU."""
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


def test_importing_the_package_imports_no_accelerator():
    """Numba and gsplat wait until they are picked."""
    code = "import sys, stag4d.rendering; sys.exit(bool({'numba', 'gsplat'} & set(sys.modules)))"
    root = Path(torch_backend.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_numba_is_picked_on_the_cpu(forgetful: None):
    """It is what the CPU install brings."""
    pytest.importorskip("numba")
    assert select_backend("cpu") == "numba"
    assert select_backend(torch.device("cpu"), "numba") == "numba"


def test_choice_is_logged_once_with_what_to_install(forgetful: None, monkeypatch, caplog):
    """Without Numba torch renders, and the log says how to do better, one time."""
    monkeypatch.setitem(sys.modules, "stag4d.rendering.numba.backend", None)  # makes its import fail
    with caplog.at_level(logging.INFO, logger="stag4d.rendering"):
        assert [select_backend("cpu") for _ in range(3)] == ["torch"] * 3
    assert len(caplog.records) == 1
    assert "pip install numba" in caplog.text
    with pytest.raises(RuntimeError, match=r"^backend: 'numba' is not available: Numba does not import"):
        select_backend("cpu", "numba")


def test_a_numba_whose_library_does_not_load_is_none(forgetful: None, monkeypatch, caplog):
    """As where llvmlite was built for another system."""

    def broken(name: str, package: str) -> None:
        raise OSError("libllvmlite.so: cannot open")

    monkeypatch.setattr("importlib.import_module", broken)
    assert entry._missing("numba") == "Numba does not import (libllvmlite.so: cannot open); pip install numba"


def test_torch_is_picked_where_nothing_else_runs(forgetful: None, monkeypatch):
    """Other devices, and CUDA without gsplat."""
    monkeypatch.setattr(gsplat_backend, "missing", lambda: "it is not there; install it")
    assert select_backend("mps") == "torch"
    assert select_backend("cuda:0") == "torch"
    assert select_backend("cuda", "torch") == "torch"
    with pytest.raises(RuntimeError, match=r"^backend: 'gsplat' is not available: it is not there; install"):
        select_backend("cuda", "gsplat")


def test_gsplat_is_picked_on_cuda_when_nothing_is_missing(forgetful: None, monkeypatch):
    """Its own word is taken for it."""
    monkeypatch.setattr(gsplat_backend, "missing", lambda: None)
    assert select_backend("cuda") == "gsplat"
    assert select_backend("cuda:1", "gsplat") == "gsplat"


@pytest.mark.parametrize(
    ("device", "backend", "message"),
    [
        ("cpu", "gsplat", "backend: 'gsplat' cannot render on cpu; move the tensors to cuda or use auto."),
        ("cuda", "numba", "backend: 'numba' cannot render on cuda; move the tensors to cpu or use auto."),
        ("cpu", "metal", "backend: unknown 'metal'; expected one of auto, gsplat, numba, torch."),
    ],
)
def test_backends_that_cannot_serve_a_device_are_refused(device: str, backend: str, message: str):
    """The sentence says what to do."""
    with pytest.raises(ValueError) as error:
        select_backend(device, backend)
    assert str(error.value) == message


def test_float64_is_for_torch_only(cloud):
    """Automatic choice falls back to it, an explicit other one is refused."""
    arguments = cloud(5).arguments("cpu", torch.float64)
    renders, _, meta = rasterize(**arguments)
    assert renders.dtype == meta["means2d"].dtype == torch.float64
    with pytest.raises(ValueError, match=r"^backend: 'numba' renders no torch\.float64; use torch\.float32"):
        rasterize(**arguments, backend="numba")


def test_means2d_keeps_its_gradient_unless_nothing_is_differentiated(cloud):
    """Nobody has to call retain_grad; without gradients nothing is attempted."""
    scene = cloud(5)
    renders, _, meta = rasterize(**scene.arguments("cpu", torch.float32))
    renders.sum().backward()
    assert meta["means2d"].grad.shape == (2, 5, 2)
    _, _, meta = rasterize(**scene.arguments("cpu", torch.float32, requires_grad=False))
    assert not meta["means2d"].requires_grad
    with torch.no_grad():
        rasterize(**scene.arguments("cpu", torch.float32))


BAD_ARGUMENTS = [
    ({"means": torch.zeros(7, 2)}, "means: have shape [7, 2]; expected [N, 3]."),
    ({"quats": torch.zeros(7, 3)}, "quats: have shape [7, 3]; expected [7, 4]."),
    ({"scales": torch.zeros(6, 3)}, "scales: have shape [6, 3]; expected [7, 3]."),
    ({"opacities": torch.zeros(7, 1)}, "opacities: have shape [7, 1]; expected [7]."),
    ({"colors": torch.zeros(3, 7, 3)}, "colors: have shape [3, 7, 3]; expected [7, D] or [2, 7, D]."),
    ({"colors": torch.zeros(7, 0)}, "colors: have shape [7, 0]; expected [7, D] or [2, 7, D]."),
    ({"viewmats": torch.eye(4)}, "viewmats: have shape [4, 4]; expected [C, 4, 4], C at least 1."),
    ({"viewmats": torch.zeros(0, 4, 4)}, "viewmats: have shape [0, 4, 4]; expected [C, 4, 4], C at least 1."),
    ({"Ks": torch.zeros(1, 3, 3)}, "Ks: have shape [1, 3, 3]; expected [2, 3, 3]."),
    ({"backgrounds": torch.zeros(3)}, "backgrounds: have shape [3]; expected [2, 3]."),
    ({"backgrounds": torch.zeros(2, 4)}, "backgrounds: have shape [2, 4]; expected [2, 3]."),
    ({"width": 0}, "width: 0 pixels; expected a positive whole number."),
    ({"height": 2.5}, "height: 2.5 pixels; expected a positive whole number."),
    ({"near_plane": 0.0}, "near_plane: 0.0; expected a positive distance."),
    ({"eps2d": -1.0}, "eps2d: -1.0; expected a variance of at least 0 square pixels."),
    ({"render_mode": "DEPTH"}, "render_mode: unknown 'DEPTH'; expected one of RGB, D, ED, RGB+D, RGB+ED."),
    ({"means": torch.zeros(7, 3, dtype=torch.float16)},
     "means: have dtype torch.float16; expected torch.float32 or torch.float64."),
    ({"Ks": torch.zeros(2, 3, 3, dtype=torch.float64)},
     "Ks: have dtype torch.float64; expected torch.float32 as the means have."),
    ({"opacities": torch.zeros(7, device="meta")}, "opacities: are on meta; expected cpu as the means are."),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BAD_ARGUMENTS)
def test_bad_arguments_are_named_with_what_was_expected(changes: dict[str, Any], message: str, cloud):
    """Subject, what is wrong with its value, what was expected."""
    arguments = cloud(7).arguments("cpu", torch.float32, requires_grad=False)
    with pytest.raises(ValueError) as error:
        rasterize(**(arguments | changes))
    assert str(error.value) == message


def test_arrays_are_not_taken_for_tensors(cloud):
    """A numpy array would fail later and less clearly."""
    arguments = cloud(7).arguments("cpu", torch.float32, requires_grad=False)
    with pytest.raises(TypeError, match=r"^scales: is a ndarray; expected a torch\.Tensor\.$"):
        rasterize(**(arguments | {"scales": arguments["scales"].numpy()}))


def test_missing_gsplat_says_what_is_missing(monkeypatch):
    """First the device, then the package."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA device" in str(gsplat_backend.missing())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert gsplat_backend.missing() == "gsplat is not installed; pip install gsplat"


def test_looking_for_gsplat_never_compiles_it(gsplat_folder: Path):
    """Kernels that nobody built are reported with the command that builds them; here that would raise."""
    assert "are not built; run python -c" in str(gsplat_backend.missing())


def test_gsplat_built_earlier_is_ready(gsplat_folder: Path):
    """A library in torch's extension folder counts, if it loads."""
    build = gsplat_folder / "extensions" / "gsplat_cuda"
    build.mkdir(parents=True, exist_ok=True)
    (build / "gsplat_cuda.so").touch()
    backend = gsplat_folder / "gsplat" / "cuda" / "_backend.py"
    backend.write_text("_C = None")
    assert "do not load" in str(gsplat_backend.missing())
    del sys.modules["gsplat.cuda._backend"]
    backend.write_text("raise ImportError('undefined symbol')")
    assert "do not load" in str(gsplat_backend.missing())
    backend.write_text("_C = object()  # the kernels")
    assert gsplat_backend.missing() is None


def test_gsplat_wheel_with_kernels_is_ready_and_a_broken_one_is_not(gsplat_folder: Path):
    """A wheel built for another torch fails to import, which must not start a compilation."""
    (gsplat_folder / "gsplat" / "csrc.py").write_text("raise ImportError('undefined symbol')")
    assert "are not built" in str(gsplat_backend.missing())
    (gsplat_folder / "gsplat" / "csrc.py").write_text("loaded = True  # the kernels")
    (gsplat_folder / "gsplat" / "cuda" / "_backend.py").write_text("from gsplat import csrc as _C")
    assert gsplat_backend.missing() is None
    (gsplat_folder / "gsplat" / "__init__.py").write_text("raise OSError('libcudart.so.12')")
    for name in [name for name in sys.modules if name.split(".")[0] == "gsplat"]:
        del sys.modules[name]
    assert "does not import (libcudart.so.12)" in str(gsplat_backend.missing())


def test_gsplat_is_called_unpacked_and_without_broken_gaussians(cloud, monkeypatch, changed):
    """A stand-in for the library, which renders with the reference, sees every argument."""
    seen: dict[str, Any] = {}

    def rasterization(*arguments: Any, packed: bool, **options: Any) -> Any:
        seen.update(options, packed=packed, opacities=arguments[3])
        renders, alphas, meta = torch_backend.rasterize(*arguments, **options)
        return renders, alphas, meta | {"tile_size": 16}

    library = ModuleType("gsplat")
    library.rasterization = rasterization  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gsplat", library)
    scene = cloud(9)
    scales, quats = scene.scales.clone(), scene.quats.clone()
    scales[2, 1], quats[4] = float("nan"), 0.0
    arguments = changed(scene, scales=scales, quats=quats).arguments("cpu", torch.float32)
    backgrounds = torch.tensor([[1.0, 0.5, 0.2], [0.1, 0.8, 0.3]])
    options = {"backgrounds": backgrounds, "near_plane": 0.2, "render_mode": "RGB+D"}
    renders, _, meta = gsplat_backend.rasterize(**arguments, **options)
    assert renders.shape == (2, 41, 52, 4)
    assert set(meta) == {"means2d", "radii", "depths", "width", "height", "n_cameras", "gaussian_ids"}
    assert (seen["packed"], seen["near_plane"], seen["eps2d"]) == (False, 0.2, 0.3)
    assert seen["render_mode"] == "RGB+D"
    assert seen["backgrounds"] is backgrounds
    assert (seen["opacities"] == 0).nonzero().flatten().tolist() == [2, 4]
    seen.clear()
    renders, _, _ = gsplat_backend.rasterize(**cloud(0).arguments("cpu", torch.float32))  # gsplat would crash
    assert not seen
    assert not renders.any()


def test_backend_names_are_public():
    """They are what the commands and nodes offer."""
    assert BACKENDS == ("auto", "gsplat", "numba", "torch")
