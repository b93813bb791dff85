"""Models of this pack under ComfyUI's memory management, which loads, offloads and frees them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import comfy.model_management
import comfy.model_patcher
import torch
from torch import nn

if TYPE_CHECKING:
    from ...stag4d.diffusion import MultiViewModel, SamplingConfig, ViewGrid

# Of float16 activations per pixel of one frame's latent: tensors take 34 kB of it (benchmarks/memory.py), the
# rest is for workspaces of convolutions and the allocator.
LATENT_BYTES = 56_000


class STAG4DModel(nn.Module):  # the host logs this name
    """A model with the attributes that a ModelPatcher expects.

    Args:
        model: The model; the data type of its first parameter counts as that of all.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.device = torch.device("cpu")  # the patcher sets it when it moves the weights

    def get_dtype(self) -> torch.dtype:
        """Return the data type of the weights."""
        return next(self.model.parameters()).dtype


def make_patcher(model: nn.Module) -> comfy.model_patcher.ModelPatcher:
    """Return a ModelPatcher of a model; the nodes keep it, since the host holds weak references only.

    It is a plain one: the dynamic one, ``CoreModelPatcher`` on NVIDIA, cannot offload modules that do not
    consist of the host's own layers, and would upload them again in every run.
    """
    module = STAG4DModel(model)
    comfy.model_management.archive_model_dtypes(module)
    return comfy.model_patcher.ModelPatcher(
        module,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


_shared: WeakValueDictionary[Hashable, comfy.model_patcher.ModelPatcher] = WeakValueDictionary()


def shared_patcher(key: Hashable, load: Callable[[], nn.Module]) -> comfy.model_patcher.ModelPatcher:
    """Return the ModelPatcher that a node already holds for a key, or that of a model loaded now.

    Args:
        key: Identifies the model.
        load: Loads the model.
    """
    patcher = _shared.get(key)
    if patcher is None:
        patcher = _shared[key] = make_patcher(load())
    return patcher


def load_to_device(patcher: comfy.model_patcher.ModelPatcher, work_bytes: int) -> Any:
    """Return the model of a ModelPatcher with its weights on the compute device.

    Args:
        patcher: From ``make_patcher``.
        work_bytes: Memory beside the weights for the host to free.
    """
    comfy.model_management.load_models_gpu([patcher], memory_required=work_bytes, force_full_load=True)
    return patcher.model.model


@dataclass(frozen=True, eq=False)
class ManagedMultiView:
    """A multi-view model, the value of STAG4D_MULTIVIEW sockets; it is loaded when it is first used.

    Attributes:
        make_patcher: Returns the ModelPatcher of a ``stag4d.diffusion.MultiViewModel``, shared by all rigs.
        grid: Rig and layout of the views.
        sampling: The model's own sampling settings.
    """

    make_patcher: Callable[[], comfy.model_patcher.ModelPatcher]
    grid: ViewGrid
    sampling: SamplingConfig

    @cached_property
    def patcher(self) -> comfy.model_patcher.ModelPatcher:
        """The ModelPatcher."""
        with torch.inference_mode(False):  # its weights are used outside of inference mode
            return self.make_patcher()

    def load(self, num_frames: int) -> MultiViewModel:
        """Return the model on the compute device, with memory freed for a batch of at most eight frames."""
        from ...stag4d.diffusion import FRAMES_TO_FREE  # diffusers takes seconds to import

        num_pixels = math.prod(self.patcher.model.model.grid_size) * min(num_frames, FRAMES_TO_FREE)
        work_bytes = num_pixels * LATENT_BYTES * self.patcher.model.get_dtype().itemsize // 2
        model: MultiViewModel = load_to_device(self.patcher, work_bytes)
        return model.with_grid(self.grid)
