"""Hand a model of this pack to the host's memory management, which loads, offloads and frees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import comfy.model_management
import comfy.model_patcher
import torch
from torch import nn

if TYPE_CHECKING:
    from ...stag4d.diffusion import MultiViewModel, ViewGrid

LATENT_BYTES = 200_000  # of float16 work per pixel of one frame's latent; chosen generously, not measured


class STAG4DModel(nn.Module):
    """A network under the names that the host's patcher expects of one.

    Args:
        model: The network; its first parameter's type stands for all.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.device = torch.device("cpu")  # the host writes where it has put the weights

    def get_dtype(self) -> torch.dtype:
        """Return the type of the weights, as the host asks for it."""
        return next(self.model.parameters()).dtype


def managed(model: nn.Module) -> comfy.model_patcher.ModelPatcher:
    """Return the host's handle of a model; nodes pass it on, since the host keeps weak references only.

    It is the plain one: the dynamic one, ``CoreModelPatcher`` on NVIDIA, cannot offload modules that are not
    made of the host's own layers, and would upload them again at every run.
    """
    module = STAG4DModel(model)
    comfy.model_management.archive_model_dtypes(module)
    return comfy.model_patcher.ModelPatcher(
        module,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


_shared: WeakValueDictionary[Hashable, comfy.model_patcher.ModelPatcher] = WeakValueDictionary()


def shared(key: Hashable, load: Callable[[], nn.Module]) -> comfy.model_patcher.ModelPatcher:
    """Return the host's handle of a model: the one that some node still holds, else of one loaded now.

    Args:
        key: What tells models apart.
        load: Loads it.
    """
    patcher = _shared.get(key)
    if patcher is None:
        patcher = _shared[key] = managed(load())
    return patcher


def loaded(patcher: comfy.model_patcher.ModelPatcher, work_bytes: int) -> nn.Module:
    """Return the model behind a handle, its weights where the work is done.

    Args:
        patcher: What ``managed`` returned.
        work_bytes: Memory that the work takes beside the weights; the host makes room for it.
    """
    comfy.model_management.load_models_gpu([patcher], memory_required=work_bytes, force_full_load=True)
    return patcher.model.model


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
        from ...stag4d.diffusion import MAX_MEASURED_FRAMES  # diffusers takes seconds to import

        num_pixels = math.prod(self.patcher.model.model.grid_size) * min(num_frames, MAX_MEASURED_FRAMES)
        work_bytes = num_pixels * LATENT_BYTES * self.patcher.model.get_dtype().itemsize // 2
        return loaded(self.patcher, work_bytes).with_grid(self.grid)
