"""Compression of the rows of an ``.s4d`` file: prediction, zigzag coding, byte planes, gzip.

A row holds the 16-bit codes of N Gaussians for one channel at one frame, each row with its own filter, as in
PNG. Filters 0 to 2 subtract a prediction from earlier rows of the channel: 0, the last row, or the linear
extrapolation of the last two rows, ``2 last - second last``; rows before the first are 0. Filters 3 to 5 do
the same and then subtract from each residual that of the Gaussian before, of which the first has none. All
arithmetic is modulo 65536. A residual r, read as a signed number, is stored as its zigzag code: ``2 r``, or
``-2 r - 1`` if it is negative, so that small residuals of either sign have a high byte of 0. The bytes of a
row are the filter, N low bytes, and N high bytes, which compress well side by side.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import numpy as np

NUM_FILTERS = 6
_CHUNK_BYTES = 2**16  # compressed bytes given to the decompressor at once
# Approximate number of bits of each zigzag code. The filter with the smallest sum over a row is chosen.
_COSTS = np.log2(1.0 + np.arange(65536)).astype(np.float32)


def row_bytes(num_gaussians: int) -> int:
    """Return the length of a row: the filter, the low bytes, the high bytes."""
    return 1 + 2 * num_gaussians


def compress_rows(channels: Iterable[np.ndarray]) -> bytes:
    """Compress channels, each [frames, N] uint16, to one gzip member; equal codes give equal bytes."""
    deflate = zlib.compressobj(level=6, wbits=31, memLevel=9, strategy=zlib.Z_FILTERED)
    parts = [deflate.compress(row) for codes in channels for row in _encode(codes)]
    return b"".join([*parts, deflate.flush()])


def decompress_rows(data: bytes, num_gaussians: int, frames_per_channel: Iterable[int]) -> list[np.ndarray]:
    """Undo ``compress_rows``.

    No more than the expected rows is ever decompressed, so a malicious file cannot exhaust the memory.

    Args:
        data: The gzip member.
        num_gaussians: N.
        frames_per_channel: Number of rows of each channel.

    Returns:
        The codes of each channel, [frames, N] uint16.

    Raises:
        ValueError: if the data is damaged, too short or too long, or a filter is unknown.
    """
    rows = _inflate(data, row_bytes(num_gaussians))
    channels = []
    for num_frames in frames_per_channel:
        codes = np.zeros((num_frames + 2, num_gaussians), np.uint16)  # with two rows of 0 before the first
        for frame in range(num_frames):
            row = next(rows, None)
            if row is None:
                raise ValueError("s4d: ends before its last row; the file is truncated.")
            codes[frame + 2] = _decode(row, codes[frame : frame + 2])
        channels.append(codes[2:])
    if next(rows, None) is not None:
        raise ValueError("s4d: more rows than the header declares; the file is damaged.")
    return channels


def _encode(codes: np.ndarray) -> Iterator[bytes]:
    """Yield the rows of a channel [frames, N], each with the filter of the lowest cost."""
    padded = np.concatenate([np.zeros((2, codes.shape[1]), np.uint16), codes])
    for frame in range(len(codes)):
        residuals = [_residual(padded[frame : frame + 3], index) for index in range(NUM_FILTERS)]
        best = min(range(NUM_FILTERS), key=lambda index: float(_COSTS[residuals[index]].sum()))
        residual = residuals[best]
        yield b"".join(
            [bytes([best]), residual.astype(np.uint8).tobytes(), (residual >> 8).astype(np.uint8).tobytes()]
        )


def _residual(rows: np.ndarray, filter_index: int) -> np.ndarray:
    """Return the zigzag codes [N] uint16 of the last of three rows [3, N] after a filter."""
    left = rows[2] - _prediction(rows[:2], filter_index % 3)
    if filter_index >= 3:
        left = np.diff(left, prepend=np.uint16(0))
    signed = left.view(np.int16)
    return ((signed << 1) ^ (signed >> 15)).view(np.uint16)  # the arithmetic shift gives 0 or -1


def _decode(row: bytes, before: np.ndarray) -> np.ndarray:
    """Return the codes [N] of a row that follows two others [2, N]; raises ValueError if it is invalid."""
    filter_index = row[0]
    if filter_index >= NUM_FILTERS:
        raise ValueError(f"s4d: a row has filter {filter_index}; expected 0 to {NUM_FILTERS - 1}.")
    low, high = np.frombuffer(row, np.uint8, offset=1).reshape(2, -1).astype(np.uint16)
    zigzag = low | high << 8
    left = (zigzag >> 1) ^ (0 - (zigzag & 1))
    if filter_index >= 3:
        left = np.cumsum(left, dtype=np.uint16)  # wraps modulo 65536, as the differences did
    return left + _prediction(before, filter_index % 3)


def _prediction(before: np.ndarray, order: int) -> np.ndarray:
    """Return the prediction [N] of a row from the two rows before it [2, N]."""
    if order == 0:
        return np.zeros_like(before[1])
    return before[1] if order == 1 else before[1] + (before[1] - before[0])


def _inflate(data: bytes, length: int) -> Iterator[bytes]:
    """Yield pieces of ``length`` bytes of a decompressed gzip member; raises ValueError if it is damaged."""
    inflater = zlib.decompressobj(wbits=31)
    consumed, piece = 0, b""
    while not inflater.eof:
        # Input that the decompressor kept because the output was limited goes first.
        chunk = inflater.unconsumed_tail or data[consumed : consumed + _CHUNK_BYTES]
        consumed += 0 if inflater.unconsumed_tail else len(chunk)
        try:
            output = inflater.decompress(chunk, length - len(piece))
        except zlib.error as error:
            raise ValueError(f"s4d: cannot be decompressed ({error}); the file is damaged.") from error
        if not output and not chunk:
            raise ValueError("s4d: ends before its last row; the file is truncated.")
        piece += output
        if len(piece) == length:
            yield piece
            piece = b""
    if piece:
        raise ValueError("s4d: ends before its last row; the file is truncated.")
    # The checksum is verified at the end of the member; nothing may follow it.
    if inflater.unused_data or consumed < len(data):
        raise ValueError("s4d: data after its compressed part; the file is damaged.")
