"""Hand a model of this pack to the host's memory management, which loads, offloads and frees it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

import comfy.model_management
import comfy.model_patcher
import torch
from torch import nn


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
