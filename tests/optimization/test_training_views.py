"""Targets of an optimization step, by hand."""

from __future__ import annotations

import pytest
import torch
from changed_views import changed_views
from disk_views import disk_views

from stag4d.optimization import TrainingViews

HALF_LEVEL = 0.5 / 255 + 1e-6
ONLY_INPUT = torch.tensor([0])


def targets_of(given: TrainingViews, frame: int, chosen, backgrounds, size: int):
    """Return the targets of chosen views, which are of one size and projection."""
    (batch,) = given.batches([frame], chosen[None], backgrounds, size)
    return batch.targets


def blank_views(size: int):
    """Return one frame without views, black and transparent."""
    views = disk_views(frames=1, num_views=0, size=size)
    return changed_views(views, images=torch.zeros_like(views.images), alphas=torch.zeros_like(views.alphas))


def test_targets_are_composited_on_each_renders_background():
    views = blank_views(size=2)
    views.images[0, 0, 0], views.alphas[0, 0, 0] = torch.tensor([1.0, 0.0, 0.4]), 1.0
    views.images[0, 0, 1], views.alphas[0, 0, 1] = torch.tensor([1.0, 0.5, 0.0]), 0.2
    views.images[0, 1, 0] = 0.9  # invisible: alpha is zero
    given = TrainingViews.from_views(views, 2)
    backgrounds = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.5, 1.0]])
    images, alphas = targets_of(given, 0, torch.tensor([0, 0]), backgrounds, 2)
    expected = torch.tensor(
        [
            [[[1.0, 0.0, 0.4], [1.0, 0.9, 0.8]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]],
            [[[1.0, 0.0, 0.4], [0.2, 0.5, 0.8]], [[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]],
        ]
    )
    torch.testing.assert_close(images, expected, atol=HALF_LEVEL, rtol=0)
    torch.testing.assert_close(alphas, torch.tensor([[[1, 0.2], [0, 0]]] * 2), atol=HALF_LEVEL, rtol=0)


def test_coarse_targets_average_areas():
    views = blank_views(size=4)
    views.images[:] = 1.0  # white that nobody sees
    views.alphas[0, :2, 0] = 1.0
    views.images[0, :2, 0] = torch.tensor([1.0, 0.0, 0.0])
    images, alphas = targets_of(TrainingViews.from_views(views, 4), 0, ONLY_INPUT, torch.zeros(1, 3), 2)
    # half of the first coarse pixel is opaque red, the rest is the black background
    torch.testing.assert_close(alphas[0], torch.tensor([[0.5, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(images[0, 0, 0], torch.tensor([0.5, 0.0, 0.0]))
    assert images[0].sum() == 0.5


def test_input_and_views_of_different_sizes_come_to_one_size():
    views = disk_views(frames=2, num_views=3, size=16, view_size=6)
    view_images, view_alphas = views.view_images, views.view_alphas
    view_images[:] = torch.tensor([0.2, 0.4, 0.6])
    view_alphas[:, :, :3] = 1.0
    view_alphas[:, :, 3:] = 0.0
    views = changed_views(views, view_images=view_images, view_alphas=view_alphas)
    given = TrainingViews.from_views(views, 12)
    (group,) = given.groups
    assert group.premultiplied.shape == (2, 4, 12, 12, 4)
    assert (given.num_frames, given.num_cameras, given.size) == (2, 4, 12)
    images, alphas = targets_of(given, 1, torch.tensor([3]), torch.ones(1, 3), 12)
    assert (alphas[0, :5] == 1).all()
    assert (alphas[0, 7:] == 0).all()
    torch.testing.assert_close(
        images[0, :5], torch.tensor([0.2, 0.4, 0.6]).expand(5, 12, 3), atol=HALF_LEVEL, rtol=0
    )
    assert (images[0, 7:] == 1).all()


def test_cameras_are_the_inputs_and_then_the_views_in_order():
    views = disk_views(frames=1, num_views=3)
    given = TrainingViews.from_views(views, 16)
    for camera in range(4):
        pose = (views.input_pose, *views.view_poses)[camera]
        assert given.cameras_of(camera).centers[0].norm().item() == pytest.approx(pose.radius, rel=1e-5)
    view_alphas = views.view_alphas
    view_alphas[0, 1], view_alphas[0, 1, 0] = 0.0, 1.0
    other = TrainingViews.from_views(changed_views(views, view_alphas=view_alphas), 16)
    _, alphas = targets_of(given, 0, torch.tensor([2]), torch.ones(1, 3), 16)
    _, changed = targets_of(other, 0, torch.tensor([2]), torch.ones(1, 3), 16)
    assert not torch.equal(alphas, changed)  # camera 2 is posed view 1


def test_cameras_for_another_size_see_the_same_field_of_view():
    given = TrainingViews.from_views(disk_views(frames=1, num_views=2), 16)
    (group,) = given.groups
    (batch,) = given.batches([0], torch.arange(3)[None], torch.ones(3, 3), 8)
    half = batch.cameras
    assert (half.width, half.height) == (8, 8)
    corner = torch.tensor([16.0, 16.0, 1.0])
    ray = torch.linalg.inv(group.cameras.Ks[1]) @ corner
    torch.testing.assert_close(half.Ks[1] @ ray, torch.tensor([8.0, 8.0, 1.0]))
    assert torch.equal(half.viewmats, group.cameras.viewmats)
    assert group.cameras.Ks[0, 0, 2] == 8  # what was given is unchanged


def test_bytes_keep_colors_to_half_a_level():
    views = disk_views(frames=2, num_views=2, size=12, view_size=12)
    given = TrainingViews.from_views(views, 12)
    images, alphas = targets_of(given, 1, torch.tensor([0, 2]), torch.ones(2, 3), 12)
    exact_alphas = torch.stack([views.alphas[1], views.view_alphas[1, 1]])
    exact_images = torch.stack([views.images[1], views.view_images[1, 1]])
    composited = exact_images * exact_alphas[..., None] + 1 - exact_alphas[..., None]
    torch.testing.assert_close(alphas, exact_alphas, atol=HALF_LEVEL, rtol=0)
    torch.testing.assert_close(images, composited, atol=2 * HALF_LEVEL, rtol=0)


def test_frames_whose_alphas_stay_below_one_half_are_empty():
    views = disk_views(frames=3, num_views=2)
    alphas, view_alphas = views.alphas.clone(), views.view_alphas.clone()
    alphas[1] *= 0.4
    view_alphas[0, 1] = 0.0
    view_alphas[2, 1] = 0.0
    changed = changed_views(views, alphas=alphas, view_alphas=view_alphas)
    assert TrainingViews.from_views(changed, 16).empty_frames() == [{1}, set(), {0, 2}]


def test_motion_is_the_share_of_the_silhouettes_that_changes():
    views = disk_views(frames=4, num_views=1, size=8, view_size=8)
    alphas, view_alphas = torch.zeros(4, 8, 8), torch.zeros(4, 1, 8, 8)
    for frame, column in enumerate((0, 0, 1, 5)):  # squares of 4 pixels: at rest, a step, a leap
        alphas[frame, 2:4, column : column + 2] = 1.0
        view_alphas[frame, 0, 2:4, 3:5] = 1.0  # this one rests
    given = TrainingViews.from_views(changed_views(views, alphas=alphas, view_alphas=view_alphas), 8)
    assert given.motion([0, 1, 2, 3]).tolist() == pytest.approx([0, 4 / 8, 8 / 8])
    assert given.motion([0, 2]).tolist() == pytest.approx([4 / 8])
    assert given.motion([3]).tolist() == []


def test_empty_views_have_no_motion():
    given = TrainingViews.from_views(changed_views(disk_views(2, 0, 8), alphas=torch.zeros(2, 8, 8)), 8)
    assert given.motion([0, 1]).tolist() == [0.0]
