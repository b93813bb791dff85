"""The table of the benchmark against ground truth: means, and differences with confidence intervals."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._truth_cells import Cell
from ._truth_rows import ROWS

BASE = "full"
DIGITS = {"psnr": 2, "ssim": 3, "iou": 3, "lpips": 3, "flicker": 3, "views_psnr": 2, "views_flicker": 3}
HEADS = ("PSNR", "SSIM", "IoU", "LPIPS", "flicker", "views' PSNR", "views' flicker")
CONFIDENCE = 0.95

Results = dict[Cell, dict[str, Any]]


def read_cells(out: Path) -> Results:
    """Return the finished cells of a folder, sorted by row, toy and seed.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if a row is unknown, or two cells have settings that do not belong in one table.
    """
    found: Results = {}
    for path in (out / "cells").glob("*-test*-seed*.json"):
        row, toy, seed = path.stem.split("-")
        if row not in ROWS:
            raise ValueError(f"{path}: unknown row {row}; expected one of {', '.join(ROWS)}.")
        cell = Cell(row, int(toy.removeprefix("test")), int(seed.removeprefix("seed")))
        found[cell] = json.loads(path.read_text(encoding="utf-8"))
    if not found:
        raise FileNotFoundError(f"{out}: no cells yet; run the benchmark without --table and --select first.")
    names = list(ROWS)
    found = {cell: found[cell] for cell in sorted(found, key=lambda cell: (names.index(cell.row), *cell[1:]))}
    first_of_row: dict[str, dict[str, Any]] = {}
    first_of_all: dict[str, Any] = {}
    for cell, result in found.items():
        settings = result["settings"]
        path = out / "cells" / f"{cell}.json"
        check_settings(path, settings, first_of_row.setdefault(cell.row, settings))
        shared = {"bench": settings["bench"]}
        if "prior" in settings["fit"]:
            shared["prior"] = settings["fit"]["prior"]
        check_settings(path, shared, {name: first_of_all.setdefault(name, shared[name]) for name in shared})
    return found


def check_settings(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise ValueError with the first setting of a cell's file that differs from the expected ones."""
    found, expected = _flat(found), _flat(expected)
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            raise ValueError(
                f"{path}: has {key} {found.get(key)}; expected {expected.get(key)}. Choose another --out, or "
                "delete the file, so that the cell is run again."
            )


def summarize(results: Results) -> dict[str, Any]:
    """Return the table.

    Returns:
        ``settings`` that all cells share; ``rows``: by name, the number of ``toys`` and of ``cells``, mean
        ``seconds`` of a fit, mean ``num_gaussians`` and mean scores; ``against_full``: by name, the number of
        ``toys`` and of ``pairs`` of toy and seed, for every score the ``mean`` difference to the full method
        and the half width of its confidence ``interval`` over toys, ``base``, the full method's scores on the
        same pairs, and ``seeds``, the mean differences by seed. Results of one toy with several seeds are
        correlated, so a toy counts once everywhere, with the mean over its seeds.
    """
    rows: dict[str, Any] = {}
    against: dict[str, Any] = {}
    for name in dict.fromkeys(cell.row for cell in results):
        cells = {cell: result for cell, result in results.items() if cell.row == name}
        toys = len({cell.toy for cell in cells})
        seconds = statistics.mean(result["seconds"]["fit"] for result in cells.values())
        count = statistics.mean(result["num_gaussians"] for result in cells.values())
        rows[name] = {"toys": toys, "cells": len(cells), "num_gaussians": count, "seconds": seconds}
        pairs = [(cell, cell._replace(row=BASE)) for cell in cells if cell._replace(row=BASE) in results]
        for score in DIGITS:
            rows[name][score] = _mean({cell: result["scores"][score] for cell, result in cells.items()})
        if name != BASE and pairs:
            against[name] = _against(results, pairs)
    settings = next(iter(results.values()))["settings"]["bench"]
    return {"settings": settings, "rows": rows, "against_full": against}


def _against(results: Results, pairs: list[tuple[Cell, Cell]]) -> dict[str, Any]:
    """Return the differences of cells to others with the same toy and seed; see ``summarize``."""
    found: dict[str, Any] = {"pairs": len(pairs), "toys": len({cell.toy for cell, _ in pairs}), "base": {}}
    found["seeds"] = {seed: {} for seed in sorted({cell.seed for cell, _ in pairs})}
    for score in DIGITS:
        base = {cell: results[other]["scores"][score] for cell, other in pairs}
        differences: dict[Cell, Any] = {}
        for cell, base_value in base.items():
            value = results[cell]["scores"][score]
            differences[cell] = None if None in (value, base_value) else value - base_value
        found[score] = None if None in differences.values() else _interval(_per_toy(differences))
        found["base"][score] = _mean(base)
        for seed, means in found["seeds"].items():
            means[score] = _mean({cell: value for cell, value in differences.items() if cell.seed == seed})
    return found


