"""The vertex table of a PLY file of any origin: the header is checked against the file before it is read.

The format is that of Greg Turk (1994): a header of lines, then the rows of each element, as text or binary.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..regular_file import check_regular_file

_MAX_HEADER_BYTES = 2**16
_END = re.compile(rb"^end_header[ \t]*(\r\n|\n|\r)", re.MULTILINE)
_BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float": "f4",
    "double": "f8",
    "float32": "f4",
    "float64": "f8",
}


@dataclass
class _Element:
    """An element of the header: its number of rows, and the types of its columns by name."""

    count: int
    columns: dict[str, str] = field(default_factory=dict)
    has_lists: bool = False

    def dtype(self, byte_order: str) -> np.dtype:
        """Return the type of a binary row."""
        return np.dtype([(name, byte_order + kind) for name, kind in self.columns.items()])


@dataclass(frozen=True)
class _Header:
    """A header: the byte order ("" is text), the elements in order, and its length."""

    byte_order: str
    elements: dict[str, _Element]
    num_bytes: int
    num_lines: int


def read_vertices(path: str | Path, needed: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the columns of the element ``vertex``.

    No more memory is used than a small multiple of the file, whatever its header declares.

    Args:
        path: The file.
        needed: Columns that it must have.

    Returns:
        All columns [N] of a binary file by name; of a text file the needed ones with numbers, the others
        empty.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a PLY, is damaged or truncated, or lacks a column.
    """
    path = Path(path)
    check_regular_file(path, str(path), "a splat PLY")
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            vertex = header.elements.get("vertex", _Element(0))
            missing = [name for name in needed if name not in vertex.columns]
            if not missing:
                return _read_rows(file, header, needed)
    except (OSError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: not a PLY, or damaged ({error}); expected a splat PLY.") from error
    raise ValueError(f"{path}: no column {', '.join(missing)}; expected a splat PLY of 3DGS.")


def _read_header(file: BinaryIO) -> _Header:
    """Parse the header of a file; raises ValueError if it is malformed."""
    head = file.read(_MAX_HEADER_BYTES)
    end = _END.search(head)
    if not head.startswith(b"ply") or end is None:
        raise ValueError("it does not begin with a header from 'ply' to 'end_header'")
    lines = head[: end.start()].decode("latin-1").splitlines()
    byte_order: str | None = None
    elements: dict[str, _Element] = {}
    last: _Element | None = None
    for line in lines[1:]:
        match line.split():
            case [] | ["comment" | "obj_info", *_]:
                pass
            case ["format", name, "1.0"] if name in _BYTE_ORDERS and byte_order is None:
                byte_order = _BYTE_ORDERS[name]
            case ["element", name, count] if name not in elements and re.fullmatch("[0-9]{1,15}", count):
                last = elements[name] = _Element(int(count))
            case ["property", "list", length, kind, _] if last and {length, kind} <= _TYPES.keys():
                last.has_lists = True
            case ["property", kind, name] if last and kind in _TYPES and name not in last.columns:
                last.columns[name] = _TYPES[kind]
            case _:
                raise ValueError(f"the line {line[:80]!r} of its header")
    if byte_order is None:
        raise ValueError("its header has no format")
    return _Header(byte_order, elements, end.end(), len(lines) + 1)


def _read_rows(file: BinaryIO, header: _Header, needed: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the rows of the vertices; raises ValueError if the file is too short for them."""
    before = list(_before_vertices(header))
    vertex = header.elements["vertex"]
    if vertex.has_lists or any(element.has_lists for element in before):
        raise ValueError("a list property in or before the vertices, which splats do not have")
    size = file.seek(0, 2) - header.num_bytes  # bytes of rows
    if header.byte_order:
        dtype = vertex.dtype(header.byte_order)
        offset = sum(element.count * element.dtype("<").itemsize for element in before)
        _check_size(size, offset + vertex.count * dtype.itemsize, vertex.count)
        file.seek(header.num_bytes + offset)
        table = np.fromfile(file, dtype, vertex.count)
        return {name: table[name] for name in vertex.columns}
    columns = list(vertex.columns)
    _check_size(size + 1, 2 * vertex.count * len(columns), vertex.count)  # a digit and a separator at least
    skipped = header.num_lines + sum(element.count for element in before)
    numbers = _read_text(file, skipped, vertex.count, [columns.index(name) for name in needed])
    if numbers.shape != (vertex.count, len(needed)):
        raise ValueError(f"{len(numbers)} rows instead of {vertex.count}")
    return dict.fromkeys(columns, numbers[:0, 0]) | dict(zip(needed, numbers.T, strict=True))


def _before_vertices(header: _Header) -> Iterator[_Element]:
    """Yield the elements whose rows precede those of the vertices."""
    for name, element in header.elements.items():
        if name == "vertex":
            return
        yield element


def _check_size(available: int, declared: int, count: int) -> None:
    """Raise ValueError if rows need more bytes than there are."""
    if declared > available:
        raise ValueError(f"{count} vertices need {declared} bytes, the file has {max(available, 0)}")


def _read_text(file: BinaryIO, skipped: int, count: int, columns: list[int]) -> np.ndarray:
    """Return the numbers [N, C] of some columns of ``count`` rows of text."""
    if count == 0:
        return np.zeros((0, len(columns)))
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty lines; missing rows are counted by the caller
        return np.loadtxt(
            file,
            dtype=np.float64,
            comments=None,
            skiprows=skipped,
            usecols=columns,
            max_rows=count,
            ndmin=2,
            encoding="latin-1",
        )
