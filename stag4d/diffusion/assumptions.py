"""Choices between versions of a model whose folders look alike: by what the files state, else by assumption.

The name of a folder is the user's choice. Alone it decides only if the model is published under that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from .model_index import folder_names, origin_texts

T = TypeVar("T", bound=str)


@dataclass(frozen=True)
class VersionMarks:
    """Marks by which a version is recognized.

    Attributes:
        in_files: Pattern in what the files state about the model's origin.
        in_name: Pattern in the folder's name.
        published: Name of the folder as published, else None.
    """

    in_files: re.Pattern[str]
    in_name: re.Pattern[str]
    published: str | None = None


@dataclass(frozen=True)
class Question(Generic[T]):
    """A choice that a folder may leave open.

    Attributes:
        what: What is chosen, as in "rig".
        option: Command option and node input by which the user chooses.
        marks: Marks of each version.
        default: The version that is assumed for folders without marks.
    """

    what: str
    option: str
    marks: Mapping[T, VersionMarks]
    default: T

    def answer(self, index: dict[str, Any], folder: Path) -> tuple[T, str]:
        """Return the version of a model, and a sentence that says what was assumed.

        Args:
            index: The model's index.
            folder: The model's folder.

        Raises:
            ValueError: if its marks contradict each other, or only the folder's name suggests a version other
                than the default.
        """
        texts, names = list(origin_texts(index, folder)), folder_names(folder)
        stated = {key for key, mark in self.marks.items() if any(map(mark.in_files.search, texts))}
        named = {key for key, mark in self.marks.items() if any(map(mark.in_name.search, names))}
        if len(stated | named) > 1:
            raise self._unclear(
                folder, f"its files and its name suggest {' and '.join(sorted(stated | named))}"
            )
        for key in stated:
            return key, self._assumed(folder, key, "which its files name")
        for key in named:
            if key != self.default and self.marks[key].published not in names:
                raise self._unclear(folder, f"only its name suggests {key}")
            return key, self._assumed(folder, key, "by its name")
        return self.default, self._assumed(folder, self.default, "since its files do not state it")

    def _assumed(self, folder: Path, version: str, reason: str) -> str:
        """Return the sentence about an assumption."""
        return (
            f"{folder}: assumed {self.what} {version}, {reason}; if it is wrong, choose with {self.option}."
        )

    def _unclear(self, folder: Path, reason: str) -> ValueError:
        """Return the error that asks the user."""
        return ValueError(f"{folder}: the {self.what} is not stated, {reason}; choose with {self.option}.")
