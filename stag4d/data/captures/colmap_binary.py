"""Read the records of COLMAP's ``cameras.bin``, ``images.bin`` and ``points3D.bin``, little endian."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from os import SEEK_CUR
from pathlib import Path
from typing import Any, BinaryIO

from ...regular_file import check_regular_file
from .colmap_records import MAX_CAMERAS, MAX_IMAGES, CameraRecord, ImageRecord

_MODELS = {  # by id: the name, and the number of parameters
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
}
_MAX_NAME = 4096  # bytes of an image's name
_POINT_2D_BYTES, _TRACK_BYTES = 24, 8
Point = tuple[float, float, float]


def binary_cameras(path: Path) -> Iterator[CameraRecord]:
    """Yield the cameras of ``cameras.bin``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is cut short, declares more cameras than it can hold, or has an unknown model.
    """
    with _opened(path) as records:
        for _ in range(records.count(24, MAX_CAMERAS, "cameras")):
            camera_id, model, width, height = records.take("<iiQQ")
            if model not in _MODELS:
                raise ValueError(
                    f"{path}: camera {camera_id}: unknown model {model}; expected PINHOLE, which is 1, or "
                    "another without distortion."
                )
            name, num_parameters = _MODELS[model]
            yield CameraRecord(camera_id, name, width, height, records.take(f"<{num_parameters}d"))


def binary_images(path: Path) -> Iterator[ImageRecord]:
    """Yield the images of ``images.bin``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is cut short, or declares more images than it can hold.
    """
    with _opened(path) as records:
        for _ in range(records.count(73, MAX_IMAGES, "images")):
            image_id, *pose, camera_id = records.take("<i7di")
            name = records.take_name()
            records.skip(records.take("<Q")[0] * _POINT_2D_BYTES)
            yield ImageRecord(image_id, tuple(pose[:4]), tuple(pose[4:]), camera_id, name)


def binary_points(path: Path) -> Iterator[Point]:
    """Yield the positions of ``points3D.bin`` up to where it may be cut short."""
    with _opened(path) as records:
        try:
            for _ in range(records.take("<Q")[0]):
                _, x, y, z, *_, length = records.take("<Qddd3BdQ")
                records.skip(length * _TRACK_BYTES)
                yield x, y, z
        except ValueError:
            return


class _Records:
    """A file that is read record by record; raises ValueError where it ends too early."""

    def __init__(self, path: Path, file: BinaryIO, num_bytes: int) -> None:
        self._path, self._file, self._num_bytes = path, file, num_bytes

    def count(self, record_bytes: int, maximum: int, kind: str) -> int:
        """Return the number of records that the file declares, if it can hold them."""
        count: int = self.take("<Q")[0]
        allowed = min(maximum, (self._num_bytes - 8) // record_bytes)
        if count > allowed:
            raise ValueError(
                f"{self._path}: declares {count} {kind} in {self._num_bytes} bytes; expected at most "
                f"{allowed}."
            )
        return count

    def take(self, layout: str) -> tuple[Any, ...]:
        """Return the next values in a layout of ``struct``."""
        data = self._file.read(struct.calcsize(layout))
        if len(data) < struct.calcsize(layout):
            self._raise_short()
        return struct.unpack(layout, data)

    def take_name(self) -> str:
        """Return a text that ends with a zero byte."""
        start = self._file.tell()
        data = self._file.read(_MAX_NAME)
        end = data.find(b"\0")
        if end < 0:
            self._raise_short()
        self._file.seek(start + end + 1)
        return data[:end].decode("utf-8", "replace")

    def skip(self, num_bytes: int) -> None:
        """Go past bytes that are not needed."""
        if num_bytes > self._num_bytes - self._file.tell():
            self._raise_short()
        self._file.seek(num_bytes, SEEK_CUR)

    def _raise_short(self) -> None:
        """Raise the error of a file that ends too early."""
        raise ValueError(f"{self._path}: ends within a record; expected a whole file of a COLMAP model.")


@contextmanager
def _opened(path: Path) -> Iterator[_Records]:
    """Open a binary file of a model."""
    check_regular_file(path, str(path), "a file of a COLMAP model")
    with path.open("rb") as file:
        yield _Records(path, file, path.stat().st_size)
