"""The grid image of a multi-view model: the cameras of its views, and the tile of each.

The views are tiles of one image, row by row. Published: three rows of two, 320 pixels each.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from ..geometry import ZERO123PLUS_RIGS, OrbitPose, RigName, zero123plus_rig
from ..geometry.pose_json import finite_number, poses_from_json, whole_number
from .json_files import shown
from .model_index import model_root, read_index, settings_of
from .model_version import VersionPatterns, VersionSource, resolve_version

NUM_COLUMNS = 2
MAX_VIEWS = 100
MAX_TILE_SIZE = 4096  # pixels

_NUMBERS = ("tile_size", "latent_scale", "latent_shift", "image_scale")
MULTIVIEW_SETTINGS = ("rig", "sampling", *_NUMBERS)

_FULL_NAME = r"zero123(?:plus|\+\+)[-_ ]?v?1\.?{minor}(?!\d)"
_RIG_PATTERNS: dict[RigName, VersionPatterns] = {
    version: VersionPatterns(
        original_name=re.compile(_FULL_NAME.format(minor=version[-1]), re.I),
        folder_name=re.compile(re.escape(version)),
        path_part=re.compile(_FULL_NAME.format(minor=version[-1]), re.I),
    )
    for version in ZERO123PLUS_RIGS
}


@dataclass(frozen=True, kw_only=True)
class ViewGrid:
    """Layout of a model's grid image, and its scales between images and latents.

    Attributes:
        poses: Cameras of the views, row by row; azimuths are relative to the input's, elevations absolute.
        tile_size: Pixels along each side of a view.
        latent_scale: Scale of the UNet's latents: (VAE latents - ``latent_shift``) times this.
        latent_shift: See ``latent_scale``.
        image_scale: Scale of the VAE's pixel values relative to the views', around mid gray.
        assumption: Sentence about a rig that the folder does not state, else empty.
        rig: Name of a published rig, or ``poses`` for the folder's own cameras.
        rig_source: What the rig is known from.
    """

    poses: tuple[OrbitPose, ...]
    tile_size: int = 320
    latent_scale: float = 0.75
    latent_shift: float = 0.22
    image_scale: float = 0.5 / 0.8
    # Resume keys contain the ``repr``, which these do not change.
    assumption: str = field(default="", repr=False, compare=False)
    rig: RigName | Literal["poses"] = field(default="poses", repr=False, compare=False)
    rig_source: VersionSource = field(default="settings", repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the numbers; raises ValueError with the offending one."""
        if not self.poses or len(self.poses) % NUM_COLUMNS:
            raise ValueError(f"view grid: {len(self.poses)} views; expected full rows of {NUM_COLUMNS}.")
        if len(self.poses) > MAX_VIEWS or self.tile_size > MAX_TILE_SIZE:
            raise ValueError(
                f"view grid: {len(self.poses)} views of {self.tile_size:g} pixels; expected at most "
                f"{MAX_VIEWS} of {MAX_TILE_SIZE}."
            )
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

    @property
    def num_columns(self) -> int:
        """Return the number of columns."""
        return NUM_COLUMNS

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

    def unscaled_image(self, image: Tensor) -> Tensor:
        """Return an image in 0..1 from a decoded one, whose -1..1 of the VAE's output is 0..1."""
        return ((image - 0.5) / self.image_scale + 0.5).clamp(0, 1)

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
        poses = zero123plus_rig(rig)
        return replace(self, poses=poses, assumption="", rig=rig, rig_source="choice")


def read_grid(folder: str | Path, rig: RigName | None = None) -> ViewGrid:
    """Return the grid of the model in a folder without loading its networks; see ``grid_of``.

    Raises:
        FileNotFoundError: if it has no index.
        ValueError: if the index is damaged, or the rig is unclear.
    """
    root = model_root(folder)
    return grid_of(read_index(root, "a model folder in diffusers' layout"), root, rig)


def grid_of(index: dict[str, Any], folder: Path, rig: RigName | None) -> ViewGrid:
    """Return the grid of a model.

    Args:
        index: The model's index, see ``model_index``. Its settings may be ``rig``, a name or poses as in a
            view folder's ``views.json``; the fields of ``ViewGrid`` that are numbers; and ``sampling``, which
            is not read here.
        folder: The model's folder. Where no setting states the rig, the names in its files decide, else those
            of its path, else v1.1 is assumed.
        rig: The user's choice, which takes precedence.

    Raises:
        ValueError: if a value is of the wrong kind or out of range, or the rig is unclear.
    """
    settings = settings_of(index, MULTIVIEW_SETTINGS)
    numbers: dict[str, Any] = {}
    for key in filter(settings.__contains__, _NUMBERS):
        read = whole_number if key == "tile_size" else finite_number
        numbers[key] = read(*settings[key])
    return ViewGrid(**_rig(index, folder, rig), **numbers)


def _rig(index: dict[str, Any], folder: Path, rig: RigName | None) -> dict[str, Any]:
    """Return the fields of ``ViewGrid`` about the cameras of a model's views."""
    if rig is not None:
        return {"poses": zero123plus_rig(rig), "rig": rig, "rig_source": "choice"}
    setting = settings_of(index, MULTIVIEW_SETTINGS).get("rig")
    if setting is None:
        resolved = resolve_version(
            index,
            folder,
            _RIG_PATTERNS,
            default="v1.1",
            subject="rig",
            option="--rig, in ComfyUI with the input rig",
        )
        return {
            "poses": zero123plus_rig(resolved.version),
            "assumption": resolved.assumption,
            "rig": resolved.version,
            "rig_source": resolved.source,
        }
    value, key = setting
    if isinstance(value, list):
        return {"poses": poses_from_json(value, key)}
    if isinstance(value, str) and value in ZERO123PLUS_RIGS:
        return {"poses": zero123plus_rig(value), "rig": value}
    raise ValueError(
        f"{key} is {shown(value)}; expected {' or '.join(ZERO123PLUS_RIGS)}, or a list of poses."
    )
