"""Checks that refuse a prompt before any node runs: helpers for ``validate_inputs``.

The host passes ``validate_inputs`` the values of the inputs that it names: None for a linked one, whose value
is not known yet, and no argument for an unconnected one. It reports the message once for each of these
inputs. It checks neither range nor options of an input that is named there, and never the option of a dynamic
combo: one with an unknown option is not passed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from comfy_api.latest import io

UNCONNECTED: Any = object()
"""Default of a parameter of ``validate_inputs`` for a socket, which is None if it is connected."""

_DYNAMIC = "COMFY_DYNAMICCOMBO_V3"


def refusal(check: Callable[[], object]) -> bool | str:
    """Return the result of ``validate_inputs``: True, or the message of the error that a check raises."""
    try:
        check()
    except (ValueError, OSError, RuntimeError) as error:
        return str(error)
    return True


def check_widgets(node: type[io.ComfyNode], **values: Any) -> None:
    """Raise ValueError unless the values of widgets are in their ranges and among their options.

    Args:
        node: The node.
        values: Values by input id; None for one that is linked, or a dynamic combo with an unknown option.
    """
    inputs = node.INPUT_TYPES()
    _check_values({**inputs.get("required", {}), **inputs.get("optional", {})}, values)


def _check_values(definitions: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check values by the types and options of their inputs."""
    for name, (kind, options, *_) in definitions.items():
        if name not in values:
            continue
        value = values[name]
        if kind == _DYNAMIC:
            _check_dynamic(name, options["options"], value)
        elif value is not None and "options" in options and value not in options["options"]:
            expected = ", ".join(map(str, options["options"]))
            raise ValueError(f"{name}: {value!r} is no option; expected one of {expected}.")
        elif value is not None and "min" in options and not options["min"] <= value <= options["max"]:
            raise ValueError(f"{name}: {value}; expected {options['min']} to {options['max']}.")


def _check_dynamic(name: str, options: list[dict[str, Any]], value: Mapping[str, Any] | None) -> None:
    """Check the value of a dynamic combo, and those of the inputs of its option."""
    chosen = None if value is None else value[name]
    for option in options:
        if value is not None and option["key"] == chosen:
            inputs = option["inputs"]
            _check_values({**inputs.get("required", {}), **inputs.get("optional", {})}, value)
            return
    expected = ", ".join(str(option["key"]) for option in options)
    raise ValueError(f"{name}: missing, or no option of this node; expected one of {expected}.")
