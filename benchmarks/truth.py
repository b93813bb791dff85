"""The whole method on toys whose truth is known, and what each of its parts is worth there.

    python3 tasks.py bench truth                            144 cells, most of a minute on one core
    python3 tasks.py bench truth --rows full no_anchor --objects 2 2 --seeds 1 1
    python3 tasks.py bench truth --table                    what the finished cells say
    python3 tasks.py bench truth --select 8                 which toy has the median score

Consistent4D's protocol at our sizes: from a clip of a test toy its six views are drawn, a scene is fitted to
them, and its pictures from azimuths -75, 15, 105 and 195 at elevation 0 are compared with the toy's, on
white. A cell is a row (see ``_truth_rows.py``), a toy and a seed, and leaves one JSON in OUT/cells; finished
cells are skipped, so an interrupted run goes on. One that was made with other settings, other models
included, is an error. Views stay in OUT/views, for rows that differ in the fit only. The table goes to
OUT/table.md and OUT/table.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from stag4d.atomic import replacing

from ._truth_cells import Bench, Cell, load_models, run_cell
from ._truth_rows import CENTRAL, ONLY_WHEN_NAMED, ROWS
from ._truth_table import as_markdown, check_settings, median_toy, read_cells, summarize

_ERRORS = (ValueError, OSError, RuntimeError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cells that are missing and print the table; returns 1 if a cell failed, 2 on bad input."""
    options = _options(argv)
    try:
        if options.select is not None:
            _print_selection(options)
            return 0
        num_failed = 0 if options.table else _run_missing(options)
        if num_failed > 0 and num_failed == len(_planned(options)):
            return 1  # each has said why
        _write_table(options.out)
    except _ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if num_failed else 0


def _run_missing(options: argparse.Namespace) -> int:
    """Run the cells that are not there yet; returns how many failed."""
    bench = Bench(**{field.name: getattr(options, field.name) for field in fields(Bench)})
    missing = []
    for cell in _planned(options):
        path = bench.file(cell)
        if path.is_file():
            settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
            check_settings(path, settings, bench.settings(cell.row))
        else:
            missing.append(cell)
    if not missing:
        return 0
    models, num_failed = load_models(bench, missing), 0
    for number, cell in enumerate(missing, start=1):
        try:
            result = run_cell(bench, models, cell)
        except _ERRORS as error:  # the other cells may be well
            num_failed += 1
            print(f"[{number}/{len(missing)}] {cell}: {error}", file=sys.stderr, flush=True)
            continue
        scores, seconds = result["scores"], result["seconds"]
        spent = ", ".join(f"{stage} {value:.0f}" for stage, value in seconds.items())
        print(
            f"[{number}/{len(missing)}] {cell}: PSNR {scores['psnr']:.2f}, IoU {scores['iou']:.3f}, flicker "
            f"{scores['flicker']:.3f}; {sum(seconds.values()):.0f} s ({spent})",
            flush=True,
        )
    return num_failed


def _planned(options: argparse.Namespace) -> list[Cell]:
    """Return the cells that are asked for, the first seed of all toys first."""
    cells = []
    for seed in range(max(options.seeds)):
        for toy in range(max(options.objects)):
            for row in options.rows:
                group = 0 if row in CENTRAL else 1
                if toy < options.objects[group] and seed < options.seeds[group]:
                    cells.append(Cell(row, toy, seed))
    return cells


def _write_table(out: Path) -> None:
    """Print what the cells that are there say, and write it beside them."""
    table = summarize(read_cells(out))
    text = as_markdown(table)
    for name, content in (("table.md", text), ("table.json", json.dumps(table, indent=1) + "\n")):
        with replacing(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    print(f"\n{text}", end="")


def _print_selection(options: argparse.Namespace) -> None:
    """Print the full method's score on each of the first toys, and which is the median."""
    chosen, scores = median_toy(read_cells(options.out), options.select)
    for toy, score in scores.items():
        print(f"test toy {toy}: {score:.2f} dB{', the median' if toy == chosen else ''}")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = [row for row in ROWS if row not in ONLY_WHEN_NAMED]
    both: dict[str, Any] = {"type": int, "nargs": 2, "metavar": ("N", "M")}
    parser.add_argument("--out", type=Path, default=Path("bench_truth"), help="default: %(default)s")
    parser.add_argument(
        "--rows", nargs="+", choices=tuple(ROWS), default=usual, metavar="ROW",
        help=f"of {', '.join(ROWS)} (default: all but {', '.join(ONLY_WHEN_NAMED)})",
    )  # fmt: skip
    parser.add_argument(
        "--objects", **both, default=(8, 4),
        help=f"test toys of the rows {', '.join(CENTRAL)}; and of the others (default: 8 4)",
    )  # fmt: skip
    parser.add_argument("--seeds", **both, default=(3, 1), help="the same of the seeds (default: 3 1)")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=96, help="of clip, fit and test views, pixels")
    parser.add_argument(
        "--steps", type=int, default=500, help="of a fit (default: %(default)s, a third of preset fast's)"
    )
    parser.add_argument("--sampling-steps", type=int, default=1, help="of the views (default: %(default)s)")
    parser.add_argument(
        "--guidance-scale", type=float, default=1.0, help="of the views (default: %(default)s)"
    )
    parser.add_argument("--multiview-model", default="bundled/mini-zero123plus", metavar="DIR")
    parser.add_argument("--guidance-model", default="bundled/mini-zero123", metavar="DIR")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--table", action="store_true", help="run nothing, print what the cells say")
    action.add_argument("--select", type=int, metavar="N", help="run nothing, name the median of N toys")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
