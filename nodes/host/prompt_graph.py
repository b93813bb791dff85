"""Look-ups in a prompt that runs: where an input comes from, and where an output goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Prompt = Mapping[str, Mapping[str, Any]]
"""``class_type`` and ``inputs`` by node id; an input is a value, or a link, ``[node id, output]``."""


def source(prompt: Prompt | None, node_id: str | None, name: str) -> tuple[str, Mapping[str, Any], int]:
    """Return class, inputs and output number of the node that an input is linked to.

    Args:
        prompt: The prompt; None outside of the host.
        node_id: Id of the node that has the input.
        name: Name of the input.

    Returns:
        An empty class and no inputs if the input is not linked, or linked to a node that is not in the
        prompt, as those that other nodes have added.
    """
    return source_of((prompt or {}).get(node_id or "", {}).get("inputs", {}).get(name), prompt)


def source_of(value: Any, prompt: Prompt | None) -> tuple[str, Mapping[str, Any], int]:
    """Return what ``source`` does for the value of an input."""
    is_link = isinstance(value, list) and len(value) == 2
    node = (prompt or {}).get(str(value[0])) if is_link else None
    return ("", {}, 0) if node is None else (node["class_type"], node["inputs"], value[1])


def targets(
    prompt: Prompt | None, node_id: str | None, output: int, class_type: str, name: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield id and inputs of the nodes of a class whose input of a name is linked to an output of a node."""
    for other, node in (prompt or {}).items():
        if node["class_type"] == class_type and node["inputs"].get(name) == [node_id, output]:
            yield other, node["inputs"]
