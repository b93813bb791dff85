"""The reference backend against values by hand, a per-pixel renderer and finite differences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stag4d.geometry import PROJECTIONS
from stag4d.rendering import rasterize
from stag4d.rendering.torch import compositing

pytestmark = pytest.mark.usefixtures("one_thread")

CENTER = 2.5  # pixels; the middle of a 5x5 image is the center of pixel (2, 2)


def render_at_center(depths: list[float], opacities: list[float], colors: list[list[float]], **options):
    """Render Gaussians of variance (10 * 0.05)^2 + 0.3 square pixels in the middle of a 5x5 image."""
    z = torch.tensor(depths, dtype=torch.float64)
    camera = torch.tensor([[[10.0, 0, CENTER], [0, 10.0, CENTER], [0, 0, 1]]], dtype=torch.float64)
    parameters = {
        "means": torch.stack([torch.zeros_like(z), torch.zeros_like(z), z], dim=-1),
        "quats": torch.tensor([[3.0, 0, 0, 0]], dtype=torch.float64).repeat(len(z), 1),
        "scales": (z * 0.05)[:, None].repeat(1, 3),  # 0.5 pixels: 0.25 + 0.3
        "opacities": torch.tensor(opacities, dtype=torch.float64),
        "colors": torch.tensor(colors, dtype=torch.float64),
    }
    for tensor in parameters.values():
        tensor.requires_grad_()
    view = torch.eye(4, dtype=torch.float64)[None]
    return *rasterize(**parameters, viewmats=view, Ks=camera, width=5, height=5, **options), parameters


def test_single_splat_equals_values_by_hand():
    """Alpha is o exp(-d^2 / (2 * 0.55)); color, depth and background follow from it."""
    background = torch.tensor([[0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)[:, :3]
    renders, alphas, meta, _ = render_at_center(
        [2.0], [0.5], [[1.0, 0.5, 0.25]], backgrounds=background, render_mode="RGB+D"
    )
    assert renders.shape == (1, 5, 5, 4)
    assert alphas.shape == (1, 5, 5, 1)
    expected = torch.tensor([0.5, 0.25, 0.125 + 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(renders[0, 2, 2], expected)
    assert alphas[0, 2, 3].item() == pytest.approx(0.201445, abs=1e-6)  # 0.5 * exp(-1 / 1.1)
    assert alphas[0, 1, 1].item() == pytest.approx(0.081160, abs=1e-6)  # 0.5 * exp(-2 / 1.1)
    assert alphas[0, 0, 2].item() == pytest.approx(0.013173, abs=1e-6)  # 0.5 * exp(-4 / 1.1)
    assert alphas[0, 0, 1].item() == pytest.approx(0.005308, abs=1e-6)  # 0.5 * exp(-5 / 1.1)
    assert alphas[0, 0, 0].item() == 0  # 0.5 * exp(-8 / 1.1) = 0.00035 < 1 / 255
    torch.testing.assert_close(meta["means2d"], torch.full((1, 1, 2), CENTER, dtype=torch.float64))
    # sqrt(2 ln 127.5) = 3.1138 standard deviations of sqrt(0.55) = 0.7416 pixels: 2.31
    assert meta["radii"].tolist() == [[[3, 3]]]
    assert meta["radii"].dtype == torch.int32
    assert meta["depths"].tolist() == [[2.0]]
    assert (meta["width"], meta["height"], meta["n_cameras"], meta["gaussian_ids"]) == (5, 5, 1, None)


def test_nearer_splat_occludes_farther_one_in_any_input_order():
    """Front red at alpha 0.5, back green at 0.8: red 0.5, green 0.5 * 0.8, alpha 1 - 0.5 * 0.2."""
    for flip in (1, -1):
        renders, alphas, _, _ = render_at_center(
            [1.0, 2.0][::flip], [0.5, 0.8][::flip], [[1.0, 0.0], [0.0, 1.0]][::flip], render_mode="RGB+ED"
        )
        expected = torch.tensor([0.5, 0.4, (0.5 * 1 + 0.4 * 2) / 0.9], dtype=torch.float64)
        torch.testing.assert_close(renders[0, 2, 2], expected)
        assert alphas[0, 2, 2].item() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("opacities", "expected"),
    [
        ([0.98, 0.98, 0.9], 1 - 0.02 * 0.02),  # T = 0.0004; the third would give 0.00004
        ([1.0, 1.0, 0.5], 0.99),  # clamped; the second would give T = 0.0001, so the third is not composited
        ([0.98, 0.98, 0.9, 0.1], 1 - 0.02 * 0.02),  # none behind the excluded one contributes
    ],
)
def test_pixel_terminates_before_transmittance_falls_to_1e_4(opacities: list[float], expected: float):
    """The splat that would leave T <= 1e-4 and all behind it are excluded."""
    count = len(opacities)
    _, alphas, _, _ = render_at_center([1.0 + i for i in range(count)], opacities, [[1.0]] * count)
    assert alphas[0, 2, 2].item() == pytest.approx(expected, abs=1e-7)


def test_clamped_alpha_has_no_gradient_to_geometry_and_opacity():
    """Only the color has a gradient where alpha is clamped at 0.99."""
    renders, _, _, parameters = render_at_center([2.0], [0.995], [[1.0]])
    renders[0, 2, 2].sum().backward()
    assert parameters["colors"].grad.item() == pytest.approx(0.99)
    for name in ("means", "quats", "scales", "opacities"):
        assert not parameters[name].grad.any(), name


@pytest.mark.parametrize(("opacity", "visible"), [(0.0039, False), (0.00393, True)])
def test_opacity_below_one_255th_is_culled(opacity: float, visible: bool):
    """1 / 255 = 0.003922."""
    _, alphas, meta, _ = render_at_center([2.0], [opacity], [[1.0]])
    assert (meta["radii"].sum() > 0).item() is visible
    assert int((alphas > 0).sum()) == int(visible)


def test_quaternion_rotates_the_long_axis():
    """90 degrees about the view axis: a Gaussian that is long along x becomes long along y."""
    half = math.sqrt(0.5)
    camera = torch.tensor([[[10.0, 0, CENTER], [0, 10.0, CENTER], [0, 0, 1]]])
    quats, scales = torch.tensor([[half, 0, 0, half]]), torch.tensor([[0.2, 0.01, 0.01]])
    geometry = torch.tensor([[0.0, 0.0, 2.0]]), quats, scales
    appearance = torch.tensor([0.5]), torch.ones(1, 1)
    _, alphas, _ = rasterize(*geometry, *appearance, torch.eye(4)[None], camera, 5, 5, backend="torch")
    assert alphas[0, 4, 2].item() == pytest.approx(0.5 * math.exp(-2 / 1.3), abs=1e-6)  # in y 1 + 0.3
    assert alphas[0, 2, 3].item() == pytest.approx(0.5 * math.exp(-0.5 / 0.3025), abs=1e-6)


@pytest.mark.parametrize("case", ["translucent", "opaque", "beyond the border", "single tile"])
def test_reference_equals_per_pixel_renderer(case: str, random_scene, render_per_pixel, reference):
    """Tiles, bounding boxes and vectorization change results by rounding only."""
    sizes = {"single tile": (7, 11)}.get(case, (35, 20))
    scene = random_scene(24, width=sizes[0], height=sizes[1], scale=0.15, seed=3)
    if case == "opaque":
        scene = replace(scene, opacities=0.8 + 0.2 * scene.opacities, scales=2 * scene.scales)
    if case == "beyond the border":  # wide Gaussians whose centers are far outside: the Jacobian is clamped
        scene = replace(scene, means=3 * scene.means, scales=4 * scene.scales)
    expected_colors, expected_alphas, expected_depths = (torch.from_numpy(a) for a in render_per_pixel(scene))
    result = reference(scene, render_mode="RGB+D")
    tolerance = {"rtol": 0, "atol": 1e-9}
    assert expected_alphas.max() > 0.5
    torch.testing.assert_close(result.renders[..., :3], expected_colors, **tolerance)
    torch.testing.assert_close(result.renders[..., 3], expected_depths, **tolerance)
    torch.testing.assert_close(result.alphas[..., 0], expected_alphas, **tolerance)


@pytest.mark.parametrize("render_mode", ["RGB+D", "ED"])
@pytest.mark.parametrize("camera_model", PROJECTIONS)
def test_gradients_equal_finite_differences(camera_model: str, render_mode: str, random_scene, ortho_scene):
    """All parameters, colors per camera, backgrounds; the Jacobian of one Gaussian is clamped if pinhole."""
    make_scene = {"pinhole": random_scene, "ortho": ortho_scene}[camera_model]
    scene = make_scene(4, width=18, height=6, scale=0.3, channels=2, colors_per_camera=True, seed=1)
    means, scales = scene.means.clone(), scene.scales.clone()
    means[0], scales[0] = torch.tensor([1.9, 0.1, 0.1]), torch.tensor([0.8, 0.7, 0.6])
    scene = replace(scene, means=means, scales=scales)
    fixed = scene.arguments("cpu", torch.float64, requires_grad=False)
    names = ("means", "quats", "scales", "opacities", "colors", "backgrounds")
    inputs = [fixed.pop(name) for name in names[:5]]
    inputs.append(torch.tensor([[0.3, 0.8], [0.6, 0.1]], dtype=torch.float64))
    for tensor in inputs[: 4 if render_mode == "ED" else 6]:
        tensor.requires_grad_()
    weights = torch.randn(2, 6, 18, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def weighted_sums(*values: Tensor) -> tuple[Tensor, Tensor]:
        parameters = dict(zip(names, values, strict=True))
        options = {"render_mode": render_mode, "camera_model": camera_model}
        renders, alphas, _ = rasterize(**parameters, **fixed, **options)
        return (renders * weights[..., : renders.shape[-1]]).sum(), (alphas * weights[..., 3:]).sum()

    assert torch.autograd.gradcheck(weighted_sums, inputs, eps=1e-6, atol=1e-6)


def test_means2d_gradient_equals_the_gradient_to_the_principal_point(random_scene):
    """The sum of d loss / d means2d is d loss / d (cx, cy), which shifts all splats of a camera equally."""
    arguments = random_scene(20, width=24, height=24, scale=0.15).arguments("cpu", torch.float64)
    weights = torch.linspace(-1, 1, 2 * 24 * 24 * 3, dtype=torch.float64).sin().reshape(2, 24, 24, 3)

    def loss(Ks: Tensor) -> tuple[Tensor, dict]:
        renders, _, meta = rasterize(**(arguments | {"Ks": Ks}))
        return (renders * weights).sum(), meta

    total, meta = loss(arguments["Ks"])
    total.backward()
    for camera, axis in ((0, 0), (0, 1), (1, 0)):
        step = torch.zeros_like(arguments["Ks"])
        step[camera, axis, 2] = 1e-6
        difference = (loss(arguments["Ks"] + step)[0] - loss(arguments["Ks"] - step)[0]).item() / 2e-6
        assert meta["means2d"].grad[camera, :, axis].sum().item() == pytest.approx(difference, rel=1e-5)


@pytest.mark.parametrize("case", ["inside", "beyond the border"])
def test_reference_equals_per_pixel_renderer_with_orthographic_cameras(
    case: str, ortho_scene, render_per_pixel, reference
):
    """Off-center, fx unlike fy, not square; no Jacobian is clamped, however far outside the image."""
    scene = ortho_scene(24, width=35, height=20, scale=0.15, seed=3)
    if case == "beyond the border":
        scene = replace(scene, means=3 * scene.means, scales=4 * scene.scales)
    expected = render_per_pixel(scene, camera_model="ortho")
    expected_colors, expected_alphas, expected_depths = map(torch.from_numpy, expected)
    result = reference(scene, render_mode="RGB+D", camera_model="ortho")
    tolerance = {"rtol": 0, "atol": 1e-9}
    assert expected_alphas.max() > 0.5
    torch.testing.assert_close(result.renders[..., :3], expected_colors, **tolerance)
    torch.testing.assert_close(result.renders[..., 3], expected_depths, **tolerance)
    torch.testing.assert_close(result.alphas[..., 0], expected_alphas, **tolerance)


def test_number_of_splats_and_tiles_per_step_changes_nothing(random_scene, evaluate, monkeypatch):
    """Steps of 3 splats and groups of 1 tile equal one large step to rounding."""
    scene = random_scene(60, scale=0.2)
    whole = evaluate(scene, "torch", dtype=torch.float64)
    monkeypatch.setattr(compositing, "_SPLATS_PER_STEP", 3)
    monkeypatch.setitem(compositing._PAIRS_PER_STEP, "cpu", 1)
    stepped = evaluate(scene, "torch", dtype=torch.float64)
    torch.testing.assert_close(stepped.renders, whole.renders, rtol=0, atol=1e-13)
    for name, gradient in whole.gradients.items():
        torch.testing.assert_close(stepped.gradients[name], gradient, rtol=1e-10, atol=1e-10)
