"""The gsplat backend: calls ``gsplat.rasterization``; the only file that imports gsplat.

gsplat from PyPI compiles its kernels on first use, which takes minutes, needs nvcc and a C++ compiler, and
raises on a machine without a GPU. So its kernels are loaded only after :func:`unavailable_reason` has found a
GPU and compiled kernels.

gsplat up to 1.5.3 clamps alpha at 0.999, later releases and our backends at 0.99: behind a Gaussian of
opacity 1 they let ten times less of the background through, and images differ there by up to about 0.02.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import torch

from .inputs import RasterInputs, Rasterization
from .torch import backend as torch_backend

_BUILD_COMMAND = 'python -c "import gsplat.cuda._backend"'
_WHEELS = "https://docs.gsplat.studio/whl"  # with kernels, for Python 3.10
_WHEELS_OF_TORCH = {  # versions of CUDA by version of torch
    "2.0": ("11.8",),
    "2.1": ("11.8", "12.1"),
    "2.2": ("11.8", "12.1"),
    "2.3": ("11.8", "12.1"),
    "2.4": ("11.8", "12.1", "12.4"),
}
_META = ("means2d", "radii", "depths", "width", "height", "n_cameras", "gaussian_ids")
_LIBRARY = "gsplat_cuda"
_LIBRARY_SUFFIXES = (".so", ".pyd")
# SubprocessError: torch's loader of extensions starts compilers, such as Visual Studio's outside its prompt.
_LOAD_ERRORS = (ImportError, OSError, RuntimeError, subprocess.SubprocessError)


def unavailable_reason() -> str | None:
    """Return why gsplat cannot render here and what to do about it, or None if it can; compiles nothing."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device; use a CUDA build of torch on a machine with an NVIDIA GPU"
    if importlib.util.find_spec("gsplat") is None:
        return f"gsplat is not installed; {install_advice()}"
    try:
        importlib.import_module("gsplat")
    except _LOAD_ERRORS as error:
        return f"gsplat does not import ({error}); install a gsplat build for torch {torch.__version__}"
    is_prebuilt = _is_prebuilt()
    library = None if is_prebuilt else _compiled_library()
    if library is None and not is_prebuilt:
        return f"gsplat's CUDA kernels are not built; {install_advice()}"
    return (
        None
        if _kernels_load(library)
        else "gsplat's CUDA kernels do not load; reinstall gsplat for this torch"
    )


def install_advice() -> str:
    """Return how to install gsplat with kernels for this torch: a wheel where there is one."""
    torch_version = ".".join(torch.__version__.split(".")[:2])
    cuda = torch.version.cuda or ""
    has_wheel = sys.version_info[:2] == (3, 10) and cuda in _WHEELS_OF_TORCH.get(torch_version, ())
    if has_wheel:
        name = f"pt{torch_version}cu{cuda}".replace(".", "")
        return f"pip install gsplat --extra-index-url {_WHEELS}/{name}"
    return (
        f"it has no wheels with kernels for Python {sys.version_info[0]}.{sys.version_info[1]} and torch "
        f"{torch_version}: pip install gsplat, then once {_BUILD_COMMAND} (needs nvcc and a C++ compiler, "
        "takes minutes)"
    )


def _is_prebuilt() -> bool:
    """Return whether the installed wheel contains kernels that were built for this torch."""
    try:
        importlib.import_module("gsplat.csrc")
    except (ImportError, OSError):
        return False
    return True


def _compiled_library() -> Path | None:
    """Return the library in torch's extension folder that an earlier use compiled for this torch, if any."""
    try:
        from torch.utils import cpp_extension  # slow, and needs setuptools
    except ImportError:
        return None
    folder = Path(cpp_extension._get_build_directory(_LIBRARY, verbose=False))
    libraries = [folder / f"{_LIBRARY}{suffix}" for suffix in _LIBRARY_SUFFIXES]
    return next((library for library in libraries if library.is_file()), None)


def _kernels_load(library: Path | None) -> bool:
    """Load the kernels; return whether gsplat can.

    gsplat would pass a compiled library to torch's loader of extensions, which may compile it again. So it
    gets the library as its module ``csrc``, where it looks first.

    Args:
        library: The compiled kernels, or None if they are in gsplat's package.
    """
    try:
        if library is not None:
            gsplat = importlib.import_module("gsplat")
            sys.modules["gsplat.csrc"] = gsplat.csrc = _import_library(library)  # type: ignore[attr-defined]
        return importlib.import_module("gsplat.cuda._backend")._C is not None
    except _LOAD_ERRORS:
        return False


def _import_library(path: Path) -> ModuleType:
    """Import a compiled extension module from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: is not an extension module of this Python.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rasterize(inputs: RasterInputs) -> Rasterization:
    """Rasterize float32 CUDA tensors with gsplat.

    Returns:
        As ``rendering.rasterize``; ``means2d`` and ``depths`` of culled Gaussians are uninitialized memory.
    """
    if inputs.num_gaussians == 0:  # gsplat divides by the number of Gaussians
        return torch_backend.rasterize(inputs)
    gsplat = importlib.import_module("gsplat")
    # gsplat culls by opacity before it composites; a NaN in the other parameters would reach every pixel.
    parameters = [inputs.means, inputs.quats, inputs.scales, inputs.opacities[:, None]]
    finite = torch.cat(parameters, dim=-1).isfinite().all(-1)
    opacities = torch.where(finite & (inputs.quats.norm(dim=-1) > 0), inputs.opacities, 0.0)
    renders, alphas, info = gsplat.rasterization(
        inputs.means,
        inputs.quats,
        inputs.scales,
        opacities,
        inputs.colors,
        inputs.viewmats,
        inputs.Ks,
        inputs.width,
        inputs.height,
        packed=False,
        backgrounds=inputs.backgrounds,
        near_plane=inputs.near_plane,
        eps2d=inputs.eps2d,
        render_mode=inputs.render_mode,
        camera_model=inputs.projection,
    )
    return renders, alphas, {name: info[name] for name in _META}
