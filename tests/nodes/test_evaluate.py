"""STAG4DEvaluate on uniform images, whose metrics are computed by hand."""

import pytest
import torch

SIZE = 12


@pytest.fixture(scope="module")
def evaluate(pack_module):
    return pack_module("nodes.evaluate").STAG4DEvaluate.execute


def gray(*values):
    """Return a uniform image per value."""
    return torch.tensor(values)[:, None, None, None].expand(-1, SIZE, SIZE, 3)


def left(*columns):
    """Return masks that are 1 on the first columns."""
    return torch.stack([(torch.arange(SIZE) < count).float().expand(SIZE, SIZE) for count in columns])


def test_metrics_are_means_over_the_images(evaluate):
    # squared errors 0.01 and 0.0001; the SSIM of uniform images is its luminance term
    output = evaluate(gray(0.5, 0.51), gray(0.6, 0.5), left(6, 6), left(8, 6))
    _, psnr, ssim, iou = output.args
    first, second = (2 * 0.3 + 1e-4) / (0.25 + 0.36 + 1e-4), (2 * 0.255 + 1e-4) / (0.2601 + 0.25 + 1e-4)
    assert psnr == pytest.approx((20 + 40) / 2, abs=1e-3)
    assert ssim == pytest.approx((first + second) / 2, abs=1e-5)
    assert iou == pytest.approx((6 / 8 + 1) / 2)
    assert all(isinstance(value, float) for value in (psnr, ssim, iou))


def test_report_has_means_and_worst_images_and_is_shown(evaluate):
    output = evaluate(gray(0.51, 0.5), gray(0.5, 0.6), left(6, 6), left(6, 8))
    report = output.args[0]
    assert [line.split() for line in report.splitlines()[1:]] == [
        ["PSNR", "dB", "30.000", "20.000", "1"],
        ["PSNR", "masked", "dB", "30.000", "20.000", "1"],
        ["SSIM", "0.992", "0.984", "1"],
        ["IoU", "0.875", "0.750", "1"],
    ]
    assert "of 2, from 0" in report
    assert output.ui.as_dict() == {"text": (report,)}


def test_equal_images_have_the_best_scores(evaluate):
    _, psnr, ssim, iou = evaluate(gray(0.3), gray(0.3), left(0), left(0)).args
    assert (psnr, ssim, iou) == (pytest.approx(100), pytest.approx(1), 1)


@pytest.mark.parametrize("masks", [{}, {"mask": left(3)}, {"truth_mask": left(3)}])
def test_iou_needs_both_masks(evaluate, masks):
    report, _, _, iou = evaluate(gray(0.3), gray(0.3), **masks).args
    assert iou == 0.0
    assert report.splitlines()[-1].split(maxsplit=1) == ["IoU", "not given (it needs mask and truth_mask)"]


def row(output, label):
    """Return a row of the report without its label."""
    (line,) = [line for line in output.args[0].splitlines() if line.startswith(label)]
    return line.removeprefix(label).split()


def test_masked_psnr_is_of_the_object_in_the_ground_truth(evaluate):
    images = gray(0.5, 0.5).clone()
    images[0, :, :3], images[1, :, :3] = 0.6, 0.51  # errors 0.1 and 0.01 in a quarter of the image
    images[:, :, 6:] = 1.0
    output = evaluate(images, gray(0.5, 0.5), truth_mask=left(3, 3))
    assert row(output, "PSNR masked dB") == ["30.000", "20.000", "0"]
    assert output.args[1] < 10


def test_images_without_object_do_not_count_in_the_masked_psnr(evaluate):
    output = evaluate(gray(0.3, 0.6), gray(0.5, 0.5), truth_mask=left(0, 12))
    assert row(output, "PSNR masked dB") == ["20.000", "20.000", "1"]
    output = evaluate(gray(0.3), gray(0.5), truth_mask=left(0))
    assert row(output, "PSNR masked dB") == "not given (truth_mask is empty)".split()


@pytest.mark.parametrize(
    "masks", [{}, {"mask": left(3)}, {"truth_mask": left(3)[:, :8]}, {"truth_mask": left(3, 3)}]
)
def test_masked_psnr_needs_a_truth_mask_per_image(evaluate, masks):
    """Another truth mask, such as that of a loaded image without alpha, is no error."""
    output = evaluate(gray(0.3), gray(0.3), **masks)
    expected = "not given (it needs truth_mask, a mask per image and of its size)"
    assert row(output, "PSNR masked dB") == expected.split()


def test_mask_without_batch_dimension_is_one_mask(evaluate):
    assert evaluate(gray(0.3), gray(0.3), left(3)[0], left(6)).args[3] == 0.5


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            (gray(0.3, 0.3), gray(0.3)),
            "^evaluation: images has 2 of 12x12 pixels, truth 1 of 12x12; expected the same count and size, "
            "at least one.$",
        ),
        ((gray(0.3), gray(0.3)[:, :11]), "^evaluation: images has 1 of 12x12 pixels, truth 1 of 12x11; "),
        ((gray(), gray()), "^evaluation: images has 0 of 12x12 pixels, truth 0 of 12x12; "),
        (
            (gray(0.3), gray(0.3), left(3), left(3, 4)),
            "^evaluation: mask has 1 of 12x12 pixels, truth_mask 2 of 12x12; ",
        ),
        ((gray(0.3)[:, :8], gray(0.3)[:, :8]), r"^SSIM: images of 12x8 pixels; expected 11 pixels"),
        ((gray(0.3), gray(0.3)[..., [0, 1, 2, 2]]), "^evaluation: truth has 4 channels; expected 3: "),
        ((gray(0.3)[..., [0, 1, 2, 2]], gray(0.3)), "^evaluation: images has 4 channels; expected 3: "),
    ],
)
def test_images_that_do_not_match_are_rejected(evaluate, inputs, message):
    with pytest.raises(ValueError, match=message):
        evaluate(*inputs)


def test_progress_counts_images(evaluate, progress_bar):
    evaluate(gray(0.1, 0.2), gray(0.1, 0.2))
    assert progress_bar.reported == [(1, 2), (2, 2)]


def test_values_little_beyond_0_to_1_are_clamped(evaluate):
    assert evaluate(gray(1.2), gray(1.0)).args[1] == pytest.approx(100)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((gray(0.5, 255.0), gray(0.5, 0.5)), "images: image 1 has pixels from 255 to 255; expected 0 to 1"),
        ((gray(0.5), gray(float("nan"))), "truth: image 0 has pixels that are not finite; expected 0 to 1"),
        ((gray(0.5), gray(0.5), left(3) * 255, left(3)), "mask has values from 0 to 255; expected 0 to 1"),
        (
            (gray(0.5), gray(0.5), left(3), left(3) * -3),
            "truth_mask has values from -3 to -?0; expected 0",
        ),
    ],
)
def test_values_far_from_0_to_1_are_rejected(evaluate, inputs, message):
    with pytest.raises(ValueError, match=f"^evaluation: {message}"):
        evaluate(*inputs)
