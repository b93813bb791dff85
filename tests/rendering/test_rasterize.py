"""The public function: errors for wrong arguments, dtypes, the retained gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stag4d.rendering import rasterize


def test_only_torch_renders_float64(random_scene):
    """The automatic choice falls back to it, another backend is an error."""
    arguments = random_scene(5).arguments("cpu", torch.float64)
    renders, _, meta = rasterize(**arguments)
    assert renders.dtype == meta["means2d"].dtype == torch.float64
    with pytest.raises(ValueError, match=r"^backend: 'numba' cannot render torch\.float64; use"):
        rasterize(**arguments, backend="numba")


def test_means2d_gradient_is_retained_when_there_is_one(random_scene):
    """Without a call of retain_grad; without gradients nothing is attempted."""
    scene = random_scene(5)
    renders, _, meta = rasterize(**scene.arguments("cpu", torch.float32))
    renders.sum().backward()
    assert meta["means2d"].grad.shape == (2, 5, 2)
    _, _, meta = rasterize(**scene.arguments("cpu", torch.float32, requires_grad=False))
    assert not meta["means2d"].requires_grad
    with torch.no_grad():
        rasterize(**scene.arguments("cpu", torch.float32))


INVALID_ARGUMENTS = [
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
    ({"cameras_per_set": (1, 1)}, "means: have shape [7, 3]; expected [2, N, 3]."),
    (
        {"cameras_per_set": (1,), "means": torch.zeros(1, 7, 3)},
        "cameras_per_set: (1,); expected the numbers of 2 cameras.",
    ),
    (
        {"cameras_per_set": (2,), "means": torch.zeros(1, 7, 3)},
        "quats: have shape [7, 4]; expected [1, 7, 4].",
    ),
    ({"width": 0}, "width: 0 pixels; expected a positive integer."),
    ({"height": 2.5}, "height: 2.5 pixels; expected a positive integer."),
    ({"near_plane": 0.0}, "near_plane: 0.0; expected a positive distance."),
    ({"eps2d": -1.0}, "eps2d: -1.0; expected a variance of at least 0 square pixels."),
    ({"render_mode": "DEPTH"}, "render_mode: unknown 'DEPTH'; expected one of RGB, D, ED, RGB+D, RGB+ED."),
    (
        {"camera_model": "fisheye"},
        "camera_model: unknown projection 'fisheye'; expected one of pinhole, ortho.",
    ),
    (
        {"means": torch.zeros(7, 3, dtype=torch.float16)},
        "means: have dtype torch.float16; expected torch.float32 or torch.float64.",
    ),
    (
        {"Ks": torch.zeros(2, 3, 3, dtype=torch.float64)},
        "Ks: have dtype torch.float64; expected torch.float32 like the means.",
    ),
    ({"opacities": torch.zeros(7, device="meta")}, "opacities: are on meta; expected cpu like the means."),
]


@pytest.mark.parametrize(("changes", "message"), INVALID_ARGUMENTS)
def test_invalid_argument_is_an_error_with_its_value(changes: dict[str, Any], message: str, random_scene):
    arguments = random_scene(7).arguments("cpu", torch.float32, requires_grad=False)
    with pytest.raises(ValueError) as error:
        rasterize(**(arguments | changes))
    assert str(error.value) == message


def test_only_the_cuda_backend_renders_several_sets(random_scene):
    arguments = random_scene(7).arguments("cpu", torch.float32, requires_grad=False)
    for name in ("means", "quats", "scales", "opacities"):
        arguments[name] = torch.stack([arguments[name]] * 2)
    with pytest.raises(
        ValueError, match=r"^backend: 'torch' renders one set of Gaussians per call; only 'cuda'"
    ):
        rasterize(**arguments, cameras_per_set=(1, 1), backend="torch")


def test_numpy_array_is_a_type_error(random_scene):
    """It would fail later with a message that does not name it."""
    arguments = random_scene(7).arguments("cpu", torch.float32, requires_grad=False)
    with pytest.raises(TypeError, match=r"^scales: is a ndarray; expected a torch\.Tensor\.$"):
        rasterize(**(arguments | {"scales": arguments["scales"].numpy()}))
