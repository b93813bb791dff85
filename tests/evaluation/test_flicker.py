"""Flicker with and without ground truth: hand-computed values and frozen videos."""

import math

import pytest
import torch

from stag4d.evaluation import TemporalDifferenceMeter, flicker, relative_flicker


def video(*levels: float) -> torch.Tensor:
    """Return frames of one gray level each, [F, 2, 2, 3]."""
    return torch.tensor(levels)[:, None, None, None].expand(-1, 2, 2, 3)


def measured(images: torch.Tensor) -> TemporalDifferenceMeter:
    meter = TemporalDifferenceMeter()
    for frame in images:
        meter.add(frame)
    return meter


def test_flicker_equals_hand_computed_error_of_temporal_differences():
    truth = video(0.0, 0.2, 0.3)  # temporal differences 0.2, 0.1
    found = video(0.5, 0.6, 0.9)  # temporal differences 0.1, 0.3: errors 0.1 and 0.2
    assert flicker(found, truth).item() == pytest.approx(0.3 / 0.3)
    assert flicker(truth + 0.1, truth).item() == pytest.approx(0, abs=1e-5)  # a constant error is no flicker


@pytest.mark.parametrize("num_frames", [2, 32])
def test_flicker_of_a_static_truth_is_over_the_minimum_change(num_frames):
    static = torch.zeros(num_frames, 2, 2, 3)
    flickering = video(*[0.002 * (frame % 2) for frame in range(num_frames)])
    assert flicker(flickering, static).item() == pytest.approx(0.002 / 1e-3)


def test_flicker_is_computed_for_each_video_of_a_batch():
    truth = torch.stack([video(0.0, 0.2, 0.4), video(0.0, 0.4, 0.0)])
    found = torch.stack([video(0.0, 0.2, 0.4), video(0.0, 0.2, 0.0)])
    torch.testing.assert_close(flicker(found, truth).float(), torch.tensor([0.0, 0.5]))


def test_frozen_video_has_high_flicker_by_both_measures():
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(8, 6, 6, 3, generator=generator)
    frozen = truth[:1].expand(8, -1, -1, -1)
    assert flicker(frozen, truth).item() == pytest.approx(1)
    noisy = truth + 0.02 * torch.randn(truth.shape, generator=generator)
    assert flicker(noisy, truth) < 0.2 * flicker(frozen, truth)
    assert relative_flicker(measured(frozen), measured(truth)) > 3
    assert relative_flicker(measured(noisy), measured(truth)) < 0.1


def test_relative_flicker_is_the_log_ratio_of_second_differences():
    even, uneven = video(0.0, 0.1, 0.2, 0.3), video(0.0, 0.1, 0.0, 0.1)
    assert measured(even).mean == pytest.approx(0, abs=1e-6)
    assert measured(uneven).mean == pytest.approx(0.2)  # |0 - 0.2 + 0|, |0.1 - 0 + 0.1|
    doubled = video(0.0, 0.2, 0.0, 0.2)
    assert relative_flicker(measured(doubled), measured(uneven)) == pytest.approx(math.log(0.401 / 0.201))
    assert relative_flicker(measured(uneven), measured(doubled)) == pytest.approx(math.log(0.401 / 0.201))


def test_fewer_than_three_frames_have_no_second_difference():
    meters = [measured(video(*levels)) for levels in ((), (0.0,), (0.0, 0.5), (0.0, 0.5, 0.5))]
    assert [meter.mean is None for meter in meters] == [True, True, True, False]
    assert [relative_flicker(meter, meters[-1]) for meter in meters[:3]] == [None] * 3
    assert relative_flicker(meters[-1], meters[0]) is None
    assert relative_flicker(meters[-1], meters[-1]) == 0


def test_mismatched_shapes_and_single_frames_are_refused():
    with pytest.raises(ValueError, match=r"images of shape \[1, 2, 2, 3\] .* two frames or more"):
        flicker(video(0.5), video(0.5))
    with pytest.raises(ValueError, match="expected one shape"):
        flicker(video(0.0, 1.0), video(0.0, 1.0, 0.0))
