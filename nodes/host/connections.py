"""Checks of what is connected to a node, before a prompt runs."""

from collections.abc import Mapping

from comfy_api.latest import io
from comfy_execution.validation import validate_node_input


def check_types(inputs: list[io.Input], input_types: Mapping[str, str]) -> None:
    """Raise ValueError if a connected output has another type than its input.

    The host leaves this check to nodes whose ``validate_inputs`` takes ``input_types``.

    Args:
        inputs: Inputs of the node's schema.
        input_types: Types of the connected outputs by the id of the input.
    """
    for item in inputs:
        expected, received = item.get_io_type(), input_types.get(item.id)
        if received is not None and not validate_node_input(received, expected):
            raise ValueError(f"{item.id}: {received} is connected; expected {expected}.")
