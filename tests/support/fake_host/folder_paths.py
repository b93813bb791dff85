"""ComfyUI's folders; tests set ``base``."""

import os
import re
from pathlib import Path

base = Path("host-folders")


def get_input_directory() -> str:
    return str(base / "input")


def get_output_directory() -> str:
    return str(base / "output")


def get_temp_directory() -> str:
    return str(base / "temp")


def get_folder_paths(folder_name: str) -> list[str]:
    """Return the folders for models of a kind."""
    return [str(base / "models" / folder_name)]


def get_save_image_path(filename_prefix: str, output_dir: str) -> tuple[str, str, int, str, str]:
    """Return folder, name, next number, subfolder and prefix; raises Exception outside the output.

    As in the host, earlier files are found by the last part of the prefix as it was given, and files are
    named by that of the normalized one.
    """
    given, normalized = os.path.basename(filename_prefix), os.path.normpath(filename_prefix)  # noqa: PTH119
    folder = (Path(output_dir) / os.path.dirname(normalized)).resolve()  # noqa: PTH120
    if not folder.is_relative_to(Path(output_dir).resolve()):
        raise Exception("ERROR: Saving image outside the output folder is not allowed.")
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(normalized).name or "."
    pattern = re.compile(rf"(.{{{len(given)}}})_([0-9]*).*")
    matches = [match for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    counter = max((int(match[2] or 0) for match in matches if match[1] == name), default=0) + 1
    subfolder = str(folder.relative_to(Path(output_dir).resolve()))
    return str(folder), name, counter, subfolder, filename_prefix


def annotated_filepath(name: str) -> tuple[str, str | None]:
    for folder in ("input", "output", "temp"):
        if name.endswith(f"[{folder}]"):
            return name[: -len(f" [{folder}]")], str(base / folder)
    return name, None
