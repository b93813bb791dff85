"""Fit the bundled scene to the ground-truth views of a toy.

``PYTHONPATH=. python tests/workflows/make_bundled_scene.py stag4d/weights/scenes/quadruped.safetensors``
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stag4d.optimization import preset
from stag4d.pipeline import fit
from stag4d.scene import save_scene
from stag4d.toys import toy_views
from stag4d.weights import SCENE_PLAN, SCENE_SEED

NUM_FRAMES, SIZE = 16, 128


def main() -> None:
    """Fit and save the scene."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="scene file")
    options = parser.parse_args()
    views = toy_views(SCENE_SEED, NUM_FRAMES, SIZE, plan=SCENE_PLAN)
    model, _ = fit(views, preset("fast"))
    save_scene(options.output, model)


if __name__ == "__main__":
    main()
