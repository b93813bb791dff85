"""Compare the rasterizers of this machine with the torch reference: images, alphas, depths and gradients.

On a GPU these are the CUDA kernels and gsplat, as far as they are available; without one it is Numba, at
small sizes. For a pinhole and an orthographic camera at each size the script prints the largest differences.
Opacities stay below 0.95, as gsplat releases clamp alpha at different values. The exit status is 1 if a
difference is too large.

    python3 tasks.py bench gpu_parity [--sizes 2]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stag4d.geometry import DEFAULT_RADIUS, PROJECTIONS, OrbitPose, Projection, intrinsics, orbit_viewmats
from stag4d.rendering import rasterize, select_backend

CUDA_SIZES = ((5_000, 128), (20_000, 256), (50_000, 512), (100_000, 512))  # Gaussians, pixels per side
CPU_SIZES = ((500, 48), (2_000, 96))
IMAGE_TOLERANCE, GRADIENT_TOLERANCE = 2e-3, 1e-2  # relative; rounding changes single pixels at alpha 1/255
PARAMETERS = ("means", "quats", "scales", "opacities", "colors")


def make_scene(count: int, size: int, projection: Projection, device: torch.device) -> dict[str, Any]:
    """Return random Gaussians and one camera as keyword arguments of ``rasterize``."""
    generator = torch.Generator().manual_seed(0)
    Ks = intrinsics([49.1], size, size)
    if projection == "ortho":
        Ks[:, :2, :2] /= DEFAULT_RADIUS  # pixels per world unit at the origin
    scene: dict[str, Any] = {
        "means": 0.3 * torch.randn(count, 3, generator=generator),
        "quats": torch.randn(count, 4, generator=generator),
        "scales": 0.02 * torch.exp(0.3 * torch.randn(count, 3, generator=generator)),
        "opacities": 0.05 + 0.9 * torch.rand(count, generator=generator),
        "colors": torch.rand(count, 3, generator=generator),
        "viewmats": orbit_viewmats([OrbitPose(azimuth_deg=20.0, elevation_deg=10.0)]),
        "Ks": Ks,
    }
    scene = {name: tensor.to(device) for name, tensor in scene.items()}
    for name in PARAMETERS:
        scene[name].requires_grad_()
    options = {"width": size, "height": size, "render_mode": "RGB+D", "camera_model": projection}
    return scene | options


def render_and_differentiate(scene: dict[str, Any], backend: str) -> dict[str, Tensor]:
    """Return image, alpha, depth and all gradients of a fixed weighted sum of them."""
    for name in PARAMETERS:
        scene[name].grad = None
    renders, alphas, meta = rasterize(**scene, backend=backend)
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(renders.shape, generator=generator).to(renders.device)
    ((renders * weights).sum() + (alphas * weights[..., :1]).sum()).backward()
    out = {"image": renders[..., :3].detach(), "alpha": alphas.detach(), "depth": renders[..., 3:].detach()}
    gradients = {f"d {name}": scene[name].grad for name in PARAMETERS} | {"d means2d": meta["means2d"].grad}
    return out | gradients


def differences(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, tuple[float, float]]:
    """Return the maximum and the relative norm of each quantity's difference."""
    out = {}
    for name, reference in expected.items():
        delta = actual[name] - reference
        relative = delta.norm() / reference.norm().clamp(min=1e-12)
        out[name] = (delta.abs().max().item(), relative.item())
    return out


def report_scene(scene: dict[str, Any], backends: Sequence[str]) -> bool:
    """Print the differences of all backends to torch; return whether they are within the tolerances."""
    expected = render_and_differentiate(scene, "torch")
    passed = True
    count, size = len(scene["means"]), f"{scene['width']}x{scene['height']}"
    for backend in backends:
        sys.stdout.write(f"\n{backend}: {count} Gaussians, {size} pixels, {scene['camera_model']}\n")
        found = differences(render_and_differentiate(scene, backend), expected)
        for name, (largest, relative) in found.items():
            limit = IMAGE_TOLERANCE if name in ("image", "alpha") else GRADIENT_TOLERANCE
            passed &= relative <= limit
            mark = "" if relative <= limit else f"  above {limit:g}"
            sys.stdout.write(f"  {name:12} max {largest:9.2e}  relative {relative:9.2e}{mark}\n")
    return passed


def available(device: torch.device, backends: Sequence[str]) -> list[str]:
    """Return the backends that render on a device; print why the others do not."""
    found = []
    for backend in backends:
        try:
            found.append(select_backend(device, backend))
        except RuntimeError as error:
            sys.stdout.write(f"Not on {device.type}: {error}\n")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return 1 when a difference is too large."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, default=None, help="number of sizes to run, smallest first")
    options = parser.parse_args(arguments)
    for device, backends, sizes in (
        (torch.device("cuda"), ("cuda", "gsplat"), CUDA_SIZES),
        (torch.device("cpu"), ("numba",), CPU_SIZES),
    ):
        found = available(device, backends)
        if found:
            sys.stdout.write(f"Differences to torch {torch.__version__} on {device.type}\n")
            results = [
                report_scene(make_scene(*size, projection, device), found)
                for size in sizes[: options.sizes]
                for projection in PROJECTIONS
            ]
            return int(not all(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
