"""The bundled models, in diffusers' layout; ``training/`` trained them on the procedural toys."""

from pathlib import Path

FOLDER = Path(__file__).parent
