"""Views of cameras that do not move: a folder of images or a video for each camera."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np

from ..image_folder import image_files, is_mask_name, natural_key
from ..video_file import shown_size
from .arrangement import arrange_views
from .camera_names import is_shared_folder, last_number
from .capture import CaptureView, checked_view
from .mask_files import check_files, is_mask_folder, masks_of_views
from .posed_image import PosedImage
from .source_files import VIDEO_SUFFIXES, image_size

Media = tuple[Path, ...] | Path  # images of a camera, or its video
_PLACES = (".", "images", "videos", "ims", "frames", "rgb")
_OTHER_FOLDERS = {"sparse", "sparse_", "colmap", "videos", "depth", "depths"}
_REDUCED = re.compile(r"_[0-9]{1,2}$")  # at the end of the name of a folder of reduced masks or depth maps


class StaticCamera(NamedTuple):
    """A camera that does not move.

    Attributes:
        name: Its name.
        viewmat: [4, 4] world-to-camera, float64, OpenCV axes.
        K: [3, 3] intrinsics, float64, pixels.
        size: Width and height for which ``K`` is, pixels; None if that is the size of the files.
    """

    name: str
    viewmat: np.ndarray
    K: np.ndarray
    size: tuple[int, int] | None


def find_media(root: Path) -> Iterator[dict[str, Media]]:
    """Yield what may be the images or the videos of the cameras of a capture.

    A folder may hold others beside them, such as a background or a preview: the caller knows which are those
    of its cameras.

    Args:
        root: Folder of the capture.

    Yields:
        The videos of a folder, then its folders of images, by their names in natural order, if there are any:
        of the capture's folder, then of its ``images``, ``videos`` and so on.
    """
    for place in _PLACES:
        entries = sorted((root / place).glob("[!.]*"), key=natural_key)
        for found in (_videos(entries), _image_folders(entries)):
            if found:
                yield found


def views_of_static(
    cameras: Sequence[StaticCamera], media: Mapping[str, Media], root: Path, subject: str
) -> tuple[tuple[CaptureView, ...], tuple[float, ...]]:
    """Return the views of static cameras, and the numbers of their frames.

    Args:
        cameras: The cameras, with different names.
        media: Images or a video for each of them, by name.
        root: Folder of the capture.
        subject: The source, for messages.

    Raises:
        FileNotFoundError: if files or masks are missing.
        ValueError: if cameras have different frames, two images of one frame, or some have videos and others
            images.
    """
    videos = {camera.name: file for camera in cameras if isinstance(file := media[camera.name], Path)}
    if not videos:
        folders = [files for camera in cameras if isinstance(files := media[camera.name], tuple)]
        images = [
            image
            for camera, files, numbers in zip(cameras, folders, _frame_numbers(folders), strict=True)
            for image in _posed(camera, files, numbers, root)
        ]
        return arrange_views(images, root, subject)
    if len(videos) < len(cameras):
        raise ValueError(
            f"{subject}: {len(videos)} of {len(cameras)} cameras have videos, the others images; expected "
            "the same for all."
        )
    check_files(list(videos.values()), subject, "video")
    ordered = sorted(cameras, key=lambda camera: natural_key(Path(camera.name)))
    views = tuple(_video_view(camera, videos[camera.name], subject) for camera in ordered)
    return masks_of_views(views, root, subject), ()


def _frame_numbers(folders: Sequence[Sequence[Path]]) -> list[list[float]]:
    """Return the numbers of the frames in each camera's folder: the last numbers in the names of the files.

    Where a camera has files without a number, or two with the same, they are the places in all folders. The
    only image of a camera is frame 0.
    """
    for files in folders:
        _check_one_of_each(files)
    numbers = [[last_number(file.stem) for file in files] for files in folders]
    if all(None not in found and len(set(found)) == len(found) for found in numbers if len(found) > 1):
        return [[float(n or 0) for n in found] if len(found) > 1 else [0.0] for found in numbers]
    return [[float(index) for index in range(len(found))] for found in numbers]


def _videos(entries: Sequence[Path]) -> dict[str, Media]:
    """Return the video files among the entries of a folder, but for masks, by their names."""
    return {
        file.stem: file
        for file in entries
        if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file() and not is_mask_name(file.stem)
    }


def _image_folders(entries: Sequence[Path]) -> dict[str, Media]:
    """Return the images in those entries of a folder that may be named after cameras, by their names."""
    found: dict[str, Media] = {}
    for entry in entries:
        if is_shared_folder(entry.name) or _is_other_folder(entry.name) or not entry.is_dir():
            continue
        for place in (entry, entry / "images"):
            files = [file for file in image_files(place) if not is_mask_name(file.stem)]
            if files:
                found[entry.name] = tuple(files)
                break
    return found


def _is_other_folder(name: str) -> bool:
    """Return whether a folder holds no images of cameras by its name, such as ``masks`` or ``depths_2``."""
    base = _REDUCED.sub("", name).lower()
    return base in _OTHER_FOLDERS or is_mask_folder(name) or is_mask_folder(base)


def _check_one_of_each(files: Sequence[Path]) -> None:
    """Raise ValueError if two images differ in their suffix only."""
    by_name: dict[Path, Path] = {}
    for file in files:
        other = by_name.setdefault(file.with_suffix(""), file)
        if other is not file:
            raise ValueError(
                f"{other} and {file.name}: two images of one frame; expected one, and masks in a folder "
                "named masks."
            )


def _posed(
    camera: StaticCamera, files: Sequence[Path], numbers: Sequence[float], root: Path
) -> Iterator[PosedImage]:
    """Yield the images of a camera."""
    width, height = camera.size or image_size(files[0])
    for file, number in zip(files, numbers, strict=True):
        yield PosedImage(
            path=file,
            relative=PurePath(*file.relative_to(root).parts),
            viewmat=camera.viewmat,
            K=camera.K,
            width=width,
            height=height,
            camera=camera.name,
            time=number,
        )


def _video_view(camera: StaticCamera, video: Path, subject: str) -> CaptureView:
    """Return the view of a camera with a video."""
    return checked_view(
        name=camera.name,
        frames=video,
        masks=None,
        viewmats=[camera.viewmat],
        Ks=[camera.K],
        size=camera.size or shown_size(video),
        subject=subject,
    )
