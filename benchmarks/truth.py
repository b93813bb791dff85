"""How good is the whole method on toys with ground truth, and what does each part contribute?

    python3 tasks.py bench truth                            144 cells, each almost a minute on one core
    python3 tasks.py bench truth --rows full no_anchor --objects 2 2 --seeds 1 1
    python3 tasks.py bench truth --table                    the table of the finished cells
    python3 tasks.py bench truth --select 8                 the toy with the median PSNR

Consistent4D's protocol at our sizes: six views are generated from the video of a test toy, a scene is fitted
to them, and its renders from azimuths -75, 15, 105 and 195 at elevation 0 are compared with the true ones, on
white. A cell is a row (see ``_truth_rows.py``), a toy and a seed. Its result is a JSON file in OUT/cells, and
finished cells are skipped; cells with other settings or models are an error. Generated views are kept in
OUT/views, for rows that differ in the fit only. Prints a line per cell and then the table, which is also
written to OUT/table.md and OUT/table.json.
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
    """Run the missing cells and print the table; returns 1 if a cell failed, 2 for invalid input."""
    options = _options(argv)
    try:
        if options.select is not None:
            _print_selection(options)
            return 0
        num_failed = 0 if options.table else _run_missing(options)
        if num_failed > 0 and num_failed == len(_planned(options)):
            return 1  # the errors have been printed
        _write_table(options.out)
    except _ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if num_failed else 0


def _run_missing(options: argparse.Namespace) -> int:
    """Run the missing cells; returns the number that failed."""
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
        except _ERRORS as error:  # other cells may succeed
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
    """Return the requested cells, the first seed of all toys first."""
    cells = []
    for seed in range(max(options.seeds)):
        for toy in range(max(options.objects)):
            for row in options.rows:
                group = 0 if row in CENTRAL else 1
                if toy < options.objects[group] and seed < options.seeds[group]:
                    cells.append(Cell(row, toy, seed))
    return cells


def _write_table(out: Path) -> None:
    """Print the table of the finished cells and write it to OUT."""
    table = summarize(read_cells(out))
    text = as_markdown(table)
    for name, content in (("table.md", text), ("table.json", json.dumps(table, indent=1) + "\n")):
        with replacing(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    print(f"\n{text}", end="")


def _print_selection(options: argparse.Namespace) -> None:
    """Print the full method's PSNR on each of the first toys, and which is the median."""
    chosen, scores = median_toy(read_cells(options.out), options.select)
    for toy, score in scores.items():
        print(f"test toy {toy}: {score:.2f} dB{', the median' if toy == chosen else ''}")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default_rows = [row for row in ROWS if row not in ONLY_WHEN_NAMED]
    both: dict[str, Any] = {"type": int, "nargs": 2, "metavar": ("N", "M")}
    parser.add_argument("--out", type=Path, default=Path("bench_truth"), help="default: %(default)s")
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=tuple(ROWS),
        default=default_rows,
        metavar="ROW",
        help=f"any of {', '.join(ROWS)} (default: all but {', '.join(ONLY_WHEN_NAMED)})",
    )
    parser.add_argument(
        "--objects",
        **both,
        default=(8, 4),
        help=f"test toys of the rows {', '.join(CENTRAL)}, and of the others (default: 8 4)",
    )
    parser.add_argument(
        "--seeds", **both, default=(3, 1), help="number of seeds for the same groups of rows (default: 3 1)"
    )
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument(
        "--size", type=int, default=96, help="of video, fit and test views, pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--steps", type=int, default=500, help="of each fit (default: %(default)s, a third of preset fast's)"
    )
    parser.add_argument("--sampling-steps", type=int, default=1, help="of the multi-view model (default: 1)")
    parser.add_argument(
        "--guidance-scale", type=float, default=1.0, help="of the multi-view model (default: %(default)s)"
    )
    parser.add_argument("--multiview-model", default="bundled/mini-zero123plus", metavar="DIR")
    parser.add_argument("--guidance-model", default="bundled/mini-zero123", metavar="DIR")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--table", action="store_true", help="only print the table of the finished cells")
    action.add_argument("--select", type=int, metavar="N", help="only print the median toy of the first N")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
