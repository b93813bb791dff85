"""The host's folders; a test sets ``base``."""

from pathlib import Path

base = Path("host-folders")


def get_input_directory() -> str:
    return str(base / "input")


def get_output_directory() -> str:
    return str(base / "output")


def annotated_filepath(name: str) -> tuple[str, str | None]:
    for folder in ("input", "output", "temp"):
        if name.endswith(f"[{folder}]"):
            return name[: -len(f" [{folder}]")], str(base / folder)
    return name, None
