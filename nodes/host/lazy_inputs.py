"""Lazy inputs, which the host evaluates only when ``check_lazy_status`` of a node asks for them."""

from collections.abc import Iterable, Mapping
from typing import Any


def not_evaluated(names: Iterable[str], values: Mapping[str, Any]) -> list[str]:
    """Return the names of the lazy inputs that are linked and not evaluated yet.

    Args:
        names: Names of lazy inputs.
        values: Values that the host has passed: None for what is not evaluated yet. Inputs that are not
            linked are not passed, and it is an error to ask for them.
    """
    return [name for name in names if name in values and values[name] is None]
