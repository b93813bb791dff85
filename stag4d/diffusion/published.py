"""Published weights that this package can use: repository, size and license.

They are downloaded on request only, each model to a folder of its name, as in ComfyUI's ``models/diffusers``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HFValidationError, HTTPError, LocalEntryNotFoundError

from ..atomic import write_whole
from ..geometry import RigName
from .model_index import SETTINGS_FILE

_FILES = ["model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors", "*/*.bin"]


@dataclass(frozen=True)
class PublishedWeights:
    """One published model.

    Attributes:
        repository: Name of the repository on the Hugging Face hub.
        gigabytes: Size of the download.
        license: License terms.
        rig: Cameras of its views, which its files do not state.
    """

    repository: str
    gigabytes: float
    license: str
    rig: RigName


_ZERO123PLUS_LICENSE = (
    "CC-BY-NC 4.0: non-commercial use only, with attribution. The authors add that the model must not be "
    "part of a commercial product's pipeline, and that its outputs may be used freely."
)

PUBLISHED = {
    "zero123plus-v1.1": PublishedWeights("sudo-ai/zero123plus-v1.1", 3.9, _ZERO123PLUS_LICENSE, "v1.1"),
    "zero123plus-v1.2": PublishedWeights("sudo-ai/zero123plus-v1.2", 5.6, _ZERO123PLUS_LICENSE, "v1.2"),
}
"""Models by folder name."""


def download_weights(name: str, root: str | Path) -> Path:
    """Download a published model; the caller shows the license and asks for consent first.

    Args:
        name: A key of ``PUBLISHED``.
        root: Parent of the model's folder. Files that exist are not downloaded again.

    Returns:
        The model's folder. Beside the published files it has one that states the rig.

    Raises:
        ValueError: if the name is unknown.
        RuntimeError: if the hub cannot be reached or refuses, or the folder cannot be written.
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
    settings = folder / SETTINGS_FILE
    if not settings.exists():  # the user may have changed it
        write_whole(settings, json.dumps({"rig": PUBLISHED[name].rig}).encode())
    return folder
