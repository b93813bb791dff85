"""Read captures in the layout of Nerfies, HyperNeRF and DyCheck: a camera file for each image.

``orientation`` holds the rows of the world-to-camera rotation, OpenCV axes, and ``position`` the camera's
center. The world of the cameras is ``(p - center) scale`` of ``scene.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ...geometry import check_distortion
from ...geometry.pose_json import describe, finite_number
from .arrangement import arrange_views
from .camera_names import last_number
from .camera_values import intrinsics_matrix
from .capture import Capture, static_reference
from .posed_image import PosedImage
from .source_files import (
    array_of,
    entries_of,
    frames_per_second,
    image_side,
    is_possible_name,
    object_of,
    read_document,
    with_image_suffix,
)
from .splits import Split

_SCENE, _METADATA, _DATASET, _CAMERAS = "scene.json", "metadata.json", "dataset.json", "camera"
_LISTS: dict[Split, str] = {"train": "train_ids", "test": "val_ids", "all": "ids"}
_TIME_KEYS = ("warp_id", "time_id")
_RADIAL, _TANGENTIAL = ("k1", "k2", "k3"), ("p1", "p2")


def is_hypernerf(folder: Path) -> bool:
    """Return whether a folder has ``scene.json`` and ``camera``."""
    return (folder / _SCENE).exists() and (folder / _CAMERAS).is_dir()


def read_hypernerf(folder: Path, split: Split = "train") -> Capture:
    """Read the cameras of a capture, and find its images in the first of ``rgb/1x``, ``rgb/2x`` and so on.

    Args:
        folder: The folder.
        split: Which images, by the lists of ``dataset.json``.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is malformed, or a camera is no pinhole.
    """
    scene = read_document(folder / _SCENE)
    field = str(folder / _SCENE)
    center = array_of(scene.get("center", [0, 0, 0]), (3,), f"{field}: center")
    scale = finite_number(scene.get("scale", 1.0), f"{field}: scale")
    if scale <= 0:
        raise ValueError(f"{field}: scale is {scale:g}; expected a positive number.")
    metadata_path = folder / _METADATA
    metadata = read_document(metadata_path) if metadata_path.exists() else {}
    images_folder, ids = _images_folder(folder), _ids(folder, split)
    records = [object_of(metadata.get(name, {}), f"{metadata_path}: {name}") for name in ids]
    images = [
        replace(_posed_image(name, folder, images_folder, (center, scale)), camera=_label(record), time=time)
        for name, record, time in zip(ids, records, _times(ids, records, metadata_path), strict=True)
    ]
    views, times = arrange_views(images, folder, str(folder))
    return Capture(
        format=f"HyperNeRF, {images_folder.relative_to(folder).as_posix()}",
        root=folder,
        views=views,
        frame_ids=times,
        fps=frames_per_second(scene, field),
        reference=static_reference(views),
    )


def _ids(folder: Path, split: Split) -> list[str]:
    """Return the ids of the images of a split; without ``dataset.json`` those of all cameras."""
    path = folder / _DATASET
    if not path.exists():
        if split == "test":
            raise ValueError(
                f"{folder}: has no {_DATASET}, which holds images out; expected split train or all."
            )
        return sorted(file.stem for file in (folder / _CAMERAS).glob("[!.]*.json"))
    document = read_document(path)
    listed = {name: _listed(document, key, path) for name, key in _LISTS.items()}
    chosen = listed[split]
    if split == "train" and not chosen:
        held_out = set(listed["test"])
        chosen = [name for name in listed["all"] if name not in held_out]
    elif split == "all":
        chosen = chosen or [*listed["train"], *listed["test"]]
    if not chosen:
        remedy = "expected at least one image" if split == "all" else "split all reads all images"
        raise ValueError(f"{path}: {_LISTS[split]} lists no image for split {split}; {remedy}.")
    return chosen


def _listed(document: Mapping[str, Any], key: str, path: Path) -> list[str]:
    """Return a list of ids in ``dataset.json``; an empty one if it has none."""
    ids = entries_of(document, key, str(path)) if document.get(key) not in (None, []) else []
    for index, name in enumerate(ids):
        if not isinstance(name, str) or not is_possible_name(name) or "/" in name or "\\" in name:
            raise ValueError(f"{path}: {key}[{index}] must be the name of an image, not {describe(name)}.")
    return ids


def _times(ids: Sequence[str], records: Sequence[Mapping[str, Any]], path: Path) -> list[float | None]:
    """Return the times of images: by the first key that ``metadata.json`` has, else the numbers in ids."""
    for key in _TIME_KEYS:
        if any(key in record for record in records):
            return [
                finite_number(record[key], f"{path}: {name}: {key}") if key in record else None
                for name, record in zip(ids, records, strict=True)
            ]
    numbers = [last_number(name) for name in ids]
    return [None if None in numbers else float(number or 0) for number in numbers]


def _images_folder(folder: Path) -> Path:
    """Return the folder of the largest images."""
    for place in (*(folder / "rgb" / f"{factor}x" for factor in (1, 2, 4, 8, 16)), folder / "rgb"):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{folder}: has no folder rgb/1x, rgb/2x or rgb; expected the images there.")


def _label(record: Mapping[str, Any]) -> str | None:
    """Return the name of the camera in a record of ``metadata.json``, or None."""
    label = record.get("camera_id")
    return str(label)[:100] if isinstance(label, (int, str)) else None


def _posed_image(name: str, folder: Path, images: Path, placement: tuple[np.ndarray, float]) -> PosedImage:
    """Return the image of an id, without the name of its camera and its time.

    Args:
        name: The id.
        folder: Folder of the capture.
        images: Folder of its images.
        placement: Center [3] and scale of the scene.
    """
    path = folder / _CAMERAS / f"{name}.json"
    camera, subject = read_document(path), str(path)
    _check_lens(camera, subject)
    focal = finite_number(camera.get("focal_length"), f"{subject}: focal_length")
    ratio = finite_number(camera.get("pixel_aspect_ratio", 1.0), f"{subject}: pixel_aspect_ratio")
    size = array_of(camera.get("image_size"), (2,), f"{subject}: image_size")
    cx, cy = array_of(camera.get("principal_point", list(size / 2)), (2,), f"{subject}: principal_point")
    K = intrinsics_matrix(focal, focal * ratio, cx, cy)
    K[0, 1] = finite_number(camera.get("skew", 0.0), f"{subject}: skew")  # refused later unless it is 0
    file = with_image_suffix(images / name)
    return PosedImage(
        path=file,
        relative=PurePath(file.name),
        viewmat=_viewmat(camera, placement, subject),
        K=K,
        width=image_side(float(size[0]), f"{subject}: image_size[0]"),
        height=image_side(float(size[1]), f"{subject}: image_size[1]"),
    )


def _check_lens(camera: Mapping[str, Any], subject: str) -> None:
    """Raise ValueError if a camera has distortion."""
    for key, names in (("radial_distortion", _RADIAL), ("tangential_distortion", _TANGENTIAL)):
        if camera.get(key) is not None:
            values = array_of(camera[key], (len(names),), f"{subject}: {key}").tolist()
            check_distortion(dict(zip(names, values, strict=True)), subject)


def _viewmat(camera: Mapping[str, Any], placement: tuple[np.ndarray, float], subject: str) -> np.ndarray:
    """Return the world-to-camera matrix [4, 4] in the world of the scene."""
    center, scale = placement
    rotation = array_of(camera.get("orientation"), (3, 3), f"{subject}: orientation")
    position = array_of(camera.get("position"), (3,), f"{subject}: position")
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ ((position - center) * scale)
    return viewmat
