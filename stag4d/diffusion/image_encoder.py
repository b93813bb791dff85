"""CLIP's image encoder from a folder, as published: embeddings of images, which CLIP-S compares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionModelWithProjection
from transformers.utils import logging as transformers_logging

from .folders import load_module
from .image_processors import load_image_processor


class ImageEncoder:
    """CLIP's image encoder with its image processor.

    Args:
        network: The encoder.
        processor: Resizes, crops and normalizes the images.
    """

    def __init__(self, network: CLIPVisionModelWithProjection, processor: Any) -> None:
        self.network, self.processor = network, processor

    @property
    def description(self) -> str:
        """Return the kind of the encoder, such as ``CLIP ViT, 12 layers, width 768, patch 32``."""
        config = self.network.config
        return (
            f"CLIP ViT, {config.num_hidden_layers} layers, width {config.hidden_size}, patch "
            f"{config.patch_size}"
        )

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return embeddings [N, D], float32 on the CPU, of images [N, H, W, 3], 0..1, rounded to 8 bits."""
        quantized = (images * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        pixels = self.processor(images=list(quantized), return_tensors="pt").pixel_values
        return self.network(pixels.to(self.network.device)).image_embeds.float().cpu()


def load_image_encoder(folder: str | Path, device: torch.device | str = "cpu") -> ImageEncoder:
    """Load CLIP's image encoder from a folder of transformers; nothing is downloaded.

    Args:
        folder: Holds ``config.json`` and the weights of CLIP, or of its image encoder alone, and
            ``preprocessor_config.json``, as ``openai/clip-vit-base-patch32`` does.
        device: Device of the network.

    Raises:
        FileNotFoundError: if the folder or a file in it is missing.
        ValueError: if a file is damaged, or the files do not belong together.
    """
    root = Path(folder).absolute()
    if not root.is_dir():
        raise FileNotFoundError(
            f"CLIP {folder}: no such folder; expected one with config.json, preprocessor_config.json and "
            "weights, such as openai/clip-vit-base-patch32."
        )
    with _errors_only():  # a whole CLIP has the text encoder's weights, too, each of which is reported
        network = load_module(CLIPVisionModelWithProjection, root.parent, root.name, torch.float32)
    processor = load_image_processor(root.parent, root.name, side=network.config.image_size)
    return ImageEncoder(network.to(device), processor)


@contextmanager
def _errors_only() -> Iterator[None]:
    """Disable transformers' warnings; the user's setting is restored at the end."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
