"""The viewer draws what the Python rasterizer draws, at the same camera and time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from solid_scene import BACK, FRONT
from viewer_page import Viewer, open_page

from stag4d.geometry import OrbitPose, intrinsics, look_at_viewmat
from stag4d.rendering import render
from stag4d.scene import GaussianModel4D
from stag4d.types import Cameras

pytestmark = pytest.mark.browser
WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


def draw(
    model: GaussianModel4D, cameras: Cameras, time: float, background=WHITE
) -> tuple[np.ndarray, np.ndarray]:
    """Return Python's picture [H, W, 3] and its alpha [H, W]."""
    output = render(model.at(torch.tensor([time]))[0], cameras, background=background)
    return output.images[0].clamp(0, 1).numpy(), output.alphas[0].numpy()


def compare(found: np.ndarray, wanted: np.ndarray) -> None:
    """Hold a picture [H, W, 3], 0 to 1, to the limits for mean color and mean error."""
    assert np.abs(found.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max() <= 2 / 255
    assert np.abs(found - wanted).mean() <= 2 / 255


def silhouette_iou(first: np.ndarray, second: np.ndarray) -> float:
    """Return the overlap of two alphas."""
    first, second = first > 0.5, second > 0.5
    return (first & second).sum() / (first | second).sum()


@pytest.mark.parametrize("size", [(128, 128), (256, 256), (256, 160)])
@pytest.mark.parametrize(
    ("azimuth", "elevation", "frame"), [(0, 0, 0), (30, 30, 2), (150, -20, 4), (270, 60, 1), (200, -80, 3)]
)
def test_pictures_agree(viewer, box, size, azimuth, elevation, frame):
    pose = OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation, radius=1.8, fovy_deg=45.0)
    cameras = Cameras.from_poses([pose], *size)
    viewer.set_picture_size(*size)
    viewer.look(azimuth=azimuth, elevation=elevation, radius=1.8, fovy=45.0, target=[0, 0, 0], time=frame / 4)
    for name, background in (("white", WHITE), ("black", BLACK), ("#336699", (0.2, 0.4, 0.6))):
        viewer.run("player.setBackground(value)", name)
        wanted, alphas = draw(box, cameras, frame / 4, background)
        found = viewer.picture()
        assert found.shape[:2] == (size[1], size[0])
        assert found[..., 3].min() == 255
        compare(found[..., :3] / 255, wanted)
    viewer.run("player.setBackground('checker')")
    found_alphas = viewer.picture()[..., 3] / 255
    assert silhouette_iou(found_alphas, alphas) >= 0.98
    assert np.abs(found_alphas - alphas).mean() <= 2 / 255


def test_a_moved_target_agrees_with_a_camera_that_looks_there(viewer, box):
    target, radius = (0.3, -0.2, 0.1), 1.5
    azimuth, elevation = np.radians(40), np.radians(25)
    direction = np.array(
        [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)]
    )
    viewmat = look_at_viewmat((np.array(target) + radius * direction).tolist(), target)
    cameras = Cameras(viewmat[None], intrinsics([50.0], 192, 192), 192, 192)
    viewer.set_picture_size(192, 192)
    viewer.look(azimuth=40, elevation=25, radius=radius, target=target, fovy=50, time=0.5)
    viewer.run("player.setBackground('white')")
    compare(viewer.picture()[..., :3] / 255, draw(box, cameras, 0.5)[0])


def test_between_two_frames_the_box_is_between_their_places(viewer, box):
    cameras = Cameras.from_poses([OrbitPose(azimuth_deg=20.0, elevation_deg=10.0)], 160, 160)
    viewer.set_picture_size(160, 160)
    viewer.run("player.setBackground('white')")
    viewer.look(azimuth=20, elevation=10, radius=2, fovy=49.1, target=[0, 0, 0], time=0.375)
    found = viewer.picture()[..., :3] / 255
    compare(found, draw(box, cameras, 0.375)[0])
    for time in (0.25, 0.5):
        assert np.abs(found - draw(box, cameras, time)[0]).mean() > 2 / 255


def test_two_draws_are_equal_and_different_times_are_not(viewer):
    viewer.look(time=0.3)
    first = viewer.picture()
    assert np.array_equal(viewer.picture(), first)
    viewer.look(time=0.7, azimuth=130)
    assert not np.array_equal(viewer.picture(), first)
    viewer.look(time=0.3, azimuth=0)
    assert np.array_equal(viewer.picture(), first)


def test_the_far_side_is_hidden_at_once_after_every_turn(viewer):
    viewer.run("player.setBackground('black')")
    for azimuth, side, other in ((0, FRONT, BACK), (180, BACK, FRONT), (0, FRONT, BACK)):
        viewer.look(azimuth=azimuth, elevation=0, time=0.5)
        picture = viewer.picture()[..., :3] / 255
        height, width = picture.shape[:2]
        middle = picture[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8].reshape(-1, 3)
        assert np.abs(middle - side).max() < 0.2, azimuth
        assert np.abs(middle - other).max() > 0.5


@pytest.mark.parametrize("density", [1, 2])
def test_a_dense_screen_gets_a_dense_picture(browser, box_clip, density):
    with open_page(browser, device_scale_factor=density) as page:
        viewer = Viewer(page, page.evaluate("(clip) => add(300, 300, clip)", box_clip))
        viewer.set_picture_size(300, 220)
        assert viewer.picture().shape[:2] == (220 * density, 300 * density)


def test_colors_beyond_white_and_half_clear_splats_agree(viewer, box):
    """Bright, half transparent, long and thin: nothing is tuned to the box."""
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
    viewer.set_picture_size(200, 200)
    viewer.look(azimuth=75, elevation=-35, radius=1.7, fovy=49.1, target=[0, 0, 0], time=0)
    viewer.run("player.setBackground('black')")
    pose = OrbitPose(azimuth_deg=75.0, elevation_deg=-35.0, radius=1.7)
    wanted, _ = draw(model, Cameras.from_poses([pose], 200, 200), 0.0, BLACK)
    compare(viewer.picture()[..., :3] / 255, wanted)
