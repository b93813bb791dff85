"""Records of an optimization: which steps, aligned columns, JSON and what is refused."""

from __future__ import annotations

import json
import math

import pytest

from stag4d.optimization import FitHistory, Trainer
from stag4d.optimization.history import MAX_RECORDS


@pytest.mark.parametrize(
    ("num_steps", "interval", "count"),
    [(7, 1, 7), (300, 1, 300), (301, 2, 151), (1500, 5, 300), (10**6, 3334, 300)],
)
def test_records_are_evenly_spaced_and_bounded(num_steps, interval, count):
    due = [step for step in range(1, num_steps + 1) if FitHistory.is_due(step, num_steps)]
    assert due[:-1] == list(range(interval, interval * len(due), interval))
    assert due[-1] == num_steps
    assert len(due) == count <= MAX_RECORDS + 1


def test_terms_that_come_and_go_stay_aligned():
    history = FitHistory()
    history.record(2, 0.12345, 100, {"color": 0.123456789, "total": 0.5})
    history.record(4, 0.2, 90, {"color": 0.1, "time": 3e-9, "total": math.inf})
    history.record(6, 0.3, 95, {"time": 2e-9, "total": 0.25})
    assert history.as_json() == {
        "steps": [2, 4, 6],
        "seconds": [0.123, 0.2, 0.3],
        "num_gaussians": [100, 90, 95],
        "losses": {
            "color": [0.12346, 0.1, None],
            "time": [None, 3e-9, 2e-9],
            "total": [0.5, None, 0.25],
        },
    }
    again = FitHistory.from_json(json.loads(json.dumps(history.as_json(), allow_nan=False)), 6)
    assert again == history
    again.record(8, 0.4, 95, {"total": 0.125})
    assert again.losses["time"] == [None, 3e-9, 2e-9, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": [2, 2]}, "not ascending, from 1 to 9"),
        ({"steps": [0, 2]}, "not ascending"),
        ({"steps": [2, 10]}, "not ascending"),
        ({"steps": [2, 3.5]}, "whole number"),
        ({"steps": [2]}, "columns of different lengths"),
        ({"seconds": [0.1]}, "columns of different lengths"),
        ({"seconds": [0.1, math.nan]}, "finite number"),
        ({"num_gaussians": [1, -1]}, "whole number"),
        ({"num_gaussians": "12"}, "num_gaussians: no list"),
        ({"losses": {"color": [1.0]}}, "columns of different lengths"),
        ({"losses": {"color": [1.0, "x"]}}, "losses.color must be a finite number"),
        ({"losses": None}, "losses: no object"),
    ],
)
def test_malformed_records_are_refused(change, message):
    good = {"steps": [2, 4], "seconds": [0.1, 0.2], "num_gaussians": [3, 3], "losses": {"color": [1.0, None]}}
    assert FitHistory.from_json(good, 9).steps == [2, 4]
    with pytest.raises(ValueError, match=message):
        FitHistory.from_json(good | change, 9)


def test_a_fit_records_its_losses_and_gaussians(view_set, make_config, monkeypatch):
    monkeypatch.setattr("stag4d.optimization.history.MAX_RECORDS", 3)
    trainer = Trainer(view_set, make_config(steps=7))
    trainer.run()
    history = trainer.history
    assert history.steps == [3, 6, 7]
    assert history.num_gaussians == [100, 100, 100]
    assert sorted(history.seconds) == history.seconds
    assert history.seconds[-1] == pytest.approx(trainer.seconds, abs=1e-3)
    assert {name: values[-1] for name, values in history.losses.items()} == pytest.approx(
        trainer.losses, rel=1e-4
    )
