"""Find the images of a folder in natural order, and the mask that belongs to each.

Masks are recognized by their names (``0.jpg`` with ``0_mask.png``), by their folder (``masks/0.png``), or as
a PNG beside a JPEG of the same name. They become the alpha of the images.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from .decoding import NamedError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
_DIGITS = re.compile(r"[0-9]+")
_NUMBERED = re.compile(r"([^0-9]*)([0-9]*)")
_FRAMES_FOLDER = "ref"  # of a ViewSet folder, whose input frames are a video too
_IMAGE_FOLDERS = ("images", "image", "frames", "rgb", "color")
FRAME_FOLDERS = (_FRAMES_FOLDER, *_IMAGE_FOLDERS)
MASK_FOLDERS = ("masks", "mask", "mattes", "matte", "alphas", "alpha")
_MASK_WORD = re.compile(r"(?<![a-z])(?:masks?|alpha|mattes?)(?![a-z])", re.IGNORECASE)
_SEPARATORS = "-_. "
_OTHER_NAME = re.compile(
    r"(?P<before>.+?)[-_. ]+(?:depth|disparity|normals?|flow|albedo|segmentation|semantic)(?:[-_. ]*\d+)?",
    re.IGNORECASE,
)  # what renderers write beside an image
_JPEG_SUFFIXES = {".jpg", ".jpeg"}

Frame = tuple[Path, Path | None]  # an image, and its mask if it has one


def find_frames(folder: Path, with_masks: bool = True) -> list[Frame]:
    """Return the images of a folder in natural order, 2 before 10, each with its mask.

    Args:
        folder: The folder; of a ViewSet folder its ``ref`` is searched, and of a folder without images its
            ``images``, ``frames`` or ``rgb``.
        with_masks: Whether to find the masks. Without them, files that are masks are left out, too.

    Returns:
        One pair for each frame; its mask is None when the folder has no masks, or none are wanted.

    Raises:
        FileNotFoundError: if there is no image.
        ValueError: if some images have masks and others have none, or it is not clear which file is a mask.
    """
    place, files = _place_of_images(folder)
    if place.name == _FRAMES_FOLDER and place != folder:
        return [(file, None) for file in files]
    _refuse_other_images(files)
    by_name = {file: base for file in files if (base := _masked_stem(file.stem)) is not None}
    images = [file for file in files if file not in by_name] or files
    if not with_masks:
        return [(file, None) for file, _ in _paired_twins(images)]
    if 0 < len(by_name) < len(files):
        return _paired_by_name(images, by_name)
    pairs = _paired_twins(files)
    masks = _find_mask_folder(place, folder)
    if masks is not None and all(mask is None for _, mask in pairs):
        return _paired_with_folder(files, masks, is_inside=folder in masks.parents)
    return pairs


def find_masks(folder: Path) -> list[Path]:
    """Return the masks of a folder in natural order.

    Args:
        folder: A folder of masks, or one of images and masks, by their names or in a folder ``masks``.

    Raises:
        FileNotFoundError: if there is no image.
    """
    inner = _find_mask_folder(folder, folder)
    files = image_files(folder)
    named = [file for file in files if _masked_stem(file.stem) is not None]
    found = named or (image_files(inner) if inner is not None else []) or files
    if not found:
        raise FileNotFoundError(f"{folder}: no images; expected masks such as 0.png, 1.png.")
    return found


def _place_of_images(folder: Path) -> tuple[Path, list[Path]]:
    """Return the folder that holds the images, and the images."""
    for place in (folder / _FRAMES_FOLDER, folder, *(folder / name for name in _IMAGE_FOLDERS)):
        files = image_files(place)
        if files:
            return place, files
    raise FileNotFoundError(f"{folder}: no images; expected files such as 0.png, 1.png or 0.jpg.")


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder in natural order."""
    found = [
        file for file in folder.glob("[!.]*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
    ]
    return sorted(found, key=natural_key)


def natural_key(file: Path) -> tuple[list[tuple[str, int]], str]:
    """Return a sort key that compares the numbers in file names by value."""
    return [(text, int(number or 0)) for text, number in _NUMBERED.findall(file.stem)], file.name


def _refuse_other_images(files: list[Path]) -> None:
    """Raise ValueError if an image is a depth map or the like of another one."""
    by_stem = {file.stem: file for file in files}
    for file in files:
        match = _OTHER_NAME.fullmatch(file.stem)
        if match is not None and match["before"] in by_stem:
            raise NamedError(
                f"{file} and {by_stem[match['before']].name}: two images of one frame; expected a folder "
                "without depth maps and the like."
            )


def is_mask_name(stem: str) -> bool:
    """Return whether a file is a mask by its name without suffix, such as ``0_mask``."""
    return _masked_stem(stem) is not None


def _masked_stem(stem: str) -> str | None:
    """Return the stem of the image that a mask is named after, or None if the stem is not that of a mask."""
    match = _MASK_WORD.search(stem)
    if match is None:
        return None
    before, after = stem[: match.start()], stem[match.end() :].lstrip(_SEPARATORS)
    return before + after if after else before.rstrip(_SEPARATORS)


def _find_mask_folder(place: Path, folder: Path) -> Path | None:
    """Return the folder of masks in ``place``, or beside it if it is one of images; None if there is none."""
    is_image_folder = place != folder or place.name.lower() in _IMAGE_FOLDERS
    for parent in (place, place.parent) if is_image_folder else (place,):
        by_name: dict[str, Path] = {}
        with suppress(OSError):  # a folder that can be read may be in one that cannot be listed
            by_name = {entry.name.lower(): entry for entry in parent.iterdir() if entry.is_dir()}
        for name in MASK_FOLDERS:
            if name in by_name and by_name[name] != place and image_files(by_name[name]):
                return by_name[name]
    return None


def _paired_by_name(images: list[Path], bases: dict[Path, str]) -> list[Frame]:
    """Pair images with masks that are named after them, or have the same number."""
    if (twins := _first_twins(images)) is not None:
        _raise_ambiguous(*twins, "one image for each mask")
    by_name: dict[str, list[Path]] = defaultdict(list)
    for file in images:
        for name in {file.stem, _last_number(file.stem)}:
            by_name[name].append(file)
    by_name[""] = images  # of a mask that is named "mask"
    masks: dict[Path, Path] = {}
    for mask, base in bases.items():
        found = by_name.get(base) or by_name.get(_last_number(base)) or []
        if len(found) != 1:
            expected = f"an image named {base!r} in the same folder" if base else "a single image beside it"
            raise NamedError(f"{mask}: no image belongs to this mask; expected {expected}.")
        if found[0] in masks:
            _raise_ambiguous(masks[found[0]], mask, f"one mask for {found[0].name}")
        masks[found[0]] = mask
    for file in images:
        if file not in masks:
            mask = next(iter(bases))
            raise NamedError(f"{file}: has no mask beside it; expected one, as {mask} is a mask.")
    return [(file, masks[file]) for file in images]


def _last_number(stem: str) -> str:
    """Return the last number in a file name without leading zeros, or the whole name if there is none."""
    numbers = _DIGITS.findall(stem)
    return str(int(numbers[-1])) if numbers else stem


def _paired_twins(files: list[Path]) -> list[Frame]:
    """Pair a JPEG with a PNG of the same name, which is its mask; return other images without a mask."""
    twins = _first_twins(files)
    if twins is None:
        return [(file, None) for file in files]
    pairs: list[Frame] = []
    for found in _by_stem(files).values():
        jpegs = [file for file in found if file.suffix.lower() in _JPEG_SUFFIXES]
        others = [file for file in found if file.suffix.lower() == ".png"]
        if len(found) != 2 or len(jpegs) != 1 or len(others) != 1:
            _raise_ambiguous(*twins, "one image for each frame, or a JPEG and its PNG mask for all")
        pairs.append((jpegs[0], others[0]))
    return pairs


def _paired_with_folder(files: list[Path], folder: Path, is_inside: bool) -> list[Frame]:
    """Pair images with the masks of a folder by name, by number or, ``is_inside`` their folder, by order."""
    masks = image_files(folder)
    by_stem = {_masked_stem(mask.stem) or mask.stem: mask for mask in masks}
    by_stem |= {mask.stem: mask for mask in masks}
    named = [(file, by_stem.get(file.stem) or by_stem.get(file.name)) for file in files]
    if all(mask is not None for _, mask in named):
        return list(named)
    has_names = any(mask is not None for _, mask in named)
    if not has_names and (numbered := _paired_by_number(files, masks)) is not None:
        return numbered
    if has_names or not is_inside or len(masks) != len(files):
        missing = next(file for file, mask in named if mask is None)
        raise NamedError(
            f"{missing}: has no mask in {folder}, which has {len(masks)}; expected one for each of the "
            f"{len(files)} images, named as they are, or no such folder."
        )
    return list(zip(files, masks, strict=True))


def _paired_by_number(files: list[Path], masks: list[Path]) -> list[Frame] | None:
    """Pair images with masks of the same number; None if some have none, or share one."""
    images, by_number = ({_last_number(file.stem): file for file in found} for found in (files, masks))
    if len(images) < len(files) or len(by_number) < len(masks) or not images.keys() <= by_number.keys():
        return None
    return [(file, by_number[number]) for number, file in images.items()]


def _by_stem(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return files by their names without suffix."""
    found = defaultdict(list)
    for file in files:
        found[file.stem].append(file)
    return found


def _first_twins(files: Sequence[Path]) -> tuple[Path, Path] | None:
    """Return the first two files of the same stem, or None if there are none."""
    groups = _by_stem(files).values()
    return next(((group[0], group[1]) for group in groups if len(group) > 1), None)


def _raise_ambiguous(first: Path, second: Path, expected: str) -> NoReturn:
    """Raise ValueError for two images of one frame."""
    raise NamedError(f"{first} and {second.name}: two images of one frame; expected {expected}.")
