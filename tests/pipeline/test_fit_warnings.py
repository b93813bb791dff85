"""Sentences on fits that went wrong: made-up numbers, and toys with and without a wrong view."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fit_reports import compared_views, history_of
from small_fit import small_config

from stag4d import pipeline
from stag4d.optimization import FitHistory, LossWeights, StartConfig
from stag4d.pipeline.fit_warnings import MAX_GAP_DB, MIN_SHARE_OF_GAUSSIANS, fit_warnings
from stag4d.toys import toy_views
from stag4d.view_set import ViewSet

STEADY = history_of(100, 100)


def test_a_view_far_below_the_median_is_named():
    comparison = compared_views(30.0, 31.0, 30.0 - MAX_GAP_DB - 0.1, 29.5, 33.0)  # the median is 30
    (sentence,) = fit_warnings(STEADY, comparison)
    assert sentence.startswith("view 2 (azimuth 120, elevation -20): PSNR ")
    assert "the median of the views, 30.0 dB; check cameras" in sentence


@pytest.mark.parametrize(
    ("psnrs", "changes"),
    [
        ((30.0, 31.0, 30.1 - MAX_GAP_DB, 29.5, 33.0), {}),  # not far enough
        ((30.0, 31.0, 10.0), {}),  # three views: any may be the wrong one
        ((30.0, 31.0, 10.0, 29.5, 33.0), {"weight": {2: 0.4}}),  # meant to disagree
        ((45.0, 10.0, 10.5, 11.0, 10.2), {"weight": dict.fromkeys(range(1, 5), 0.0)}),  # without losses
        ((50.0, 21.0, 22.0, 20.0, 21.0), {}),  # one far better
    ],
    ids=["close", "few views", "low weight", "no losses", "better"],
)
def test_no_view_is_named_without_reason(psnrs, changes):
    assert fit_warnings(STEADY, compared_views(*psnrs, **changes)) == []


def test_the_first_of_many_views_are_named():
    (sentence,) = fit_warnings(STEADY, compared_views(*[30.0] * 6, 13.0, 10.0, 12.0, 11.0))
    assert sentence.startswith("view 7 (azimuth 420, elevation -20), view 9 ")
    assert ", view 8 (azimuth 480, elevation -20) and 1 more: PSNR 10.0, 11.0, 12.0 dB" in sentence


def test_empty_alphas_are_named_with_their_number_of_frames():
    comparison = compared_views(*[30.0] * 5, empty_frames={1: 9, 3: 2})
    (sentence,) = fit_warnings(STEADY, comparison)
    assert "view 1 (azimuth 60, elevation -20), view 3 " in sentence
    assert "empty alphas at 9, 2 of 9 frames" in sentence


@pytest.mark.parametrize(
    ("counts", "is_named"),
    [((3000, 5000, 5000 * MIN_SHARE_OF_GAUSSIANS - 1), True), ((3000, 5000, 4000), False), ((3000,), False)],
)
def test_a_collapse_of_the_number_of_gaussians_is_named(counts, is_named):
    found = fit_warnings(history_of(*map(int, counts)), compared_views(*[30.0] * 5))
    assert len(found) == is_named
    assert all(
        sentence.startswith(f"Gaussians: {int(counts[-1])} are left of 5000 at step 20") for sentence in found
    )


def test_a_fit_without_records_is_no_collapse():
    assert fit_warnings(FitHistory(), compared_views(*[30.0] * 5)) == []


def mirrored(views: ViewSet, index: int) -> ViewSet:
    """Return a set one of whose tracks shows mirrored images."""
    tracks = list(views.tracks)
    tracks[index] = replace(
        tracks[index], images=tracks[index].images.flip(2), alphas=tracks[index].alphas.flip(2)
    )
    return replace(views, tracks=tuple(tracks))


@pytest.mark.parametrize("is_wrong", [False, True], ids=["correct", "mirrored"])
def test_only_a_fit_to_a_wrong_view_warns(is_wrong, caplog):
    views = toy_views(3, 2, 32)
    config = small_config(
        100, 32, start=StartConfig(num_points=400), losses=LossWeights(ssim=0.2, input_color=2.0)
    )
    _, report = pipeline.fit(mirrored(views, 3) if is_wrong else views, config)
    assert [sentence.split(" (")[0] for sentence in report.warnings] == (["view 2"] if is_wrong else [])
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == report.warnings
