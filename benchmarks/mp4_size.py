"""How much larger are MP4 files without x264's macroblock tree, which is off for the sake of the same bytes?

    python3 tasks.py bench mp4_size [--toys 3] [--steps 300] [--sizes 256 512]

Test toys are fitted with preset ``fast``, and their turntables are written without and with the macroblock
tree, all other options the same. Prints the size without it, and its ratio to the size with it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from stag4d.export import video
from stag4d.optimization import preset
from stag4d.pipeline import fit, write_turntable
from stag4d.scene import GaussianModel4D
from stag4d.toys import toy_seed, toy_views


def main(argv: Sequence[str] | None = None) -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toys", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="of each fit (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="(default: %(default)s)")
    options = parser.parse_args(argv)
    for toy in range(options.toys):
        views = toy_views(toy_seed("test", toy), num_frames=16, size=96)
        scene, _ = fit(views, preset("fast", size=96, steps=options.steps))
        for size in options.sizes:
            without, with_tree = (turntable_bytes(scene, size, mbtree) for mbtree in (0, 1))
            print(
                f"toy {toy}, {size} pixels: {without / 1e3:.0f} kB, ratio {without / with_tree:.2f}",
                flush=True,
            )


def turntable_bytes(scene: GaussianModel4D, size: int, mbtree: int) -> int:
    """Return the size of a turntable as MP4, in bytes, with x264's option ``mbtree`` at 0 or 1."""
    options = {**video._OPTIONS[video._H264], "x264-params": f"mbtree={mbtree}"}
    with tempfile.TemporaryDirectory() as folder, patch.dict(video._OPTIONS, {video._H264: options}):
        path = Path(folder, "turntable.mp4")
        write_turntable(path, scene, size)
        return path.stat().st_size


if __name__ == "__main__":
    main()
