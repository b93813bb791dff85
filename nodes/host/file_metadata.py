"""The workflow and prompt in the files that nodes write, from which ComfyUI's page restores a graph."""

import json
import logging
from typing import Any

from comfy.cli_args import args

from ...stag4d.metadata import metadata_bytes

_logger = logging.getLogger(__name__)


def sent_workflow(extra_pnginfo: Any) -> Any:
    """Return the workflow that came with a prompt, or None; clients other than the page may send anything."""
    return extra_pnginfo.get("workflow") if isinstance(extra_pnginfo, dict) else None


def file_metadata(hidden: Any, max_bytes: int) -> dict[str, str]:
    """Return ``workflow`` and ``prompt`` as JSON, under the names that ComfyUI's own files have.

    There are none if ComfyUI was started with ``--disable-metadata``. What does not fit is left out with a
    warning, the prompt first: the page restores a graph from the workflow alone.

    Args:
        hidden: Hidden inputs of the node that runs, ``cls.hidden``.
        max_bytes: Largest size of the metadata, see ``metadata_bytes``; 0 if the file has no place for them.
    """
    if args.disable_metadata or not max_bytes:
        return {}
    values = {"workflow": sent_workflow(hidden.extra_pnginfo), "prompt": hidden.prompt}
    metadata: dict[str, str] = {}
    for name, value in values.items():
        if value is None:
            continue
        extended = metadata | {name: json.dumps(value, separators=(",", ":"))}
        size = metadata_bytes(extended)
        if size <= max_bytes:
            metadata = extended
        else:
            _logger.warning("%s: left out of the file; %d bytes, %d fit into it.", name, size, max_bytes)
    return metadata
