"""The curves of a fit for ``report.html``: losses, number of Gaussians, steps per second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ..export import Line, line_chart
from ..optimization import FitHistory

NUM_COLORS = 10  # of lines; the terms of more losses would have the same
_MIN_SHARE = 1e-3  # of the largest loss; terms have no line where they are smaller
_SMOOTHING = 6  # records on both sides


def curves(history: FitHistory, num_steps: int) -> str:
    """Return the charts as HTML; empty without records.

    Args:
        history: The records.
        num_steps: Number of steps of a whole fit.
    """
    if not history.steps:
        return ""
    charts = [
        _losses(history),
        _chart(
            "Gaussians by step", [Line(history.steps, history.num_gaussians)], "number of Gaussians by step"
        ),
        _step_rates(history),
    ]
    end = (
        ""
        if history.steps[-1] == num_steps
        else f" <small>up to step {history.steps[-1]} of {num_steps}</small>"
    )
    return f'<h2>Curves{end}</h2><div class="charts">{"".join(charts)}</div>'


def _losses(history: FitHistory) -> str:
    """Return the chart of the loss terms, the largest first in the legend."""
    largest = {
        name: max((value for value in values if value is not None), default=0.0)
        for name, values in history.losses.items()
    }
    floor = max(largest.values(), default=0.0) * _MIN_SHARE
    names = sorted(
        (name for name, value in largest.items() if value > floor), key=lambda name: -largest[name]
    )
    if not names:
        return ""
    lines = []
    for style, name in reversed(list(enumerate(names))):
        values = [None if value is None or value < floor else value for value in history.losses[name]]
        if name == "total":
            lines.append(Line(history.steps, values, style % NUM_COLORS, is_faint=True))
        lines.append(Line(history.steps, _smoothed(values, _SMOOTHING), style % NUM_COLORS))
    entries = "".join(
        f'<li><span class="swatch swatch{style % NUM_COLORS}"></span>{escape(name)}</li>'
        for style, name in enumerate(names)
    )
    note = "Weighted terms, logarithmic, smoothed; faint: the total of single steps."
    more = f'<ul class="legend">{entries}</ul><p>{note}</p>'
    return _chart("Losses by step", lines, "losses by step", is_log=True, more=more)


def _step_rates(history: FitHistory) -> str:
    """Return the chart of the steps per second between records."""
    steps, seconds = [0, *history.steps], [0.0, *history.seconds]
    rates = [
        (later - step) / (end - begin) if end > begin else None
        for step, later, begin, end in zip(steps, steps[1:], seconds, seconds[1:], strict=False)
    ]
    if all(rate is None for rate in rates):
        return ""
    lines = [
        Line(history.steps, rates, is_faint=True),
        Line(history.steps, _smoothed(rates, _SMOOTHING)),
    ]
    return _chart("Steps per second", lines, "steps per second, by step")


def _smoothed(values: Sequence[float | None], radius: int) -> list[float | None]:
    """Return the mean of each value and up to ``radius`` neighbors on both sides; None stays None."""
    means: list[float | None] = []
    for index, value in enumerate(values):
        near = [other for other in values[max(index - radius, 0) : index + radius + 1] if other is not None]
        means.append(None if value is None else math.fsum(near) / len(near))
    return means


def _chart(heading: str, lines: list[Line], title: str, *, is_log: bool = False, more: str = "") -> str:
    """Return a chart with its heading."""
    return f'<div class="chart"><h3>{heading}</h3>{line_chart(lines, title, is_log=is_log)}{more}</div>'
