"""How well are views of a real video predicted by a scene that was fitted without them?

    python3 tasks.py bench hold_out FOLDER --size 256
    python3 tasks.py bench hold_out FOLDER --size 256 --only 0 3 5 --start ball

Each posed view is held out of one fit. Prints a line per view: PSNR of the scene at that view, PSNR of the
baseline, which is the given view at the smallest angle (of two, the better), the gain in dB, and the seconds
of the fit.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from stag4d.data import read_views
from stag4d.optimization import preset
from stag4d.pipeline import fit_without_view


def main() -> None:
    """Print the PSNR of every held-out view, the baseline's, and the gain."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("views", help="ViewSet folder")
    parser.add_argument("--preset", choices=("fast", "quality"), default="fast")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument(
        "--start",
        choices=("hull", "ball"),
        default="hull",
        help="initialization; the ball has radius 0.5",
    )
    parser.add_argument("--only", type=int, nargs="+", metavar="VIEW", help="hold out only these views")
    options = parser.parse_args()
    views = read_views(options.views, options.size)
    config = preset(options.preset, size=options.size)
    if options.start == "ball":
        config = replace(config, start=replace(config.start, kind="ball", bound=0.5))
    gains = []
    print(f"{'view':>4} {'PSNR':>6} {'nearest':>8} {'gain':>6} {'seconds':>8}")
    for index in options.only or range(views.num_views):
        _, report = fit_without_view(views, index, config)
        scores = report.metrics
        gains.append(scores["gain_db"])
        print(
            f"{index:>4} {scores['psnr']:6.2f} {scores['nearest_psnr']:8.2f} {scores['gain_db']:6.2f} "
            f"{report.seconds['optimize']:8.0f}",
            flush=True,
        )
    print(f"mean gain {sum(gains) / len(gains):.2f} dB, minimum {min(gains):.2f} dB")


if __name__ == "__main__":
    main()
