"""ComfyUI's folders; tests set ``base``."""

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
    """Return folder, name, next free number, subfolder and prefix; raises Exception outside the output."""
    target = (Path(output_dir) / filename_prefix).resolve()
    if not target.is_relative_to(Path(output_dir).resolve()):
        raise Exception("ERROR: Saving image outside the output folder is not allowed.")
    target.parent.mkdir(parents=True, exist_ok=True)
    counter = len(list(target.parent.glob(f"{target.name}_*"))) + 1
    subfolder = str(target.parent.relative_to(Path(output_dir).resolve()))
    return str(target.parent), target.name, counter, subfolder, filename_prefix


def annotated_filepath(name: str) -> tuple[str, str | None]:
    for folder in ("input", "output", "temp"):
        if name.endswith(f"[{folder}]"):
            return name[: -len(f" [{folder}]")], str(base / folder)
    return name, None
