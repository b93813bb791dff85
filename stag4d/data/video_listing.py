"""Which files and folders are videos, by their names and the first bytes of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .image_folder import FRAME_FOLDERS, IMAGE_SUFFIXES, MASK_FOLDERS, find_frames

_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv"),
    *(".flv", ".ogv", ".3gp", ".mxf", ".gif", ".apng"),
}
_HEADER_BYTES = 65536  # of a PNG, in which metadata may precede the chunk of an animation
_PNG_ANIMATION = b"acTL"
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
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:  # it was removed, or cannot be read
        return False
    if suffix == ".png":
        return _PNG_ANIMATION in header.partition(b"IDAT")[0]
    if suffix == ".avif":
        return header[4:12] == _AVIF_ANIMATION
    return header[12:16] == b"VP8X" and bool(header[_WEBP_FLAGS] & _WEBP_ANIMATION)


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
