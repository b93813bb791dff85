"""Published weights that this package can use: where they are, how large, under what license.

They are fetched on request only. Every model folder goes under one roof by its name, as hosts keep them in
``models/diffusers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HFValidationError, HTTPError, LocalEntryNotFoundError

_FILES = ["model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors", "*/*.bin"]


@dataclass(frozen=True)
class PublishedWeights:
    """One published model.

    Attributes:
        repository: On the Hugging Face hub.
        gigabytes: To download.
        license: What its authors allow, in words.
    """

    repository: str
    gigabytes: float
    license: str


_ZERO123PLUS_LICENCE = (
    "CC-BY-NC 4.0: non-commercial use only, with attribution. The authors add that the model must not be "
    "part of a commercial product's pipeline, and that its outputs may be used freely."
)

PUBLISHED = {
    "zero123plus-v1.1": PublishedWeights("sudo-ai/zero123plus-v1.1", 3.9, _ZERO123PLUS_LICENCE),
    "zero123plus-v1.2": PublishedWeights("sudo-ai/zero123plus-v1.2", 5.6, _ZERO123PLUS_LICENCE),
}
"""Models by the name of their folder."""


def download_weights(name: str, root: str | Path) -> Path:
    """Download a published model; the caller has shown the license and asked.

    Args:
        name: Out of ``PUBLISHED``.
        root: The folder's parent. What is already there is not fetched again.

    Returns:
        The model's folder.

    Raises:
        ValueError: if the name is unknown.
        RuntimeError: if the hub cannot be reached or refuses.
    """
    if name not in PUBLISHED:
        raise ValueError(f"weights: unknown name {name!r}; expected one of {', '.join(PUBLISHED)}.")
    repository = PUBLISHED[name].repository
    folder = Path(root) / name
    try:
        huggingface_hub.snapshot_download(repository, local_dir=folder, allow_patterns=_FILES)
    except (HTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:  # HTTPError: httpx's
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise RuntimeError(
            f"weights: {repository} could not be fetched ({reason}); check the connection, or fetch the "
            f"folder by other means and put it at {folder}."
        ) from error
    return folder
