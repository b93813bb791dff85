"""Given Gaussians to start from: unusable rows are dropped, places that no view shows are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stag4d.geometry import OrbitPose
from stag4d.scene import Gaussians, checked_start
from stag4d.types import Cameras

# Of radius 2 and 90 degrees: at the origin they show 2 units to each side of it.
_BATCH = Cameras.from_poses(
    [OrbitPose(azimuth_deg=azimuth, radius=2.0, fovy_deg=90.0) for azimuth in (0.0, 90.0)], 64, 64
)
CAMERAS = [_BATCH[[index]] for index in range(len(_BATCH))]


def at(*means: tuple[float, float, float], scale: float = 0.01) -> Gaussians:
    """Return Gaussians of one standard deviation at the given places."""
    count = len(means)
    return Gaussians(
        means=torch.tensor(means).reshape(count, 3),
        log_scales=torch.full((count, 3), scale).log(),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        logit_opacities=torch.zeros(count),
        sh0=torch.zeros(count, 1, 3),
    )


def test_a_usable_start_is_returned_as_it_is(caplog):
    start = at((0.0, 0.0, 0.0), (0.5, -0.5, 0.5))
    assert checked_start(start, CAMERAS) is start
    assert not caplog.records


@pytest.mark.parametrize("name", Gaussians.names())
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_gaussians_that_are_not_finite_are_dropped_and_counted(caplog, name, bad):
    start = at((0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.2, 0.0, 0.0))
    getattr(start, name)[1].fill_(bad)
    kept = checked_start(start, CAMERAS)
    assert torch.equal(kept.means, torch.tensor([[0.0, 0.0, 0.0], [0.2, 0.0, 0.0]]))
    (record,) = caplog.records
    assert record.getMessage() == "start: 1 of 3 Gaussians have values that are not finite; they are dropped."


def test_a_start_of_none_but_damaged_gaussians_is_refused():
    start = at((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    with pytest.raises(
        ValueError, match=r"^start: all 2 Gaussians have values that are not finite; expected"
    ):
        checked_start(start.map(lambda value: value * float("nan")), CAMERAS)


def test_an_empty_start_is_refused():
    with pytest.raises(ValueError, match=r"^start: no Gaussians; expected at least one"):
        checked_start(at(), CAMERAS)


def test_colors_out_of_range_are_refused():
    start = at((0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match=r"^start: sh0 up to 1e\+30; expected at most"):
        checked_start(replace(start, sh0=start.sh0 + 1e30), CAMERAS)


@pytest.mark.parametrize(
    "place",
    [(50.0, 0.0, 0.0), (0.0, 9.0, 0.0), (0.0, 0.0, 60.0), (0.0, 0.0, -5.0), (90.0, 0.0, 90.0)],
    ids=["behind the second", "above", "behind the first", "far from the first", "behind both"],
)
def test_a_start_outside_every_view_is_refused_with_its_place(place):
    x, y, z = place
    start = at((x - 0.5, y, z), (x + 0.5, y, z))
    with pytest.raises(ValueError, match=r"^start: 2 of 2 Gaussians lie outside every view") as caught:
        checked_start(start, CAMERAS)
    assert f"around ({x:.3g}, {y:.3g}, {z:.3g}), up to 0.5 units from there" in str(caught.value)
    assert "the views show what is within 2 units of (0, 0, 0)" in str(caught.value)


def test_one_view_that_shows_the_start_is_enough():
    start = at((0.0, 1.5, 1.0))  # a third above the image of the first camera, which is one unit away
    assert checked_start(start, CAMERAS) is start
    assert checked_start(start, CAMERAS[1:]) is start
    with pytest.raises(ValueError, match="outside every view"):
        checked_start(start, CAMERAS[:1])


def test_a_large_gaussian_that_reaches_into_a_view_is_usable():
    assert len(checked_start(at((0.0, 3.0, 0.0), scale=0.5), CAMERAS)) == 1
    with pytest.raises(ValueError, match="outside every view"):
        checked_start(at((0.0, 3.0, 0.0), scale=0.1), CAMERAS)


def test_a_start_that_lies_mostly_outside_is_warned_of(caplog):
    start = at((0.0, 0.0, 0.0), (0.0, 9.0, 0.0), (0.0, 9.0, 0.0))
    assert checked_start(start, CAMERAS) is start
    (record,) = caplog.records
    assert record.getMessage().startswith("start: 2 of 3 Gaussians lie outside every view.")
