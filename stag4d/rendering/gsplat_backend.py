"""gsplat's CUDA rasterizer behind this package's signature; the one file that imports gsplat.

gsplat from PyPI compiles its kernels when they are first asked for, which takes minutes, needs nvcc and a
C++ compiler, and raises on a machine without a GPU. So its kernels are loaded only after :func:`missing` has
found a GPU and that they are built. Releases up to 1.5.3 clamp alpha at 0.999, later ones and the other
backends at 0.99.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import torch_backend

_BUILD_COMMAND = 'python -c "import gsplat.cuda._backend"'
_META = ("means2d", "radii", "depths", "width", "height", "n_cameras", "gaussian_ids")
_LIBRARY_SUFFIXES = (".so", ".pyd", ".lib")


def missing() -> str | None:
    """Say what keeps gsplat from rendering here, or return None when it is ready. Never compiles anything.

    Returns:
        A clause that ends with what to do about it.
    """
    if not torch.cuda.is_available():
        return "torch sees no CUDA device; use a CUDA build of torch on a machine with an NVIDIA GPU"
    if importlib.util.find_spec("gsplat") is None:
        return "gsplat is not installed; pip install gsplat"
    try:
        importlib.import_module("gsplat")
    except (ImportError, OSError, RuntimeError) as error:
        return f"gsplat does not import ({error}); install a gsplat build for torch {torch.__version__}"
    if not _is_prebuilt() and not _is_compiled():
        return f"gsplat's CUDA kernels are not built; run {_BUILD_COMMAND} once (needs nvcc, takes minutes)"
    return None if _kernels_load() else "gsplat's CUDA kernels do not load; reinstall gsplat for this torch"


def _is_prebuilt() -> bool:
    """Tell whether a wheel brought the kernels along, built for this torch."""
    try:
        importlib.import_module("gsplat.csrc")
    except (ImportError, OSError):
        return False
    return True


def _is_compiled() -> bool:
    """Tell whether an earlier first use left compiled kernels in torch's extension folder for this torch."""
    try:
        from torch.utils import cpp_extension  # slow, and needs setuptools
    except ImportError:
        return False
    folder = Path(cpp_extension._get_build_directory("gsplat_cuda", verbose=False))
    return any((folder / f"gsplat_cuda{suffix}").is_file() for suffix in _LIBRARY_SUFFIXES)


def _kernels_load() -> bool:
    """Load the kernels that are known to be there; false when gsplat cannot."""
    try:
        return importlib.import_module("gsplat.cuda._backend")._C is not None
    except (ImportError, OSError, RuntimeError):
        return False


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    backgrounds: Tensor | None = None,
    near_plane: float = 0.01,
    eps2d: float = 0.3,
    render_mode: str = "RGB",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render float32 CUDA tensors with gsplat.

    Args:
        means: [N, 3] centers, world units.
        quats: [N, 4] wxyz, any length but zero.
        scales: [N, 3] standard deviations, world units.
        opacities: [N] in 0..1.
        colors: [N, D] or [C, N, D].
        viewmats: [C, 4, 4] world-to-camera.
        Ks: [C, 3, 3] intrinsics, pixels.
        width: Image width, pixels.
        height: Image height, pixels.
        backgrounds: [C, D] color behind everything.
        near_plane: Least camera z that is drawn.
        eps2d: Variance added along both image axes, square pixels.
        render_mode: "RGB", "D", "ED", "RGB+D" or "RGB+ED".

    Returns:
        renders [C, H, W, D'], alphas [C, H, W, 1] and the same meta as the reference; ``means2d`` and
        ``depths`` of culled Gaussians are whatever was in memory.
    """
    options: dict[str, Any] = {
        "backgrounds": backgrounds,
        "near_plane": near_plane,
        "eps2d": eps2d,
        "render_mode": render_mode,
    }
    if means.shape[0] == 0:  # gsplat divides by the number of Gaussians
        empty = (means, quats, scales, opacities, colors, viewmats, Ks, width, height)
        return torch_backend.rasterize(*empty, **options)
    gsplat = importlib.import_module("gsplat")
    # gsplat culls by opacity before it draws; not-a-number elsewhere would reach every pixel.
    finite = torch.cat([means, quats, scales, opacities[:, None]], dim=-1).isfinite().all(-1)
    opacities = torch.where(finite & (quats.norm(dim=-1) > 0), opacities, 0.0)
    renders, alphas, info = gsplat.rasterization(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height, packed=False, **options
    )
    return renders, alphas, {name: info[name] for name in _META}
