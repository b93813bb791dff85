"""Read captures with a COLMAP sparse model: one model for all frames, or one for each frame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from .arrangement import arrange_views
from .camera_names import camera_folder, last_number
from .capture import Capture, static_reference
from .colmap_model import ColmapCamera, ColmapImage, find_model, mean_of_points, read_model
from .colmap_times import NANOSECONDS, read_times
from .frame_folders import find_frame_folders, has_frame_folders, warn_of_incomplete
from .posed_image import PosedImage
from .static_cameras import Media, StaticCamera, find_media, views_of_static

_logger = logging.getLogger(__name__)

_IMAGE_FOLDERS = ("images", "image", "input", "rgb", ".")
_STATIC = 1e-4  # largest difference of a camera between the models of two frames, relative to its entries


def is_colmap(folder: Path) -> bool:
    """Return whether a folder has a sparse model, or folders of frames that have one."""
    return find_model(folder) is not None or has_frame_folders(folder, _has_model)


def read_colmap(folder: Path) -> Capture:
    """Read a capture whose cameras COLMAP has estimated.

    The images are those of the model, or of a folder or video for each camera that is named as the model's
    image is (``cam01.jpg`` and ``cam01``), or has the same number.

    Args:
        folder: Folder that holds ``sparse/0``, ``sparse`` or ``sparse_``, or ``frame_NUMBER`` that do.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is malformed, a camera is no pinhole, some images only have a time, or a camera
            differs between the models of two frames.
    """
    model = find_model(folder)
    if model is None:
        return _read_frame_models(folder)
    cameras, images = read_model(model)
    media = _media_of_images(find_media(folder), images, model)
    times = _checked_times(model, images)
    subject = f"{model}: images of the model"
    if media is not None and times is None:
        static = [_static_camera(image, cameras) for image in images]
        by_name = {camera.name: files for camera, files in zip(static, media, strict=True)}
        views, frame_ids = views_of_static(static, by_name, folder, subject)
    else:
        posed = [_posed_image(image, cameras, folder, times or {}) for image in images]
        views, frame_ids = arrange_views(posed, folder, subject)
    return Capture(
        format=f"COLMAP {model.relative_to(folder).as_posix()}",
        root=folder,
        views=views,
        frame_ids=frame_ids,
        fps=None if times is None else _rate(frame_ids),
        center=mean_of_points(model),
        reference=static_reference(views),
    )


def _has_model(frame: Path) -> bool:
    """Return whether the folder of a frame has a sparse model."""
    return find_model(frame) is not None


def _checked_times(model: Path, images: Sequence[ColmapImage]) -> dict[int, int] | None:
    """Return the times of a model's images, nanoseconds; ValueError if the model has those of some only."""
    times = read_times(model)
    missing = [] if times is None else [image for image in images if image.image_id not in times]
    if missing:
        raise ValueError(
            f"{model}: {len(missing)} of {len(images)} images have no record in its file of times, the first "
            f"{missing[0].path}; expected one for each image, or no such file."
        )
    return times


def _read_frame_models(folder: Path) -> Capture:
    """Read a capture with one model for each frame; the cameras are those of the first."""
    frames = find_frame_folders(folder, _has_model)
    warn_of_incomplete(folder, frames, "sparse model")
    models = {frame: find_model(frame) or frame for frame in frames.values()}
    read = {frame: read_model(model) for frame, model in models.items()}
    name_of = _naming([image.path for image in images] for _, images in read.values())
    posed: list[PosedImage] = []
    first: dict[str, PosedImage] = {}
    for number, frame in frames.items():
        cameras, images = read[frame]
        for image in images:
            found, name = _posed_image(image, cameras, frame, {}), name_of(image.path)
            known = first.setdefault(name, found)
            _check_static(found, known, models[frame])
            posed.append(replace(found, viewmat=known.viewmat, K=known.K, time=float(number), camera=name))
    views, frame_ids = arrange_views(posed, folder, str(folder))
    return Capture(
        format="COLMAP, one sparse model for each frame",
        root=folder,
        views=views,
        frame_ids=frame_ids,
        center=mean_of_points(next(iter(models.values()))),
        reference=static_reference(views),
    )


