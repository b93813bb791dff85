"""Names of files and folders in the host's directories.

A name that comes with a workflow is untrusted: it is resolved and compared with the folders before use.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

import folder_paths

TEMP_FOLDER = "stag4d"  # ours, under the host's temp
WALK_SECONDS = 2.0

_walks: dict[tuple[Path, str], tuple[float, list[Path]]] = {}


def host_roots() -> dict[str, Path]:
    """Return the folders that names may lead into, by what a name ends with."""
    return {
        "": Path(folder_paths.get_input_directory()),
        " [output]": Path(folder_paths.get_output_directory()),
        " [temp]": Path(folder_paths.get_temp_directory()),
    }


def resolved(name: str, what: str) -> Path:
    """Return the path that a name such as ``cat/scene.safetensors [output]`` stands for.

    Raises:
        ValueError: if it leads out of the host's folder.
    """
    relative, annotated = folder_paths.annotated_filepath(name)
    folder = Path(annotated or folder_paths.get_input_directory()).resolve()
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{what}: {name!r} lies outside the host's folders; choose one inside.")
    return path


def paths_named(pattern: str, root: Path) -> list[Path]:
    """Return the paths anywhere below a folder whose name has a pattern, in order.

    The host asks for a schema, and so for this, many times a request: the answer stands for a moment.
    """
    now = monotonic()
    began, paths = _walks.get((root, pattern), (-WALK_SECONDS, []))
    if now - began >= WALK_SECONDS:
        paths = sorted(root.rglob(pattern))
        _walks[root, pattern] = now, paths
    return paths


def content_hash(files: Iterable[Path], root: Path) -> str:
    """Return a hash of files' names under a folder and of their bytes."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def temp_folder() -> Path:
    """Return this pack's folder under the host's temp, made when it is not there."""
    folder = Path(folder_paths.get_temp_directory()) / TEMP_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def numbered_path(filename_prefix: str, suffix: str) -> Path:
    """Return a new path under the output folder; the host refuses prefixes that lead out of it."""
    output = folder_paths.get_output_directory()
    folder, name, counter, _, _ = folder_paths.get_save_image_path(filename_prefix, output)
    return Path(folder) / f"{name}_{counter:05}_{suffix}"


def output_name(path: Path) -> str:
    """Return a path in the output folder as the widgets that choose files name it."""
    return f"{path.relative_to(folder_paths.get_output_directory()).as_posix()} [output]"
