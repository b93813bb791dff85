"""Line charts as inline SVG, for HTML pages without scripts.

Lines have the classes ``line0``, ``line1``, ..., grid lines ``grid`` and texts ``label``, to which the style
sheet of the page gives colors.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 560, 220  # units of the view box
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 8, 24  # margins around the plot, units
_TICKS = 5  # at most about so many, on each axis
_STEPS = (1, 2, 5, 10)  # of ticks, times a power of ten


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        xs: [P] ascending.
        ys: [P]; None where the line has a gap.
        style: Number of its class.
        is_faint: Whether it also has the class ``faint``.
    """

    xs: Sequence[float]
    ys: Sequence[float | None]
    style: int = 0
    is_faint: bool = False


def line_chart(lines: Sequence[Line], title: str, *, is_log: bool = False) -> str:
    """Return an SVG element.

    Args:
        lines: At least one with a value; later ones cover earlier ones.
        title: Its text alternative.
        is_log: Whether the vertical axis is logarithmic, which leaves out values that are not positive;
            otherwise it begins at 0 or at the smallest value, if that is negative.

    Raises:
        ValueError: if there is no value to draw.
    """
    xs = [x for line in lines for x in line.xs]
    ys = [y for line in lines for y in line.ys if y is not None and (y > 0 or not is_log)]
    if not ys:
        raise ValueError(f"chart: {title!r} has no values; expected at least one.")
    first, last = min(xs), max(xs)
    ticks = _log_ticks(min(ys), max(ys)) if is_log else _ticks(min(0.0, *ys), max(ys))
    low, high = ticks[0], ticks[-1]

    def place_x(x: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (x - first) / ((last - first) or 1)

    def place_y(y: float) -> float:
        if is_log:
            share = (math.log(y) - math.log(low)) / (math.log(high) - math.log(low))
        else:
            share = (y - low) / (high - low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">']
    for tick in ticks:
        y = place_y(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(_label(tick, _LEFT - 6, y + 4, "end"))
    for tick in (tick for tick in _ticks(first, last) if first <= tick <= last):
        x = place_x(tick)
        parts.append(_label(tick, x, _HEIGHT - 6, "end" if x > _WIDTH - _RIGHT - 20 else "middle"))
    for line in lines:
        points = [
            None if y is None or (is_log and y <= 0) else (place_x(x), place_y(y))
            for x, y in zip(line.xs, line.ys, strict=True)
        ]
        faint = " faint" if line.is_faint else ""
        parts.append(f'<path class="line line{line.style}{faint}" d="{_path(points)}"/>')
    return "".join([*parts, "</svg>"])


def number_text(value: float) -> str:
    """Return a number of an axis in a few characters, such as 0.02, 1500 or 2e+06."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return f"{value:.0e}"


def _label(value: float, x: float, y: float, anchor: str) -> str:
    """Return the text element of a tick."""
    return f'<text class="label" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{number_text(value)}</text>'


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """Return the path through points, with a gap at None; a point without neighbors is a short line."""
    commands: list[str] = []
    is_open = False
    for index, point in enumerate(points):
        if point is not None:
            commands.append(f"{'L' if is_open else 'M'}{point[0]:.1f} {point[1]:.1f}")
            if not is_open and (index + 1 == len(points) or points[index + 1] is None):
                commands.append("h.1")
        is_open = point is not None
    return "".join(commands)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from at most ``low`` to at least ``high``, evenly spaced."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(factor * power for factor in _STEPS if span / (factor * power) <= _TICKS)
    first = math.floor(low / step)
    count = max(math.ceil(high / step - 1e-9) - first, 1)
    return [(first + index) * step for index in range(count + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten around both numbers; without most of them if there are many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first < 2:  # less than two decades: 1, 2 and 5, too
        ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
        below = [tick for tick in ticks if tick <= low * (1 + 1e-9)]
        above = [tick for tick in ticks if tick >= high * (1 - 1e-9)]
        chosen = [tick for tick in ticks if below[-1] <= tick <= above[0]]
        return chosen if len(chosen) > 1 else [chosen[0], chosen[0] * 2]
    stride = math.ceil((last - first) / _TICKS)
    return [10.0**power for power in range(first, last + stride, stride)]
