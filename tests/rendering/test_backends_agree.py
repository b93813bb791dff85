"""Every backend that works here against the float64 reference: images, alphas, depths and all gradients.

Thresholds (alpha 1/255, transmittance 1e-4) are decisions, which rounding can flip at isolated pixels;
where a scene has them near, the rows that differ are counted and bounded. Opacities stay below 0.98, for
releases of gsplat clamp alpha at different values.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGE_TOLERANCE = 2e-3
# Largest error of a gradient row, relative to its norm plus the rows' root mean square.
GRADIENT_TOLERANCE = {"numba": 1e-5, "torch": 1e-5, "gsplat": 1e-2}
EXPECTED_DEPTH_FACTOR = 10  # it is divided by alpha, of which float32 has 1e-5 at the rim of a splat
FLIPPED_ROWS = 0.02


def assert_gradients_agree(
    actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float, flips: float
) -> None:
    """Fail when more than a fraction ``flips`` of a gradient's rows is off, or any by more than 5 percent."""
    assert actual.keys() == expected.keys()
    for name, wanted in expected.items():
        rows = wanted.reshape(-1, wanted.shape[-1]) if wanted.ndim > 1 else wanted[:, None]
        norms = rows.norm(dim=-1)
        assert norms.any(), name
        typical = norms[norms > 0].square().mean().sqrt()
        errors = (actual[name].reshape(rows.shape) - rows).norm(dim=-1) / (norms + typical)
        worst = errors.topk(min(5, len(errors)))
        assert (errors > tolerance).double().mean() <= flips, f"{name}: {worst}"
        assert errors.max() <= (0.05 if flips else tolerance), f"{name}: {worst}"


def assert_agrees(scene, backend: str, draw, draw_exactly, flips: float = FLIPPED_ROWS, **options) -> None:
    """Hold a backend's images, gradients and visibility on a scene to the reference's."""
    actual, expected = draw(scene, backend, **options), draw_exactly(scene, **options)
    assert actual.renders.shape == expected.renders.shape
    torch.testing.assert_close(actual.alphas, expected.alphas, rtol=0, atol=IMAGE_TOLERANCE)
    torch.testing.assert_close(actual.renders, expected.renders, rtol=IMAGE_TOLERANCE, atol=IMAGE_TOLERANCE)
    assert (actual.renders - expected.renders).abs().mean() < 1e-5
    factor = EXPECTED_DEPTH_FACTOR if options.get("render_mode", "").endswith("ED") else 1
    assert_gradients_agree(actual.gradients, expected.gradients, factor * GRADIENT_TOLERANCE[backend], flips)
    visible = (expected.meta["radii"] > 0).all(-1)
    torch.testing.assert_close(actual.meta["radii"].cpu(), expected.meta["radii"], rtol=0, atol=1)
    for name in ("means2d", "depths"):
        seen = actual.meta[name].detach().cpu().double()[visible]
        torch.testing.assert_close(seen, expected.meta[name].detach()[visible], rtol=1e-5, atol=1e-4)
    for name in ("width", "height", "n_cameras", "gaussian_ids"):
        assert actual.meta[name] == expected.meta[name]


def test_gradients_agree_to_rounding_far_from_thresholds(fast_backend, cloud, draw, draw_exactly, changed):
    """Splats much wider than the image: no alpha is near 1/255, no pixel ends."""
    scene = cloud(12, width=30, height=22, scale=1.0, opacity=(0.2, 0.4))
    scene = changed(scene, means=0.3 * scene.means, scales=0.5 + 0.5 * scene.scales.clamp(max=1.5))
    backgrounds = torch.tensor([[1.0, 0.5, 0.2], [0.1, 0.8, 0.3]])
    options = {"flips": 0.0, "backgrounds": backgrounds, "render_mode": "RGB+ED"}
    assert draw_exactly(scene).alphas.min() > 0.2
    assert_agrees(scene, fast_backend, draw, draw_exactly, **options)


