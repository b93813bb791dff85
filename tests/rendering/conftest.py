"""Scenes to rasterize, the backends that can be tested here, and an independent renderer to compare with.

The helpers reach the tests as fixtures that return functions.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import cuda_emulator
import numpy as np
import pytest
import torch
from torch import Tensor

from stag4d.geometry import OrbitPose, Projection, intrinsics, orbit_viewmats
from stag4d.rendering import rasterize
from stag4d.rendering.cuda import backend as cuda_backend
from stag4d.rendering.inputs import RasterInputs, Rasterization

EMULATORS = {"emulator": torch.float32, "emulator_float64": torch.float64}  # the CUDA backend on the CPU
PARAMETERS = ("means", "quats", "scales", "opacities", "colors")


@dataclass(frozen=True, eq=False)
class Scene:
    """Activated Gaussians and cameras, on the CPU."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int

    def arguments(self, device: str, dtype: torch.dtype, requires_grad: bool = True) -> dict[str, Any]:
        """Return keyword arguments of ``rasterize`` whose tensors are new leaves."""
        out = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                value = value.detach().clone().to(device, dtype)
                value.requires_grad_(requires_grad and item.name in PARAMETERS)
            out[item.name] = value
        return out

    def inputs(self, **options: Any) -> RasterInputs:
        """Return the inputs of a CPU backend, float32 and without gradients."""
        return RasterInputs(**self.arguments("cpu", torch.float32, requires_grad=False), **options)


@dataclass(frozen=True, eq=False)
class Result:
    """Renders and the gradients of a fixed weighted sum of all pixels, float64 on the CPU; meta unchanged."""

    renders: Tensor
    alphas: Tensor
    gradients: dict[str, Tensor]
    meta: dict[str, Any]


def make_scene(
    count: int = 160,
    *,
    width: int = 52,
    height: int = 41,
    num_cameras: int = 2,
    channels: int = 3,
    colors_per_camera: bool = False,
    scale: float = 0.06,
    opacity: tuple[float, float] = (0.1, 0.95),
    seed: int = 0,
) -> Scene:
    """Return random Gaussians around the origin and cameras on an orbit, in float32."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    poses = [OrbitPose(azimuth_deg=40.0 * i, elevation_deg=15.0 - 30.0 * i) for i in range(num_cameras)]
    lead = (num_cameras, count) if colors_per_camera else (count,)
    return Scene(
        means=0.4 * normal(count, 3),
        quats=2.0 * normal(count, 4),
        scales=scale * torch.exp(0.5 * normal(count, 3)),
        opacities=opacity[0] + (opacity[1] - opacity[0]) * torch.rand(count, generator=generator),
        colors=torch.rand(*lead, channels, generator=generator),
        viewmats=orbit_viewmats(poses),
        Ks=intrinsics([50.0 + 5.0 * i for i in range(num_cameras)], width, height),
        width=width,
        height=height,
    )


def make_pixel_scene(
    centers: Tensor,
    deviations: Tensor,
    opacities: Tensor,
    colors: Tensor,
    depths: Tensor,
    size: tuple[int, int],
) -> Scene:
    """Return axis-aligned Gaussians at pixels [N, 2] of one camera that looks along +z, focal length 64.

    The standard deviations [N] are in pixels along x, before the blur of 0.3 square pixels; along y and z
    they are 0.7 and 0.5 of that.
    """
    width, height = size
    focal, center = 64.0, torch.tensor([width / 2, height / 2])
    means = torch.cat([(centers - center) / focal * depths[:, None], depths[:, None]], dim=-1)
    camera = torch.tensor([[[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]]])
    quats = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(len(means), 4)
    scales = (deviations / focal * depths)[:, None] * torch.tensor([1.0, 0.7, 0.5])
    return Scene(means, quats, scales, opacities, colors, torch.eye(4)[None], camera, width, height)


def render_and_differentiate(
    scene: Scene,
    backend: str,
    *,
    dtype: torch.dtype = torch.float32,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    camera_model: Projection = "pinhole",
) -> Result:
    """Render with a backend on the device that it supports, and compute all gradients.

    An emulator renders in its own dtype; memory that it does not initialize is NaN.
    """
    if backend in EMULATORS:
        with cuda_emulator.poisoned_memory():
            return _render_and_differentiate(
                scene, "cpu", EMULATORS[backend], rasterize_emulated, backgrounds, render_mode, camera_model
            )
    device = "cuda" if backend in ("cuda", "gsplat") else "cpu"
    function = partial(rasterize, backend=backend)
    return _render_and_differentiate(scene, device, dtype, function, backgrounds, render_mode, camera_model)


def rasterize_emulated(**arguments: Any) -> Rasterization:
    """Rasterize CPU tensors with the CUDA backend's kernels."""
    camera_model = arguments.pop("camera_model")
    inputs = RasterInputs(**arguments, projection=camera_model)
    dtype = inputs.means.dtype
    renders, alphas, meta = cuda_backend.rasterize(
        inputs, lambda device, channels: cuda_emulator.emulated_kernels(channels, dtype)
    )
    meta["means2d"].retain_grad()
    return renders, alphas, meta


