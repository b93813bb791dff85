"""Projections against gsplat 1.5.3's ``_torch_impl._fully_fused_projection`` in float64."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stag4d.rendering.inputs import RasterInputs
from stag4d.rendering.torch import projection as torch_projection

pytestmark = pytest.mark.usefixtures("one_thread")

MEANS = [[0.0, 0.0, 0.0], [0.3, -0.2, 0.4], [-0.5, 0.6, -0.1]]
QUATS = [
    [1.0, 0.0, 0.0, 0.0],
    [0.939692621, 0.091408728, 0.182817457, 0.274226185],
    [0.819152044, 0.0, -0.405579788, -0.405579788],
]
SCALES = [[0.05, 0.08, 0.02], [0.1, 0.03, 0.06], [0.02, 0.02, 0.2]]
FRONT = [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
SIDE_ABOVE = [
    [0.866025404, 0.0, -0.5],
    [0.171010072, -0.939692621, 0.296198133],
    [-0.46984631, -0.342020143, -0.813797681],
]
REAR_BELOW = [
    [-0.5, 0.0, -0.866025404],
    [-0.224143868, -0.965925826, 0.129409523],
    [-0.836516304, 0.258819045, 0.482962913],
]

# name: projection, rotation, distance, (fx, fy, cx, cy), (width, height); per Gaussian the mean in pixels,
# the depth, and xx, xy, yy of the conic
CASES = {
    "pinhole, off-center, not square": (
        "pinhole",
        SIDE_ABOVE,
        2.0,
        (180.0, 175.0, 70.5, 52.25),
        (160, 96),
        [
            [70.5, 52.25, 2.0, 0.061872047, -0.003413246, 0.022712579],
            [77.220246615, 91.328547901, 1.601931063, 0.018064894, 0.017208932, 0.040957909],
            [37.842813904, -4.031128066, 2.111090837, 0.034228314, -0.0923403, 0.278568696],
        ],
    ),
    "pinhole, centered": (
        "pinhole",
        FRONT,
        2.0,
        (140.0, 140.0, 64.0, 64.0),
        (128, 128),
        [
            [64.0, 64.0, 2.0, 0.079681275, 0.0, 0.031585597],
            [90.25, 81.5, 1.6, 0.036371486, 0.031185072, 0.058089422],
            [30.666666667, 24.0, 2.1, 0.140170108, -0.212339271, 0.341688956],
        ],
    ),
    "ortho, centered": (
        "ortho",
        FRONT,
        2.0,
        (70.055517635, 70.055517635, 64.0, 64.0),
        (128, 128),
        [
            [64.0, 64.0, 2.0, 0.079558046, 0.0, 0.031536028],
            [85.016655291, 78.011103527, 1.6, 0.067895487, 0.070041089, 0.12709191],
            [28.972241182, 21.966689419, 2.1, 0.094356683, -0.172061202, 0.356678573],
        ],
    ),
    "ortho, off-center, not square, fx unlike fy": (
        "ortho",
        REAR_BELOW,
        2.0,
        (60.0, 58.0, 85.0, 40.0),
        (160, 96),
        [
            [85.0, 40.0, 2.0, 0.277947604, -0.01092743, 0.048431651],
            [55.215390309, 50.306937204, 1.890466465, 0.074447698, -0.008440145, 0.050119121],
            [105.196152423, 12.135378188, 2.525253288, 0.134093273, -0.148401681, 0.55769904],
        ],
    ),
    "ortho, farther": (
        "ortho",
        REAR_BELOW,
        7.0,
        (60.0, 58.0, 85.0, 40.0),
        (160, 96),
        [
            [85.0, 40.0, 7.0, 0.277947604, -0.01092743, 0.048431651],
            [55.215390309, 50.306937204, 6.890466465, 0.074447698, -0.008440145, 0.050119121],
            [105.196152423, 12.135378188, 7.525253288, 0.134093273, -0.148401681, 0.55769904],
        ],
    ),
    "pinhole, far outside: the Jacobian is clamped around the principal point": (
        "pinhole",
        FRONT,
        1.0,
        (400.0, 400.0, 10.0, 50.0),
        (64, 64),
        [
            [10.0, 50.0, 1.0, 0.002498126, 0.0, 0.000976276],
            [210.0, 183.333333333, 0.6, 0.000685267, 0.000638775, 0.001177917],
            [-171.818181818, -168.181818182, 1.1, 0.005315489, -0.008181475, 0.013575108],
        ],
    ),
}  # fmt: skip


def case(name: str, dtype: torch.dtype) -> tuple[RasterInputs, Tensor]:
    """Return the inputs of a case and the six expected numbers of each Gaussian [3, 6]."""
    projection, rotation, distance, (fx, fy, cx, cy), (width, height), expected = CASES[name]
    viewmat = torch.eye(4, dtype=dtype)
    viewmat[:3, :3], viewmat[2, 3] = torch.tensor(rotation, dtype=dtype), distance
    inputs = RasterInputs(
        means=torch.tensor(MEANS, dtype=dtype),
        quats=torch.tensor(QUATS, dtype=dtype),
        scales=torch.tensor(SCALES, dtype=dtype),
        opacities=torch.full((3,), 0.7, dtype=dtype),
        colors=torch.ones(3, 1, dtype=dtype),
        viewmats=viewmat[None],
        Ks=torch.tensor([[[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]], dtype=dtype),
        width=width,
        height=height,
        projection=projection,
    )
    return inputs, torch.tensor(expected, dtype=torch.float64)


@pytest.mark.parametrize("name", CASES)
def test_torch_projects_as_gsplat_does(name: str):
    inputs, expected = case(name, torch.float64)
    ids = torch.arange(3)
    found = torch_projection.project(inputs, torch.zeros_like(ids), ids)
    conics = torch_projection.conics(found.covs2d)
    actual = torch.cat([found.means2d, found.depths[:, None], conics], dim=-1)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-7)  # of the matrices' nine digits


@pytest.mark.parametrize("name", CASES)
def test_numba_projects_as_gsplat_does(name: str):
    numba = pytest.importorskip("stag4d.rendering.numba.backend")
    inputs, expected = case(name, torch.float32)
    gaussians = (inputs.means, inputs.quats, inputs.scales, inputs.opacities)
    means2d, ellipses, depths, radii, _ = numba.Project.apply(*gaussians, numba.pack_cameras(inputs))
    precision_x, slope, precision_y, _ = ellipses[0].double().unbind(-1)
    # sigma = precision_x (dx - slope dy)^2 + precision_y dy^2 is half of the quadratic form of the conic
    conics = [2 * precision_x, -2 * precision_x * slope, 2 * (precision_x * slope**2 + precision_y)]
    actual = torch.cat([means2d[0], depths[0][:, None], torch.stack(conics, dim=-1)], dim=-1).double()
    visible = (radii[0] > 0).all(-1)
    assert visible.sum() == (2 if "far outside" in name else 3)
    torch.testing.assert_close(actual[visible], expected[visible], rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(actual[visible, 3:], expected[visible, 3:], rtol=1e-6, atol=1e-7)


def test_pixels_of_one_orthographic_splat(fast_backend, random_scene, evaluate):
    """Its deviations are 0.05 and 0.08 of 70.06 pixels per unit: alpha is 0.7 exp(-(A dx^2 + C dy^2) / 2)."""
    inputs, expected = case("ortho, centered", torch.float32)
    names = ("means", "quats", "scales", "opacities", "colors")
    gaussian = {name: getattr(inputs, name)[:1] for name in names}
    cameras = {"viewmats": inputs.viewmats, "Ks": inputs.Ks, "width": 128, "height": 128}
    scene = replace(random_scene(1), **gaussian, **cameras)
    alphas = evaluate(scene, fast_backend, camera_model="ortho").alphas
    truth = {
        (64, 64): 0.690346452,
        (65, 64): 0.637551801,
        (64, 65): 0.668915369,
        (67, 62): 0.415012762,
        (60, 68): 0.312462674,
    }
    for (column, row), alpha in truth.items():
        dx, dy = column + 0.5 - 64, row + 0.5 - 64
        power = -0.5 * (expected[0, 3] * dx**2 + expected[0, 5] * dy**2).item()
        assert alpha == pytest.approx(0.7 * math.exp(power), abs=1e-8)
        assert alphas[0, row, column, 0].item() == pytest.approx(alpha, abs=1e-6)
