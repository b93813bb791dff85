"""Compare the fast rasterizer of this machine with the torch reference, and time both in one run.

On CUDA the fast one is gsplat; without a GPU it is Numba, at small sizes. For a pinhole and an orthographic
camera at each size the script prints the largest differences of images, alphas, depths and gradients, and the
median milliseconds of a forward pass and of a forward and backward pass. Opacities stay below 0.95, as gsplat
releases clamp alpha at different values.

    python3 tasks.py bench gpu_parity [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from stag4d.geometry import DEFAULT_RADIUS, PROJECTIONS, OrbitPose, Projection, intrinsics, orbit_viewmats
from stag4d.rendering import rasterize, select_backend

CUDA_SIZES = ((5_000, 128), (20_000, 256), (50_000, 512), (100_000, 512))  # Gaussians, pixels per side
CPU_SIZES = ((500, 48), (2_000, 96))
IMAGE_TOLERANCE = 2e-3
GRADIENT_TOLERANCE = 1e-2
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


def median_ms(function: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median milliseconds of a call after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def time_backend(scene: dict[str, Any], backend: str, repeats: int) -> tuple[float, float]:
    """Return the milliseconds of a forward pass and of a forward and backward pass."""
    device = scene["means"].device
    with torch.no_grad():
        forward = median_ms(lambda: rasterize(**scene, backend=backend), repeats, device)
    return forward, median_ms(lambda: render_and_differentiate(scene, backend), repeats, device)


def report_scene(scene: dict[str, Any], backend: str, repeats: int) -> bool:
    """Print the rows of one scene; return whether all differences are within the tolerances."""
    found = differences(render_and_differentiate(scene, backend), render_and_differentiate(scene, "torch"))
    passed = True
    count, size = len(scene["means"]), f"{scene['width']}x{scene['height']}"
    sys.stdout.write(f"\n{count} Gaussians, {size} pixels, {scene['camera_model']}\n")
    for name, (largest, relative) in found.items():
        is_image = name in ("image", "alpha")
        value, limit = (largest, IMAGE_TOLERANCE) if is_image else (relative, GRADIENT_TOLERANCE)
        passed &= value <= limit
        mark = "" if value <= limit else f"  above {limit:g}"
        sys.stdout.write(f"  {name:12} max {largest:9.2e}  relative {relative:9.2e}{mark}\n")
    fast, reference = time_backend(scene, backend, repeats), time_backend(scene, "torch", repeats)
    for name, ms, torch_ms in zip(("forward", "with backward"), fast, reference, strict=True):
        times = f"{backend} {ms:8.2f} ms  torch {torch_ms:9.2f} ms  ratio {ms / torch_ms:.4f}"
        sys.stdout.write(f"  {name:14} {times}\n")
    return passed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return 1 when a difference is too large."""
    parser = argparse.ArgumentParser(description="Compare and time the rasterizers.")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each kind (default 5)")
    parser.add_argument("--sizes", type=int, default=None, help="number of sizes to run, smallest first")
    options = parser.parse_args(arguments)
    for device, backend, sizes in (
        (torch.device("cuda"), "gsplat", CUDA_SIZES),
        (torch.device("cpu"), "numba", CPU_SIZES),
    ):
        try:
            select_backend(device, backend)
        except RuntimeError as error:
            sys.stdout.write(f"Not comparing {backend} with torch on {device.type}. {error}\n")
            continue
        sys.stdout.write(f"{backend} against torch on {device.type}, torch {torch.__version__}\n")
        results = [
            report_scene(make_scene(*size, projection, device), backend, options.repeats)
            for size in sizes[: options.sizes]
            for projection in PROJECTIONS
        ]
        return int(not all(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
