"""Line charts: where points lie, ticks, gaps, and text that is escaped."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from stag4d.export import Line, line_chart
from stag4d.export.charts import number_text


def points(svg: str) -> list[list[tuple[float, float]]]:
    """Return the points of each line."""
    paths = re.findall(r'class="line[^"]*" d="([^"]*)"', svg)
    return [
        [tuple(map(float, pair)) for pair in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)] for path in paths
    ]


def labels(svg: str, anchor: str) -> list[str]:
    return re.findall(rf'text-anchor="{anchor}"[^>]*>([^<]*)', svg)


def test_values_are_placed_linearly_between_the_margins():
    svg = line_chart([Line([0, 5, 10], [0.0, 20.0, 10.0])], "a title")
    ElementTree.fromstring(svg)
    # 560 x 220 with margins of 58, 10, 8 and 24: x from 58 to 550, y from 196 (0) up to 8 (20)
    assert points(svg) == [[(58, 196), (304, 8), (550, 102)]]
    assert labels(svg, "end")[:5] == ["0", "5", "10", "15", "20"]
    assert 'aria-label="a title"' in svg


def test_logarithmic_decades_are_evenly_spaced():
    svg = line_chart([Line([1, 2, 3], [0.001, 0.1, 10.0])], "t", is_log=True)
    assert points(svg) == [[(58, 196), (304, 102), (550, 8)]]
    assert labels(svg, "end")[:5] == ["0.001", "0.01", "0.1", "1", "10"]


def test_lines_have_gaps_at_missing_values_and_single_points_are_seen():
    svg = line_chart([Line([0, 1, 2, 3, 4], [1.0, None, 2.0, None, 3.0], 2, is_faint=True)], "t")
    (path,) = re.findall(r'class="line line2 faint" d="([^"]*)"', svg)
    assert path.count("M") == path.count("h.1") == 3
    assert "L" not in path
    joined = line_chart([Line([0, 1, 2], [1.0, 2.0, None])], "t")
    assert re.search(r'd="M[\d. ]+L[\d. ]+"', joined)


def test_values_that_are_not_positive_are_left_out_of_logarithmic_charts():
    svg = line_chart([Line([0, 1, 2], [0.0, 1.0, 2.0])], "t", is_log=True)
    assert len(points(svg)[0]) == 2


@pytest.mark.parametrize(
    "values", [[5.0, 5.0], [0.0, 0.0], [-1.0, 1.0], [1e-7, 3e-7], [123456.0, 7.0], [3.0]]
)
@pytest.mark.parametrize("is_log", [False, True])
def test_all_values_lie_within_the_plot(values, is_log):
    if is_log and max(values) <= 0:
        with pytest.raises(ValueError, match=r"chart: 't' has no values"):
            line_chart([Line(list(range(len(values))), values)], "t", is_log=True)
        return
    svg = line_chart([Line(list(range(len(values))), values)], "t", is_log=is_log)
    ElementTree.fromstring(svg)
    assert all(58 <= x <= 550 and 8 <= y <= 196 for line in points(svg) for x, y in line)
    assert len(labels(svg, "end")) >= 2


def test_titles_are_escaped():
    svg = line_chart([Line([0, 1], [1.0, 2.0])], '"><script>')
    assert ElementTree.fromstring(svg).get("aria-label") == '"><script>'


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.02, "0.02"), (1500.0, "1500"), (50000.0, "50000"), (2e6, "2e+06"), (1e-5, "1e-05")],
)
def test_numbers_are_short(value, text):
    assert number_text(value) == text
