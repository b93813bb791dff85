"""Read ``transforms.json`` of nerfstudio and ``transforms_{train,test,val}.json`` of Blender and D-NeRF.

``transform_matrix`` is camera-to-world with OpenGL axes (x right, y up, -z forward) in a world with z up.
https://docs.nerf.studio/quickstart/data_conventions.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ...geometry import check_camera_model
from ...geometry.pose_json import describe, finite_number
from .arrangement import arrange_views
from .camera_values import check_json_distortion, intrinsics_matrix, viewmat_of_pose
from .capture import Capture, Vector, static_reference
from .mask_files import check_files
from .posed_image import PosedImage, is_static
from .source_files import (
    array_of,
    entries_of,
    frames_per_second,
    image_side,
    image_size,
    is_possible_name,
    object_of,
    path_inside,
    read_document,
    with_image_suffix,
)
from .splits import Split
from .transforms_splits import entries_of_split

UP: Vector = (0.0, 0.0, 1.0)
HELD_OUT = ("transforms_test.json", "transforms_val.json")
_NAMES = ("transforms.json", "transforms_train.json", "transforms_test.json", "transforms_val.json")
_TIMES = ("time", "timestep")  # keys of the time; the first that some entry has is read of all


def is_transforms(folder: Path) -> bool:
    """Return whether a folder has ``transforms.json`` or ``transforms_train.json``."""
    return any((folder / name).exists() for name in _NAMES)


def read_transforms(folder: Path, split: Split = "train", path: Path | None = None) -> Capture:
    """Read a folder that holds ``transforms.json``, or ``transforms_train.json`` and the like.

    Args:
        folder: The folder, to which paths of images are relative.
        split: Which images; those of ``transforms_test.json`` and ``transforms_val.json`` are held out of
            ``train``.
        path: The file to read; None for those of the split.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is malformed, or a camera is no pinhole.
    """
    paths = _paths(folder, split) if path is None else [path]
    images: dict[Path, PosedImage] = {}
    fps = None
    for file in paths:
        document = read_document(file)
        fps = fps or frames_per_second(document, file.name)
        for image in posed_images(document, file, split):
            other = images.setdefault(image.path, image)
            if not _is_equal(image, other):
                raise ValueError(
                    f"{file}: {image.relative} is listed twice, with different cameras or times; expected "
                    "one entry for each image."
                )
    subject = ", ".join(str(file) for file in paths)
    views, times = arrange_views(list(images.values()), folder, subject)
    names = ", ".join(file.name for file in paths)
    kind = "nerfstudio" if paths[0].name == _NAMES[0] else "Blender or D-NeRF"
    return Capture(
        format=f"{kind} {names}",
        root=folder,
        views=views,
        frame_ids=times,
        fps=fps,
        up=UP,
        reference=static_reference(views),
    )


def posed_images(document: Mapping[str, Any], path: Path, split: Split = "all") -> list[PosedImage]:
    """Return the images that a ``transforms.json`` lists.

    Args:
        document: Its content.
        path: The file, to whose folder paths of images are relative.
        split: Which of them, if it has ``train_filenames`` and the like.
    """
    entries = entries_of(document, "frames", str(path))
    entries = [object_of(entry, f"{path}: frames[{index}]") for index, entry in enumerate(entries)]
    chosen = entries_of_split(entries, document, split, path)
    named = [(entries[index], f"{path}: frames[{index}]") for index in chosen]
    files = [_file(entry, path.parent, field) for entry, field in named]
    check_files(files, str(path), "image")
    shared = {name: value for name, value in document.items() if name != "frames"}
    fields = [{**shared, **entry} for entry, _ in named]
    time_key = next((key for key in _TIMES if any(entry.get(key) is not None for entry in fields)), None)
    sizes = _SizeOfFirst()
    images = [
        _posed_image(values, file, path.parent, (field, sizes))
        for values, (_, field), file in zip(fields, named, files, strict=True)
    ]
    if time_key is None:
        return images
    return [
        replace(image, time=_time(values, time_key, field))
        for image, values, (_, field) in zip(images, fields, named, strict=True)
    ]


def _is_equal(image: PosedImage, other: PosedImage) -> bool:
    """Return whether two entries of one image have the same camera and time."""
    return is_static([image, other]) and (image.camera, image.time) == (other.camera, other.time)


class _SizeOfFirst:
    """Sizes of images that are not in the file: the first image of each folder is opened for it."""

    def __init__(self) -> None:
        self._sizes: dict[Path, tuple[int, int]] = {}

    def __call__(self, file: Path) -> tuple[int, int]:
        """Return width and height of an image, pixels."""
        if file.parent not in self._sizes:
            self._sizes[file.parent] = image_size(file)
        return self._sizes[file.parent]


def _paths(folder: Path, split: Split) -> list[Path]:
    """Return the files of a split that a folder has."""
    single, train, test, val = (folder / name for name in _NAMES)
    if single.exists():
        return [single]
    wanted = {"train": [train], "test": [test if test.exists() else val], "all": [train, test, val]}[split]
    found = [path for path in wanted if path.exists()]
    if not found:
        raise FileNotFoundError(f"{wanted[0]}: no such file; expected it for split {split}.")
    return found


def _file(entry: Mapping[str, Any], folder: Path, field: str) -> Path:
    """Return the image file of an entry of ``frames``."""
    return with_image_suffix(path_inside(folder, entry.get("file_path"), f"{field}: file_path"))


def _posed_image(
    fields: Mapping[str, Any], file: Path, folder: Path, context: tuple[str, _SizeOfFirst]
) -> PosedImage:
    """Return one entry of ``frames``, with those of the file where it has none of its own, without time.

    Args:
        fields: The entries.
        file: The image.
        folder: Folder to which paths are relative.
        context: Path of the entry for messages, and sizes of images.
    """
    field, size_of = context
    subject = f"{field} ({file.name})"
    model = "OPENCV_FISHEYE" if fields.get("is_fisheye") else fields.get("camera_model", "PINHOLE")
    check_camera_model(str(model)[:40], subject)
    check_json_distortion(fields, subject)
    if fields.get("w") is None or fields.get("h") is None:
        width, height = size_of(file)
    else:
        width, height = image_side(fields["w"], f"{field}: w"), image_side(fields["h"], f"{field}: h")
    mask = fields.get("mask_path")
    return PosedImage(
        path=file,
        relative=PurePath(*file.relative_to(folder).parts),
        viewmat=viewmat_of_pose(
            _matrix(fields.get("transform_matrix"), f"{field}: transform_matrix"), subject, "opengl"
        ),
        K=_intrinsics(fields, width, height, field),
        width=width,
        height=height,
        mask=None if mask is None else with_image_suffix(path_inside(folder, mask, f"{field}: mask_path")),
        camera=_camera(fields, field),
    )


def _matrix(value: object, field: str) -> np.ndarray:
    """Return ``transform_matrix``, float64 [4, 4]; the last row may be missing."""
    if isinstance(value, list) and len(value) == 3:
        return np.vstack([array_of(value, (3, 4), field), [0.0, 0.0, 0.0, 1.0]])
    return array_of(value, (4, 4), field)


def _intrinsics(fields: Mapping[str, Any], width: int, height: int, field: str) -> np.ndarray:
    """Return K, float64 [3, 3]: focal lengths in pixels, or from the angles of view."""
    focals = list(_focal_lengths(fields, width, height, field))
    fx, fy = focals if None not in focals else [focals[0] or focals[1]] * 2  # square pixels
    if fx is None or fy is None:
        raise ValueError(
            f"{field}: has neither fl_x nor camera_angle_x; expected the focal length in pixels."
        )
    cx = finite_number(fields.get("cx", width / 2), f"{field}: cx")
    cy = finite_number(fields.get("cy", height / 2), f"{field}: cy")
    return intrinsics_matrix(fx, fy, cx, cy)


def _focal_lengths(fields: Mapping[str, Any], width: int, height: int, field: str) -> Iterator[float | None]:
    """Yield the horizontal and the vertical focal length, pixels, or None."""
    for axis, side in (("x", width), ("y", height)):
        focal, angle = f"fl_{axis}", f"camera_angle_{axis}"
        if fields.get(focal) is not None:
            yield finite_number(fields[focal], f"{field}: {focal}")
        elif fields.get(angle) is not None:
            radians = finite_number(fields[angle], f"{field}: {angle}")
            if not 0 < radians < math.pi:
                raise ValueError(f"{field}: {angle} is {radians:g}; expected radians from 0 to pi.")
            yield 0.5 * side / math.tan(0.5 * radians)
        else:
            yield None


def _camera(fields: Mapping[str, Any], field: str) -> str | None:
    """Return the name of the camera, if the entry has one."""
    for key in ("camera_label", "camera_id"):
        value = fields.get(key)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and is_possible_name(str(value)):
            return str(value)
        if value is not None:
            raise ValueError(f"{field}: {key} must be a short text or a number, not {describe(value)}.")
    return None


def _time(fields: Mapping[str, Any], key: str, field: str) -> float | None:
    """Return the time of an image, if the entry has one."""
    return None if fields.get(key) is None else finite_number(fields[key], f"{field}: {key}")
