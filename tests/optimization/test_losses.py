"""Losses of the given views, by hand: two renders of 1 x 2 pixels, the input's and a posed view's."""

from __future__ import annotations

import pytest
import torch

from stag4d.optimization import LossWeights
from stag4d.optimization.losses import view_losses
from stag4d.optimization.structural_similarity import dissimilarity
from stag4d.optimization.training_views import Targets, TrainingBatch
from stag4d.types import Cameras, RenderOutput

CAMERAS = Cameras(torch.eye(4).repeat(2, 1, 1), torch.eye(3).repeat(2, 1, 1), 2, 1)


def renders(image_weights: tuple[float, float] = (1.0, 1.0)) -> tuple[RenderOutput, TrainingBatch]:
    """Return renders that miss: the input's by 0.5 in color and 0.25 in alpha, half of the other's."""
    images = torch.zeros(2, 1, 2, 3)
    images[0] = 0.5
    images[1, 0, 1] = 1.0
    alphas = torch.tensor([[[0.25, 0.25]], [[0.0, 0.5]]])
    targets = Targets(torch.zeros_like(images), torch.zeros_like(alphas))
    is_reference = torch.tensor([True, False])
    batch = TrainingBatch(
        positions=torch.arange(2),
        cameras_per_frame=[2],
        cameras=CAMERAS,
        backgrounds=torch.ones(2, 3),
        targets=targets,
        is_reference=is_reference,
        weights=torch.tensor(image_weights),
    )
    return RenderOutput(images, alphas), batch


@pytest.mark.parametrize(
    ("kind", "color", "alpha"),
    [
        ("l1", 2 * 0.5 + 3 * 0.5, 5 * 0.25 + 7 * 0.25),
        ("mse", 2 * 0.25 + 3 * 0.5, 5 * 0.0625 + 7 * 0.125),
    ],
)
def test_each_group_of_views_has_its_weights(kind, color, alpha):
    weights = LossWeights(kind=kind, input_color=2, view_color=3, input_alpha=5, view_alpha=7)
    losses = view_losses(*renders(), weights, progress=0.5)
    assert losses["color"].item() == pytest.approx(color)
    assert losses["alpha"].item() == pytest.approx(alpha)


def test_weights_of_images_multiply_their_losses():
    weights = LossWeights(input_color=2, view_color=3, input_alpha=5, view_alpha=7)
    losses = view_losses(*renders((0.5, 0.0)), weights, progress=0.5)
    assert losses["color"].item() == pytest.approx(0.5 * 2 * 0.5)
    assert losses["alpha"].item() == pytest.approx(0.5 * 5 * 0.25)


@pytest.mark.parametrize(("progress", "share"), [(0, 0), (0.1, 0.4), (0.25, 1), (0.8, 1)])
def test_the_ramp_raises_all_weights_together(progress, share):
    full = view_losses(*renders(), LossWeights(), progress)
    ramped = view_losses(*renders(), LossWeights(ramp=0.25), progress)
    for name in ("color", "alpha"):
        assert ramped[name].item() == pytest.approx(share * full[name].item())


def test_a_loss_pulls_renders_towards_their_targets():
    output, batch = renders()
    images = output.images.clone().requires_grad_()
    weights = LossWeights(kind="mse", input_color=2, view_color=0)
    view_losses(RenderOutput(images, output.alphas), batch, weights, 1.0)["color"].backward()
    expected = torch.zeros_like(images)
    expected[0] = 2 * 2 * 0.5 / 6  # weight, derivative of the square, mean over 1 x 2 pixels of 3 channels
    torch.testing.assert_close(images.grad, expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"kind": "l3"}, "unknown kind 'l3'"), ({"view_alpha": -1}, "no weight may be negative")],
)
def test_losses_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        LossWeights(**wrong)


def test_the_color_loss_mixes_errors_and_structural_similarity():
    output, batch = renders()
    differences = dissimilarity(output.images, batch.targets.images)
    assert (differences > 0.1).all()
    weights = LossWeights(ssim=0.25, input_color=2, view_color=3)
    losses = view_losses(output, batch, weights, progress=0.5)
    expected = 2 * (0.75 * 0.5 + 0.25 * differences[0]) + 3 * (0.75 * 0.5 + 0.25 * differences[1])
    assert losses["color"].item() == pytest.approx(expected.item())


@pytest.mark.parametrize("ssim", [-0.1, 1.5])
def test_the_share_of_ssim_is_within_0_to_1(ssim):
    with pytest.raises(ValueError, match=f"ssim is {ssim}; expected a share in 0 to 1"):
        LossWeights(ssim=ssim)
