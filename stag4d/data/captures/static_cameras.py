"""Views of cameras that do not move: a folder of images or a video for each camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np

from ..image_folder import MASK_FOLDERS, image_files, is_mask_name, natural_key
from .arrangement import arrange_views
from .camera_names import SHARED_FOLDERS, last_number
from .capture import CaptureView, checked_view
from .mask_files import check_files, masks_of_views
from .posed_image import PosedImage
from .source_files import VIDEO_SUFFIXES, image_size

Media = tuple[Path, ...] | Path  # images of a camera, or its video
_PLACES = (".", "images", "videos", "ims", "frames", "rgb")
_OTHER_FOLDERS = {*MASK_FOLDERS, "fmasks", "seg", "sparse", "sparse_", "colmap", "videos", "depth", "depths"}


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


def find_media(root: Path) -> dict[str, Media]:
    """Return the images or the video of each camera of a capture.

    Args:
        root: Folder of the capture. Cameras are its folders of images, or its video files; or those in its
            ``images`` or ``videos``.

    Returns:
        By the names of folders or videos, in natural order; empty if there are none.
    """
    for place in _PLACES:
        folder = root / place
        found = dict(_media_in(folder)) if folder.is_dir() else {}
        if found:
            return found
    return {}


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
        ValueError: if cameras have different frames, or some have videos and others images.
    """
    videos = {camera.name: file for camera in cameras if isinstance(file := media[camera.name], Path)}
    if not videos:
        images = [image for camera in cameras for image in _posed(camera, media[camera.name], root)]
        return arrange_views(images, root, subject)
    if len(videos) < len(cameras):
        raise ValueError(
            f"{subject}: {len(videos)} of {len(cameras)} cameras have videos, the others images; expected "
            "the same for all."
        )
    check_files(list(videos.values()), subject, "video")
    views = tuple(_video_view(camera, videos[camera.name], subject) for camera in cameras)
    return masks_of_views(views, root, subject), ()


def numbered(files: Sequence[Path]) -> list[float]:
    """Return the last numbers in file names if all have different ones, else their places."""
    numbers = [last_number(file.stem) for file in files]
    if None in numbers or len(set(numbers)) < len(numbers):
        return [float(index) for index in range(len(files))]
    return [float(number or 0) for number in numbers]


def _media_in(folder: Path) -> Iterator[tuple[str, Media]]:
    """Yield the cameras in a folder: videos if there are any, else folders of images."""
    entries = sorted((entry for entry in folder.glob("[!.]*")), key=natural_key)
    videos = [file for file in entries if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()]
    videos = [file for file in videos if not is_mask_name(file.stem)]
    if videos:
        yield from ((file.stem, file) for file in videos)
        return
    for entry in entries:
        if entry.name.lower() in SHARED_FOLDERS | _OTHER_FOLDERS or not entry.is_dir():
            continue
        for place in (entry, entry / "images"):
            files = [file for file in image_files(place) if not is_mask_name(file.stem)]
            if files:
                yield entry.name, tuple(files)
                break


def _posed(camera: StaticCamera, media: Media, root: Path) -> Iterator[PosedImage]:
    """Yield the images of a camera."""
    files = media if isinstance(media, tuple) else (media,)
    width, height = camera.size or image_size(files[0])
    for file, number in zip(files, numbered(files), strict=True):
        yield PosedImage(
            path=file,
            relative=PurePath(*file.relative_to(root).parts),
            viewmat=camera.viewmat,
            K=camera.K,
            width=width,
            height=height,
            camera=camera.name,
            time=number if len(files) > 1 else 0.0,
        )


def _video_view(camera: StaticCamera, video: Path, subject: str) -> CaptureView:
    """Return the view of a camera with a video."""
    if camera.size is None:
        raise ValueError(
            f"{subject}: gives no image size for the video {video.name}; expected images, or their size."
        )
    return checked_view(
        name=camera.name,
        frames=video,
        masks=None,
        viewmats=[camera.viewmat],
        Ks=[camera.K],
        size=camera.size,
        subject=subject,
    )
