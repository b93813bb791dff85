"""Version of a model whose folders look alike: what the files state, else an assumption.

The name of a folder is the user's choice. Alone it decides only if the model is published under that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .model_index import folder_names, original_names

Version = TypeVar("Version", bound=str)


@dataclass(frozen=True)
class VersionPatterns:
    """How a version is recognized.

    Attributes:
        original_name: Pattern in the names of the models that a folder was made from.
        folder_name: Pattern in the folder's name.
        published: Name of the folder as published, else None.
    """

    original_name: re.Pattern[str]
    folder_name: re.Pattern[str]
    published: str | None = None


def resolve_version(
    index: dict[str, Any],
    folder: Path,
    patterns: Mapping[Version, VersionPatterns],
    default: Version,
    *,
    subject: str,
    option: str,
) -> tuple[Version, str]:
    """Return the version of a model, and a sentence that says what was assumed.

    Args:
        index: The model's index.
        folder: The model's folder.
        patterns: How each version is recognized; the default may have none.
        default: The version that is assumed for folders that match no pattern.
        subject: What has versions, as in "rig", for messages.
        option: Command option and node input by which the user chooses, for messages.

    Raises:
        ValueError: if several versions match, or only the folder's name suggests a version other than the
            default.
    """

    def unclear(reason: str) -> ValueError:
        return ValueError(f"{folder}: the {subject} is not stated, {reason}; choose with {option}.")

    def assumed(version: Version, reason: str) -> tuple[Version, str]:
        advice = f"if it is wrong, choose with {option}."
        return version, f"{folder}: assumed {subject} {version}, {reason}; {advice}"

    originals, names = list(original_names(index, folder)), folder_names(folder)
    by_files = {key for key, known in patterns.items() if any(map(known.original_name.search, originals))}
    by_name = {key for key, known in patterns.items() if any(map(known.folder_name.search, names))}
    if len(by_files | by_name) > 1:
        raise unclear(f"its files and its name suggest {' and '.join(sorted(by_files | by_name))}")
    for version in by_files:
        return assumed(version, "which its files name")
    for version in by_name:
        if version != default and patterns[version].published not in names:
            raise unclear(f"only its name suggests {version}")
        return assumed(version, "by its name")
    return assumed(default, "since its files do not state it")