def as_markdown(table: Mapping[str, Any]) -> str:
    """Return the table as Markdown."""
    settings = table["settings"]
    lines = [
        f"{settings['frames']} frames, {settings['size']} pixels, {settings['steps']} optimization steps, "
        f"{settings['sampling_steps']} sampling steps.",
        "",
        f"| row | toys | cells | {' | '.join(HEADS)} | Gaussians | fit, s |",
        "|---" * (5 + len(HEADS)) + "|",
    ]
    for name, row in table["rows"].items():
        cells = [_number(row[score], digits) for score, digits in DIGITS.items()]
        cells += [f"{row['num_gaussians']:.0f}", f"{row['seconds']:.0f}"]
        lines.append(f"| {name} | {row['toys']} | {row['cells']} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Differences to `{BASE}` on the same toys and seeds, with {CONFIDENCE:.0%} confidence intervals "
        "(Student's t over toys, each the mean of its seeds):",
        "",
        f"| row | toys | pairs | {' | '.join(HEADS)} |",
        "|---" * (3 + len(HEADS)) + "|",
    ]
    for name, row in table["against_full"].items():
        cells = [_difference(row[score], digits) for score, digits in DIGITS.items()]
        lines.append(f"| {name} | {row['toys']} | {row['pairs']} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Scores of `{BASE}` on the toys and seeds of each row, and mean differences by seed:",
        "",
        f"| row | value | {' | '.join(HEADS)} |",
        "|---" * (2 + len(HEADS)) + "|",
    ]
    for name, row in table["against_full"].items():
        cells = [_number(row["base"][score], digits) for score, digits in DIGITS.items()]
        lines.append(f"| {name} | {BASE} | {' | '.join(cells)} |")
        for seed, means in row["seeds"].items() if len(row["seeds"]) > 1 else ():
            cells = [_number(means[score], digits, "+") for score, digits in DIGITS.items()]
            lines.append(f"| {name} | seed {seed} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def median_toy(results: Results, count: int) -> tuple[int, dict[int, float]]:
    """Return the toy with the median PSNR of the full method among the first toys, and the PSNR of each.

    Args:
        results: Result of ``read_cells``.
        count: Number of toys; for an even number the lower of the middle two is taken.

    Raises:
        ValueError: if the full method has not been run on one of them.
    """
    if count < 1:
        raise ValueError(f"--select: {count} toys; expected at least one.")
    scores = {}
    for toy in range(count):
        values = [result["scores"]["psnr"] for cell, result in results.items() if cell[:2] == (BASE, toy)]
        if not values:
            raise ValueError(
                f"--select: row {BASE} has no cell of toy {toy} yet; run the benchmark on it first."
            )
        scores[toy] = statistics.mean(values)
    return sorted(scores, key=scores.__getitem__)[(count - 1) // 2], scores


def t_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """Return the two-sided quantile of Student's t distribution.

    Args:
        degrees: Degrees of freedom, an integer (Abramowitz and Stegun, 26.7.3 and 26.7.4).
        confidence: Probability of |t| below the quantile.
    """
    low, high = 0.0, math.pi / 2  # of atan(t / sqrt(degrees))
    for _ in range(60):
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, degrees) < confidence else (low, angle)
    return math.tan(low) * math.sqrt(degrees)


def _within(angle: float, degrees: int) -> float:
    """Return the probability of |t| below tan(angle) sqrt(degrees)."""
    is_odd = degrees % 2 == 1
    term = math.cos(angle) if is_odd else 1.0
    total = 0.0
    for k in range(degrees // 2):
        total += term
        term *= math.cos(angle) ** 2 * ((2 * k + 2) / (2 * k + 3) if is_odd else (2 * k + 1) / (2 * k + 2))
    if is_odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def _per_toy(values: Mapping[Cell, float]) -> list[float]:
    """Return each toy's mean over its seeds."""
    by_toy: dict[int, list[float]] = {}
    for cell, value in values.items():
        by_toy.setdefault(cell.toy, []).append(value)
    return [statistics.mean(of_toy) for of_toy in by_toy.values()]


def _mean(values: Mapping[Cell, float | None]) -> float | None:
    """Return the mean over toys, None if a value is missing."""
    present = {cell: value for cell, value in values.items() if value is not None}
    return statistics.mean(_per_toy(present)) if len(present) == len(values) else None


def _interval(differences: list[float]) -> dict[str, float | None]:
    """Return the mean of differences and the half width of its confidence interval, None for a single one."""
    count = len(differences)
    width = None
    if count > 1:
        width = t_quantile(count - 1) * statistics.stdev(differences) / math.sqrt(count)
    return {"mean": statistics.mean(differences), "interval": width}


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def _difference(value: Mapping[str, float | None] | None, digits: int) -> str:
    if value is None:
        return "-"
    width = "" if value["interval"] is None else f" ± {value['interval']:.{digits}f}"
    return f"{value['mean']:+.{digits}f}{width}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as a flat dictionary with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
