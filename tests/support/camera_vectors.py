"""Numeric test vectors of cameras from many sources, computed in float64 apart from this project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "camera_vectors.json").read_text(encoding="utf-8")
)


def tensor(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def assert_close(found: Tensor, expected: Any, atol: float = 1e-5, rtol: float = 1e-7) -> None:
    """Check to 1e-5; numbers of many pixels to the rounding of float32."""
    torch.testing.assert_close(found.double(), tensor(expected), atol=atol, rtol=rtol)