@pytest.mark.parametrize("render_mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
def test_render_modes_agree_over_a_background(render_mode, fast_backend, cloud, draw, draw_exactly):
    """A cloud of small splats over a background, which depth channels do not have."""
    options = {"render_mode": render_mode, "backgrounds": torch.tensor([[1.0, 0.5, 0.2], [0.1, 0.8, 0.3]])}
    assert_agrees(cloud(), fast_backend, draw, draw_exactly, **options)
    depths = draw_exactly(cloud(), render_mode=render_mode).renders[..., -1]
    if render_mode != "RGB":
        assert torch.equal(draw_exactly(cloud(), **options).renders[..., -1], depths)


@pytest.mark.parametrize("channels", [1, 5, 8])
@pytest.mark.parametrize("colors_per_camera", [False, True])
def test_any_number_of_channels_agrees(channels, colors_per_camera, fast_backend, cloud, draw, draw_exactly):
    """Colors [N, D] and [C, N, D]."""
    scene = cloud(150, channels=channels, colors_per_camera=colors_per_camera)
    assert_agrees(scene, fast_backend, draw, draw_exactly)


@pytest.mark.parametrize("spacing", [4.0, 0.5])
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_regular_grid_agrees(spacing, offset, fast_backend, at_pixels, draw, draw_exactly):
    """Centers exactly on tile and pixel borders and pixel centers; at one depth the order is the index."""
    width, height = (40, 36) if spacing > 1 else (18, 6)
    ys, xs = torch.arange(0, height + 1, spacing), torch.arange(0, width + 1, spacing)
    centers = torch.cartesian_prod(xs, ys) + offset
    count = len(centers)
    generator = torch.Generator().manual_seed(1)
    scene = at_pixels(
        centers, torch.full((count,), 1.5), 0.1 + 0.6 * torch.rand(count, generator=generator),
        torch.rand(count, 3, generator=generator), torch.full((count,), 4.0), (width, height),
    )  # fmt: skip
    assert_agrees(scene, fast_backend, draw, draw_exactly)


def test_splats_that_end_at_tile_borders_agree(fast_backend, at_pixels, draw, draw_exactly):
    """Radii that just reach, or just miss, the first pixel center of the next tile."""
    centers = torch.tensor([[8.0, 8.0]]).repeat(64, 1)
    # the extent at opacity 0.5 is 3.1138 deviations; 8.5 pixels from the middle is the next tile's first
    # center
    deviations = torch.linspace(8.3, 8.7, 64) / 3.1138
    deviations = (deviations.square() - 0.3).sqrt()
    depths, colors = 2.0 + 0.1 * torch.arange(64.0), torch.linspace(0, 1, 192).reshape(64, 3)
    scene = at_pixels(centers, deviations, torch.full((64,), 0.5), colors, depths, (40, 40))
    assert_agrees(scene, fast_backend, draw, draw_exactly)


def test_culled_huge_tiny_and_transparent_gaussians_agree(fast_backend, cloud, draw, draw_exactly, changed):
    """Rows of every awkward kind among ordinary ones."""
    scene = cloud(120)
    means, scales, opacities = scene.means.clone(), scene.scales.clone(), scene.opacities.clone()
    means[:10] *= 20.0  # mostly behind a camera or outside the image
    means[10:15] = scene.means[10:15] * torch.tensor([6.0, 6.0, 1.0])
    scales[10:15] = 1.5  # outside, but seen: where the Jacobian is clamped
    scales[15:25] = 1e-5  # only the blur is left
    scales[25:28] *= 40.0  # covers the image
    scales[28:31] *= torch.tensor([20.0, 0.01, 0.01])  # needles
    opacities[31:36] = torch.tensor([0.0, 1e-4, 0.0039, 0.00393, 0.005])
    opacities[25:28] = 0.3
    scene = changed(scene, means=means, scales=scales, opacities=opacities)
    radii = draw_exactly(scene).meta["radii"]
    assert 0 < (radii == 0).sum() < radii.numel() / 2
    assert_agrees(scene, fast_backend, draw, draw_exactly, flips=0.05)


def test_opaque_stacks_end_at_the_same_splat(fast_backend, at_pixels, draw, draw_exactly):
    """Forty splats behind each other, narrower the farther: those at the end are never seen."""
    generator = torch.Generator().manual_seed(4)
    scene = at_pixels(
        20.0 + 2.0 * torch.randn(40, 2, generator=generator), torch.linspace(20.0, 0.5, 40),
        0.3 + 0.65 * torch.rand(40, generator=generator), torch.rand(40, 3, generator=generator),
        torch.linspace(2.0, 3.0, 40), (40, 40),
    )  # fmt: skip
    assert_agrees(scene, fast_backend, draw, draw_exactly, flips=0.1)
    hidden = draw(scene, fast_backend).gradients["colors"][-5:]
    assert not hidden.any()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 70), (65, 16), (17, 33)])
def test_any_image_size_agrees(width, height, fast_backend, cloud, draw, draw_exactly):
    """Smaller than a tile, one pixel over, narrow and wide."""
    assert_agrees(cloud(60, width=width, height=height, scale=0.1), fast_backend, draw, draw_exactly)


def test_cameras_of_one_call_render_as_if_alone(fast_backend, cloud, draw, changed):
    """Neither pictures nor radii depend on the company."""
    scene = cloud(100, num_cameras=3)
    together = draw(scene, fast_backend, render_mode="RGB+D")
    assert together.renders.shape == (3, 41, 52, 4)
    views = [changed(scene, viewmats=scene.viewmats[[i]], Ks=scene.Ks[[i]]) for i in range(3)]
    alone = [draw(view, fast_backend, render_mode="RGB+D") for view in views]
    for name in ("renders", "alphas"):
        apart = torch.cat([getattr(one, name) for one in alone])
        torch.testing.assert_close(getattr(together, name), apart, rtol=1e-5, atol=1e-5)
    assert torch.equal(together.meta["radii"], torch.cat([one.meta["radii"] for one in alone]))


