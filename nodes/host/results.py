"""What nodes show in the browser of the files that they have written."""

from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import ui

from .files import output_name

FILES_KEY = "stag4d_files"  # FILES in web/js/results.mjs


def written_files(path: Path) -> dict[str, Any]:
    """Return the ``ui`` output of a node that has written a file, or a folder of files, in the output folder.

    Args:
        path: The file or the folder.

    Returns:
        A text, and per file ``filename``, ``subfolder`` and ``type``, which are what ``/view`` takes.
    """
    output = Path(folder_paths.get_output_directory())
    files = sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else [path]
    entries = [
        {"filename": file.name, "subfolder": _subfolder(file, output), "type": "output"} for file in files
    ]
    return ui.PreviewText(f"saved {output_name(path)}").as_dict() | {FILES_KEY: entries}


def _subfolder(file: Path, output: Path) -> str:
    """Return the folder of a file, relative to the output folder; empty for that folder itself."""
    folder = file.parent.relative_to(output).as_posix()
    return "" if folder == "." else folder
