"""Flicker with and without a truth, by hand and on clips that stand still."""

import math

import pytest
import torch

from stag4d.evaluation import UnrestMeter, flicker, relative_flicker


def clip(*levels: float) -> torch.Tensor:
    """Return frames of one gray each, [F, 2, 2, 3]."""
    return torch.tensor(levels)[:, None, None, None].expand(-1, 2, 2, 3)


def unrest(images: torch.Tensor) -> UnrestMeter:
    meter = UnrestMeter()
    for frame in images:
        meter.add(frame)
    return meter


def test_it_is_the_error_of_the_changes_over_the_true_changes():
    truth = clip(0.0, 0.2, 0.3)  # changes 0.2, 0.1
    found = clip(0.5, 0.6, 0.9)  # changes 0.1, 0.3: off by 0.1 and 0.2
    assert flicker(found, truth).item() == pytest.approx(0.3 / 0.3)
    assert flicker(truth + 0.1, truth).item() == pytest.approx(0, abs=1e-5)  # a constant error is none


@pytest.mark.parametrize("num_frames", [2, 32])
def test_where_the_truth_stands_still_the_error_is_over_the_faintest_change(num_frames):
    still = torch.zeros(num_frames, 2, 2, 3)
    trembling = clip(*[0.002 * (frame % 2) for frame in range(num_frames)])
    assert flicker(trembling, still).item() == pytest.approx(0.002 / 1e-3)


def test_every_clip_of_a_batch_has_its_own():
    truth = torch.stack([clip(0.0, 0.2, 0.4), clip(0.0, 0.4, 0.0)])
    found = torch.stack([clip(0.0, 0.2, 0.4), clip(0.0, 0.2, 0.0)])
    torch.testing.assert_close(flicker(found, truth).float(), torch.tensor([0.0, 0.5]))


def test_a_frozen_clip_scores_badly_in_both():
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(8, 6, 6, 3, generator=generator)
    frozen = truth[:1].expand(8, -1, -1, -1)
    assert flicker(frozen, truth).item() == pytest.approx(1)
    noisy = truth + 0.02 * torch.randn(truth.shape, generator=generator)
    assert flicker(noisy, truth) < 0.2 * flicker(frozen, truth)
    assert relative_flicker(unrest(frozen), unrest(truth)) > 3
    assert relative_flicker(unrest(noisy), unrest(truth)) < 0.1


def test_without_truth_it_is_the_ratio_of_second_differences():
    even, uneven = clip(0.0, 0.1, 0.2, 0.3), clip(0.0, 0.1, 0.0, 0.1)
    assert unrest(even).mean == pytest.approx(0, abs=1e-6)
    assert unrest(uneven).mean == pytest.approx(0.2)  # |0 - 0.2 + 0|, |0.1 - 0 + 0.1|
    doubled = clip(0.0, 0.2, 0.0, 0.2)
    assert relative_flicker(unrest(doubled), unrest(uneven)) == pytest.approx(math.log(0.401 / 0.201))
    assert relative_flicker(unrest(uneven), unrest(doubled)) == pytest.approx(math.log(0.401 / 0.201))


def test_less_than_three_frames_cannot_tell():
    meters = [unrest(clip(*levels)) for levels in ((), (0.0,), (0.0, 0.5), (0.0, 0.5, 0.5))]
    assert [meter.mean is None for meter in meters] == [True, True, True, False]
    assert [relative_flicker(meter, meters[-1]) for meter in meters[:3]] == [None] * 3
    assert relative_flicker(meters[-1], meters[0]) is None
    assert relative_flicker(meters[-1], meters[-1]) == 0


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"clips of shape \[1, 2, 2, 3\] .* two frames or more"):
        flicker(clip(0.5), clip(0.5))
    with pytest.raises(ValueError, match="expected one shape"):
        flicker(clip(0.0, 1.0), clip(0.0, 1.0, 0.0))
