"""A multi-view model from a folder of the host's diffusers models."""

from pathlib import Path

import comfy.model_management
import folder_paths
import torch
from comfy_api.latest import io

from .managed_model import managed
from .sockets import CATEGORY, MultiView

AUTO = "auto"
INDEX = "model_index.json"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class STAG4DLoadMultiView(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadMultiView",
            display_name="STAG4D Load Multi-View Model",
            category=CATEGORY,
            description="Opens a Zero123++ model, a folder as it is published, from the host's diffusers "
            "models. Mind the licence of the weights.",
            search_aliases=["zero123++", "zero123plus", "multi-view diffusion", "novel views"],
            inputs=[
                *folder_inputs(),
                io.Combo.Input(
                    "rig",
                    options=[AUTO, "v1.1", "v1.2"],
                    default=AUTO,
                    tooltip="Where the model puts its views: v1.1 elevations +30 and -20 degrees, v1.2 +20 "
                    "and -10. auto: what the folder says, or its name.",
                ),
            ],
            outputs=[MultiView.Output("multiview", tooltip="For STAG4D Anchored Multi-View.")],
        )

    @classmethod
    def validate_inputs(cls, model: str) -> bool | str:
        return is_folder(model, "multi-view model", "zero123plus-v1.1")

    @classmethod
    def execute(cls, model: str, dtype: str, rig: str) -> io.NodeOutput:
        from ..stag4d.diffusion import load_multiview_model  # diffusers takes seconds to import

        # Modules made in inference mode could never pass gradients on to what they look at.
        with torch.inference_mode(False):
            loaded = load_multiview_model(
                model_folders()[model], rig=None if rig == AUTO else rig, dtype=chosen_dtype(dtype)
            )
            return io.NodeOutput(managed(loaded))


def folder_inputs() -> list[io.Input]:
    """Return the widgets of a node that loads a model: its folder and the type of its weights."""
    return [
        io.Combo.Input(
            "model",
            options=list(model_folders()),
            tooltip="A folder in models/diffusers that holds model_index.json. Press R to see folders that "
            "were added meanwhile.",
        ),
        io.Combo.Input(
            "dtype",
            options=[AUTO, *DTYPES],
            default=AUTO,
            tooltip="Of the networks. auto: float16 where the device is good at it, else float32. Half "
            "precision takes half the memory.",
        ),
    ]


def is_folder(name: str, what: str, example: str) -> bool | str:
    """Return whether a name stands for one of the host's model folders, or what is wrong with it."""
    if name in model_folders():
        return True
    return f"{what}: no folder {name!r}; expected one with a {INDEX} in models/diffusers, such as {example}."


def model_folders() -> dict[str, Path]:
    """Return the host's folders in diffusers' layout by their names under models/diffusers."""
    roots = [Path(root) for root in folder_paths.get_folder_paths("diffusers")]
    return {
        path.parent.relative_to(root).as_posix(): path.parent
        for root in reversed(roots)  # of two with one name the first root's counts, as the host has it
        for pattern in (f"*/{INDEX}", f"*/*/{INDEX}")
        for path in sorted(root.glob(pattern))
    }


def chosen_dtype(name: str) -> torch.dtype:
    """Return the type that a widget asks for."""
    if name != AUTO:
        return DTYPES[name]
    device = comfy.model_management.get_torch_device()
    return torch.float16 if comfy.model_management.should_use_fp16(device) else torch.float32
