"""The first use of the kernels on a device: a few Gaussians, rendered as a check and to compile all."""

from __future__ import annotations

import torch
from torch import Tensor

from ..inputs import RasterInputs
from ..torch import backend as torch_backend
from .backend import LoadKernels, rasterize
from .loading import compiler, load_kernels

_MODES = ("RGB", "RGB+ED")  # of ``render``
_COUNT = 8  # Gaussians
_TOLERANCE = 1e-2  # relative; rounding at the thresholds of alpha changes single pixels


def unavailable_reason(device: torch.device, load: LoadKernels = load_kernels) -> str | None:
    """Return why the kernels cannot render on a device and what to do, or None if they can.

    This compiles and loads them, or reads them from the cache, and compares a small image and its gradients
    with those of the torch backend in float64 on the CPU, so that a fault of a compiler or driver cannot go
    unnoticed.

    Args:
        device: CUDA device.
        load: As for ``rasterize``.
    """
    if device.type == "cuda" and not torch.cuda.is_available():
        return (
            "torch finds no CUDA device; check that the machine has an NVIDIA GPU and its driver is installed"
        )
    try:
        difference = _difference_to_torch(device, load)
    except (OSError, RuntimeError) as error:
        return str(error).rstrip(".")
    if not difference <= _TOLERANCE:  # also NaN
        return (
            f"its results differ from those of torch by {difference:.1e} on this device; please report this, "
            "with the output of stag4d doctor"
        )
    return None


def versions() -> str:
    """Return the compiler's version, for instance ``NVRTC 12.8``."""
    return f"{compiler().NAME} {compiler().version_text}"


def warm_up(device: torch.device | str, load: LoadKernels = load_kernels) -> None:
    """Compile the kernels, or load them from the cache, by rendering forward and backward.

    Args:
        device: CUDA device.
        load: As for ``rasterize``.

    Raises:
        RuntimeError: The kernels cannot be compiled or launched.
    """
    for render_mode in _MODES:
        _render(torch.device(device), torch.float32, render_mode, load)


def _difference_to_torch(device: torch.device, load: LoadKernels) -> float:
    """Return the largest relative difference of image, alphas and gradients, in terms of their norms."""
    actual = _render(device, torch.float32, "RGB+D", load)
    expected = _render(torch.device("cpu"), torch.float64, "RGB+D", None)
    differences = [
        (found.cpu().double() - wanted).norm() / wanted.norm()
        for found, wanted in zip(actual, expected, strict=True)
    ]
    return float(torch.stack(differences).max())


def _render(
    device: torch.device, dtype: torch.dtype, render_mode: str, load: LoadKernels | None
) -> tuple[Tensor, ...]:
    """Return image, alphas and the gradients of the sum of the image's squares.

    Args:
        device: Of the Gaussians.
        dtype: Of the Gaussians.
        render_mode: See ``rasterize``.
        load: Returns the kernels; None renders with torch.
    """
    with torch.inference_mode(False), torch.enable_grad():
        generator = torch.Generator().manual_seed(0)
        offsets, colors = torch.rand(2, _COUNT, 3, generator=generator)
        gaussians = {
            "means": offsets + torch.tensor([-0.5, -0.5, 1.5]),
            "quats": torch.randn(_COUNT, 4, generator=generator),
            "scales": torch.linspace(0.05, 0.4, 3 * _COUNT).reshape(_COUNT, 3),
            "opacities": torch.linspace(0.2, 0.9, _COUNT),
            "colors": colors,
        }
        leaves = {name: tensor.to(device, dtype).requires_grad_() for name, tensor in gaussians.items()}
        K = torch.tensor([[[24.0, 0.0, 12.0], [0.0, 24.0, 10.0], [0.0, 0.0, 1.0]]])
        inputs = RasterInputs(
            **leaves,
            viewmats=torch.eye(4, device=device, dtype=dtype)[None],
            Ks=K.to(device, dtype),
            width=24,
            height=20,
            render_mode=render_mode,
        )
        renders, alphas, _ = torch_backend.rasterize(inputs) if load is None else rasterize(inputs, load)
        gradients = torch.autograd.grad(renders.square().sum(), list(leaves.values()))
    return renders.detach(), alphas.detach(), *gradients
