"""Every available backend against the float64 reference: renders, alphas, depths and all gradients.

At the thresholds (alpha 1/255, transmittance 1e-4) rounding can change which splats contribute to isolated
pixels; in scenes that have values near them the fraction of deviating rows is bounded. Opacities stay below
0.98, because gsplat releases clamp alpha at different values.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGE_TOLERANCE = 2e-3
# Largest error of a gradient row, relative to its norm plus the rows' root mean square.
GRADIENT_TOLERANCE = {"numba": 1e-5, "torch": 1e-5, "emulator": 1e-5, "cuda": 1e-4, "gsplat": 1e-2}
FLOAT64_TOLERANCE = 1e-12  # of images and gradients, without outliers
EXPECTED_DEPTH_FACTOR = 10  # it is divided by alpha, whose relative error is 1e-5 at the border of a splat
MAX_OUTLIERS = 0.02  # fraction of a gradient's rows


def assert_gradients_agree(
    actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float, outliers: float
) -> None:
    """Allow a fraction ``outliers`` of a gradient's rows to exceed the tolerance, up to 5 percent."""
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        rows = gradient.reshape(-1, gradient.shape[-1]) if gradient.ndim > 1 else gradient[:, None]
        norms = rows.norm(dim=-1)
        assert norms.any(), name
        typical = norms[norms > 0].square().mean().sqrt()
        errors = (actual[name].reshape(rows.shape) - rows).norm(dim=-1) / (norms + typical)
        worst = errors.topk(min(5, len(errors)))
        assert (errors > tolerance).double().mean() <= outliers, f"{name}: {worst}"
        assert errors.max() <= (0.05 if outliers else tolerance), f"{name}: {worst}"


def assert_agrees(
    scene, backend: str, evaluate, reference, outliers: float = MAX_OUTLIERS, **options
) -> None:
    """Compare a backend's renders, gradients and meta with those of the reference."""
    actual, expected = evaluate(scene, backend, **options), reference(scene, **options)
    assert actual.renders.shape == expected.renders.shape
    if backend == "emulator_float64":
        assert_agrees_in_float64(actual, expected)
        return
    torch.testing.assert_close(actual.alphas, expected.alphas, rtol=0, atol=IMAGE_TOLERANCE)
    torch.testing.assert_close(actual.renders, expected.renders, rtol=IMAGE_TOLERANCE, atol=IMAGE_TOLERANCE)
    assert (actual.renders - expected.renders).abs().mean() < 1e-5
    factor = EXPECTED_DEPTH_FACTOR if options.get("render_mode", "").endswith("ED") else 1
    assert_gradients_agree(
        actual.gradients, expected.gradients, factor * GRADIENT_TOLERANCE[backend], outliers
    )
    visible = (expected.meta["radii"] > 0).all(-1)
    torch.testing.assert_close(actual.meta["radii"].cpu(), expected.meta["radii"], rtol=0, atol=1)
    for name in ("means2d", "depths"):
        values = actual.meta[name].detach().cpu().double()[visible]
        torch.testing.assert_close(values, expected.meta[name].detach()[visible], rtol=1e-5, atol=1e-4)
    for name in ("width", "height", "n_cameras", "gaussian_ids"):
        assert actual.meta[name] == expected.meta[name]


def assert_agrees_in_float64(actual, expected) -> None:
    """The same formulas in another order: images, gradients and meta agree to rounding, everywhere."""
    tolerance = {"rtol": FLOAT64_TOLERANCE, "atol": FLOAT64_TOLERANCE}
    torch.testing.assert_close(actual.renders, expected.renders, **tolerance)
    torch.testing.assert_close(actual.alphas, expected.alphas, **tolerance)
    assert_gradients_agree(actual.gradients, expected.gradients, FLOAT64_TOLERANCE, outliers=0.0)
    assert torch.equal(actual.meta["radii"], expected.meta["radii"])
    for name in ("means2d", "depths"):
        torch.testing.assert_close(actual.meta[name], expected.meta[name], **tolerance)


def test_gradients_agree_to_rounding_far_from_thresholds(fast_backend, random_scene, evaluate, reference):
    """Splats much wider than the image: no alpha is near 1/255, no pixel terminates early."""
    scene = random_scene(12, width=30, height=22, scale=1.0, opacity=(0.2, 0.4))
    scene = replace(scene, means=0.3 * scene.means, scales=0.5 + 0.5 * scene.scales.clamp(max=1.5))
    backgrounds = torch.tensor([[1.0, 0.5, 0.2], [0.1, 0.8, 0.3]])
    options = {"outliers": 0.0, "backgrounds": backgrounds, "render_mode": "RGB+ED"}
    assert reference(scene).alphas.min() > 0.2
    assert_agrees(scene, fast_backend, evaluate, reference, **options)