def _naming(frames: Iterable[Sequence[PurePath]]) -> Callable[[PurePath], str]:
    """Return the function from an image's path to its camera: the first with one image of each in a frame."""
    listed = list(frames)
    namings: tuple[Callable[[PurePath], str], ...] = (
        _camera_name,
        lambda path: path.stem,
        lambda path: str(path.with_suffix("")),
    )
    for naming in namings[:-1]:
        if all(len(set(map(naming, paths))) == len(paths) for paths in listed):
            return naming
    return namings[-1]


def _camera_name(path: PurePath) -> str:
    """Return the name of an image's camera: of a folder, or of the file."""
    return camera_folder(path) or path.stem


def _check_static(image: PosedImage, known: PosedImage, model: Path) -> None:
    """Raise ValueError if a camera differs from that of the first frame."""
    subject = f"{model}: {image.relative}"
    size, expected = (image.width, image.height), (known.width, known.height)
    if size != expected:
        raise ValueError(
            f"{subject} is of {size[0]}x{size[1]} pixels; expected {expected[0]}x{expected[1]}, as in the "
            "first frame."
        )
    pairs = {"pose": (image.viewmat, known.viewmat), "intrinsic matrix": (image.K, known.K)}
    for what, (matrix, other) in pairs.items():
        difference = np.abs(matrix - other).max()
        if difference > _STATIC * max(1.0, np.abs(other).max()):
            raise ValueError(
                f"{subject}: its {what} differs by {difference:g} from that in the first frame; expected "
                "static cameras in one world."
            )


def _media_of_images(
    places: Iterable[Mapping[str, Media]], images: Sequence[ColmapImage], model: Path
) -> list[Media] | None:
    """Return the folder or video of each image's camera, from the first place that has one for each.

    Args:
        places: Folders or videos by name, of each place.
        images: Images of the model.
        model: Its folder, for messages.

    Returns:
        As many as images, or None if no place has them.
    """
    for media in places:
        names = [_name_in(image.path, media) for image in images]
        found = [media[name] for name in names if name is not None]
        if len(found) == len(set(names)) == len(images):
            others = [name for name in media if name not in names]
            if others:
                _logger.warning(
                    "%s: %d of %d folders or videos have no image, the first %s; they are left out.",
                    model,
                    len(others),
                    len(media),
                    others[0],
                )
            return found
    return None


def _name_in(path: PurePath, media: Mapping[str, Media]) -> str | None:
    """Return the folder or video of an image's camera: of its name, or the only one of its number."""
    name = _camera_name(path)
    if name in media or camera_folder(path) is not None:
        return name if name in media else None
    number = last_number(path.stem)
    numbered = [other for other in media if number is not None and last_number(other) == number]
    return numbered[0] if len(numbered) == 1 else None


def _static_camera(image: ColmapImage, cameras: Mapping[int, ColmapCamera]) -> StaticCamera:
    """Return the camera of an image."""
    camera = cameras[image.camera_id]
    return StaticCamera(_camera_name(image.path), image.viewmat, camera.K, (camera.width, camera.height))


def _posed_image(
    image: ColmapImage, cameras: Mapping[int, ColmapCamera], folder: Path, times: Mapping[int, int]
) -> PosedImage:
    """Return an image of the model with its file."""
    candidates = [folder / place / image.path for place in _IMAGE_FOLDERS]
    path = next((path for path in candidates if path.is_file()), candidates[0])
    camera, time = cameras[image.camera_id], times.get(image.image_id)
    return PosedImage(
        path=path,
        relative=image.path,
        viewmat=image.viewmat,
        K=camera.K,
        width=camera.width,
        height=camera.height,
        time=None if time is None else float(time),
    )


def _rate(times: Sequence[float]) -> float | None:
    """Return frames a second of frames at times in nanoseconds."""
    duration = times[-1] - times[0] if times else 0.0
    return (len(times) - 1) * NANOSECONDS / duration if duration > 0 else None
