"""Files and folders from which a scene can be loaded: in ComfyUI's folders, and bundled ones."""

from collections import defaultdict
from pathlib import Path

from ...stag4d.export import FRAME_SUFFIXES, find_frame_files
from ...stag4d.pipeline import OFFICIAL_FILES, SCENE_SUFFIXES, bundled_scenes, is_official
from .files import TEMP_FOLDER, find_paths, host_roots, resolve_name

SUFFIX = ".safetensors"  # of saved scenes


def scene_names() -> list[str]:
    """Return the names of what can be loaded; those in the output and temp folders are marked.

    Saved scenes come first. A folder of numbered frames is listed before the files in it, which may be scenes
    of their own, and an official result instead of its files; both have a slash at their end. The temp folder
    has saved scenes only. Bundled scenes are the last.
    """
    saved, others = [], []
    for mark, folder in host_roots().items():
        is_temp = mark == " [temp]"
        root = folder / TEMP_FOLDER if is_temp else folder
        saved += [_name(path, folder, mark) for path in find_paths(f"*{SUFFIX}", root)]
        others += [] if is_temp else _other_names(folder, mark)
    return [*saved, *others, *bundled_scenes()]


def _other_names(root: Path, mark: str) -> list[str]:
    """Return the names of a folder's files in other formats, and of its folders with frames."""
    found = [path for suffix in SCENE_SUFFIXES if suffix != SUFFIX for path in find_paths(f"*{suffix}", root)]
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in found:
        by_folder[path.parent].append(path)
    names = []
    for folder, files in sorted(by_folder.items()):
        frames = [path for path in files if path.suffix in FRAME_SUFFIXES]
        if folder != root and (is_official(folder) or _is_sequence(folder, frames)):
            names.append(_name(folder, root, "/" + mark))
        if is_official(folder):
            files = [path for path in files if path.name not in OFFICIAL_FILES]
        names += [_name(path, root, mark) for path in files]
    return names


def _name(path: Path, root: Path, mark: str) -> str:
    """Return a path relative to a folder, with a mark."""
    return f"{path.relative_to(root).as_posix()}{mark}"


def _is_sequence(folder: Path, frames: list[Path]) -> bool:
    """Return whether a folder holds the frames of one scene."""
    if len(frames) < 2:
        return False
    try:
        return len(find_frame_files(folder)) > 1
    except ValueError:
        return False


def scene_path(name: str) -> Path:
    """Return the path of the file or folder with a name from ``scene_names``.

    Raises:
        ValueError: if it, or a file in it, lies outside ComfyUI's folders, or it has no known format.
        FileNotFoundError: if there is no such file.
    """
    if name in bundled_scenes():
        return bundled_scenes()[name]
    path = resolve_name(name, "scene file")
    if not path.is_dir() and path.suffix.lower() not in SCENE_SUFFIXES:
        raise ValueError(
            f"scene file: {name!r} is not a {SUFFIX} file, nor one of {', '.join(SCENE_SUFFIXES)}; choose a "
            "saved STAG4D scene or splats."
        )
    if not path.exists():
        raise FileNotFoundError(
            f"scene file: {name!r} was not found; choose one in the list (press R to refresh it), or copy "
            "the file into the input folder."
        )
    for file in scene_files(path):
        if not file.resolve().is_relative_to(file.parent):
            raise ValueError(f"scene file: {name!r} has links that lead out of it; copy the files into it.")
    return path


def scene_files(path: Path) -> list[Path]:
    """Return the files from which a scene is loaded; raises ValueError if a folder has none."""
    folder = path.parent if path.name in OFFICIAL_FILES else path
    if is_official(folder):
        return [folder / name for name in OFFICIAL_FILES]
    return find_frame_files(path) if path.is_dir() else [path]
