"""Read Panoptic Sports, the data of Dynamic 3D Gaussians: ``train_meta.json``.

``w2c[t][c]`` is world-to-camera with OpenCV axes, ``k[t][c]`` the intrinsics, ``fn[t][c]`` the image in
``ims`` and ``cam_id[t][c]`` the camera; masks are in ``seg``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from ...geometry.pose_json import describe
from .arrangement import arrange_views
from .capture import Capture, static_reference
from .posed_image import PosedImage
from .source_files import (
    array_of,
    entries_of,
    frames_per_second,
    image_side,
    path_inside,
    read_document,
    with_image_suffix,
)
from .splits import Split

_TRAIN, _TEST = "train_meta.json", "test_meta.json"
_FILES: dict[Split, tuple[str, ...]] = {"train": (_TRAIN,), "test": (_TEST,), "all": (_TRAIN, _TEST)}
_IMAGES = "ims"


def is_panoptic(folder: Path) -> bool:
    """Return whether a folder has ``train_meta.json``."""
    return (folder / _TRAIN).exists()


def read_panoptic(folder: Path, split: Split = "train") -> Capture:
    """Read ``train_meta.json``, for split ``test`` ``test_meta.json``, or both.

    Args:
        folder: The folder that holds ``ims``.
        split: Which cameras.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is malformed, or a camera is no pinhole.
    """
    names = [name for name in _FILES[split] if name != _TEST or split == "test" or (folder / name).exists()]
    documents = [read_document(folder / name) for name in names]
    images = [
        image
        for name, document in zip(names, documents, strict=True)
        for image in _images(document, folder, str(folder / name))
    ]
    views, times = arrange_views(images, folder, str(folder / names[0]))
    return Capture(
        format=f"Panoptic Sports {' and '.join(names)}",
        root=folder,
        views=views,
        frame_ids=times,
        fps=frames_per_second(documents[0], str(folder / names[0])),
        reference=static_reference(views),
    )


def _images(document: Mapping[str, Any], folder: Path, subject: str) -> Iterator[PosedImage]:
    """Yield the images of a file."""
    size = tuple(image_side(document.get(key), f"{subject}: {key}") for key in ("w", "h"))
    lists = {key: entries_of(document, key, subject) for key in ("k", "w2c", "fn", "cam_id")}
    _check_lengths(lists, subject, "")
    for frame in range(len(lists["fn"])):
        rows = {key: values[frame] for key, values in lists.items()}
        _check_lengths(rows, subject, f"[{frame}]")
        for index in range(len(rows["fn"])):
            values = {key: row[index] for key, row in rows.items()}
            yield _image(values, folder, (subject, f"[{frame}][{index}]"), (size[0], size[1]), frame)


def _check_lengths(lists: Mapping[str, Any], subject: str, field: str) -> None:
    """Raise ValueError unless all are lists of as many entries as ``fn`` has; ``field`` are their indices."""
    for key, values in lists.items():
        if not isinstance(values, list):
            raise ValueError(f"{subject}: {key}{field} must be a list, not {describe(values)}.")
    for key, values in lists.items():
        if len(values) != len(lists["fn"]):
            raise ValueError(
                f"{subject}: {key}{field} has {len(values)} entries; expected {len(lists['fn'])}, as many as "
                f"fn{field} has."
            )


def _image(
    values: Mapping[str, Any], folder: Path, names: tuple[str, str], size: tuple[int, int], frame: int
) -> PosedImage:
    """Return the image of one camera at one frame; ``names`` are the file and the indices of its entries."""
    subject, field = names
    file = with_image_suffix(path_inside(folder / _IMAGES, values["fn"], f"{subject}: fn{field}"))
    camera = values["cam_id"]
    if isinstance(camera, bool) or not isinstance(camera, (int, str)) or len(str(camera)) > 100:
        raise ValueError(f"{subject}: cam_id{field} must be a number or short text, not {describe(camera)}.")
    return PosedImage(
        path=file,
        relative=PurePath(*file.relative_to(folder).parts),
        viewmat=array_of(values["w2c"], (4, 4), f"{subject}: w2c{field}"),
        K=array_of(values["k"], (3, 3), f"{subject}: k{field}"),
        width=size[0],
        height=size[1],
        camera=str(camera),
        time=float(frame),
    )
