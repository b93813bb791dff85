"""Workflow files as prompts, and the inputs that a node has for its widget values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

NOTES = {"Note", "MarkdownNote"}  # not in a prompt
UPLOAD = "upload"  # a button of the page; not in a prompt
SEEDS = {"seed", "noise_seed", "value"}  # widgets that have a control; the last one is that of PrimitiveInt
CONTROLS = ("fixed", "increment", "decrement", "randomize")


def to_prompt(workflow: Mapping[str, Any], bypassed: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the prompt that the page sends for a workflow: node id to class_type and inputs.

    Args:
        workflow: The parsed file.
        bypassed: Types of nodes to leave out, with the links from them.
    """
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    omitted = {str(node["id"]) for node in workflow["nodes"] if node["type"] in NOTES | {*bypassed}}
    for node in workflow["nodes"]:
        if str(node["id"]) in omitted:
            continue
        names = widget_order([slot["widget"]["name"] for slot in node["inputs"] if "widget" in slot])
        values = dict(zip(names, without_controls(names, node.get("widgets_values", [])), strict=True))
        values = {name: value for name, value in values.items() if name != UPLOAD}
        links = {slot["name"]: sources[slot["link"]] for slot in node["inputs"] if slot["link"] is not None}
        links = {name: source for name, source in links.items() if source[0] not in omitted}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": values | links}
    return prompt


def widget_order(names: Sequence[str]) -> list[str]:
    """Return names of slots in the order of their widgets: a dynamic combo before those of its option."""
    ordered: dict[str, None] = {}
    for name in names:
        ordered |= {item: None for item in (name.partition(".")[0], name) if item in names}
    return list(ordered)


def without_controls(names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    """Return the stored values of widgets without those of the controls of seeds, which are no inputs."""
    kept = list(values)
    for index, name in enumerate(names):
        if name in SEEDS and kept[index + 1 : index + 2] and kept[index + 1] in CONTROLS:
            del kept[index + 1]
    return kept


def live_inputs(
    inputs: Sequence[Any], values: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield name and definition of the inputs of a node with these widget values, in order."""
    for item in inputs:
        name = prefix + item.id
        if item.io_type == "COMFY_AUTOGROW_V3":
            for socket in item.options["template"].sockets():
                yield f"{name}.{socket.id}", socket
            continue
        yield name, item
        for option in item.options.get("options", []) if item.io_type == "COMFY_DYNAMICCOMBO_V3" else []:
            if option.key == values[name]:
                yield from live_inputs(option.inputs, values, f"{name}.")


def nested(values: Mapping[str, Any], dynamic: Collection[str]) -> dict[str, Any]:
    """Nest values as they are passed to execute: ``{"a": x, "a.b": y}`` becomes ``{"a": {"a": x, "b": y}}``.

    Args:
        values: Input values by full name, a dynamic input before the inputs of its option.
        dynamic: Names of the dynamic inputs, which become a dict even if their option has no inputs.
    """
    result: dict[str, Any] = {}
    for name, value in values.items():
        parent, _, child = name.partition(".")
        if child:
            result.setdefault(parent, {})[child] = value
        else:
            result[name] = {name: value} if name in dynamic else value
    return result
