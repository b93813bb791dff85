"""Handles of models for the memory management."""

import torch


class ModelPatcher:
    """Holds a model and its devices."""

    def __init__(
        self, model: torch.nn.Module, load_device: torch.device, offload_device: torch.device
    ) -> None:
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device


CoreModelPatcher = ModelPatcher
