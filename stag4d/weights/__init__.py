"""The bundled models, in diffusers' layout, which ``training/`` trained on the procedural toys, and scene."""

from pathlib import Path

FOLDER = Path(__file__).parent
SCENE_PLAN, SCENE_SEED = "quadruped", 20  # the toy of the bundled scene
SCENE = FOLDER / "scenes" / f"{SCENE_PLAN}.safetensors"
