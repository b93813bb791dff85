"""The viewer's images equal those of the Python rasterizer at the same camera and time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from seed_files import random_gaussians, scene_of
from solid_scene import BACK, FRONT
from viewer_page import Viewer, open_page

from stag4d.geometry import OrbitPose, intrinsics, look_at_viewmat
from stag4d.rendering import render
from stag4d.scene import GaussianModel4D, Gaussians, pad_frames, stack_frames
from stag4d.types import Cameras

pytestmark = pytest.mark.browser
WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


def render_at(
    model: GaussianModel4D, cameras: Cameras, time: float, background=WHITE
) -> tuple[np.ndarray, np.ndarray]:
    """Render the scene at a time in Python; return image [H, W, 3] and alphas [H, W]."""
    output = render(model.at(torch.tensor([time]))[0], cameras, background=background)
    return output.images[0].clamp(0, 1).numpy(), output.alphas[0].numpy()


def assert_images_close(found: np.ndarray, expected: np.ndarray) -> None:
    """Check that mean color and mean absolute error of an image [H, W, 3], 0 to 1, are within 2 / 255."""
    assert np.abs(found.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() <= 2 / 255
    assert np.abs(found - expected).mean() <= 2 / 255


def silhouette_iou(first: np.ndarray, second: np.ndarray) -> float:
    """Return the intersection over union of two alpha images at 0.5."""
    first, second = first > 0.5, second > 0.5
    return (first & second).sum() / (first | second).sum()


@pytest.mark.parametrize("size", [(128, 128), (256, 256), (256, 160)])
@pytest.mark.parametrize(
    ("azimuth", "elevation", "frame"), [(0, 0, 0), (30, 30, 2), (150, -20, 4), (270, 60, 1), (200, -80, 3)]
)
def test_viewer_image_equals_the_python_render(viewer, box, size, azimuth, elevation, frame):
    pose = OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=1.8, fovy_deg=45.0)
    cameras = Cameras.from_poses([pose], *size)
    viewer.set_canvas_size(*size)
    viewer.set_view(
        azimuth=azimuth, elevation=elevation, radius=1.8, fovy=45.0, target=[0, 0, 0], time=frame / 4
    )
    for name, background in (("white", WHITE), ("black", BLACK), ("#336699", (0.2, 0.4, 0.6))):
        viewer.run("player.setBackground(value)", name)
        expected, alphas = render_at(box, cameras, frame / 4, background)
        found = viewer.screenshot()
        assert found.shape[:2] == (size[1], size[0])
        assert found[..., 3].min() == 255
        assert_images_close(found[..., :3] / 255, expected)
    viewer.run("player.setBackground('checker')")
    found_alphas = viewer.screenshot()[..., 3] / 255
    assert silhouette_iou(found_alphas, alphas) >= 0.98
    assert np.abs(found_alphas - alphas).mean() <= 2 / 255


def test_view_with_a_target_equals_a_look_at_camera(viewer, box):
    target, radius = (0.3, -0.2, 0.1), 1.5
    azimuth, elevation = np.radians(40), np.radians(25)
    direction = np.array(
        [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)]
    )
    viewmat = look_at_viewmat((np.array(target) + radius * direction).tolist(), target)
    cameras = Cameras(viewmat[None], intrinsics([50.0], 192, 192), 192, 192)
    viewer.set_canvas_size(192, 192)
    viewer.set_view(azimuth=40, elevation=25, radius=radius, target=target, fovy=50, time=0.5)
    viewer.run("player.setBackground('white')")
    assert_images_close(viewer.screenshot()[..., :3] / 255, render_at(box, cameras, 0.5)[0])


def test_motion_is_interpolated_between_frames(viewer, box):
    cameras = Cameras.from_poses([OrbitPose(azimuth_deg=20.0, elevation_deg=10.0)], 160, 160)
    viewer.set_canvas_size(160, 160)
    viewer.run("player.setBackground('white')")
    viewer.set_view(azimuth=20, elevation=10, radius=2, fovy=49.1, target=[0, 0, 0], time=0.375)
    found = viewer.screenshot()[..., :3] / 255
    assert_images_close(found, render_at(box, cameras, 0.375)[0])
    for time in (0.25, 0.5):
        assert np.abs(found - render_at(box, cameras, time)[0]).mean() > 2 / 255


def test_same_view_renders_the_same_image_and_another_view_does_not(viewer):
    viewer.set_view(time=0.3)
    first = viewer.screenshot()
    assert np.array_equal(viewer.screenshot(), first)
    viewer.set_view(time=0.7, azimuth=130)
    assert not np.array_equal(viewer.screenshot(), first)
    viewer.set_view(time=0.3, azimuth=0)
    assert np.array_equal(viewer.screenshot(), first)


def test_depth_order_is_right_in_the_first_image_after_half_a_turn(viewer):
    viewer.run("player.setBackground('black')")
    for azimuth, side, other in ((0, FRONT, BACK), (180, BACK, FRONT), (0, FRONT, BACK)):
        viewer.set_view(azimuth=azimuth, elevation=0, time=0.5)
        image = viewer.screenshot()[..., :3] / 255
        height, width = image.shape[:2]
        middle = image[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8].reshape(-1, 3)
        assert np.abs(middle - side).max() < 0.2, azimuth
        assert np.abs(middle - other).max() > 0.5


@pytest.mark.parametrize("density", [1, 2])
def test_canvas_has_the_pixels_of_a_high_density_screen(browser, box_s4d, density):
    with open_page(browser, device_scale_factor=density) as page:
        viewer = Viewer(page, page.evaluate("(s4d) => add(300, 300, s4d)", box_s4d))
        viewer.set_canvas_size(300, 220)
        assert viewer.screenshot().shape[:2] == (220 * density, 300 * density)


def test_bright_transparent_and_elongated_gaussians_equal_the_python_render(viewer, box):
    """Colors above 1, low opacities, uneven scales: the limits are not tuned to the box."""
    generator = torch.Generator().manual_seed(0)
    count = 400
    gaussians = type(box.gaussians)(
        means=torch.rand(count, 3, generator=generator) - 0.5,
        log_scales=-4.5 + 1.5 * torch.rand(count, 3, generator=generator),
        quats=torch.randn(count, 4, generator=generator),
        logit_opacities=torch.randn(count, generator=generator) - 1,
        sh0=4 * torch.rand(count, 1, 3, generator=generator) - 1,
    )
    model = GaussianModel4D(gaussians, None, box.info)
    viewer.load(model)
    viewer.set_canvas_size(200, 200)
    viewer.set_view(azimuth=75, elevation=-35, radius=1.7, fovy=49.1, target=[0, 0, 0], time=0)
    viewer.run("player.setBackground('black')")
    pose = OrbitPose(azimuth_deg=75.0, elevation_deg=-35.0, radius=1.7)
    expected, _ = render_at(model, Cameras.from_poses([pose], 200, 200), 0.0, BLACK)
    assert_images_close(viewer.screenshot()[..., :3] / 255, expected)


def visible_frame(seed: int, count: int) -> Gaussians:
    """Return Gaussians around the origin that are large enough to see."""
    one = random_gaussians(count, seed)
    return replace(one, log_scales=one.log_scales + 1.5, logit_opacities=one.logit_opacities + 1)


def test_colors_and_opacities_of_stored_frames_change_and_are_interpolated(viewer):
    frames = stack_frames([visible_frame(seed, 80) for seed in range(3)])
    model = scene_of(frames)
    cameras = Cameras.from_poses([OrbitPose(azimuth_deg=0.0)], 160, 160)
    viewer.load(model)
    viewer.set_canvas_size(160, 160)
    viewer.run("player.setBackground('white')")
    expected = {time: render_at(model, cameras, time)[0] for time in (0.0, 0.5, 1.0)}
    for time, image in expected.items():
        viewer.set_view(azimuth=0, elevation=0, radius=2, fovy=49.1, target=[0, 0, 0], time=time)
        assert_images_close(viewer.screenshot()[..., :3] / 255, image)
    assert np.abs(expected[0.0] - expected[0.5]).mean() > 10 / 255
    static = replace(frames, means=frames.means[:1].expand(3, -1, -1))  # between frames, centers at rest
    model = scene_of(replace(static, quats=frames.quats[:1].expand(3, -1, -1)))
    viewer.load(model)
    viewer.set_view(time=0.25)
    rgba = viewer.screenshot()[..., :3] / 255
    viewer.set_view(time=0.0)
    assert np.abs(rgba - viewer.screenshot()[..., :3] / 255).mean() > 4 / 255


def test_unrelated_frames_are_shown_without_interpolation(viewer):
    model = scene_of(pad_frames([visible_frame(seed, count) for seed, count in enumerate((60, 20, 90))]))
    cameras = Cameras.from_poses([OrbitPose(azimuth_deg=0.0)], 160, 160)
    viewer.load(model)
    viewer.set_canvas_size(160, 160)
    viewer.run("player.setBackground('white')")
    for time in (0.0, 0.2, 0.4, 0.6, 0.9):
        viewer.set_view(azimuth=0, elevation=0, radius=2, fovy=49.1, target=[0, 0, 0], time=time)
        assert_images_close(viewer.screenshot()[..., :3] / 255, render_at(model, cameras, time)[0])
