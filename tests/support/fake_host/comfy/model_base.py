"""Diffusion models."""

from enum import Enum
from typing import Any


class ModelType(Enum):
    """Types of a model's output."""

    EPS = 1
    V_PREDICTION = 2


class BaseModel:
    """Base class of the models."""

    def __init__(self, model_config: Any = None, model_type: ModelType = ModelType.EPS) -> None:
        self.model_config, self.model_type = model_config, model_type


class Stable_Zero123(BaseModel):
    """Stable-Zero123."""