@pytest.mark.parametrize("render_mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
def test_render_modes_agree_with_backgrounds(render_mode, fast_backend, random_scene, evaluate, reference):
    """Colors are composited over the backgrounds, depth is not."""
    options = {"render_mode": render_mode, "backgrounds": torch.tensor([[1.0, 0.5, 0.2], [0.1, 0.8, 0.3]])}
    assert_agrees(random_scene(), fast_backend, evaluate, reference, **options)
    depths = reference(random_scene(), render_mode=render_mode).renders[..., -1]
    if render_mode != "RGB":
        assert torch.equal(reference(random_scene(), **options).renders[..., -1], depths)


@pytest.mark.parametrize("channels", [1, 5, 8])
@pytest.mark.parametrize("colors_per_camera", [False, True])
def test_any_number_of_channels_agrees(
    channels, colors_per_camera, fast_backend, random_scene, evaluate, reference
):
    """Colors [N, D] and [C, N, D]."""
    scene = random_scene(150, channels=channels, colors_per_camera=colors_per_camera)
    assert_agrees(scene, fast_backend, evaluate, reference)


@pytest.mark.parametrize("spacing", [4.0, 0.5])
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_splats_on_tile_and_pixel_borders_agree(
    spacing, offset, fast_backend, scene_at_pixels, evaluate, reference
):
    """Centers exactly on tile borders, pixel borders or pixel centers; at equal depths the index decides."""
    width, height = (40, 36) if spacing > 1 else (18, 6)
    ys, xs = torch.arange(0, height + 1, spacing), torch.arange(0, width + 1, spacing)
    centers = torch.cartesian_prod(xs, ys) + offset
    count = len(centers)
    generator = torch.Generator().manual_seed(1)
    scene = scene_at_pixels(
        centers,
        torch.full((count,), 1.5),
        0.1 + 0.6 * torch.rand(count, generator=generator),
        torch.rand(count, 3, generator=generator),
        torch.full((count,), 4.0),
        (width, height),
    )
    assert_agrees(scene, fast_backend, evaluate, reference)


def test_splats_whose_radius_ends_at_a_tile_border_agree(fast_backend, scene_at_pixels, evaluate, reference):
    """Radii that just reach, or just miss, the first pixel center of the next tile."""
    centers = torch.tensor([[8.0, 8.0]]).repeat(64, 1)
    # At opacity 0.5 a splat reaches 3.1138 deviations; the next tile's first pixel center is 8.5 pixels away.
    deviations = torch.linspace(8.3, 8.7, 64) / 3.1138
    deviations = (deviations.square() - 0.3).sqrt()
    depths, colors = 2.0 + 0.1 * torch.arange(64.0), torch.linspace(0, 1, 192).reshape(64, 3)
    scene = scene_at_pixels(centers, deviations, torch.full((64,), 0.5), colors, depths, (40, 40))
    assert_agrees(scene, fast_backend, evaluate, reference)


def test_culled_huge_tiny_and_transparent_gaussians_agree(fast_backend, random_scene, evaluate, reference):
    """Degenerate Gaussians among ordinary ones."""
    scene = random_scene(120)
    means, scales, opacities = scene.means.clone(), scene.scales.clone(), scene.opacities.clone()
    means[:10] *= 20.0  # mostly behind a camera or outside the image
    means[10:15] = scene.means[10:15] * torch.tensor([6.0, 6.0, 1.0])
    scales[10:15] = 1.5  # centers outside the image: the Jacobian is clamped
    scales[15:25] = 1e-5  # only the blur remains
    scales[25:28] *= 40.0  # cover the image
    scales[28:31] *= torch.tensor([20.0, 0.01, 0.01])  # needles
    opacities[31:36] = torch.tensor([0.0, 1e-4, 0.0039, 0.00393, 0.005])
    opacities[25:28] = 0.3
    scene = replace(scene, means=means, scales=scales, opacities=opacities)
    radii = reference(scene).meta["radii"]
    assert 0 < (radii == 0).sum() < radii.numel() / 2
    assert_agrees(scene, fast_backend, evaluate, reference, outliers=0.05)


def test_opaque_stacks_terminate_at_the_same_splat(fast_backend, scene_at_pixels, evaluate, reference):
    """Forty splats behind each other, the farther the narrower: the last ones are hidden."""
    generator = torch.Generator().manual_seed(4)
    scene = scene_at_pixels(
        20.0 + 2.0 * torch.randn(40, 2, generator=generator),
        torch.linspace(20.0, 0.5, 40),
        0.3 + 0.65 * torch.rand(40, generator=generator),
        torch.rand(40, 3, generator=generator),
        torch.linspace(2.0, 3.0, 40),
        (40, 40),
    )
    assert_agrees(scene, fast_backend, evaluate, reference, outliers=0.1)
    hidden = evaluate(scene, fast_backend).gradients["colors"][-5:]
    assert not hidden.any()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 70), (65, 16), (17, 33)])
