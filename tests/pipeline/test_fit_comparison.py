"""A scene beside its views: PSNR, the images that are shown, the frames that are measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from recording import Recorder
from solid_scene import solid_scene

from stag4d.evaluation import on_white, psnr
from stag4d.geometry import OrbitPose
from stag4d.optimization import TrainingViews
from stag4d.pipeline import render_views
from stag4d.pipeline.fit_comparison import AMPLIFICATION, FitComparison, compare_views, measured_frames
from stag4d.progress import Interrupted
from stag4d.scene import GaussianModel4D
from stag4d.view_set import ViewSet, with_trust

SIZE = 20
POSES = [OrbitPose(azimuth_deg=azimuth) for azimuth in (0.0, 90.0, 180.0)]
MODEL = solid_scene(3)


@pytest.fixture(scope="module")
def views() -> ViewSet:
    """Renders of the scene, the last view without an object at the last frame."""
    images, alphas = render_views(MODEL, POSES, [0, 1, 2], SIZE)  # [V, F, S, S, 3]
    alphas[2, 2] = 0
    return ViewSet.from_orbit(
        images[0], alphas[0], images[1:].transpose(0, 1), alphas[1:].transpose(0, 1), POSES[0], POSES[1:]
    )


def compare(views: ViewSet, model=MODEL, frames=(0, 1, 2), size: int = SIZE, **options) -> FitComparison:
    """Compare the scene with views at the size of the views."""
    return compare_views(model, views, TrainingViews.from_views(views, size), frames=frames, **options)


def test_a_scene_agrees_with_its_own_renders_only(views):
    first, second, third = compare(views).views
    assert [view.name for view in (first, second, third)] == ["input frames", "view 0", "view 1"]
    assert [view.is_reference for view in (first, second, third)] == [True, False, False]
    assert [round(view.azimuth_deg) for view in (first, second)] == [0, 90]
    assert min(first.psnr, second.psnr) > 45  # eight bits
    images, alphas = render_views(MODEL, [POSES[2]], [2], SIZE)
    missing = psnr(on_white(images, alphas)[0, 0], torch.ones(SIZE, SIZE, 3)).item()
    agreeing = compare(views, frames=(0, 1)).views[2].psnr
    assert agreeing > 45
    assert 3 * third.psnr == pytest.approx(2 * agreeing + missing, abs=1e-3)  # a mean over frames
    assert (first.empty_frames, third.empty_frames) == (0, 1)


def test_strips_show_given_image_render_and_amplified_difference(views):
    comparison = compare(views)
    assert comparison.shown_frames == (0, 1, 2)
    strip = comparison.views[2].strips[2]  # [S, 3 S, 3]
    assert strip.shape == (SIZE, 3 * SIZE, 3)
    images, alphas = render_views(MODEL, [POSES[2]], [2], SIZE)
    rendered = on_white(images, alphas)[0, 0]
    expected = [torch.ones(SIZE, SIZE, 3), rendered, ((1 - rendered) * AMPLIFICATION).clamp(0, 1)]
    torch.testing.assert_close(strip / 255, torch.cat(expected, dim=1), atol=5 / 255, rtol=0)
    assert comparison.views[0].strips[:, :, 2 * SIZE :].max() < 20  # nearly black


def test_views_are_ordered_by_their_disagreement(views):
    assert next(view.name for view in compare(views).by_psnr) == "view 1"


def test_large_images_are_shown_smaller(views):
    (strip, *_) = compare(views, size=200).views[0].strips
    assert strip.shape == (160, 480, 3)


def test_cameras_that_move_with_the_object_see_the_same(views):
    moved = replace(MODEL.info, offsets=torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    still, moving = (
        compare(views),
        compare(views, model=GaussianModel4D(MODEL.gaussians, MODEL.deformation, moved)),
    )
    assert [view.psnr for view in still.views] == [view.psnr for view in moving.views]


def test_weights_are_those_of_the_losses(views):
    assert [round(view.weight, 3) for view in compare(with_trust(views, 1.0)).views] == [1, 0.5, 0]
    assert [view.weight for view in compare(views, has_view_losses=False).views] == [1, 0, 0]
    assert compare(with_trust(views, 1.0)).views[2].empty_frames == 0  # an image without weight


def test_a_comparison_can_be_cancelled(views):
    monitor = Recorder(4)
    with pytest.raises(Interrupted):
        compare(views, frames=(0, 2), monitor=monitor)
    assert monitor.calls[-1] == ("compare", 4, 6)


@pytest.mark.parametrize(
    ("num_frames", "expected"),
    [
        (1, [0]),
        (3, [0, 1, 2]),
        (8, list(range(8))),
        (30, [0, 5, 10, 14, 15, 19, 24, 29]),
        (9, [0, 1, 3, 4, 5, 7, 8]),
    ],
)
def test_measured_frames_are_few_and_include_the_shown_ones(num_frames, expected):
    assert measured_frames(num_frames) == expected


def test_numbers_are_rounded_for_json(views):
    document = compare(views).as_json()
    assert document["frames"] == [0, 1, 2]
    assert document["views"][2] == {
        "name": "view 1",
        "azimuth": 180.0,
        "elevation": 0.0,
        "reference": False,
        "weight": 1.0,
        "psnr": round(compare(views).views[2].psnr, 3),
        "empty_frames": 1,
    }