def _render_and_differentiate(
    scene: Scene,
    device: str,
    dtype: torch.dtype,
    function: Callable[..., Rasterization],
    backgrounds: Tensor | None,
    render_mode: str,
    camera_model: Projection,
) -> Result:
    arguments = scene.arguments(device, dtype)
    if backgrounds is not None:
        arguments["backgrounds"] = backgrounds.detach().clone().to(device, dtype).requires_grad_()
    arguments |= {"render_mode": render_mode, "camera_model": camera_model}
    renders, alphas, meta = function(**arguments)
    generator = torch.Generator().manual_seed(7)
    weights = [torch.randn(out.shape, generator=generator).to(device, dtype) for out in (renders, alphas)]
    ((renders * weights[0]).sum() + (alphas * weights[1]).sum()).backward()
    leaves = {name: arguments[name] for name in (*PARAMETERS, "backgrounds") if name in arguments}
    leaves["means2d"] = meta["means2d"]
    gradients = {name: leaf.grad.cpu().double() for name, leaf in leaves.items() if leaf.grad is not None}
    return Result(renders.detach().cpu().double(), alphas.detach().cpu().double(), gradients, meta)


def naive_render(
    scene: Scene, eps2d: float = 0.3, near: float = 0.01, camera_model: Projection = "pinhole"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Render pixel by pixel, splat by splat in float64, from the formulas of the papers.

    Thresholds are the float32 values of the CUDA kernels. No tiles and no bounding boxes: every splat is
    evaluated at every pixel.

    Returns:
        Colors [C, H, W, D] on black, alphas [C, H, W], accumulated depths [C, H, W].
    """
    data = {k: v.double().numpy() if isinstance(v, Tensor) else v for k, v in vars(scene).items()}
    max_alpha, min_alpha, min_transmittance = (float(np.float32(x)) for x in (0.99, 1 / 255, 1e-4))
    cameras, width, height = len(data["viewmats"]), scene.width, scene.height
    colors = np.zeros((cameras, height, width, data["colors"].shape[-1]))
    alphas, depths = np.zeros((cameras, height, width)), np.zeros((cameras, height, width))
    for camera in range(cameras):
        camera_colors = data["colors"] if data["colors"].ndim == 2 else data["colors"][camera]
        project = {"pinhole": _naive_pinhole, "ortho": _naive_ortho}[camera_model]
        splats = [_naive_splat(data, camera, i, eps2d, project) for i in range(len(data["means"]))]
        order = sorted((i for i in range(len(splats)) if splats[i][2] >= near), key=lambda i: splats[i][2])
        for y in range(height):
            for x in range(width):
                transmittance = 1.0
                for i in order:
                    mean, inverse, depth = splats[i]
                    d = np.array([x + 0.5, y + 0.5]) - mean
                    alpha = min(max_alpha, data["opacities"][i] * math.exp(-0.5 * (d @ inverse @ d)))
                    if alpha < min_alpha:
                        continue
                    if transmittance * (1 - alpha) <= min_transmittance:
                        break
                    colors[camera, y, x] += transmittance * alpha * camera_colors[i]
                    depths[camera, y, x] += transmittance * alpha * depth
                    transmittance *= 1 - alpha
                alphas[camera, y, x] = 1 - transmittance
    return colors, alphas, depths


def _naive_splat(
    data: dict[str, Any], camera: int, i: int, eps2d: float, project: Callable[..., Any]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a Gaussian's mean in pixels, its inverse covariance in the image and its depth."""
    view, K = data["viewmats"][camera], data["Ks"][camera]
    point = view[:3, :3] @ data["means"][i] + view[:3, 3]
    w, *axis = data["quats"][i] / math.sqrt(sum(data["quats"][i] ** 2))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + 2 * w * cross + 2 * cross @ cross  # Rodrigues' formula in terms of the quaternion
    covariance = view[:3, :3] @ rotation @ np.diag(data["scales"][i] ** 2) @ rotation.T @ view[:3, :3].T
    mean, jacobian = project(point, K, (data["width"], data["height"]))
    return mean, np.linalg.inv(jacobian @ covariance @ jacobian.T + eps2d * np.eye(2)), point[2]


def _naive_ortho(point: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a point in pixels and the Jacobian there, by a camera whose rays are parallel."""
    return K[:2, :2] @ point[:2] + K[:2, 2], np.array([[K[0, 0], 0, 0], [0, K[1, 1], 0]])


def _naive_pinhole(point: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a point in pixels and the Jacobian there, or a little beyond the border of the image."""
    x, y, z = point
    low_x, high_x = -K[0, 2] / K[0, 0], (size[0] - K[0, 2]) / K[0, 0]
    low_y, high_y = -K[1, 2] / K[1, 1], (size[1] - K[1, 2]) / K[1, 1]
    tan_x = min(max(x / z, low_x - 0.15 * (high_x - low_x)), high_x + 0.15 * (high_x - low_x))
    tan_y = min(max(y / z, low_y - 0.15 * (high_y - low_y)), high_y + 0.15 * (high_y - low_y))
    jacobian = np.array([[K[0, 0], 0, -K[0, 0] * tan_x], [0, K[1, 1], -K[1, 1] * tan_y]]) / z
    return np.array([K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]]), jacobian


def fast_backends() -> list[Any]:
    """Return the backends to compare with the float64 reference, among them torch itself in float32."""
    reason = "needs CUDA, and gsplat where the test names it; there run: pytest -m gpu tests/rendering"
    no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason=reason)
    numba = ["numba"] if importlib.util.find_spec("numba") else []
    on_gpu = [pytest.param(name, marks=[pytest.mark.gpu, no_gpu]) for name in ("cuda", "gsplat")]
    return ["torch", *numba, *on_gpu, *emulators()]


