"""Check that the compressed data of a PNG or APNG file has all rows that the file declares.

Decoders leave missing rows black. The data are decompressed in pieces, so that no more memory is needed than
for one piece, whatever the file declares.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import chain

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
_ADAM7 = (  # first column, first row, column step, row step of each pass; PNG specification, section 8.2
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIECE = 1 << 16  # bytes


def is_png(content: bytes) -> bool:
    """Return whether the content is that of a PNG file."""
    return content.startswith(_SIGNATURE)


def check_png_rows(content: bytes) -> None:
    """Check the image, and each frame of an animation, of a PNG file.

    Args:
        content: The file.

    Raises:
        ValueError: if rows are missing.
        zlib.error: if the compressed data are damaged.
        struct.error: if a header is truncated.
    """
    header = struct.unpack(">IIBBBBB", content[16:29])
    width, height = header[:2]
    count = 0  # bytes of the image being read
    inflater: zlib._Decompress | None = None
    for kind, body in chain(_chunks(content), [(b"IEND", b"")]):
        if kind in (b"fcTL", b"IEND") and inflater is not None:
            _check_count(count, _num_bytes(width, height, header))
            inflater = None
        if kind == b"fcTL":
            width, height = struct.unpack(">II", body[4:12])
        if kind in (b"IDAT", b"fdAT"):
            if inflater is None:
                inflater, count = zlib.decompressobj(), 0
            data = body[4:] if kind == b"fdAT" else body  # after the sequence number
            count += _inflated_size(inflater, data, _num_bytes(width, height, header) - count)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and bodies of the chunks of a PNG file."""
    start = len(_SIGNATURE)
    while start + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, start)
        yield content[start + 4 : start + 8], content[start + 8 : start + 8 + length]
        start += 12 + length  # length, name and checksum are 4 bytes each


def _inflated_size(inflater: zlib._Decompress, data: bytes, missing: int) -> int:
    """Return the decompressed size of the next data of an image, up to ``missing``, bytes."""
    size = 0
    while size < missing and not inflater.eof:
        piece = inflater.decompress(data, min(_PIECE, missing - size))
        size += len(piece)
        data = inflater.unconsumed_tail
        if not piece and not data:
            break
    return size


def _check_count(count: int, expected: int) -> None:
    """Raise ValueError if there are fewer bytes than expected."""
    if count < expected:
        raise ValueError(f"{count} of {expected} bytes of pixels")


def _num_bytes(width: int, height: int, header: tuple[int, ...]) -> int:
    """Return the size of the filtered rows of an image, bytes; section 7.2 of the specification."""
    _, _, depth, color_type, _, _, interlaced = header
    bits = depth * _CHANNELS.get(color_type, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    total = 0
    for column, row, column_step, row_step in passes:
        columns = (width - column + column_step - 1) // column_step
        rows = (height - row + row_step - 1) // row_step
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)  # a row starts with its filter type
    return total
