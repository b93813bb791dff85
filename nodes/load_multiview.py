"""A multi-view model, from a folder of the host's diffusers models or out of the package."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comfy.model_management
import folder_paths
import torch
from comfy_api.latest import io

from ..stag4d.pipeline import DTYPES, ModelKind, bundled_models
from .managed_model import loaded, shared
from .sockets import CATEGORY, MultiView

if TYPE_CHECKING:
    from ..stag4d.diffusion import MultiViewModel, ViewGrid

AUTO = "auto"
INDEX = "model_index.json"
LATENT_BYTES = 200_000  # of float16 work per pixel of one frame's latent; chosen generously, not measured


@dataclass(frozen=True, eq=False)
class ManagedMultiView:
    """What a STAG4D_MULTIVIEW socket carries.

    Attributes:
        patcher: The host's handle of a ``stag4d.diffusion.MultiViewModel``, one for all rigs.
        grid: Where the views stand.
    """

    patcher: Any
    grid: ViewGrid

    def loaded(self, num_frames: int) -> MultiViewModel:
        """Return the model where the work is done, with room for as many frames as go at once."""
        from ..stag4d.diffusion import MAX_MEASURED_FRAMES  # diffusers takes seconds to import

        num_pixels = math.prod(self.patcher.model.model.grid_size) * min(num_frames, MAX_MEASURED_FRAMES)
        work_bytes = num_pixels * LATENT_BYTES * self.patcher.model.get_dtype().itemsize // 2
        return loaded(self.patcher, work_bytes).with_grid(self.grid)


class STAG4DLoadMultiView(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DLoadMultiView",
            display_name="STAG4D Load Multi-View Model",
            category=CATEGORY,
            description="Opens a Zero123++ model: one that ships with this pack, or a folder as it is "
            "published, from the host's diffusers models. Mind the licence of the weights.",
            search_aliases=["zero123++", "zero123plus", "multi-view diffusion", "novel views"],
            inputs=[
                *folder_inputs("multiview"),
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
        return is_folder(model, "multiview", "zero123plus-v1.1")

    @classmethod
    def execute(cls, model: str, dtype: str, rig: str) -> io.NodeOutput:
        from ..stag4d.diffusion import load_multiview_model  # diffusers takes seconds to import

        folder, weights = model_folders("multiview")[model], chosen_dtype(dtype)
        # Modules made in inference mode could never pass gradients on to what they look at.
        with torch.inference_mode(False):
            patcher = shared((folder, weights), lambda: load_multiview_model(folder, dtype=weights))
            grid = patcher.model.model.grid
            return io.NodeOutput(ManagedMultiView(patcher, grid if rig == AUTO else grid.with_rig(rig)))


def folder_inputs(kind: ModelKind) -> list[io.Input]:
    """Return the widgets of a node that loads a model: its folder and the type of its weights."""
    return [
        io.Combo.Input(
            "model",
            options=list(model_folders(kind)),
            tooltip="bundled: ships with this pack. Others: a folder in models/diffusers that holds "
            "model_index.json; press R to see those that were added meanwhile.",
        ),
        io.Combo.Input(
            "dtype",
            options=[AUTO, *DTYPES],
            default=AUTO,
            tooltip="Of the networks. auto: float16 where the device is good at it, else float32. Half "
            "precision takes half the memory.",
        ),
    ]


def is_folder(name: str, kind: ModelKind, example: str) -> bool | str:
    """Return whether a name stands for a model folder, or what is wrong with it."""
    if name in model_folders(kind):
        return True
    expected = f"one with a {INDEX} in models/diffusers, such as {example}"
    return f"{kind} model: no folder {name!r}; expected {expected}."


def model_folders(kind: ModelKind) -> dict[str, Path]:
    """Return the pack's own models of a kind, and the host's folders in diffusers' layout, by their names.

    The host's are named by their place under models/diffusers and may be of any kind.
    """
    roots = [Path(root) for root in folder_paths.get_folder_paths("diffusers")]
    bundled = bundled_models(kind)
    found = {
        path.parent.relative_to(root).as_posix(): path.parent
        for root in reversed(roots)  # of two with one name the first root's counts, as the host has it
        for pattern in (f"*/{INDEX}", f"*/*/{INDEX}")
        for path in sorted(root.glob(pattern))
    }
    return bundled | found | bundled  # first in the list, and not to be hidden by a folder of the same name


def chosen_dtype(name: str) -> torch.dtype:
    """Return the type that a widget asks for."""
    if name != AUTO:
        return DTYPES[name]
    device = comfy.model_management.get_torch_device()
    return torch.float16 if comfy.model_management.should_use_fp16(device) else torch.float32
