"""Numbers over a run, by hand."""

from __future__ import annotations

import pytest

from stag4d.optimization import LogLinear
from stag4d.optimization.schedules import constant, frames_at, size_at


@pytest.mark.parametrize(
    ("until", "progress", "expected"),
    [
        (1.0, 0, 1e-2), (1.0, 0.5, 1e-3), (1.0, 1, 1e-4),
        (0.25, 0.125, 1e-3), (0.25, 0.25, 1e-4), (0.25, 0.9, 1e-4),
    ],
)  # fmt: skip
def test_a_rate_falls_by_equal_factors_and_then_stays(until, progress, expected):
    assert LogLinear(start=1e-2, end=1e-4, until=until)(progress) == pytest.approx(expected)


def test_a_constant_stays():
    assert [constant(0.3)(progress) for progress in (0, 0.4, 1)] == pytest.approx([0.3] * 3)


@pytest.mark.parametrize(
    "wrong", [{"start": 0}, {"end": -1e-3}, {"until": 0}, {"until": 1.5}], ids=lambda wrong: str(wrong)
)
def test_a_schedule_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match="start and end must be positive"):
        LogLinear(**{"start": 1e-2, "end": 1e-3, **wrong})


@pytest.mark.parametrize(
    ("progress", "full_size", "expected"),
    [
        (0, 512, 128), (0.0749, 512, 128), (0.075, 512, 256), (0.1499, 512, 256), (0.15, 512, 512),
        (1, 512, 512),
        (0, 30, 16),  # a quarter would be 8: too coarse to see anything
        (0, 12, 12),  # but never larger than the images
    ],
)  # fmt: skip
def test_renders_grow_with_progress(progress, full_size, expected):
    assert size_at(progress, full_size, ((0.075, 0.25), (0.15, 0.5))) == expected


def test_without_steps_renders_have_the_full_size():
    assert size_at(0, 100, ()) == 100


@pytest.mark.parametrize(
    ("progress", "num_frames", "expected"),
    [
        (0, 16, range(8, 9)), (0.0999, 16, range(8, 9)),
        (0.1, 16, range(7, 10)), (0.2, 16, range(3, 14)), (0.2999, 16, range(16)), (0.3, 16, range(16)),
        (1, 16, range(16)),
        (0, 1, range(1)), (0.2, 1, range(1)), (1, 1, range(1)),
        (0, 2, range(1, 2)), (0.1, 2, range(2)),
        (0.1, 3, range(3)),
    ],
)  # fmt: skip
def test_frames_spread_from_the_middle_one(progress, num_frames, expected):
    assert frames_at(progress, num_frames, 0.1, 0.3) == expected


def test_without_spreading_all_frames_are_used_after_the_static_phase():
    assert frames_at(0.0999, 16, 0.1, 0) == range(8, 9)
    assert frames_at(0.1, 16, 0.1, 0) == range(16)
    assert frames_at(0, 16, 0, 0) == range(16)
