"""Version of a model whose folders look alike: what files and path state, else an assumption.

The names of folders are the user's choice. They decide only where they contain the model's full name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from .model_index import folder_names, original_names

Version = TypeVar("Version", bound=str)


VersionSource = Literal["choice", "settings", "files", "path", "default"]
"""What a version is known from: the user, settings of this package, the model's files, the path, nothing."""


@dataclass(frozen=True)
class VersionPatterns:
    """How a version is recognized.

    Attributes:
        original_name: Pattern in the names of the models that a folder was made from.
        folder_name: Pattern in the folder's name. It alone does not decide for another than the default.
        path_part: Pattern in a folder name of the path, such as the model's full name, which does decide.
    """

    original_name: re.Pattern[str]
    folder_name: re.Pattern[str]
    path_part: re.Pattern[str] | None = None


@dataclass(frozen=True)
class ResolvedVersion(Generic[Version]):
    """The version of a model, a sentence that says what was assumed, and what it is known from."""

    version: Version
    assumption: str
    source: VersionSource


def resolve_version(
    index: dict[str, Any],
    folder: Path,
    patterns: Mapping[Version, VersionPatterns],
    default: Version,
    *,
    subject: str,
    option: str,
) -> ResolvedVersion[Version]:
    """Return the version of a model.

    Args:
        index: The model's index.
        folder: The model's folder.
        patterns: How each version is recognized; the default may have none.
        default: The version that is assumed for folders that match no pattern.
        subject: What has versions, as in "rig", for messages.
        option: Command option and node input by which the user chooses, for messages.

    Raises:
        ValueError: if several versions match, or only the folder's name suggests a version other than the
            default and it does not contain the model's full name.
    """

    def unclear(reason: str) -> ValueError:
        return ValueError(f"{folder}: the {subject} is not stated, {reason}; choose with {option}.")

    def assumed(version: Version, reason: str, source: VersionSource) -> ResolvedVersion[Version]:
        sentence = f"{folder}: assumed {subject} {version}, {reason}; if it is wrong, choose with {option}."
        return ResolvedVersion(version, sentence, source)

    originals, names = list(original_names(index, folder)), folder_names(folder)
    by_files = {key for key, known in patterns.items() if any(map(known.original_name.search, originals))}
    by_name = {key for key, known in patterns.items() if any(map(known.folder_name.search, names))}
    by_path: set[Version] = set()
    if not by_files:  # which know better than the folders around them
        by_path = _nearest_in_path(folder, patterns)
    found = by_files | by_name | by_path
    if len(found) > 1:
        raise unclear(f"its files and its path suggest {' and '.join(sorted(found))}")
    for version in by_files:
        return assumed(version, "which its files name", "files")
    for version in by_path:
        return assumed(version, "which its path names", "path")
    for version in by_name:
        if version != default:
            raise unclear(f"only its name suggests {version}")
        return assumed(version, "by its name", "path")
    return assumed(default, "since neither its files nor its path state it", "default")


def _nearest_in_path(folder: Path, patterns: Mapping[Version, VersionPatterns]) -> set[Version]:
    """Return the versions that the last part of a folder's path to name any names, also of its target's."""
    full_names = {key: known.path_part for key, known in patterns.items() if known.path_part is not None}
    found: set[Version] = set()
    for path in (folder.absolute(), folder.resolve()):
        of_parts = (
            {key for key, name in full_names.items() if name.search(part)} for part in path.parts[::-1]
        )
        found |= next(filter(None, of_parts), set())
    return found