def test_no_gaussians_leave_the_background(fast_backend, cloud, draw):
    """N = 0: the background, zero alpha, and a backward pass that works."""
    backgrounds = torch.tensor([[0.2, 0.4, 0.6], [0.1, 0.3, 0.5]])
    result = draw(cloud(0), fast_backend, backgrounds=backgrounds)
    torch.testing.assert_close(result.renders, backgrounds.double()[:, None, None].expand(2, 41, 52, 3))
    assert not result.alphas.any()
    assert result.meta["radii"].shape == (2, 0, 2)
    assert result.meta["means2d"].shape == (2, 0, 2)


def test_all_culled_gives_zero_gradients_not_none(fast_backend, cloud, draw, changed):
    """Everything is behind the cameras; the optimizer's step must still find gradients."""
    scene = cloud(20, num_cameras=1)
    result = draw(changed(scene, means=scene.means + torch.tensor([0.0, 0.0, 9.0])), fast_backend)
    assert not result.alphas.any()
    assert not result.meta["radii"].any()
    for name in ("means", "quats", "scales", "opacities", "colors", "means2d"):
        assert not result.gradients[name].any(), name


def test_one_gaussian_agrees(fast_backend, cloud, draw, draw_exactly):
    """N = 1."""
    assert_agrees(cloud(1, scale=0.2, seed=2), fast_backend, draw, draw_exactly, flips=0.0)


def test_broken_gaussians_are_culled_and_hurt_no_other(fast_backend, cloud, draw, changed):
    """Not-a-number, infinite and zero-quaternion rows draw nothing; the rest renders as without them."""
    scene = cloud(60)
    means, quats, scales, opacities = (
        value.clone() for value in (scene.means, scene.quats, scene.scales, scene.opacities)
    )
    means[0, 0], means[1, 2], quats[2, 1], scales[3, 0], opacities[4] = (float("nan"),) * 5
    means[5, 1], scales[6, 2], quats[7] = float("inf"), float("inf"), 0.0
    means[8], opacities[9] = 1e20, float("inf")
    result = draw(changed(scene, means=means, quats=quats, scales=scales, opacities=opacities), fast_backend)
    rest = {name: getattr(scene, name)[10:] for name in ("means", "quats", "scales", "opacities", "colors")}
    expected = draw(changed(scene, **rest), fast_backend)
    assert not result.meta["radii"][:, :10].any()
    torch.testing.assert_close(result.renders, expected.renders, rtol=0, atol=1e-6)
    for name in rest:
        gradient = result.gradients[name]
        assert not gradient[:10].any(), name
        torch.testing.assert_close(gradient[10:], expected.gradients[name], rtol=1e-4, atol=1e-4)


def test_near_and_far_planes_cull(fast_backend, at_pixels, draw):
    """Depths of 0.01 to 1e10 are drawn."""
    depths = torch.tensor([0.009, 0.011, 9e9, 1.1e10])
    centers, ones = torch.full((4, 2), 8.0), torch.ones(4)
    scene = at_pixels(centers, ones, 0.5 * ones, torch.ones(4, 3), depths, (16, 16))
    assert (draw(scene, fast_backend).meta["radii"][0, :, 0] > 0).tolist() == [False, True, True, False]


def test_means2d_gradient_is_zero_exactly_where_culled(fast_backend, cloud, draw, changed):
    """It is kept without being asked for, and tells visible Gaussians from culled ones."""
    scene = cloud(100, scale=0.1)
    means = scene.means.clone()
    means[:30] *= 30.0
    result = draw(changed(scene, means=means), fast_backend)
    culled = (result.meta["radii"] == 0).any(-1).cpu()
    gradient = result.gradients["means2d"]
    assert gradient.shape == (2, 100, 2)
    assert 0 < culled.sum() < 100
    assert not gradient[culled].any()
    assert gradient[~culled].any(-1).float().mean() > 0.5  # those behind others have none


def test_same_bytes_from_the_same_call(fast_backend, cloud, draw):
    """Rendering again gives the same image and, on the CPU, the same gradients."""
    scene = cloud(200)
    first, second = draw(scene, fast_backend), draw(scene, fast_backend)
    assert torch.equal(first.renders, second.renders)
    if fast_backend != "gsplat":  # whose gradients are summed by atomics
        for name, gradient in first.gradients.items():
            assert torch.equal(gradient, second.gradients[name]), name
