"""The host's models."""


class BaseModel:
    """Any of them."""


class Stable_Zero123(BaseModel):
    """The posed prior."""
