"""ComfyUI's model classes."""


class BaseModel:
    """The base class."""


class Stable_Zero123(BaseModel):
    """The model of Stable-Zero123."""
