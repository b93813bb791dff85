"""The first camera of a scene: the input camera where it shows the whole object, else one that does."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from solid_scene import solid_scene

from stag4d.geometry import OrbitPose, SavedView
from stag4d.scene import GaussianModel4D, first_view, logit


def scaled(factor: float, offset: float = 0.0) -> GaussianModel4D:
    """Return the box scaled about the origin, which slides to the right by an offset until the last frame."""
    box = solid_scene()

    def slide(means: torch.Tensor, times: torch.Tensor) -> SimpleNamespace:
        moved = box.deformation(means / factor, times)
        step = offset * times[:, None, None] * torch.tensor([1.0, 0.0, 0.0])
        return SimpleNamespace(**{**vars(moved), "means": factor * moved.means + step})

    gaussians = replace(box.gaussians, means=factor * box.gaussians.means)
    return GaussianModel4D(gaussians, slide, box.info)


def share_in_image(model: GaussianModel4D, view: SavedView, aspect: float) -> float:
    """Return the smallest share of the centers that the image holds at a frame."""
    pose, target = view.pose, torch.tensor(view.target)
    azimuth, elevation = math.radians(pose.azimuth_deg), math.radians(pose.elevation_deg)
    back = torch.tensor(
        [
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
            math.cos(elevation) * math.cos(azimuth),
        ]
    )
    right = torch.tensor([math.cos(azimuth), 0.0, -math.sin(azimuth)])
    up = torch.linalg.cross(back, right)
    shares = []
    for deformed in model.at(model.frame_times).means:
        points = deformed - target - pose.radius * back
        reach = -points @ back * math.tan(math.radians(pose.fovy_deg) / 2)
        inside = ((points @ right).abs() <= reach * aspect) & ((points @ up).abs() <= reach)
        shares.append(inside.float().mean().item())
    return min(shares)


def test_first_view_is_the_input_camera_where_it_shows_the_object():
    pose = OrbitPose(azimuth_deg=30.0, elevation_deg=10.0)
    box = solid_scene()
    box = GaussianModel4D(box.gaussians, box.deformation, replace(box.info, input_pose=pose))
    assert first_view(box, 1.0) == SavedView(pose=pose)


@pytest.mark.parametrize(
    ("factor", "offset", "aspect"),
    [
        (1.0, 3.0, 1.0),
        (1.0, -3.0, 1.5),
        (40.0, 0.0, 1.0),
        (1000.0, 0.0, 2.0),
        (1.0, 0.0, 0.4),
        (4.0, 2.0, 0.5),
    ],
)
def test_first_view_shows_the_whole_object_at_all_frames(factor, offset, aspect):
    model = scaled(factor, offset)
    assert share_in_image(model, SavedView(pose=model.info.input_pose), aspect) < 0.98
    view = first_view(model, aspect)
    assert share_in_image(model, view, aspect) > 0.98
    nearer = replace(view, pose=replace(view.pose, radius=view.pose.radius * 0.6))
    assert share_in_image(model, nearer, aspect) < 1  # and it is not too far away
    assert (view.pose.azimuth_deg, view.pose.elevation_deg, view.pose.fovy_deg) == (0, 0, 49.1)


def test_transparent_gaussians_do_not_count():
    box = scaled(1.0)
    far = box.gaussians.map(lambda values: values.clone())
    far.means[:] += 50
    far.logit_opacities[:] = logit(torch.tensor(0.01))
    both = type(far)(
        *(
            torch.cat([one, other])
            for one, other in zip(box.gaussians.as_dict().values(), far.as_dict().values(), strict=True)
        )
    )
    model = GaussianModel4D(both, None, box.info)
    assert first_view(model, 1.0).pose == box.info.input_pose
