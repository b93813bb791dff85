"""What nodes show in the browser of the files that they have written."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import ui

from ...stag4d.atomic import write_whole
from ...stag4d.pipeline import Report, fit_page
from .files import TEMP_FOLDER, output_name, temp_folder

_logger = logging.getLogger(__name__)

FILES_KEY = "stag4d_files"  # FILES in web/js/results.mjs
WARNINGS_KEY = "stag4d_warnings"  # WARNINGS there


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


def shown_report(report: Report) -> dict[str, Any]:
    """Write the page of a fit's report into the temp folder; returns the ``ui`` output with it and warnings.

    A page that cannot be written is logged: the scene matters more.
    """
    content = fit_page(report).encode()
    name = f"fit_report_{hashlib.sha256(content).hexdigest()[:12]}.html"
    files = [{"filename": name, "subfolder": TEMP_FOLDER, "type": "temp"}]
    try:
        write_whole(temp_folder() / name, content)
    except (RuntimeError, OSError) as error:
        _logger.warning("The report of the fit is not written: %s", error)
        files = []
    text = "\n".join(report.warnings) or "no warnings"
    return ui.PreviewText(text).as_dict() | {FILES_KEY: files, WARNINGS_KEY: report.warnings}


def _subfolder(file: Path, output: Path) -> str:
    """Return the folder of a file, relative to the output folder; empty for that folder itself."""
    folder = file.parent.relative_to(output).as_posix()
    return "" if folder == "." else folder