def test_any_image_size_agrees(width, height, fast_backend, random_scene, evaluate, reference):
    """Smaller than a tile, one pixel over, narrow and wide."""
    assert_agrees(random_scene(60, width=width, height=height, scale=0.1), fast_backend, evaluate, reference)


@pytest.mark.parametrize("render_mode", ["RGB", "D", "RGB+ED"])
def test_orthographic_cameras_agree(render_mode, fast_backend, ortho_scene, evaluate, reference):
    """Not square, off-center, fx unlike fy."""
    options = {"render_mode": render_mode, "backgrounds": torch.tensor([[1.0, 0.5, 0.2], [0.1, 0.8, 0.3]])}
    assert_agrees(ortho_scene(), fast_backend, evaluate, reference, camera_model="ortho", **options)


def test_orthographic_gradients_agree_to_rounding_far_from_thresholds(
    fast_backend, ortho_scene, evaluate, reference
):
    """Splats much wider than the image: no alpha is near 1/255, no pixel terminates early."""
    scene = ortho_scene(12, width=30, height=22, scale=1.0, opacity=(0.2, 0.4))
    scene = replace(scene, means=0.3 * scene.means, scales=0.5 + 0.5 * scene.scales.clamp(max=1.5))
    options = {"camera_model": "ortho", "render_mode": "RGB+ED"}
    assert reference(scene, **options).alphas.min() > 0.2
    assert_agrees(scene, fast_backend, evaluate, reference, outliers=0.0, **options)


def test_culled_huge_and_tiny_gaussians_agree_with_orthographic_cameras(
    fast_backend, ortho_scene, evaluate, reference
):
    """Behind and far from the cameras, too: z still culls."""
    scene = ortho_scene(120)
    means, scales = scene.means.clone(), scene.scales.clone()
    means[:10] *= 20.0
    means[10:15] = scene.means[10:15] * torch.tensor([6.0, 6.0, 1.0])
    scales[10:15] = 1.5
    scales[15:25] = 1e-5
    scales[28:31] *= torch.tensor([8.0, 0.05, 0.05])
    means[31:40] -= 5.0 * scene.viewmats[0, 2, :3]  # behind the first camera
    scene = replace(scene, means=means, scales=scales)
    assert (reference(scene, camera_model="ortho").meta["radii"][0, 31:40] == 0).all()
    assert_agrees(scene, fast_backend, evaluate, reference, outliers=0.05, camera_model="ortho")


def test_distance_of_orthographic_cameras_changes_depths_only(fast_backend, ortho_scene, evaluate):
    scene = ortho_scene(100)
    viewmats = scene.viewmats.clone()
    viewmats[:, 2, 3] += 4.0
    options = {"render_mode": "RGB+D", "camera_model": "ortho"}
    near, far = (evaluate(one, fast_backend, **options) for one in (scene, replace(scene, viewmats=viewmats)))
    assert near.alphas.mean() > 0.1
    torch.testing.assert_close(far.renders[..., :3], near.renders[..., :3], rtol=0, atol=1e-5)
    torch.testing.assert_close(far.alphas, near.alphas, rtol=0, atol=1e-5)
    depths = near.renders[..., 3:] + 4.0 * near.alphas
    torch.testing.assert_close(far.renders[..., 3:], depths, rtol=1e-5, atol=1e-4)


