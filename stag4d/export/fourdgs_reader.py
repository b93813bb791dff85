"""Read ``.4dgs`` files of the temporal model ``keyframe-delta``, in world coordinates, y up.

The package fourdgs decodes them. What a file declares is added up first, because a few bytes can declare
streams of equal numbers, and changes of nothing, that take gigabytes.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ..regular_file import check_regular_file
from ..scene import SH_C0, GaussianFrames, Gaussians, check_values, logit, pad_frames, stack_frames
from ..types import MAX_FRAMES
from .packages import importing
from .validity import SMALLEST_ALPHA, check_expansion

if TYPE_CHECKING:
    from fourdgs.keyframe_delta_file import DecodedSequence

_STREAM = struct.Struct("<BBBBBIQ")  # attribute, width, mode, codec, channels, count, bytes that follow
_STATE_BYTES = 8 * 23  # of a Gaussian in a decoded chunk: 22 numbers and its identity
_FRAME_BYTES = 4 * 14  # of a Gaussian in a frame of the result
_SNAP = 0.01  # frames: a chunk that begins that near to the time of a frame holds the frame
_LIBRARY_ERRORS = (LookupError, TypeError, ArithmeticError, AttributeError, RuntimeError, MemoryError)


class Sequence4DGS(NamedTuple):
    """The content of a file: its frames, and frames per second."""

    frames: GaussianFrames
    fps: float


def read_4dgs(path: str | Path) -> Sequence4DGS:
    """Read a ``.4dgs`` file; each of its chunks gives a frame.

    Args:
        path: The file.

    Returns:
        The frames, related if they have the same Gaussians, and frames per second.

    Raises:
        FileNotFoundError: if there is no such file.
        RuntimeError: if the package fourdgs is not installed.
        ValueError: if it is no ``.4dgs`` file, of another temporal model, damaged, or declares too much.
    """
    path = Path(path)
    check_regular_file(path, str(path), "a .4dgs file")
    with importing("fourdgs", "4dgs"):
        from fourdgs import FourdgsError
        from fourdgs.keyframe_delta_file import decode_streamed
    content = path.read_bytes()
    refused = (FourdgsError, ValueError, struct.error, *_LIBRARY_ERRORS)
    try:
        check_expansion(len(content), _declared_bytes(content))
        with np.errstate(all="ignore"):  # what is not finite is refused below
            return _frames(decode_streamed(content), len(content))
    except refused as error:
        raise ValueError(
            f"{path}: damaged, or of another kind ({error}); expected a .4dgs file of the model "
            "keyframe-delta."
        ) from error


def _declared_bytes(content: bytes) -> int:
    """Return the memory that decoding a file takes; raises ValueError for one that cannot be decoded."""
    from fourdgs import opcode, records
    from fourdgs.serialization import MAGIC, Cursor, check_magic, iter_records

    check_magic(content)
    counts: dict[int, int] = {}  # Gaussians of a chunk, by its offset
    num_bytes = 0
    for record in iter_records(content, len(MAGIC)):
        if record.opcode == opcode.CHUNK:
            head, streams = records.parse_chunk(record.content)
            counts[record.offset] = head.count
            groups = [streams]
        elif record.opcode == opcode.DELTA_CHUNK:
            head, block = records.parse_delta_chunk_block(record.content)
            if head.reference_offset not in counts:
                raise ValueError("a chunk changes one that does not precede it")
            counts[record.offset] = counts[head.reference_offset] + head.birth_count
            cursor = Cursor(block)
            groups = [] if head.compression else [cursor.take(cursor.u64()) for _ in range(3)]
        else:
            continue
        if head.compression:
            raise ValueError("a chunk that is compressed as a whole; expected compressed streams")
        num_bytes += sum(_stream_bytes(bytes(group)) for group in groups)
        num_bytes += counts[record.offset] * _STATE_BYTES
    if not 1 <= len(counts) <= MAX_FRAMES:
        raise ValueError(f"{len(counts)} chunks; expected 1 to {MAX_FRAMES}")
    return num_bytes + len(counts) * max(counts.values()) * _FRAME_BYTES


def _stream_bytes(group: bytes) -> int:
    """Return the memory of a group's streams of 64-bit numbers."""
    position = num_bytes = 0
    while position < len(group):
        *_, channels, count, length = _STREAM.unpack_from(group, position)
        num_bytes += 8 * channels * count
        position += _STREAM.size + length
    return num_bytes


def _frames(decoded: DecodedSequence, num_bytes: int) -> Sequence4DGS:
    """Return the frames at equal intervals of a decoded file."""
    from fourdgs.keyframe_delta_file import render_at

    count, duration = len(decoded.chunks), float(decoded.header.duration_sec)
    if not 0 < duration < math.inf:
        raise ValueError(f"a duration of {duration:g} seconds")
    fps = count / duration
    frames, identities = [], []
    for index, chunk in enumerate(decoded.chunks):
        is_frame = abs(chunk.t0 * fps - index) < _SNAP
        found = render_at(decoded, chunk.t0 if is_frame else index / fps)
        frames.append(_gaussians(found))
        check_values(frames[-1].as_dict(), f"frame {index}")
        identities.append(found["ids"])
    is_related = all(np.array_equal(ids, identities[0]) for ids in identities)
    if max(len(frame) for frame in frames) == 0:
        raise ValueError("no Gaussian is visible at any frame")
    return Sequence4DGS(stack_frames(frames) if is_related else pad_frames(frames), fps)


def _gaussians(found: dict[str, np.ndarray]) -> Gaussians:
    """Return the Gaussians of a frame from the activated values of the library."""
    values = {name: torch.from_numpy(np.asarray(array)).double() for name, array in found.items()}
    return Gaussians(
        means=values["centers"].float(),
        log_scales=values["scales"].log().float(),
        quats=values["rotations"].roll(1, dims=-1).float(),  # the file has xyzw
        logit_opacities=logit(values["opacity"].clamp(SMALLEST_ALPHA, 1 - SMALLEST_ALPHA)).float(),
        sh0=((values["rgb"] - 0.5) / SH_C0).float()[:, None],
    )
