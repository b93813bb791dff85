"""Metrics against hand-computed values and naive loops."""

from __future__ import annotations

import math

import pytest
import torch

from stag4d.evaluation import (
    compare,
    compare_on_white,
    masked_psnr,
    mean,
    on_white,
    psnr,
    silhouette_iou,
    ssim,
)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


@pytest.mark.parametrize(("error", "decibels"), [(1.0, 0.0), (0.1, 20.0), (0.01, 40.0), (0.0, 100.0)])
def test_psnr_of_a_constant_error(error, decibels):
    truth = torch.zeros(2, 5, 4, 3)
    values = psnr(truth + error, truth)
    assert values.shape == (2,)
    assert values.tolist() == pytest.approx([decibels] * 2, abs=1e-4)


def test_psnr_is_computed_for_each_image():
    images = torch.zeros(3, 2, 4, 4, 3)
    images[1, 0] = 0.1
    values = psnr(images, torch.zeros_like(images))
    assert values.shape == (3, 2)
    assert values[1, 0] == pytest.approx(20, abs=1e-4)
    assert (values == 100).sum() == 5


def test_masked_psnr_counts_the_pixels_of_the_true_object_only():
    truth, images = torch.zeros(2, 4, 4, 3), torch.zeros(2, 4, 4, 3)
    truth_alphas = torch.zeros(2, 4, 4)
    truth_alphas[:, :2] = 0.51  # 8 pixels
    truth_alphas[:, 2] = 0.5  # not above one half
    images[0, :2] = 0.1  # in the object: 20 dB
    images[0, 2:] = 1.0  # outside
    images[1, 0, 0, 0] = 1.0  # of 8 pixels x 3 channels
    values = masked_psnr(images, truth, truth_alphas)
    assert values.tolist() == pytest.approx([20, 10 * math.log10(24)], abs=1e-4)
    assert masked_psnr(truth, truth, truth_alphas).tolist() == [100, 100]
    everywhere = torch.ones(2, 4, 4)
    torch.testing.assert_close(masked_psnr(images, truth, everywhere), psnr(images, truth))


def test_frames_without_object_do_not_count_in_the_mean_of_the_masked_psnr():
    truth, alphas = torch.zeros(3, 2, 12, 12, 3), torch.ones(3, 2, 12, 12)
    alphas[0, 0], alphas[2] = 0.0, 0.0
    assert masked_psnr(truth, truth, alphas).isnan().tolist() == [[True, False], [False, False], [True, True]]
    images = truth.clone()
    images[0, 1], images[1, 0], images[1, 1] = 0.1, 0.1, 0.01  # 20, 20 and 40 dB
    scores = compare_on_white(images, alphas, truth, alphas)
    assert scores["per_view"]["psnr_masked"] == [
        *(pytest.approx(value, abs=1e-4) for value in (20, 30)),
        None,
    ]
    assert scores["psnr_masked"] == pytest.approx(25, abs=1e-4)


def test_the_mean_of_no_value_is_none():
    assert mean([]) is None
    assert mean([None, float("nan")]) is None
    assert mean([1.0, None, 2.0, float("nan")]) == 1.5


def test_ssim_equals_loops_over_windows(generator):
    images, truth = torch.rand(2, 13, 14, 3, generator=generator, dtype=torch.float64)
    truth = 0.6 * images + 0.4 * truth
    weights = [[math.exp(-((y - 5) ** 2 + (x - 5) ** 2) / 4.5) for x in range(11)] for y in range(11)]
    window = torch.tensor(weights, dtype=torch.float64)
    window /= window.sum()
    values = []
    for channel in range(3):
        for y in range(3):
            for x in range(4):
                a = images[y : y + 11, x : x + 11, channel]
                b = truth[y : y + 11, x : x + 11, channel]
                mean_a, mean_b = (window * a).sum(), (window * b).sum()
                var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
                covariance = (window * (a - mean_a) * (b - mean_b)).sum()
                luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
                values.append(luminance * (2 * covariance + 9e-4) / (var_a + var_b + 9e-4))
    expected = torch.stack(values).mean()
    assert ssim(images, truth) == pytest.approx(expected.item(), abs=1e-10)
    assert ssim(images.float(), truth.float()) == pytest.approx(expected.item(), abs=1e-5)


def test_ssim_of_constant_images_is_their_luminance_term():
    shape = (2, 11, 11, 3)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    values = ssim(torch.full(shape, 0.2), torch.full(shape, 0.6))
    assert values.tolist() == pytest.approx([expected] * 2, abs=1e-6)


