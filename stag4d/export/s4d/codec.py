"""The rows of a clip: uint16 codes of N Gaussians, predicted, zigzagged, split into byte planes.

A row's filter says how it was predicted, as the filters of PNG do: 0, 1 or 2 earlier rows of the same channel
(nothing, the last row, the straight line through the last two; rows before the first are zeros), and 3 more
when what remains is predicted once more, by the Gaussian before. All arithmetic is modulo 65536.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import numpy as np

NUM_FILTERS = 6
_FEED_BYTES = 2**16  # compressed, at a time
_COSTS = np.log2(1.0 + np.arange(65536)).astype(np.float32)  # about the bits that a zigzagged residual takes


def row_bytes(num_gaussians: int) -> int:
    """Return the length of a row: its filter, the low bytes, the high bytes."""
    return 1 + 2 * num_gaussians


def compress_rows(channels: Iterable[np.ndarray]) -> bytes:
    """Return channels, each [frames, N] uint16, as one gzip member; the same codes give the same bytes."""
    deflate = zlib.compressobj(level=6, wbits=31, memLevel=9, strategy=zlib.Z_FILTERED)
    parts = [deflate.compress(row) for codes in channels for row in _encode(codes)]
    return b"".join([*parts, deflate.flush()])


def decompress_rows(data: bytes, num_gaussians: int, frames_per_channel: Iterable[int]) -> list[np.ndarray]:
    """Undo ``compress_rows``; never inflates more than the rows that are asked for.

    Args:
        data: The gzip member.
        num_gaussians: N.
        frames_per_channel: Rows of each channel.

    Returns:
        Per channel its codes, [frames, N] uint16.

    Raises:
        ValueError: if the data is damaged, too short or too long, or a filter is unknown.
    """
    rows = _inflate(data, row_bytes(num_gaussians))
    channels = []
    for num_frames in frames_per_channel:
        codes = np.zeros((num_frames + 2, num_gaussians), np.uint16)  # two rows of zeros before the first
        for frame in range(num_frames):
            row = next(rows, None)
            if row is None:
                raise ValueError("clip: ends before its last row; the file is truncated.")
            codes[frame + 2] = _decode(row, codes[frame : frame + 2])
        channels.append(codes[2:])
    if next(rows, None) is not None:
        raise ValueError("clip: goes on after its last row; the file is damaged.")
    return channels


def _encode(codes: np.ndarray) -> Iterator[bytes]:
    """Yield the rows of a channel [frames, N], each with the filter that leaves the least."""
    padded = np.concatenate([np.zeros((2, codes.shape[1]), np.uint16), codes])
    for frame in range(len(codes)):
        residuals = [_residual(padded[frame : frame + 3], kind) for kind in range(NUM_FILTERS)]
        kind = min(range(NUM_FILTERS), key=lambda kind: float(_COSTS[residuals[kind]].sum()))
        best = residuals[kind]
        yield b"".join(
            [bytes([kind]), best.astype(np.uint8).tobytes(), (best >> 8).astype(np.uint8).tobytes()]
        )


def _residual(rows: np.ndarray, kind: int) -> np.ndarray:
    """Return what a filter leaves of the last of three rows [3, N], zigzagged, [N] uint16."""
    left = rows[2] - _prediction(rows[:2], kind % 3)
    if kind >= 3:
        left = np.diff(left, prepend=np.uint16(0))
    signed = left.view(np.int16)
    return ((signed << 1) ^ (signed >> 15)).view(np.uint16)


def _decode(row: bytes, before: np.ndarray) -> np.ndarray:
    """Return the codes [N] of a row after two others [2, N]; raises ValueError for an unknown filter."""
    kind = row[0]
    if kind >= NUM_FILTERS:
        raise ValueError(f"clip: a row has filter {kind}; expected 0 to {NUM_FILTERS - 1}.")
    low, high = np.frombuffer(row, np.uint8, offset=1).reshape(2, -1).astype(np.uint16)
    zigzagged = low | high << 8
    left = (zigzagged >> 1) ^ (0 - (zigzagged & 1))
    if kind >= 3:
        left = np.cumsum(left, dtype=np.uint16)
    return left + _prediction(before, kind % 3)


def _prediction(before: np.ndarray, order: int) -> np.ndarray:
    """Return what two rows [2, N] let expect of the next: nothing, the last, or their straight line."""
    if order == 0:
        return np.zeros_like(before[1])
    return before[1] if order == 1 else before[1] + (before[1] - before[0])


def _inflate(data: bytes, length: int) -> Iterator[bytes]:
    """Yield the pieces of ``length`` bytes in a gzip member; raises ValueError if it is damaged."""
    inflater = zlib.decompressobj(wbits=31)
    fed, piece = 0, b""
    while not inflater.eof:
        waiting = inflater.unconsumed_tail or data[fed : fed + _FEED_BYTES]
        fed += 0 if inflater.unconsumed_tail else len(waiting)
        try:
            fresh = inflater.decompress(waiting, length - len(piece))
        except zlib.error as error:
            raise ValueError(f"clip: cannot be decompressed ({error}); the file is damaged.") from error
        if not fresh and not waiting:
            raise ValueError("clip: ends before its last row; the file is truncated.")
        piece += fresh
        if len(piece) == length:
            yield piece
            piece = b""
    if piece:
        raise ValueError("clip: ends before its last row; the file is truncated.")
    if inflater.unused_data or fed < len(data):
        raise ValueError("clip: something follows its compressed part; the file is damaged.")
