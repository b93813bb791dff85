"""Render passes of a tilted plane, by cameras of both projections: depths and normals in the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stag4d.geometry import PROJECTIONS, OrbitPose
from stag4d.pipeline.passes import DEPTH_RANGE, RENDER_PASSES, write_passes
from stag4d.types import Cameras, RenderOutput

WIDTH, HEIGHT, RADIUS = 30, 20, 2.3


@pytest.fixture(params=PROJECTIONS)
def cameras(request: pytest.FixtureRequest) -> Cameras:
    """Return one camera, off-center, with fx unlike fy."""
    K = torch.tensor([[[40.0, 0.0, 11.0], [0.0, 33.0, 12.0], [0.0, 0.0, 1.0]]])
    poses = [OrbitPose(azimuth_deg=30.0, elevation_deg=20.0, radius=RADIUS)]
    return replace(Cameras.from_poses(poses, WIDTH, HEIGHT), Ks=K, projection=request.param)


def plane_depths(cameras: Cameras, normal: torch.Tensor) -> torch.Tensor:
    """Return camera z [H, W] of the plane through the origin of the world, which is at (0, 0, radius)."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    x, y = (x - 11.0) / 40.0, (y - 12.0) / 33.0
    if cameras.projection == "ortho":
        return RADIUS - (normal[0] * x + normal[1] * y) / normal[2]
    return RADIUS * normal[2] / (normal[0] * x + normal[1] * y + normal[2])


def test_depths_and_normals_of_a_plane(cameras: Cameras, tmp_path: Path):
    normal = torch.nn.functional.normalize(torch.tensor([0.3, -0.2, -0.9]), dim=0)
    depths, alphas = plane_depths(cameras, normal), torch.ones(HEIGHT, WIDTH)
    alphas[:3] = 0.5  # background
    output = RenderOutput(torch.zeros(1, HEIGHT, WIDTH, 3), alphas[None], depths[None])
    write_passes(tmp_path, output, cameras, 7, RENDER_PASSES)

    def read(name: str) -> torch.Tensor:
        return torch.from_numpy(np.array(Image.open(tmp_path / f"view0_frame0007_{name}.png")).astype(float))

    written = read("depth") / 65535 * DEPTH_RANGE * RADIUS
    torch.testing.assert_close(written[3:], depths[3:].double(), rtol=0, atol=1e-4)
    assert (written[:3] == 0).all() and (read("normals")[:3] == 0).all()
    expected = 255 * (0.5 + 0.5 * normal * torch.tensor([1.0, -1.0, -1.0]))
    colors = read("normals")[3:]
    torch.testing.assert_close(colors, expected.double().expand_as(colors), rtol=0, atol=0.6)
    torch.testing.assert_close(read("alpha"), alphas.double() * 65535, rtol=0, atol=0.6)
