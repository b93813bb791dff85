"""The host's validation of a node in a prompt, as its execution.py does it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from workflow_graph import live_inputs, nested

LINK = ["other", 0]
"""The value of a linked input in a prompt."""


def refusals(node: Any, inputs: Mapping[str, Any]) -> list[str]:
    """Return the messages with which the host refuses a node; none if it runs it.

    Args:
        node: The node class.
        inputs: Values of its inputs by full name, as in a prompt; ``LINK`` for linked ones.
    """
    dynamic = {item.id for item in node.define_schema().inputs if item.io_type == "COMFY_DYNAMICCOMBO_V3"}
    known = dict(live_inputs(node.define_schema().inputs, {**dict.fromkeys(dynamic), **inputs}))
    for name in dynamic:  # one with an unknown option is no input for the host
        if inputs.get(name) not in [option.key for option in known[name].options["options"]]:
            del known[name]
    check = inspect.getfullargspec(node.validate_inputs) if hasattr(node, "validate_inputs") else None
    named = [] if check is None else check.args
    takes_all = check is not None and check.varkw is not None
    messages = []
    for name, item in known.items():
        if name not in inputs:
            if not item.is_optional:
                messages.append(f"Required input is missing: {name}")
        elif inputs[name] != LINK and name not in named and not takes_all:
            messages += range_errors(name, item, inputs[name])
    if check is None:
        return messages
    passed = {name: None if value == LINK else value for name, value in inputs.items() if name in known}
    if not takes_all:
        passed = {name: value for name, value in passed.items() if name in named}
    try:
        result = node.validate_inputs(**nested(passed, dynamic))
    except ValueError as error:
        return [*messages, str(error)]
    return messages if result is True else [*messages, *[f"{name} - {result}" for name in passed]]


def range_errors(name: str, item: Any, value: Any) -> list[str]:
    """Return the messages about a value out of range or no option of its widget."""
    options = item.options
    if "min" in options and value < options["min"]:
        return [f"{name}: {value} smaller than min of {options['min']}"]
    if "max" in options and value > options["max"]:
        return [f"{name}: {value} bigger than max of {options['max']}"]
    if item.io_type == "COMBO" and value not in options["options"]:
        return [f"{name}: {value!r} not in list"]
    return []
