"""Import of scenes from files: official STAG4D results, splats frame by frame, files of moving scenes."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from ..export import (
    find_frame_files,
    read_4dgs,
    read_frames,
    read_official_ply,
    read_s4d_scene,
    require_package,
)
from ..geometry import OrbitPose
from ..progress import Monitor, silent
from ..scene import GaussianFrames, GaussianModel4D, SceneInfo, load_scene, read_official_deformation
from ..types import DEFAULT_FPS, MAX_FRAMES

OFFICIAL_FILES = ("model.ply", "deformation.pth")
OFFICIAL_FRAMES = 30  # ``size`` in the official configuration, which its results do not hold
_DEFAULT_POSE = OrbitPose(azimuth_deg=0.0)
SCENE_SUFFIXES = (".ply", ".spz", ".s4d", ".4dgs", ".safetensors")

_logger = logging.getLogger(__name__)


def import_scene(
    source: str | Path,
    *,
    fps: float | None = None,
    num_frames: int | None = None,
    monitor: Monitor = silent,
) -> GaussianModel4D:
    """Read a scene in any known format, which is recognized by the name.

    Args:
        source: A folder with the official ``model.ply`` and ``deformation.pth``, or one of these two files; a
            folder with numbered PLY or SPZ files, one per frame; a single PLY or SPZ file; an ``.s4d``,
            ``.4dgs`` or scene file.
        fps: Frames per second; None takes those of the file, or 8.
        num_frames: For official results, the frames that they were trained with; None takes 30, the number
            in the official configuration.
        monitor: Called after each file.

    Returns:
        The scene, on the CPU, without gradients.

    Raises:
        FileNotFoundError: if there is no such file.
        RuntimeError: if a package for the format is missing.
        ValueError: if the format is not known, a file is damaged, or an argument does not apply to it.
    """
    path = Path(source)
    check_import(path, num_frames)
    folder = path.parent if path.name in OFFICIAL_FILES else path
    if is_official(folder):
        model = _import_official_folder(folder, fps, num_frames)
        monitor("import", 1, 1)
        return model
    if path.is_dir():
        return _scene(read_frames(find_frame_files(path), monitor), fps, path)
    model = _import_file(path, fps)
    monitor("import", 1, 1)
    return model


def check_import(source: str | Path, num_frames: int | None = None) -> None:
    """Raise the errors of ``import_scene`` that do not depend on the contents of files.

    Args:
        source: See ``import_scene``.
        num_frames: See ``import_scene``.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        RuntimeError: if a package for the format is missing.
        ValueError: if the suffix of a file is not known, or a number of frames is given for another format.
    """
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; expected a scene to import.")
    if is_official(path.parent if path.name in OFFICIAL_FILES else path):
        return
    if num_frames is not None:
        raise ValueError(
            f"{path}: a number of frames is only for official results; expected a folder with "
            f"{' and '.join(OFFICIAL_FILES)}."
        )
    if path.is_dir():
        return
    suffix = path.suffix.lower()
    if suffix not in SCENE_SUFFIXES:
        expected = f"{', '.join(SCENE_SUFFIXES)}, or a folder"
        raise ValueError(f"{path}: unknown suffix {suffix!r}; expected {expected}.")
    if suffix == ".4dgs" and path.is_file():
        require_package("fourdgs", "4dgs")


def is_official(folder: Path) -> bool:
    """Return whether a folder holds a result of the official STAG4D code."""
    return all((folder / name).is_file() for name in OFFICIAL_FILES)


def import_official(
    ply: str | Path, deformation: str | Path, num_frames: int, fps: float = DEFAULT_FPS
) -> GaussianModel4D:
    """Read a scene that the official STAG4D code saved.

    Args:
        ply: Its ``model.ply``.
        deformation: Its ``deformation.pth``.
        num_frames: Frames that it was trained with (``size`` in its configuration; the files lack it).
        fps: Frames per second.

    Returns:
        The scene, without gradients.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: if one is damaged or of another kind, or the numbers are out of range.
    """
    info = SceneInfo(num_frames=num_frames, fps=fps, settings={"source": "official STAG4D"})
    return GaussianModel4D(read_official_ply(ply), read_official_deformation(deformation, num_frames), info)


def _import_official_folder(folder: Path, fps: float | None, num_frames: int | None) -> GaussianModel4D:
    """Read an official result, and say which number of frames was assumed."""
    if num_frames is None:
        num_frames = OFFICIAL_FRAMES
        _logger.warning(
            "%s: does not say its number of frames; assuming %d, as in the official configuration.",
            folder,
            num_frames,
        )
    if not 1 <= num_frames <= MAX_FRAMES:
        raise ValueError(f"{folder}: {num_frames} frames; expected 1 to {MAX_FRAMES}.")
    ply, deformation = (folder / name for name in OFFICIAL_FILES)
    return import_official(ply, deformation, num_frames, DEFAULT_FPS if fps is None else fps)


def _import_file(path: Path, fps: float | None) -> GaussianModel4D:
    """Read a single file by its suffix, one of ``SCENE_SUFFIXES``."""
    match path.suffix.lower():
        case ".ply" | ".spz":
            return _scene(read_frames([path]), fps, path)
        case ".4dgs":
            frames, stored_fps = read_4dgs(path)
            return _scene(frames, fps or stored_fps, path)
        case ".s4d":
            frames, stored_fps, pose = read_s4d_scene(path)
            return _scene(frames, fps or stored_fps, path, pose)
        case _:  # .safetensors
            model = load_scene(path)
            info = model.info if fps is None else replace(model.info, fps=fps)
            return GaussianModel4D(model.gaussians, model.deformation, info, model.frames)


def _scene(
    frames: GaussianFrames, fps: float | None, source: Path, input_pose: OrbitPose = _DEFAULT_POSE
) -> GaussianModel4D:
    """Return the scene of stored frames."""
    rate = DEFAULT_FPS if fps is None else fps
    try:
        info = SceneInfo(num_frames=len(frames), fps=rate, input_pose=input_pose)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return GaussianModel4D.from_frames(frames, info)