def test_cameras_of_one_call_equal_separate_calls(fast_backend, random_scene, evaluate):
    """Neither renders nor radii of a camera depend on the other cameras."""
    scene = random_scene(100, num_cameras=3)
    together = evaluate(scene, fast_backend, render_mode="RGB+D")
    assert together.renders.shape == (3, 41, 52, 4)
    calls = [replace(scene, viewmats=scene.viewmats[[i]], Ks=scene.Ks[[i]]) for i in range(3)]
    separate = [evaluate(call, fast_backend, render_mode="RGB+D") for call in calls]
    for name in ("renders", "alphas"):
        expected = torch.cat([getattr(result, name) for result in separate])
        torch.testing.assert_close(getattr(together, name), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(together.meta["radii"], torch.cat([result.meta["radii"] for result in separate]))


def test_without_gaussians_the_background_is_rendered(fast_backend, random_scene, evaluate):
    """N = 0: backgrounds, zero alphas, and a backward pass without errors."""
    backgrounds = torch.tensor([[0.2, 0.4, 0.6], [0.1, 0.3, 0.5]])
    result = evaluate(random_scene(0), fast_backend, backgrounds=backgrounds)
    torch.testing.assert_close(result.renders, backgrounds.double()[:, None, None].expand(2, 41, 52, 3))
    assert not result.alphas.any()
    assert result.meta["radii"].shape == (2, 0, 2)
    assert result.meta["means2d"].shape == (2, 0, 2)


def test_gradients_are_zero_and_not_none_when_all_gaussians_are_culled(fast_backend, random_scene, evaluate):
    """All are behind the camera; the optimizer still needs gradients."""
    scene = random_scene(20, num_cameras=1)
    result = evaluate(replace(scene, means=scene.means + torch.tensor([0.0, 0.0, 9.0])), fast_backend)
    assert not result.alphas.any()
    assert not result.meta["radii"].any()
    for name in ("means", "quats", "scales", "opacities", "colors", "means2d"):
        assert not result.gradients[name].any(), name


def test_one_gaussian_agrees(fast_backend, random_scene, evaluate, reference):
    """N = 1."""
    assert_agrees(random_scene(1, scale=0.2, seed=2), fast_backend, evaluate, reference, outliers=0.0)


def test_opaque_gaussians_agree(fast_backend, random_scene, evaluate, reference):
    """Opacities of 1: alpha is clamped around their centers, and pixels terminate after a few."""
    if fast_backend == "gsplat":
        pytest.skip("gsplat releases clamp alpha at different values")
    scene = random_scene(150, opacity=(1.0, 1.0))
    assert (reference(scene).alphas > 0.99).double().mean() > 0.1
    assert_agrees(scene, fast_backend, evaluate, reference, outliers=0.1)


def test_clamped_alpha_has_no_gradient(fast_backend, scene_at_pixels, evaluate):
    """One pixel at the center of one Gaussian: alpha is 0.99, whatever the Gaussian's geometry."""
    if fast_backend == "gsplat":
        pytest.skip("gsplat releases clamp alpha at different values")
    center, one = torch.tensor([[0.5, 0.5]]), torch.ones(1)
    result = evaluate(scene_at_pixels(center, 3 * one, one, torch.ones(1, 3), 4 * one, (1, 1)), fast_backend)
    torch.testing.assert_close(result.renders, torch.full((1, 1, 1, 3), 0.99).double(), rtol=1e-6, atol=0)
    assert result.gradients["colors"].all()
    for name in ("means", "quats", "scales", "opacities", "means2d"):
        assert not result.gradients[name].any(), name


def test_flat_and_line_shaped_gaussians_agree_from_every_side(
    fast_backend, random_scene, evaluate, reference
):
    """Discs seen from the edge, lines seen from the end, points: only the blur keeps their size in pixels."""
    scene = random_scene(90, num_cameras=1)
    forward = scene.viewmats[0, 2, :3]  # to the camera's axes
    quats, scales = scene.quats.clone(), scene.scales.clone()
    # The shortest rotation of the z axis to the camera's forward direction
    cross = torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]), forward)
    quats[:60] = torch.cat([1.0 + forward[2:], cross])
    scales[:30] *= torch.tensor([1e-6, 1.0, 1.0])  # discs along the line of sight
    scales[30:60] *= torch.tensor([1e-6, 1e-6, 1.0])  # lines along it
    scales[60:70] = 1e-9
    scales[70:80] *= torch.tensor([4.0, 1e-7, 1e-7])
    scales[80:] *= torch.tensor([1e-7, 4.0, 4.0])
    scene = replace(scene, quats=quats, scales=scales)
    assert_agrees(scene, fast_backend, evaluate, reference, outliers=0.05)


