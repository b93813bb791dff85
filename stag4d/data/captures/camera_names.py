"""Tell the cameras and times of images from labels, folders, and numbers in file names.

A way to tell them is taken if it gives one image of every camera at every time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from ..image_folder import image_files, is_mask_name
from .frame_folders import frame_number
from .posed_image import PosedImage, is_static

_SAME_TIME = 1e-4  # of the length of the video
_LAST_NUMBER = re.compile(r"([0-9]+)(?=[^0-9]*$)")
_SHARED_FOLDERS = {
    *(".", "images", "image", "imgs", "ims", "frames", "rgb", "rgba", "color", "colors", "input"),
    *("train", "test", "val", "images_alpha", "data"),
}
# Reduced images of all cameras, as LLFF and nerfstudio write them: images_4, images_4_png, images_504x378.
# The singular image_02 is a camera, as in KITTI.
_REDUCED = re.compile(r"images_(?:[0-9]{1,2}|[0-9]{2,5}x[0-9]{2,5})(?:_png)?", re.IGNORECASE)


def is_shared_folder(name: str) -> bool:
    """Return whether a folder holds images of all cameras by its name, such as ``images`` or ``images_4``."""
    return name.lower() in _SHARED_FOLDERS or _REDUCED.fullmatch(name) is not None


def last_number(text: str) -> int | None:
    """Return the last number in a file name, or None."""
    match = _LAST_NUMBER.search(text)
    return int(match[1]) if match and len(match[1]) <= 18 else None


def camera_folder(relative: PurePath) -> str | None:
    """Return the folder in an image's path that is named after its camera, or None."""
    for part in relative.parts[:-1]:
        if not is_shared_folder(part) and frame_number(part) is None:
            return part
    return None


def frame_folder(relative: PurePath) -> int | None:
    """Return the number of the folder in an image's path that is named after its frame, or None."""
    numbers = (frame_number(part) for part in relative.parts[:-1])
    return next((number for number in numbers if number is not None), None)


def expand_folders(images: Sequence[PosedImage]) -> Sequence[PosedImage]:
    """Return static cameras, listed with one image each, with all images of their folders."""
    folders = Counter(image.path.parent for image in images)
    is_listed_once = all(
        folders[image.path.parent] == 1 and image.time is None and camera_folder(image.relative) is not None
        for image in images
    )
    if not is_listed_once:
        return images
    return [copy for image in images for copy in _of_folder(image)]


def _of_folder(image: PosedImage) -> Iterator[PosedImage]:
    """Yield a posed image for each image in the folder of one."""
    folder = image.path.parent
    files = [file for file in image_files(folder) if not is_mask_name(file.stem)]
    if len(files) < 2:
        yield image
        return
    for file in files:
        relative = image.relative.parent / file.name
        yield replace(image, path=file, relative=relative, camera=image.camera or camera_folder(relative))


def cameras_and_times(images: Sequence[PosedImage], subject: str) -> tuple[list[str], list[float]]:
    """Return the camera and the time of each image.

    Args:
        images: The images.
        subject: Their source, for messages.

    Raises:
        ValueError: if the source gives the times of some images only.
    """
    explicit: list[float | None] = [image.time for image in images]
    num_missing = explicit.count(None)
    if 0 < num_missing < len(images):
        raise ValueError(
            f"{subject}: {num_missing} of {len(images)} images have no time, the first "
            f"{images[explicit.index(None)].relative}; expected times of all images, or of none."
        )
    if num_missing:
        explicit = [frame_folder(image.relative) for image in images]
    labels = [image.camera or camera_folder(image.relative) for image in images]
    if all(time is not None for time in explicit):
        return _cameras_at(images, labels, [float(time) for time in explicit if time is not None])
    numbers = [last_number(image.relative.stem) for image in images]
    if all(label is not None for label in labels):
        names = [str(label) for label in labels]
        is_numbered = len(set(names)) < len(names) and all(number is not None for number in numbers)
        return names, [float(number or 0) for number in numbers] if is_numbered else [0.0] * len(names)
    prefixes = _prefixes(images)
    if all(number is not None for number in numbers):
        stamps = [float(number or 0) for number in numbers]
        is_grid = 1 < len(set(prefixes)) < len(images) and _is_grid(prefixes, stamps)
        if is_grid and all(is_static(group) for group in _groups(images, prefixes)):
            return prefixes, stamps
    return [str(image.relative.with_suffix("")) for image in images], [0.0] * len(images)


def _cameras_at(
    images: Sequence[PosedImage], labels: list[str | None], stamps: list[float]
) -> tuple[list[str], list[float]]:
    """Return the cameras of images with known times, and these times."""
    rounded = [float(time) for time in _rounded(stamps)]
    candidates: list[Callable[[], list[str]]] = [
        lambda: [image.relative.stem for image in images],
        lambda: ["camera"] * len(images),  # one that moves
        lambda: _prefixes(images),
        lambda: _by_pose(images),
    ]
    if all(label is not None for label in labels):
        names = [str(label) for label in labels]
        candidates = [lambda: names, candidates[1]]
    for candidate in candidates:
        if _is_grid(candidate(), rounded):
            return candidate(), stamps
    return candidates[0](), stamps


def _prefixes(images: Sequence[PosedImage]) -> list[str]:
    """Return names of images without their last number and separators."""
    stems = [image.relative.stem for image in images]
    return [_LAST_NUMBER.sub("", stem).strip("-_. ") for stem in stems]


def _by_pose(images: Sequence[PosedImage]) -> list[str]:
    """Return for each image the name of the first one with the same camera."""
    first: dict[tuple[bytes, bytes], str] = {}
    keys = [(_rounded_bytes(image.viewmat, 5), _rounded_bytes(image.K, 3)) for image in images]
    return [first.setdefault(key, image.relative.stem) for key, image in zip(keys, images, strict=True)]


def _rounded_bytes(matrix: np.ndarray, decimals: int) -> bytes:
    """Return a key that is equal for matrices that are equal but for rounding."""
    return (np.round(matrix, decimals) + 0.0).tobytes()  # + 0.0 turns -0.0 into 0.0


def _is_grid(names: Sequence[str], stamps: Sequence[float]) -> bool:
    """Return whether there is one image of every camera at every time."""
    cells = set(zip(names, stamps, strict=True))
    return len(cells) == len(names) == len(set(names)) * len(set(stamps))


def _groups(images: Sequence[PosedImage], names: Sequence[str]) -> list[list[PosedImage]]:
    """Return the images of each camera."""
    groups: dict[str, list[PosedImage]] = {}
    for image, name in zip(images, names, strict=True):
        groups.setdefault(name, []).append(image)
    return list(groups.values())


def distinct_times(stamps: Sequence[float]) -> list[float]:
    """Return the times, ascending; those that differ by less than 1e-4 of the length are one."""
    ordered = sorted(stamps)
    tolerance = _SAME_TIME * (ordered[-1] - ordered[0])
    times = ordered[:1]
    for stamp in ordered[1:]:
        if stamp - times[-1] > tolerance:
            times.append(stamp)
    return times


def _rounded(stamps: Sequence[float]) -> list[float]:
    """Return for each image the distinct time that is its own."""
    times = distinct_times(stamps)
    return [times[nearest_time(times, stamp)] for stamp in stamps]


def nearest_time(times: Sequence[float], stamp: float) -> int:
    """Return the index of the last of ascending times that is not after a stamp."""
    return int(np.searchsorted(times, stamp, side="right")) - 1
