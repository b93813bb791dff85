"""Read captures with a COLMAP sparse model: one model for all frames, or one for each frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np

from .arrangement import arrange_views
from .camera_names import camera_folder, last_number
from .capture import Capture
from .colmap_model import ColmapCamera, ColmapImage, is_model, mean_of_points, read_model
from .colmap_times import NANOSECONDS, read_times
from .posed_image import PosedImage
from .static_cameras import Media, StaticCamera, find_media, views_of_static
from .transforms import static_reference

_MODELS = ("sparse/0", "sparse", "sparse_", "colmap/sparse/0")
_IMAGE_FOLDERS = ("images", "image", "input", "rgb", ".")
_FRAME_FOLDER = re.compile(r"(?:frame|colmap)_?([0-9]{1,18})")
_STATIC = 1e-4  # largest difference of the poses of a camera between the models of two frames


def is_colmap(folder: Path) -> bool:
    """Return whether a folder has a sparse model, or folders of frames that have one."""
    return _model_of(folder) is not None or bool(_frame_models(folder))


def read_colmap(folder: Path) -> Capture:
    """Read a capture whose cameras COLMAP has estimated.

    The images are those of the model, or of a folder or video for each camera that is named as the model's
    image is (``cam01.jpg`` and ``cam01``), or has the same number.

    Args:
        folder: Folder that holds ``sparse/0``, ``sparse`` or ``sparse_``, or ``frame_NUMBER`` that do.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is malformed, or a camera is no pinhole.
    """
    model = _model_of(folder)
    if model is None:
        return _read_frame_models(folder)
    cameras, images = read_model(model)
    media = _media_of_images(find_media(folder), images)
    times = read_times(model)
    subject = f"{model}: images of the model"
    if media is not None and not times:
        static = [_static_camera(image, cameras) for image in images]
        by_name = {camera.name: files for camera, files in zip(static, media, strict=True)}
        views, frame_ids = views_of_static(static, by_name, folder, subject)
    else:
        posed = [_posed_image(image, cameras, folder, times) for image in images]
        views, frame_ids = arrange_views(posed, folder, subject)
    return Capture(
        format=f"COLMAP {model.relative_to(folder).as_posix()}",
        root=folder,
        views=views,
        frame_ids=frame_ids,
        fps=_rate(frame_ids) if times else None,
        center=mean_of_points(model),
        reference=static_reference(views),
    )


def _model_of(folder: Path) -> Path | None:
    """Return the folder of the sparse model, or None."""
    return next((folder / name for name in _MODELS if is_model(folder / name)), None)


def _frame_models(folder: Path) -> dict[int, Path]:
    """Return the sparse models of folders of frames, by number, ascending."""
    matches = ((_FRAME_FOLDER.fullmatch(entry.name), entry) for entry in folder.iterdir())
    found = {int(match[1]): model for match, entry in matches if match and (model := _model_of(entry))}
    return dict(sorted(found.items()))


def _read_frame_models(folder: Path) -> Capture:
    """Read a capture with one model for each frame; the poses are those of the first."""
    posed: list[PosedImage] = []
    first: dict[str, PosedImage] = {}
    for number, model in _frame_models(folder).items():
        cameras, images = read_model(model)
        for image in images:
            frame = folder / model.relative_to(folder).parts[0]
            found = _posed_image(image, cameras, frame, {})
            known = first.setdefault(PurePath(image.name).stem, found)
            _check_static(found, known, model)
            posed.append(
                replace(
                    found, viewmat=known.viewmat, K=known.K, time=float(number), camera=known.relative.stem
                )
            )
    views, frame_ids = arrange_views(posed, folder, str(folder))
    return Capture(
        format="COLMAP, one sparse model for each frame",
        root=folder,
        views=views,
        frame_ids=frame_ids,
        reference=static_reference(views),
    )


def _check_static(image: PosedImage, known: PosedImage, model: Path) -> None:
    """Raise ValueError if a camera differs from that of the first frame."""
    difference = np.abs(image.viewmat - known.viewmat).max()
    if difference > _STATIC * max(1.0, np.abs(known.viewmat).max()):
        raise ValueError(
            f"{model}: the pose of {image.relative.name} differs by {difference:g} from that in the first "
            "frame; expected static cameras in one world."
        )


def _media_of_images(media: Mapping[str, Media], images: Sequence[ColmapImage]) -> list[Media] | None:
    """Return the folder or video of each image's camera, or None if one has none or two share one."""
    by_number: dict[int | None, list[str]] = {}
    for name in media:
        by_number.setdefault(last_number(name), []).append(name)
    found = []
    for image in images:
        path = PurePath(image.name)
        label = camera_folder(path)
        candidates = [path.stem] if label is None else [label]
        names = [name for name in candidates if name in media]
        if label is None and not names:
            names = by_number.get(last_number(path.stem), [])
        if len(names) != 1:
            return None
        found.append(names[0])
    return [media[name] for name in found] if len(set(found)) == len(found) else None


def _static_camera(image: ColmapImage, cameras: Mapping[int, ColmapCamera]) -> StaticCamera:
    """Return the camera of an image."""
    camera, path = cameras[image.camera_id], PurePath(image.name)
    return StaticCamera(
        camera_folder(path) or path.stem, image.viewmat, camera.K, (camera.width, camera.height)
    )


def _posed_image(
    image: ColmapImage, cameras: Mapping[int, ColmapCamera], folder: Path, times: Mapping[int, int]
) -> PosedImage:
    """Return an image of the model with its file."""
    relative = PurePath(*(part for part in PurePath(image.name).parts if part not in ("/", "..")))
    candidates = [folder / place / relative for place in _IMAGE_FOLDERS]
    path = next((path for path in candidates if path.is_file()), candidates[0])
    camera, time = cameras[image.camera_id], times.get(image.image_id)
    return PosedImage(
        path=path,
        relative=relative,
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
