"""The course of an optimization: losses, number of Gaussians and seconds at some of its steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..geometry.pose_json import finite_number, whole_number

MAX_RECORDS = 300  # of a whole optimization, besides the last step
_DIGITS = 5  # significant digits of the losses


@dataclass(kw_only=True)
class FitHistory:
    """R records at even distances, and one of the last step. Losses are of single steps, not means.

    Attributes:
        steps: [R] steps done, ascending.
        seconds: [R] wall time until then, with that before a resume.
        num_gaussians: [R] number of Gaussians after the step.
        losses: [R] weighted terms by name, and their ``total``; None where a step has no such term or its
            value is not finite.
    """

    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    num_gaussians: list[int] = field(default_factory=list)
    losses: dict[str, list[float | None]] = field(default_factory=dict)

    @staticmethod
    def is_due(step: int, num_steps: int) -> bool:
        """Return whether a step, counted from 1, is to be recorded."""
        return step == num_steps or step % math.ceil(num_steps / MAX_RECORDS) == 0

    def record(self, step: int, seconds: float, num_gaussians: int, losses: Mapping[str, float]) -> None:
        """Add a record."""
        count = len(self.steps)
        self.steps.append(step)
        self.seconds.append(round(seconds, 3))
        self.num_gaussians.append(num_gaussians)
        for name in losses.keys() | self.losses.keys():
            value = losses.get(name, math.nan)
            rounded = float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
            self.losses.setdefault(name, [None] * count).append(rounded)

    def as_json(self) -> dict[str, Any]:
        """Return all records for JSON, the losses in the order of their names."""
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "num_gaussians": self.num_gaussians,
            "losses": {name: self.losses[name] for name in sorted(self.losses)},
        }

    @classmethod
    def from_json(cls, value: object, last_step: int) -> FitHistory:
        """Return the records that ``as_json`` has made; raises ValueError if they are malformed.

        Args:
            value: The JSON value; None, as in checkpoints of version 0.2, gives no records.
            last_step: The step that was done last.
        """
        if value is None:
            return cls()
        columns = _checked(value, dict, "history")
        losses = _checked(columns.get("losses"), dict, "history.losses")
        steps = [whole_number(item, "history.steps") for item in _column(columns, "steps")]
        if any(later <= step for step, later in zip([0, *steps], [*steps, last_step + 1], strict=True)):
            raise ValueError(f"history.steps: not ascending, from 1 to {last_step} at most")
        history = cls(
            steps=steps,
            seconds=[finite_number(item, "history.seconds") for item in _column(columns, "seconds")],
            num_gaussians=[
                whole_number(item, "history.num_gaussians") for item in _column(columns, "num_gaussians")
            ],
            losses={
                name: [
                    None if item is None else finite_number(item, f"history.losses.{name}")
                    for item in _column(losses, name)
                ]
                for name in losses
            },
        )
        columns_of_numbers: list[list[Any]] = [
            history.seconds,
            history.num_gaussians,
            *history.losses.values(),
        ]
        if any(len(column) != len(steps) for column in columns_of_numbers):
            raise ValueError("history: columns of different lengths")
        return history


def _column(columns: dict[str, Any], name: str) -> list[Any]:
    """Return a list of an object; raises ValueError if it is missing or something else."""
    column: list[Any] = _checked(columns.get(name), list, f"history.{name}")
    return column


def _checked(value: object, kind: type, name: str) -> Any:
    """Return a JSON value; raises ValueError if it is of another type."""
    if not isinstance(value, kind):
        raise ValueError(f"{name}: no {'object' if kind is dict else 'list'}")
    return value
