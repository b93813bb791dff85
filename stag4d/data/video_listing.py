"""Which files and folders are videos, by their names and the first bytes of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from os import SEEK_CUR
from pathlib import Path
from typing import BinaryIO

from .image_folder import FRAME_FOLDERS, IMAGE_SUFFIXES, MASK_FOLDERS, find_frames

_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv"),
    *(".flv", ".ogv", ".3gp", ".mxf", ".gif", ".apng"),
}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_ANIMATION, _PNG_PIXELS = b"acTL", b"IDAT"
_CRC_BYTES = 4  # at the end of each chunk
_HEADER_BYTES = 21  # of a WebP or AVIF
_WEBP_FLAGS, _WEBP_ANIMATION = 20, 0x02  # after RIFF, size, WEBP, VP8X and the size of that chunk
_AVIF_ANIMATION = b"ftypavis"


def find_videos(files: Iterable[Path], root: Path) -> list[Path]:
    """Return the videos among files: video files, animations, and folders of at least two images.

    Of a ViewSet folder and of a folder with ``images`` and ``masks``, the folder itself is returned and none
    inside it.

    Args:
        files: Files at any depth below ``root``.
        root: A folder, which is no video itself.

    Returns:
        Paths of files and folders, sorted.
    """
    videos, images = [], []
    for file in files:
        if is_video_file(file):
            videos.append(file)
        elif file.suffix.lower() in IMAGE_SUFFIXES and file.parent.name.lower() not in MASK_FOLDERS:
            images.append(file)
    counts = Counter(_frame_folder(file, root) for file in images)
    folders = {folder for folder, count in counts.items() if count > 1 and folder != root}
    videos += [folder for folder in folders if folders.isdisjoint(folder.parents)]
    return sorted(videos)


def is_video_file(path: Path) -> bool:
    """Return whether a file is a video by its suffix, or an animated PNG, WebP or AVIF by its header."""
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES:
        return True
    if suffix not in (".png", ".webp", ".avif"):
        return False
    try:
        state = path.stat()
        return _is_animation(path, suffix, state.st_mtime_ns, state.st_size)
    except OSError:  # it was removed, or cannot be read
        return False


@lru_cache(maxsize=2**16)  # a list of videos is made often, of folders with many images
def _is_animation(path: Path, suffix: str, mtime_ns: int, num_bytes: int) -> bool:
    """Return whether a PNG, WebP or AVIF is animated; time and size tell the cache when it has changed."""
    with path.open("rb") as file:
        if suffix == ".png":
            return _has_animation_chunk(file)
        header = file.read(_HEADER_BYTES)
    if suffix == ".avif":
        return header[4:12] == _AVIF_ANIMATION
    is_extended = len(header) == _HEADER_BYTES and header[12:16] == b"VP8X"
    return is_extended and bool(header[_WEBP_FLAGS] & _WEBP_ANIMATION)


def _has_animation_chunk(file: BinaryIO) -> bool:
    """Return whether a PNG has the chunk of an animation, which is before the pixels; others are skipped."""
    if file.read(len(_PNG_SIGNATURE)) != _PNG_SIGNATURE:
        return False
    while len(header := file.read(8)) == 8:
        num_bytes, kind = int.from_bytes(header[:4], "big"), header[4:]
        if kind in (_PNG_ANIMATION, _PNG_PIXELS):
            return kind == _PNG_ANIMATION
        if not kind.isalpha():  # damaged
            return False
        file.seek(num_bytes + _CRC_BYTES, SEEK_CUR)
    return False


def frame_files(path: Path) -> list[Path]:
    """Return the files that ``read_video`` reads: a file itself, or the images of a folder and their masks.

    Raises:
        FileNotFoundError: if a folder has no images.
        ValueError: if it is not clear which images are masks.
    """
    if not path.is_dir():
        return [path]
    return [file for pair in find_frames(path) for file in pair if file is not None]


def _frame_folder(image: Path, root: Path) -> Path:
    """Return the folder that is a video of which an image is a frame."""
    folder = image.parent
    return folder.parent if folder.name.lower() in FRAME_FOLDERS and folder.parent != root else folder
