"""Views in one image, a sheet of 3 rows and 2 columns, as Zero123++ generates them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .png import read_image

_ROWS, _COLUMNS = 3, 2
NUM_TILES = _ROWS * _COLUMNS

Image = tuple[np.ndarray, np.ndarray | None]  # colors [H, W, 3] and alpha [H, W]


class SheetTile(NamedTuple):
    """One view of a sheet: the file, and the view's number in it, row by row."""

    sheet: Path
    tile: int

    def __str__(self) -> str:
        """Return a name for messages."""
        return f"view {self.tile} of {self.sheet}"


def read_view(source: Path | SheetTile) -> Image:
    """Read an image file, or a view of a sheet.

    Args:
        source: The file, or the view.

    Returns:
        Straight colors [H, W, 3] and alpha [H, W], float32 0..1; alpha is None when the file has none.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no image, damaged, or a sheet does not consist of 3 rows and 2 columns of
            squares.
    """
    if isinstance(source, Path):
        return read_image(source)
    state = source.sheet.stat()
    colors, alpha = _read_sheet(source.sheet, state.st_mtime_ns, state.st_size)
    height, width = colors.shape[:2]
    side = width // _COLUMNS
    if (height, width) != (_ROWS * side, _COLUMNS * side):
        raise ValueError(
            f"{source.sheet}: {width}x{height} pixels; expected a sheet of 3 rows and 2 columns of square "
            "views."
        )
    row, column = divmod(source.tile, _COLUMNS)
    place = slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)
    return colors[place], None if alpha is None else alpha[place]


@lru_cache(maxsize=1)  # all views of a sheet are read one after the other
def _read_sheet(path: Path, mtime_ns: int, num_bytes: int) -> Image:
    """Return the image of a sheet; time and size tell the cache when it has changed."""
    return read_image(path)
