"""Wrappers of models."""

from typing import Any


def copy_nested_dicts(input_dict: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a dict, and of the dicts and lists in it."""
    copies = {dict: copy_nested_dicts, list: list}
    return {key: copies.get(type(value), lambda same: same)(value) for key, value in input_dict.items()}


def merge_nested_dicts(dict1: dict[str, Any], dict2: dict[str, Any]) -> dict[str, Any]:
    """Return the union of two dicts, in which dicts are merged and lists joined."""
    merged = copy_nested_dicts(dict1)
    for key, value in dict2.items():
        if isinstance(value, dict):
            merged[key] = merge_nested_dicts(merged.get(key, {}), value)
        elif isinstance(value, list):
            merged[key] = [*merged.get(key, []), *value]
        else:
            merged[key] = value
    return merged


class WrappersMP:
    """Kinds of wrappers."""

    SAMPLER_SAMPLE = "sampler_sample"
    PREPARE_SAMPLING = "prepare_sampling"
    APPLY_MODEL = "apply_model"
    DIFFUSION_MODEL = "diffusion_model"