def emulators() -> list[Any]:
    """Return the dtypes of the emulated CUDA backend."""
    reason = cuda_emulator.unavailable_reason()
    not_here = pytest.mark.skipif(reason is not None, reason=str(reason))
    return [pytest.param(name, marks=[not_here]) for name in EMULATORS]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize every test with an argument ``fast_backend`` or ``emulator``."""
    if "fast_backend" in metafunc.fixturenames:
        metafunc.parametrize("fast_backend", fast_backends())
    if "emulator" in metafunc.fixturenames:
        metafunc.parametrize("emulator", emulators())


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Run on one thread: for such small images a second one costs more than it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def random_scene() -> Callable[..., Scene]:
    """Return the function that makes random Gaussians and orbit cameras."""
    return make_scene


@pytest.fixture
def ortho_scene() -> Callable[..., Scene]:
    """Return the function that makes random Gaussians and off-center orthographic cameras."""

    def make(*args: Any, **options: Any) -> Scene:
        scene = make_scene(*args, **options)
        Ks = scene.Ks.clone()
        Ks[:, 0, 0] *= 0.5  # the size of pinhole renders from distance 2
        Ks[:, 1, 1] *= 0.6
        Ks[:, 0, 2] += 0.1 * scene.width
        Ks[:, 1, 2] -= 0.15 * scene.height
        return replace(scene, Ks=Ks)

    return make


@pytest.fixture
def scene_at_pixels() -> Callable[..., Scene]:
    """Return the function that makes Gaussians at given pixels of one camera."""
    return make_pixel_scene


@pytest.fixture
def evaluate() -> Callable[..., Result]:
    """Return the function that renders and computes gradients."""
    return render_and_differentiate


@pytest.fixture(scope="session")
def reference() -> Callable[..., Result]:
    """Return the same for the float64 reference, with a cache: all backends are tested on the same scenes."""
    results: dict[tuple[Any, ...], Result] = {}

    def evaluate_cached(scene: Scene, **options: Any) -> Result:
        values = {**vars(scene), **options}
        key = tuple((name, _hashable(values[name])) for name in sorted(values))
        if key not in results:
            results[key] = render_and_differentiate(scene, "torch", dtype=torch.float64, **options)
        return results[key]

    return evaluate_cached


def _hashable(value: Any) -> Any:
    """Return shape and bytes of a tensor, any other value as it is."""
    return (value.shape, value.numpy().tobytes()) if isinstance(value, Tensor) else value


@pytest.fixture
def render_per_pixel() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the independent renderer."""
    return naive_render
