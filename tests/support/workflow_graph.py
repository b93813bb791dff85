"""Workflow files as a graph: what the page would queue, and which inputs a node has for its values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

NOTES = {"Note", "MarkdownNote"}  # of the page alone


def to_prompt(workflow: Mapping[str, Any], bypassed: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the prompt that the page sends for a workflow: node id to class_type and inputs.

    Args:
        workflow: What the file holds.
        bypassed: Types of nodes that are left out, whose outputs reach nothing.
    """
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    left_out = {str(node["id"]) for node in workflow["nodes"] if node["type"] in NOTES | {*bypassed}}
    for node in workflow["nodes"]:
        if str(node["id"]) in left_out:
            continue
        names = [slot["widget"]["name"] for slot in node["inputs"] if "widget" in slot]
        values = dict(zip(names, node.get("widgets_values", []), strict=True))
        links = {slot["name"]: sources[slot["link"]] for slot in node["inputs"] if slot["link"] is not None}
        links = {name: source for name, source in links.items() if source[0] not in left_out}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": values | links}
    return prompt


def live_inputs(
    inputs: Sequence[Any], values: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield the name and definition of every input that a node with these widget values has, in order."""
    for item in inputs:
        name = prefix + item.id
        yield name, item
        for option in item.options.get("options", []) if item.io_type == "COMFY_DYNAMICCOMBO_V3" else []:
            if option.key == values[name]:
                yield from live_inputs(option.inputs, values, f"{name}.")


def nested(values: Mapping[str, Any], dynamic: Collection[str]) -> dict[str, Any]:
    """Return values as execute gets them: ``{"a": x, "a.b": y}`` becomes ``{"a": {"a": x, "b": y}}``.

    Args:
        values: Input values by full name, a dynamic input before its own.
        dynamic: Names of the dynamic inputs, which come as a dict even when they have no inputs of their own.
    """
    result: dict[str, Any] = {}
    for name, value in values.items():
        parent, _, child = name.partition(".")
        if child:
            result[parent][child] = value
        else:
            result[name] = {name: value} if name in dynamic else value
    return result
