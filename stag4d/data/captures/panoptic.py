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
from .capture import Capture
from .posed_image import PosedImage
from .source_files import array_of, entries_of, image_side, path_inside, read_document, with_image_suffix
from .splits import Split
from .transforms import frames_per_second, static_reference

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
    num_frames = len(lists["fn"])
    for frame in range(num_frames):
        rows = {key: _row(values, frame, f"{subject}: {key}") for key, values in lists.items()}
        for index in range(len(rows["fn"])):
            field = f"[{frame}][{index}]"
            values = {key: _row(row, index, f"{subject}: {key}[{frame}]", False) for key, row in rows.items()}
            yield _image(values, folder, (subject, field), (size[0], size[1]), frame)


def _row(values: Any, index: int, field: str, is_list: bool = True) -> Any:
    """Return an entry of a list, itself a list where ``is_list``; raises ValueError that names the field."""
    if not isinstance(values, list) or index >= len(values):
        raise ValueError(f"{field} has no entry {index}; expected as many as fn has.")
    if is_list and not isinstance(values[index], list):
        raise ValueError(f"{field}[{index}] must be a list of cameras, not {describe(values[index])}.")
    return values[index]


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
