"""Checks of a prompt before it is executed."""


def validate_node_input(received_type: str, input_type: str) -> bool:
    """Return whether an output may be connected to an input: types are joined by commas, * is any type."""
    received, expected = (
        {kind.strip() for kind in types.split(",")} for types in (received_type, input_type)
    )
    return "*" in received | expected or bool(received & expected)
