"""Read lists of images by camera, MULTICAM_DICT of ComfyUI's FreeFlow nodes, with a COLMAP sparse model.

FreeFlow gives COLMAP one image of each camera, named after camera and frame (``cam01_0000.png``), in a folder
``FreeFlow_Colmap`` beside those of the cameras, whose path is its COLMAP_DATA.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from ..image_folder import natural_key
from .camera_names import camera_folder
from .capture import Capture, static_reference
from .colmap_model import find_model, is_model, mean_of_points, read_model
from .static_cameras import StaticCamera, views_of_static

_logger = logging.getLogger(__name__)

_FOLDER = "FreeFlow_Colmap"
_FRAME = re.compile(r"[-_. ]?[0-9]+")


def read_multicam(cameras: Mapping[str, Sequence[str | Path]], colmap: str | Path | None = None) -> Capture:
    """Return the capture of static cameras whose images are listed.

    Cameras that the model does not have are left out, with a warning.

    Args:
        cameras: Image files by the name of the camera, as many for each.
        colmap: Folder of the sparse model, or one that holds ``sparse/0``; None finds it beside the cameras'
            folders.

    Raises:
        FileNotFoundError: if there is no model, or a file is missing.
        ValueError: if the model is malformed, has none of the cameras, or cameras have different frames.
    """
    files = {name: tuple(Path(file).absolute() for file in listed) for name, listed in cameras.items()}
    empty = [name for name, listed in files.items() if not listed]
    if not files or empty:
        raise ValueError(f"multi-camera images: {'no cameras' if not files else f'{empty[0]} has no image'}.")
    root = _common_folder(list(files.values()))
    model = _find_model(root, colmap)
    static = _static_cameras(sorted(files, key=lambda name: natural_key(Path(name))), model)
    views, frame_ids = views_of_static(static, files, root, f"{root}: multi-camera images")
    return Capture(
        format=f"multi-camera images with the COLMAP model {model}",
        root=root,
        views=views,
        frame_ids=frame_ids,
        center=mean_of_points(model),
        reference=static_reference(views),
    )


def _common_folder(lists: Sequence[Sequence[Path]]) -> Path:
    """Return the folder that holds the folders of all cameras."""
    try:
        return Path(os.path.commonpath([file.parent for files in lists for file in files]))
    except ValueError:  # on Windows
        raise ValueError("multi-camera images: files on several drives; expected one.") from None


def _find_model(root: Path, colmap: str | Path | None) -> Path:
    """Return the folder of the sparse model."""
    places = (root, root / _FOLDER) if colmap is None else (Path(colmap),)
    for place in places:
        model = find_model(place) or (place if is_model(place) else None)
        if model is not None:
            return model
    raise FileNotFoundError(
        f"{places[0]}: no COLMAP sparse model; expected cameras.bin or cameras.txt in its sparse/0, or the "
        "folder of the model beside the images."
    )


def _static_cameras(names: Sequence[str], model: Path) -> list[StaticCamera]:
    """Return the cameras of the model that have a name, each by its first image."""
    cameras, images = read_model(model)
    found: dict[str, StaticCamera] = {}
    for image in sorted(images, key=lambda image: natural_key(Path(image.path))):
        camera, name = cameras[image.camera_id], _camera_of(image.path, names)
        if name is not None and name not in found:
            found[name] = StaticCamera(name, image.viewmat, camera.K, (camera.width, camera.height))
    missing = [name for name in names if name not in found]
    if not found:
        raise ValueError(
            f"{model}: has no image of {missing[0]}, nor of the other cameras; expected images named after "
            "cameras, such as cam01_0000.png or cam01/0000.png."
        )
    if missing:
        _logger.warning(
            "%s: has %d of %d cameras; %s and the others without a pose are left out.",
            model,
            len(found),
            len(names),
            missing[0],
        )
    return [found[name] for name in names if name in found]


def _camera_of(path: PurePath, names: Sequence[str]) -> str | None:
    """Return the name after which an image is named, or its folder, or None."""
    if camera_folder(path) in names:
        return camera_folder(path)
    matches = [
        name
        for name in names
        if path.stem == name or (path.stem.startswith(name) and _FRAME.fullmatch(path.stem[len(name) :]))
    ]
    exact = [name for name in matches if path.stem[len(name) :][:1] in ("_", "-", ".", " ", "")]
    return max(exact or matches, key=len, default=None)
