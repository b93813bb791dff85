"""Names of files and folders in ComfyUI's input, output and temp folders.

A name that comes with a workflow is untrusted: its path is resolved, and must lie inside the folder.
"""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import folder_paths

from ...stag4d.resume import CheckpointFolder
from ...stag4d.temporary import locked, temporary_file

TEMP_FOLDER = "stag4d"  # of this pack, in ComfyUI's temp folder
MAX_UNFINISHED = 5  # prompts whose checkpoints stay in the temp folder
MAX_UNFINISHED_BYTES = 2 * 1024**3
MAX_NAME_BYTES = 236  # 255 in most file systems, less those of the number and the longest suffix
PROBE_BYTES = 4096  # of the trial file that shows whether a folder can be written
SEARCH_SECONDS = 2.0  # for which the result of a search is reused

_searches: dict[tuple[Path, str], tuple[float, list[Path]]] = {}  # time and result by folder and search


def host_roots() -> dict[str, Path]:
    """Return ComfyUI's input, output and temp folder by the suffix of the names of files in them."""
    return {
        "": Path(folder_paths.get_input_directory()),
        " [output]": Path(folder_paths.get_output_directory()),
        " [temp]": Path(folder_paths.get_temp_directory()),
    }


def resolve_name(name: str, subject: str) -> Path:
    """Return the path for a name such as ``cat/scene.safetensors [output]``.

    Args:
        name: The value of a widget.
        subject: What the name stands for, for the error message.

    Raises:
        ValueError: if the path lies outside the folder, or the name has a null character.
    """
    if "\0" in name:
        raise ValueError(f"{subject}: {name!r} has a null character; expected the name of a file or folder.")
    relative, annotated = folder_paths.annotated_filepath(name)
    folder = Path(annotated or folder_paths.get_input_directory()).resolve()
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{subject}: {name!r} lies outside ComfyUI's folders; choose one inside.")
    return path


def find_paths(pattern: str, root: Path, *, is_folder: bool = False) -> list[Path]:
    """Return the files, or folders, at any depth below a folder whose names match a pattern, sorted.

    Hidden files, such as macOS's ``._scene.ply``, are left out.
    """

    def search(root: Path) -> list[Path]:
        is_right = Path.is_dir if is_folder else Path.is_file
        found = (path for path in root.rglob(pattern) if not path.name.startswith("."))
        return sorted(path for path in found if is_right(path))

    return reused_search(root, pattern, search)


def reused_search(root: Path, name: str, search: Callable[[Path], list[Path]]) -> list[Path]:
    """Return the result of a search of a folder, which is reused for a while.

    The host evaluates a schema, and so the searches for its options, many times per request.

    Args:
        root: The folder.
        name: Name of the search, which others of the folder do not have.
        search: Returns the paths that it finds in the folder.
    """
    now = monotonic()
    began, paths = _searches.get((root, name), (-SEARCH_SECONDS, []))
    if now - began >= SEARCH_SECONDS:
        paths = search(root)
        _searches[root, name] = now, paths
    return paths


def content_hash(files: Iterable[Path], root: Path) -> str:
    """Return a SHA-256 hash of files: their paths relative to a folder, and their bytes."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def state_hash(files: Iterable[Path], root: Path) -> str:
    """Return a SHA-256 hash of the paths, sizes and modification times of files, which are not read."""
    digest = hashlib.sha256()
    for path in files:
        state = path.stat()
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def temp_folder() -> Path:
    """Return this pack's folder in ComfyUI's temp folder; it is created if it does not exist."""
    folder = Path(folder_paths.get_temp_directory()) / TEMP_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def unfinished_calls() -> CheckpointFolder:
    """Return the checkpoints of cancelled prompts, the newest few, in ComfyUI's temp folder."""
    return CheckpointFolder(
        temp_folder(), ignore_damaged=True, max_calls=MAX_UNFINISHED, max_bytes=MAX_UNFINISHED_BYTES
    )


def check_prefix(filename_prefix: str) -> None:
    """Raise an error if no file can be written under a prefix; nothing is left in the output folder.

    Raises:
        ValueError: if the prefix leads out of the output folder, or names a file as a folder, or is too long.
        OSError: if the folder cannot be written.
    """
    output = Path(folder_paths.get_output_directory()).resolve()
    subject = f"filename_prefix: {filename_prefix!r}"
    if "\0" in filename_prefix or len(os.fsencode(Path(filename_prefix).name)) > MAX_NAME_BYTES:
        raise ValueError(f"{subject} is no file name; expected one of at most {MAX_NAME_BYTES} bytes.")
    folder = (output / Path(os.path.normpath(filename_prefix)).parent).resolve()
    if not folder.is_relative_to(output):
        raise ValueError(
            f"{subject} leads out of the output folder; expected a name in it, such as stag4d/scene."
        )
    existing = next((place for place in (folder, *folder.parents) if place.exists()), output)
    if not existing.is_dir():
        raise ValueError(f"{subject}: {existing} is a file; expected a folder, or another prefix.")
    try:
        with temporary_file(existing) as probe:
            probe.write_bytes(b"\0" * PROBE_BYTES)
    except OSError as error:
        raise OSError(
            f"{subject}: cannot write in {existing} ({error.strerror}); free some space, or make the folder "
            "writable."
        ) from error


@contextmanager
def new_path(filename_prefix: str, suffix: str) -> Iterator[Path]:
    """Yield a numbered path in the output folder that does not exist and that no other process takes.

    The host rejects prefixes that lead out of the folder. Its counter does not find the earlier files of some
    prefixes, such as those that end in a slash, so higher numbers are tried.
    """
    output = folder_paths.get_output_directory()
    place, name, counter, _, _ = folder_paths.get_save_image_path(filename_prefix, output)
    folder = Path(place)
    for number in itertools.count(counter):
        stem = f"{name}_{number:05}_"
        path = folder / f"{stem}{suffix}"
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(folder, f"{stem}*"))
            except BlockingIOError:
                continue
            if not any(entry.name.casefold().startswith(stem.casefold()) for entry in folder.iterdir()):
                yield path
                return


def output_name(path: Path) -> str:
    """Return the name that file widgets have for a path in the output folder."""
    return f"{path.relative_to(folder_paths.get_output_directory()).as_posix()} [output]"
