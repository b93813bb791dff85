"""The result of a protocol as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = {  # heading and digits by metric, in the order of the published tables
    "lpips": ("LPIPS ↓", 3),
    "clip_s": ("CLIP-S ↑", 3),
    "psnr": ("PSNR ↑", 2),
    "psnr_masked": ("PSNR masked ↑", 2),
    "ssim": ("SSIM ↑", 3),
}


def markdown_table(result: Mapping[str, Any], view_names: Sequence[str]) -> str:
    """Return a table with a row per object, or per view of a single object, and their means.

    Args:
        result: As ``pipeline.evaluate_images_by_protocol`` returns it.
        view_names: Names of the views.
    """
    columns = {name: column for name, column in _COLUMNS.items() if name in result}
    if "objects" in result:
        rows = dict(result["objects"])
    else:
        rows = {
            view_name: {name: result["per_view"][name][view] for name in columns}
            for view, view_name in enumerate(view_names)
        }
    rows["mean"] = result
    heading = " | ".join(["", *(title for title, _ in columns.values())]).strip()
    lines = [f"| {heading} |", "|" + "---|" * (len(columns) + 1)]
    for row_name, values in rows.items():
        cells = [_cell(values.get(name), digits) for name, (_, digits) in columns.items()]
        lines.append(f"| {' | '.join([row_name, *cells])} |")
    lines += ["", *(f"- {sentence}" for sentence in result["left_out"].values())]
    return "\n".join(lines) + "\n"


def _cell(value: float | None, digits: int) -> str:
    """Return a number for a table; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
