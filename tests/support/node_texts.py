"""Texts of the nodes in the layout of locales/LANGUAGE/nodeDefs.json, which ComfyUI reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

FILE_WIDGETS = {"file", "folder", "model"}  # their options are names of files


def node_texts(nodes: Iterable[Any]) -> dict[str, Any]:
    """Return the texts of the schemas of nodes: names, descriptions, tooltips and options, in English."""
    return {schema.node_id: _texts(schema) for schema in (node.define_schema() for node in nodes)}


def _texts(schema: Any) -> dict[str, Any]:
    inputs = {name.replace(".", "_"): _input_texts(item) for name, item in _all_inputs(schema.inputs)}
    outputs = {str(i): {"name": item.id, "tooltip": item.tooltip} for i, item in enumerate(schema.outputs)}
    texts = {"display_name": schema.display_name, "description": schema.description, "inputs": inputs}
    return texts | {"outputs": outputs} if outputs else texts


def _input_texts(item: Any) -> dict[str, Any]:
    texts: dict[str, Any] = {"name": item.id, "tooltip": item.tooltip}
    options = item.options.get("options", [])
    if options and item.id not in FILE_WIDGETS:
        keys = [getattr(option, "key", option) for option in options]
        texts["options"] = {key: key for key in keys}
    return texts


def _all_inputs(inputs: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield inputs with their names as the page has them, with those of the options of dynamic combos."""
    for item in inputs:
        yield prefix + item.id, item
        if item.io_type == "COMFY_DYNAMICCOMBO_V3":
            for option in item.options["options"]:
                yield from _all_inputs(option.inputs, f"{prefix}{item.id}.")
