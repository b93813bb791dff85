"""Videos in ComfyUI's input folder: video files, animations and folders of images."""

from pathlib import Path

import folder_paths

from ...stag4d.data import find_videos, frame_files
from .files import find_paths, resolve_name

_named: dict[Path, tuple[list[Path], list[str]]] = {}  # files of a search and the names for them, by folder

_CHOOSE = "choose one in the list (press R to refresh it), or copy it into ComfyUI's input folder."


def video_names() -> list[str]:
    """Return the names of the videos in the input folder; those of folders have a slash at their end."""
    root = Path(folder_paths.get_input_directory())
    files = find_paths("*", root)  # the same list while it reuses a search
    if root not in _named or _named[root][0] is not files:
        videos = find_videos(files, root)
        names = [path.relative_to(root).as_posix() + ("/" if path.is_dir() else "") for path in videos]
        _named[root] = files, names
    return _named[root][1]


def video_path(name: str) -> Path:
    """Return the path of the file or folder with a name from ``video_names``.

    Raises:
        ValueError: if it, or a file in it, lies outside the input folder, or a folder is not clear.
        FileNotFoundError: if there is no such file or folder, or no image in it.
    """
    path, root = resolve_name(name, "video"), Path(folder_paths.get_input_directory()).resolve()
    if root not in path.parents:
        raise ValueError(f"video: {name!r} lies outside ComfyUI's input folder; {_CHOOSE}")
    if not path.exists():
        raise FileNotFoundError(f"video: {name!r} was not found; {_CHOOSE}")
    for file in frame_files(path):
        if root not in file.resolve().parents:
            raise ValueError(
                f"video: {name!r} has links that lead out of the input folder, such as {file.name}; copy the "
                "files into it."
            )
    return path
