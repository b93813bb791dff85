"""Image encoders."""

from typing import Any

import torch


class ClipVisionModel:
    """A CLIP_VISION whose network has no layers."""

    def __init__(self, json_config: dict[str, Any]) -> None:
        self.config = json_config
        self.model = torch.nn.Module()
