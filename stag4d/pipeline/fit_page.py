"""``report.html``: a fit's curves, and renders beside the given views; without scripts or other files."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from ..atomic import write_whole
from ..export import hash_source, jpeg_data_uri
from .fit_comparison import AMPLIFICATION, FitComparison, ViewComparison
from .fit_curves import curves
from .fit_page_style import STYLE
from .fit_report import Report
from .fit_warnings import MAX_GAP_DB, far_views

_BAR_DB = 40.0  # that fill the bar of a view

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>STAG4D fit report</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def write_fit_page(path: Path, report: Report) -> None:
    """Write the page atomically; raises RuntimeError if it cannot be written."""
    write_whole(path, fit_page(report).encode())


def fit_page(report: Report) -> str:
    """Return the page as HTML."""
    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": hash_source(STYLE),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    body = [
        "<h1>STAG4D fit report</h1>",
        _warnings(report),
        _summary(report),
        curves(report.history, int(report.settings.get("steps", report.steps))),
        _views(report.comparison),
        _settings(report.settings),
    ]
    policy = "; ".join(f"{name} {value}" for name, value in rules.items())
    return _PAGE.format(policy=policy, style=STYLE, body="\n".join(filter(None, body)))


def _warnings(report: Report) -> str:
    """Return the sentences on what went wrong, or that nothing was found."""
    if report.warnings:
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in report.warnings)
        return f'<ul class="warnings">{items}</ul>'
    if report.comparison is None:
        return "<p>The fit was interrupted; the scene was not compared with the views.</p>"
    unfinished = "" if report.is_finished else "The fit was interrupted. "
    return (
        f'<p class="fine">{unfinished}No view is {MAX_GAP_DB:g} dB or more below the median of the views, no '
        "alphas are empty, and the number of Gaussians has not collapsed.</p>"
    )


def _summary(report: Report) -> str:
    """Return the main numbers."""
    settings, entries = report.settings, {}
    entries["Preset"] = settings.get("preset", "")
    entries["Steps"] = f"{report.steps} of {settings.get('steps', report.steps)}"
    entries["Size"] = f"{settings.get('size', '')} pixels"
    entries["Gaussians"] = str(report.num_gaussians)
    if report.comparison is not None:
        entries["Frames"] = str(report.comparison.num_frames)
        entries["Views"] = str(len(report.comparison.views))
    entries["Backend"] = report.backend
    entries |= {f"Seconds, {stage}": f"{seconds:.1f}" for stage, seconds in report.seconds.items()}
    entries |= {
        name: f"{value:.4g}"
        for name, value in report.metrics.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in entries.items()
    )
    return f'<dl class="summary">{items}</dl>'


def _views(comparison: FitComparison | None) -> str:
    """Return the table and the images of the views, those that agree least first."""
    if comparison is None or not comparison.views:
        return ""
    views, far = comparison.by_psnr, far_views(comparison)
    rows = "".join(_row(number, view, view in far) for number, view in enumerate(views))
    measured = len(comparison.frames)
    frames = (
        "all frames" if measured == comparison.num_frames else f"{measured} of {comparison.num_frames} frames"
    )
    figures = "".join(_figure(number, view, comparison, view in far) for number, view in enumerate(views))
    return (
        "<h2>Views</h2>"
        f"<p>Those that agree least with the scene first. PSNR of renders on white, mean over {frames}, at "
        "the size of the fit.</p>"
        '<div class="scroll"><table><thead><tr><th>View</th><th>Azimuth</th><th>Elevation</th><th>Weight</th>'
        f"<th>PSNR, dB</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        "<h2>Images</h2>"
        f"<p>From left to right: given image, render, absolute difference times {AMPLIFICATION:g} (black: "
        "equal).</p>"
        f"{figures}"
    )


def _row(number: int, view: ViewComparison, is_far: bool) -> str:
    """Return a view's row of the table."""
    width = max(min(view.psnr / _BAR_DB, 1.0), 0.0) * 100
    bar = (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{width:.1f}" height="8"/></svg>'
    )
    mark = ' class="far"' if is_far else ""
    reference = " (input video)" if view.is_reference else ""
    return (
        f'<tr{mark}><td><a href="#view{number}">{escape(view.name)}</a>{reference}</td>'
        f"<td>{view.azimuth_deg:.0f}°</td><td>{view.elevation_deg:.0f}°</td><td>{view.weight:.2g}</td>"
        f"<td>{view.psnr:.1f}</td><td>{bar}</td></tr>"
    )


def _figure(number: int, view: ViewComparison, comparison: FitComparison, is_far: bool) -> str:
    """Return a view's images."""
    figures = []
    for frame, strip in zip(comparison.shown_frames, view.strips, strict=True):
        height, width = strip.shape[:2]
        text = escape(f"{view.name}, frame {frame}: given image, render, difference")
        figures.append(
            f'<figure><img src="{jpeg_data_uri(strip)}" width="{width}" height="{height}" alt="{text}">'
            f"<figcaption>frame {frame}</figcaption></figure>"
        )
    mark = ' class="far"' if is_far else ""
    return (
        f'<section id="view{number}"{mark}><h3>{escape(view.label)} <small>{view.psnr:.1f} dB</small></h3>'
        f'<div class="frames">{"".join(figures)}</div></section>'
    )


def _settings(settings: dict[str, Any]) -> str:
    """Return the configuration, folded."""
    text = escape(json.dumps(settings, indent=1))
    return f"<details><summary>Settings</summary><pre>{text}</pre></details>" if settings else ""
