"""The grid image of a multi-view model: the cameras of its views, and the tile of each.

The views are tiles of one image, row by row. Published: three rows of two, 320 pixels each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..geometry import ZERO123PLUS_RIGS, OrbitPose, RigName, zero123plus_rig
from ..geometry.pose_json import finite_number, poses_from_json, whole_number

SETTINGS_KEY = "stag4d"  # of model_index.json: settings that published folders lack
NUM_COLUMNS = 2


@dataclass(frozen=True, kw_only=True)
class ViewGrid:
    """Layout of a model's grid image, and its scales between images and latents.

    Attributes:
        poses: Cameras of the views, row by row; azimuths are relative to the input's, elevations absolute.
        tile_size: Pixels along each side of a view.
        latent_scale: Scale of the UNet's latents: (VAE latents - ``latent_shift``) times this.
        latent_shift: See ``latent_scale``.
        image_scale: Scale of the VAE's pixel values relative to the views', around mid gray.
    """

    poses: tuple[OrbitPose, ...]
    tile_size: int = 320
    latent_scale: float = 0.75
    latent_shift: float = 0.22
    image_scale: float = 0.5 / 0.8

    def __post_init__(self) -> None:
        """Check the numbers; raises ValueError with the offending one."""
        if not self.poses or len(self.poses) % NUM_COLUMNS:
            raise ValueError(f"view grid: {len(self.poses)} views; expected full rows of {NUM_COLUMNS}.")
        positive = (self.tile_size, self.latent_scale, self.image_scale)
        if not all(0 < number < math.inf for number in positive) or not math.isfinite(self.latent_shift):
            raise ValueError(
                f"view grid: tile_size {self.tile_size}, latent_scale {self.latent_scale}, latent_shift "
                f"{self.latent_shift}, image_scale {self.image_scale}; expected finite numbers, positive but "
                "for the shift."
            )

    @property
    def num_rows(self) -> int:
        """Return the number of rows."""
        return len(self.poses) // NUM_COLUMNS

    def latent_size(self, pixels_per_latent: int) -> tuple[int, int]:
        """Return height and width of the grid's latent.

        Raises:
            ValueError: if the tile size is no multiple of the pixels per latent.
        """
        if self.tile_size % pixels_per_latent:
            raise ValueError(
                f"view grid: tiles of {self.tile_size} pixels; expected a multiple of {pixels_per_latent}, "
                "the VAE's pixels per latent."
            )
        side = self.tile_size // pixels_per_latent
        return self.num_rows * side, NUM_COLUMNS * side

    def unscaled(self, latents: Tensor) -> Tensor:
        """Return VAE latents from the UNet's latents (published pipeline)."""
        return latents / self.latent_scale + self.latent_shift

    def views_of(self, image: Tensor) -> Tensor:
        """Return the views [V, S, S, C] of a grid image [rows * S, columns * S, C]."""
        tiles = image.unflatten(0, (self.num_rows, -1)).unflatten(2, (NUM_COLUMNS, -1))  # [r, S, c, S, C]
        return tiles.transpose(1, 2).flatten(0, 1)

    def image_of(self, views: Tensor) -> Tensor:
        """Return the grid image [..., rows * S, columns * S, C] of views [..., V, S, S, C]."""
        tiles = views.unflatten(-4, (self.num_rows, NUM_COLUMNS)).transpose(-4, -3)  # [..., r, S, c, S, C]
        return tiles.flatten(-3, -2).flatten(-4, -3)

    def with_rig(self, rig: RigName) -> ViewGrid:
        """Return the same layout with the cameras of a published rig."""
        return replace(self, poses=zero123plus_rig(rig))


def grid_of(index: dict[str, Any], folder: Path, rig: RigName | None) -> ViewGrid:
    """Return the grid of a model.

    Args:
        index: The model's ``model_index.json``. Its object "stag4d" may hold ``rig``, a name or poses as in a
            view folder's ``views.json``; the fields of ``ViewGrid`` other than the poses; and ``sampling``,
            which is not read here.
        folder: The model's folder; a version in its name chooses the rig where the index does not.
        rig: The user's choice, which takes precedence.

    Raises:
        ValueError: if a value is of the wrong kind or out of range.
    """
    settings = index.get(SETTINGS_KEY, {})
    if not isinstance(settings, dict):
        raise ValueError(f"model_index.json: {SETTINGS_KEY} is {settings!r}; expected an object.")
    numbers: dict[str, Any] = {}
    for key, value in settings.items():
        if key in ("rig", "sampling"):
            continue
        if key not in ("tile_size", "latent_scale", "latent_shift", "image_scale"):
            raise ValueError(f"model_index.json: {SETTINGS_KEY} has the unknown key {key!r}.")
        read = whole_number if key == "tile_size" else finite_number
        numbers[key] = read(value, f"model_index.json: {SETTINGS_KEY}.{key}")
    names = folder.absolute().name, folder.resolve().name  # of a symlink and of its target
    version: RigName = "v1.2" if any("v1.2" in name for name in names) else "v1.1"
    setting: Any = settings.get("rig", version)
    if rig is not None:
        poses = zero123plus_rig(rig)
    elif isinstance(setting, list):
        poses = poses_from_json(setting, f"model_index.json: {SETTINGS_KEY}.rig")
    elif isinstance(setting, str) and setting in ZERO123PLUS_RIGS:
        poses = zero123plus_rig(setting)
    else:
        raise ValueError(
            f"model_index.json: {SETTINGS_KEY}.rig is {setting!r}; expected {' or '.join(ZERO123PLUS_RIGS)}, "
            "or a list of poses."
        )
    return ViewGrid(poses=poses, **numbers)
