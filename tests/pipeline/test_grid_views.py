"""View sets from grid images, as ComfyUI's samplers generate them."""

import pytest
import torch

from stag4d.diffusion import ViewGrid
from stag4d.geometry import zero123plus_rig
from stag4d.matting import BackgroundRemover
from stag4d.pipeline.grid_views import views_of_grids
from stag4d.types import InputVideo

GRID = ViewGrid(poses=zero123plus_rig("v1.1"), tile_size=8)


def video(count=2):
    return InputVideo(torch.rand(count, 12, 12, 3), torch.ones(count, 12, 12), 6.0, 5.0, None)


def grids(views):
    """Return decoded grids [F, H, W, 3] of views [F, V, s, s, 3]: of the VAE's image scale."""
    return GRID.image_of((views - 0.5) * GRID.image_scale + 0.5)


def test_views_are_cut_and_unscaled_in_the_order_of_the_rig():
    views, calls = torch.rand(2, 6, 8, 8, 3), []
    found = views_of_grids(
        GRID,
        video(),
        grids(views),
        remover=BackgroundRemover("none"),
        monitor=lambda *call, **details: calls.append(call),
    )
    torch.testing.assert_close(found.view_images, views)
    assert (found.view_alphas == 1).all()
    assert found.view_poses == GRID.poses
    assert (found.fps, found.input_pose.elevation_deg) == (6.0, 5.0)
    assert calls == [("decode", 1, 2), ("decode", 2, 2)]


def test_masks_of_the_grids_are_cut_alike():
    views = torch.rand(2, 6, 8, 8, 3)
    alphas = torch.rand(2, 6, 8, 8)
    found = views_of_grids(GRID, video(), grids(views), GRID.image_of(alphas[..., None])[..., 0])
    torch.testing.assert_close(found.view_alphas, alphas)


def test_enlarged_grids_are_accepted():
    views = torch.rand(2, 6, 16, 16, 3)
    found = views_of_grids(GRID, video(), grids(views), remover=BackgroundRemover("none"))
    assert found.view_images.shape == (2, 6, 16, 16, 3)


@pytest.mark.parametrize(
    ("images", "alphas", "message"),
    [
        (torch.rand(3, 24, 16, 3), None, "grid: 3 images for 2 frames"),
        (torch.rand(2, 24, 24, 3), None, r"images of 24x24 pixels; expected 3 rows of 2 square views"),
        (
            torch.rand(2, 24, 16, 3),
            torch.ones(2, 8, 8),
            r"masks of shape \[2, 8, 8\]; expected \[2, 24, 16\]",
        ),
    ],
)
def test_wrong_shapes_are_refused(images, alphas, message):
    with pytest.raises(ValueError, match=message):
        views_of_grids(GRID, video(), images, alphas)
