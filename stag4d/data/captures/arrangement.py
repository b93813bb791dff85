"""Arrange posed images by camera and time into the views of a capture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..image_folder import natural_key
from .camera_names import cameras_and_times, distinct_times, expand_folders, nearest_time
from .capture import CaptureView, checked_view
from .mask_files import check_files, masks_of_views
from .posed_image import PosedImage, is_static


def arrange_views(
    images: Sequence[PosedImage], root: Path, subject: str
) -> tuple[tuple[CaptureView, ...], tuple[float, ...]]:
    """Return the views of posed images, and the times of their frames.

    Args:
        images: At least one image, in any order.
        root: Folder of the capture, which is searched for masks.
        subject: The source, for messages.

    Returns:
        A view for each camera in natural order of their names, and F times, ascending.

    Raises:
        FileNotFoundError: if image or mask files are missing; it gives their number.
        ValueError: if a camera lacks an image at a time or has two, its images differ in size, or some images
            only have a time.
    """
    images = expand_folders(images)
    names, stamps = cameras_and_times(images, subject)
    times = distinct_times(stamps)
    frames = [nearest_time(times, stamp) for stamp in stamps]
    cells = _grid(images, names, frames, subject)
    cameras = sorted(set(names), key=lambda name: natural_key(Path(name)))
    _check_complete(cells, cameras, times, subject)
    check_files([image.path for image in images], subject, "image")
    views = tuple(
        _view(name, [cells[name, frame] for frame in range(len(times))], subject) for name in cameras
    )
    return masks_of_views(views, root, subject), tuple(times)


def _grid(
    images: Sequence[PosedImage], names: Sequence[str], frames: Sequence[int], subject: str
) -> dict[tuple[str, int], PosedImage]:
    """Return images by camera and frame; raises ValueError for two images of one."""
    cells: dict[tuple[str, int], PosedImage] = {}
    for image, name, frame in zip(images, names, frames, strict=True):
        other = cells.setdefault((name, frame), image)
        if other is not image:
            raise ValueError(
                f"{subject}: {other.relative} and {image.relative} are two images of camera {name} at frame "
                f"{frame}; expected one for each camera and time."
            )
    return cells


def _check_complete(
    cells: dict[tuple[str, int], PosedImage], cameras: Sequence[str], times: Sequence[float], subject: str
) -> None:
    """Raise ValueError if a camera has no image at a time; it gives the number of those."""
    num_missing = len(cameras) * len(times) - len(cells)
    if num_missing == 0:
        return
    name, frame = next(
        (name, frame) for name in cameras for frame in range(len(times)) if (name, frame) not in cells
    )
    raise ValueError(
        f"{subject}: {num_missing} of {len(cameras) * len(times)} images are missing, the first of camera "
        f"{name} at time {times[frame]:g}; expected one of each of the {len(cameras)} cameras at each of the "
        f"{len(times)} times."
    )


def _view(name: str, images: Sequence[PosedImage], subject: str) -> CaptureView:
    """Return the view of one camera's images in the order of time."""
    first = images[0]
    for image in images:
        if (image.width, image.height) != (first.width, first.height):
            raise ValueError(
                f"{subject}: {image.relative} is of {image.width}x{image.height} pixels; expected "
                f"{first.width}x{first.height}, as {first.relative} of the same camera is."
            )
    distinct = images[:1] if is_static(images) else images
    num_masks = sum(image.mask is not None for image in images)
    if 0 < num_masks < len(images):
        raise ValueError(
            f"{subject}: {num_masks} of {len(images)} images of camera {name} have masks; expected "
            "all or none."
        )
    return checked_view(
        name=name,
        frames=tuple(image.path for image in images),
        masks=tuple(image.mask for image in images if image.mask is not None) or None,
        viewmats=[image.viewmat for image in distinct],
        Ks=[image.K for image in distinct],
        size=(first.width, first.height),
        subject=subject,
    )
