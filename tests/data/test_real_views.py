"""Camera poses checked on a real video and its generated views, if a folder of them is given."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from stag4d.data import read_views
from stag4d.types import Cameras
from stag4d.view_set import ViewSet

SIZE, CELLS = 64, 56
VARIABLE = "STAG4D_REAL_VIEWS"


@pytest.fixture(scope="module")
def views() -> ViewSet:
    folder = os.environ.get(VARIABLE)
    if folder is None:
        pytest.skip(f"no real views; {VARIABLE}=FOLDER names a ViewSet folder made from a real video")
    return read_views(folder)


def coverage(views: ViewSet, frame: int, azimuths_deg: list[float]) -> float:
    """Return the share of the view masks that the visual hull covers if the views are at these azimuths."""
    poses = [
        replace(pose, azimuth_deg=azimuth)
        for pose, azimuth in zip(views.view_poses, azimuths_deg, strict=True)
    ]
    cameras = Cameras.from_poses([views.input_pose, *poses], SIZE, SIZE)
    alphas = [views.alphas[frame, None, None], *views.view_alphas[frame, :, None, None]]
    masks = torch.cat(
        [
            interpolate(alpha.float().reshape(1, 1, *alpha.shape[-2:]), (SIZE, SIZE), mode="area")
            for alpha in alphas
        ]
    )
    masks = masks[:, 0] > 0.5  # [1 + V, S, S]
    axis = torch.linspace(-1, 1, CELLS)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
    pixels = [pixels_of(points, cameras, camera) for camera in range(len(cameras))]
    is_inside = torch.stack([mask[tuple(pixel.T)] for mask, pixel in zip(masks, pixels, strict=True)]).all(
        dim=0
    )
    shares = []
    for mask, pixel in zip(masks[1:], pixels[1:], strict=True):
        hit = torch.zeros_like(mask)
        hit[tuple(pixel[is_inside].T)] = True
        grown = (
            torch.nn.functional.max_pool2d(hit[None].float(), 3, stride=1, padding=1)[0] > 0
        )  # cells are coarse
        shares.append((grown & mask).sum() / mask.sum())
    return torch.stack(shares).mean().item()


def pixels_of(points: Tensor, cameras: Cameras, camera: int) -> Tensor:
    """Return the pixel rows and columns [K, 2] of points [K, 3] in a camera's image."""
    in_camera = points @ cameras.viewmats[camera, :3, :3].T + cameras.viewmats[camera, :3, 3]
    projected = in_camera @ cameras.Ks[camera].T
    return (projected[:, :2] / projected[:, 2:]).floor().long().clamp(0, SIZE - 1).flip(1)


def test_rig_poses_fit_real_masks_better_than_other_azimuths(views):
    rig = [pose.azimuth_deg for pose in views.view_poses]
    turned = [[azimuth + turn for azimuth in rig] for turn in (60, 120, 180, 240, 300)]
    candidates = [rig, [-azimuth for azimuth in rig], *turned]
    frames = range(0, views.num_frames, max(views.num_frames // 4, 1))
    found, *others = (
        sum(coverage(views, frame, azimuths) for frame in frames) / len(frames) for azimuths in candidates
    )
    assert found > 0.99
    assert all(found > other for other in others), (found, others)