def test_ssim_is_one_for_equal_images_and_negative_for_inverted_ones(generator):
    images = torch.rand(2, 3, 16, 16, 3, generator=generator)
    assert ssim(images, images).shape == (2, 3)
    torch.testing.assert_close(ssim(images, images), torch.ones(2, 3, dtype=torch.float64))
    assert (ssim(images, 1 - images) < 0).all()


def test_iou_equals_hand_computed_values():
    alphas, truth = torch.zeros(3, 4, 4), torch.zeros(3, 4, 4)
    alphas[0, :2] = 0.51  # 8 pixels
    alphas[0, 2] = 0.5  # not above one half
    truth[0, 1:] = 1.0  # 12 pixels, 4 of them shared
    alphas[1] = 1.0
    assert silhouette_iou(alphas, truth).tolist() == [0.25, 0.0, 1.0]


def test_colors_where_alpha_is_zero_do_not_count(generator):
    images = torch.rand(2, 3, 12, 12, 3, generator=generator)
    alphas = torch.zeros(2, 3, 12, 12)
    alphas[..., 3:9, 3:9] = 1.0
    others = torch.where(alphas[..., None] > 0, images, torch.rand(images.shape, generator=generator))
    scores = compare(images, alphas, others, alphas)
    assert (scores["psnr"], scores["iou"]) == (100.0, 1.0)
    assert scores["ssim"] == pytest.approx(1.0)


def test_scores_are_means_over_frames_and_then_views():
    truth, alphas = torch.zeros(2, 2, 12, 12, 3), torch.ones(2, 2, 12, 12)
    images = truth.clone()
    images[0, 0], images[0, 1], images[1, 0], images[1, 1] = 1.0, 0.1, 0.1, 0.1
    predicted = alphas.clone()
    predicted[1, :, :3] = 0.0
    scores = compare_on_white(images, predicted, truth, alphas)
    assert scores["per_view"]["psnr"] == pytest.approx([10, 20], abs=1e-4)
    assert scores["psnr"] == pytest.approx(15, abs=1e-4)
    assert scores["per_view"]["iou"] == [1.0, 0.75]
    assert scores["iou"] == 0.875
    assert scores.keys() == {"psnr", "psnr_masked", "ssim", "iou", "flicker", "per_view"}
    assert len(scores["per_view"]["ssim"]) == 2
    single = compare_on_white(images[:, :1], predicted[:, :1], truth[:, :1], alphas[:, :1])
    assert single.keys() == {"psnr", "psnr_masked", "ssim", "iou", "per_view"}  # flicker needs two frames


def test_scores_include_flicker(generator):
    truth, alphas = torch.rand(2, 3, 12, 12, 3, generator=generator), torch.ones(2, 3, 12, 12)
    frozen = torch.stack([truth[0, :1].expand(3, -1, -1, -1), truth[1]])
    scores = compare_on_white(frozen, alphas, truth, alphas)
    assert scores["per_view"]["flicker"] == pytest.approx([1.0, 0.0])


def test_straight_colors_are_composited_on_white():
    image, alpha = torch.tensor([[[1.0, 0.0, 0.5]]]), torch.tensor([[0.25]])
    assert on_white(image, alpha).tolist() == [[[1.0, 0.75, 0.875]]]


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize("shapes", [((12, 12, 3), (12, 11, 3)), ((12, 12), (12, 12)), ((0, 12, 12, 3),) * 2])
def test_images_of_mismatched_shapes_are_refused(metric, shapes):
    with pytest.raises(ValueError, match=r"images of shape .* expected one shape"):
        metric(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_small_images_and_mismatched_alphas_are_refused():
    with pytest.raises(ValueError, match=r"SSIM: .*expected 11 pixels or more"):
        ssim(torch.zeros(10, 20, 3), torch.zeros(10, 20, 3))
    with pytest.raises(ValueError, match="IoU: alphas of shape"):
        silhouette_iou(torch.zeros(4, 4), torch.zeros(4, 5))
    with pytest.raises(
        ValueError, match=r"masked PSNR: images of shape \[4, 4, 3\] and alphas of shape \[4, 5\]"
    ):
        masked_psnr(torch.zeros(4, 4, 3), torch.zeros(4, 4, 3), torch.zeros(4, 5))
    images, alphas = torch.zeros(1, 1, 12, 12, 3), torch.zeros(1, 1, 12, 12)
    with pytest.raises(ValueError, match="comparison: images and alphas"):
        compare(images, alphas[0], images, alphas)
    with pytest.raises(ValueError, match=r"expected \[V, T, H, W, 3\]"):
        compare(images[0], alphas[0], images[0], alphas[0])
