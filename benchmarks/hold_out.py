"""Leave each posed view of a real clip out in turn, fit to the others, and measure on it.

    python3 tasks.py bench hold_out FOLDER --size 256
    python3 tasks.py bench hold_out FOLDER --size 256 --only 0 3 5 --start ball

The baseline is the given picture whose viewing direction is nearest by angle; of two equally near, the
better.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from stag4d.data import read_views
from stag4d.optimization import preset
from stag4d.pipeline import fit_without_view


def main() -> None:
    """Print PSNR of every left-out view, the baseline's, and the gain."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("views", help="ViewSet folder")
    parser.add_argument("--preset", choices=("fast", "quality"), default="fast")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--start", choices=("hull", "ball"), default="hull", help="a ball has radius 0.5")
    parser.add_argument("--only", type=int, nargs="+", metavar="VIEW", help="leave out these alone")
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
    print(f"mean gain {sum(gains) / len(gains):.2f} dB, least {min(gains):.2f} dB")


if __name__ == "__main__":
    main()