def test_thousands_of_gaussians_on_one_pixel_agree(fast_backend, scene_at_pixels, evaluate, reference):
    """More than are staged at a time, so transparent that the pixel does not terminate."""
    count = 1800
    generator = torch.Generator().manual_seed(0)
    scene = scene_at_pixels(
        torch.tensor([4.4, 3.6]) + 0.05 * torch.randn(count, 2, generator=generator),
        torch.full((count,), 1.5),
        0.0045 + 0.0005 * torch.rand(count, generator=generator),
        torch.rand(count, 3, generator=generator),
        torch.linspace(2.0, 3.0, count),
        (9, 7),
    )
    assert 0.9 < reference(scene).alphas.max() < 0.9999
    assert_agrees(scene, fast_backend, evaluate, reference, outliers=0.05)


def test_tiles_without_gaussians_show_the_background(fast_backend, scene_at_pixels, evaluate, reference):
    """Two Gaussians in opposite corners of an image of twelve tiles."""
    ones = torch.ones(2)
    centers = torch.tensor([[3.2, 4.1], [61.0, 43.3]])
    scene = scene_at_pixels(centers, ones, 0.7 * ones, torch.ones(2, 3), 4 * ones, (64, 48))
    backgrounds = torch.tensor([[0.2, 0.4, 0.6]])
    result = evaluate(scene, fast_backend, backgrounds=backgrounds)
    empty = result.renders[0, 16:32]
    torch.testing.assert_close(empty, backgrounds.double().expand_as(empty))
    assert_agrees(scene, fast_backend, evaluate, reference, outliers=0.0, backgrounds=backgrounds)


def test_gaussians_that_are_not_finite_are_culled_and_change_no_other(fast_backend, random_scene, evaluate):
    """NaN, infinite and zero-quaternion rows contribute to no pixel; the others render as without them."""
    scene = random_scene(60)
    means, quats, scales, opacities = (
        value.clone() for value in (scene.means, scene.quats, scene.scales, scene.opacities)
    )
    means[0, 0], means[1, 2], quats[2, 1], scales[3, 0], opacities[4] = (float("nan"),) * 5
    means[5, 1], scales[6, 2], quats[7] = float("inf"), float("inf"), 0.0
    means[8], opacities[9] = 1e20, float("inf")
    result = evaluate(
        replace(scene, means=means, quats=quats, scales=scales, opacities=opacities), fast_backend
    )
    rest = {name: getattr(scene, name)[10:] for name in ("means", "quats", "scales", "opacities", "colors")}
    expected = evaluate(replace(scene, **rest), fast_backend)
    assert not result.meta["radii"][:, :10].any()
    torch.testing.assert_close(result.renders, expected.renders, rtol=0, atol=1e-6)
    for name in rest:
        gradient = result.gradients[name]
        assert not gradient[:10].any(), name
        torch.testing.assert_close(gradient[10:], expected.gradients[name], rtol=1e-4, atol=1e-4)


def test_near_and_far_planes_cull(fast_backend, scene_at_pixels, evaluate):
    """Depths of 0.01 to 1e10 are visible."""
    depths = torch.tensor([0.009, 0.011, 9e9, 1.1e10])
    centers, ones = torch.full((4, 2), 8.0), torch.ones(4)
    scene = scene_at_pixels(centers, ones, 0.5 * ones, torch.ones(4, 3), depths, (16, 16))
    assert (evaluate(scene, fast_backend).meta["radii"][0, :, 0] > 0).tolist() == [False, True, True, False]


def test_means2d_gradient_is_zero_exactly_where_culled(fast_backend, random_scene, evaluate):
    """Culled Gaussians add nothing to the statistics of densification."""
    scene = random_scene(100, scale=0.1)
    means = scene.means.clone()
    means[:30] *= 30.0
    result = evaluate(replace(scene, means=means), fast_backend)
    culled = (result.meta["radii"] == 0).any(-1).cpu()
    gradient = result.gradients["means2d"]
    assert gradient.shape == (2, 100, 2)
    assert 0 < culled.sum() < 100
    assert not gradient[culled].any()
    assert gradient[~culled].any(-1).float().mean() > 0.5  # hidden ones have none


def test_repeated_call_gives_the_same_bytes(fast_backend, random_scene, evaluate):
    """The same renders and, on the CPU, the same gradients."""
    scene = random_scene(200)
    first, second = evaluate(scene, fast_backend), evaluate(scene, fast_backend)
    assert torch.equal(first.renders, second.renders)
    if fast_backend != "gsplat":  # its gradients are sums by atomics
        for name, gradient in first.gradients.items():
            assert torch.equal(gradient, second.gradients[name]), name
