"""Constants that the host and ``kernels.cu`` share, and the interface by which the host launches kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from torch import Tensor

KERNELS_PATH = Path(__file__).with_name("kernels.cu")
KERNELS = ("project", "list_tiles", "composite", "composite_backward", "sum_rows", "project_backward")
TILE_SIZE = 16  # pixels
BLOCK_SIZE = TILE_SIZE * TILE_SIZE  # threads
MAX_STRIPS = 8  # ranges of columns of tiles that are stored per splat
NUM_SPANS = 2 + 2 * MAX_STRIPS  # int16 numbers of a splat's TileSpans
NUM_MOMENTS = 6  # sums per intersection apart from those of the channels
MAX_CHANNELS = 10  # composited in one pass; with more, NVRTC 13 spills registers for sm_100
MAX_TILE_ROWS = 2**15 - 1  # int16
MAX_INDEX = 2**31 - 1 - BLOCK_SIZE  # of splats, tiles and intersections: int32, and a loop may add BLOCK_SIZE


class Kernels(Protocol):
    """The kernels compiled for a number of channels, on one device."""

    def launch(self, name: str, blocks: int, *arguments: Tensor | int | float) -> None:
        """Launch a kernel on the current stream; nothing happens without blocks.

        Args:
            name: One of ``KERNELS``.
            blocks: Number of blocks of ``BLOCK_SIZE`` threads.
            arguments: Contiguous tensors, int32 and REAL numbers, in the order of the kernel's parameters.
        """


def definitions(channels: int) -> dict[str, int]:
    """Return the macros that ``kernels.cu`` needs to be compiled for a number of channels."""
    return {
        "CHANNELS": channels,
        "TILE_SIZE": TILE_SIZE,
        "BLOCK_SIZE": BLOCK_SIZE,
        "MAX_STRIPS": MAX_STRIPS,
    }


def num_blocks(num_threads: int) -> int:
    """Return how many blocks have at least this many threads."""
    return -(-num_threads // BLOCK_SIZE)


def num_tiles(width: int, height: int) -> int:
    """Return the number of tiles of an image."""
    return -(-width // TILE_SIZE) * -(-height // TILE_SIZE)
