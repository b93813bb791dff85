"""Diffusion models."""


class BaseModel:
    """Base class of the models."""


class Stable_Zero123(BaseModel):
    """Stable-Zero123."""
