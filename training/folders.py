"""Files of a diffusers model folder: networks in half precision, index, processors and tokenizer."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextModel

from .toys import SIZE

_MEAN, _STD = 0.5, 0.5  # normalization of pixels 0..1 to -1..1
_START, _END = "<|startoftext|>", "<|endoftext|>"
_TEXT_PREFIX = "text_model."  # of the weight names of published text encoders


def save_modules(folder: Path, modules: Mapping[str, nn.Module]) -> None:
    """Write networks of diffusers and transformers in half precision, each into a subfolder of its name."""
    for name, module in modules.items():
        stored: Any = copy.deepcopy(module).to("cpu", torch.float16)
        stored.save_pretrained(folder / name)
        if isinstance(module, CLIPTextModel):
            _rename_as_published(folder / name / "model.safetensors")
        config = folder / name / "config.json"
        values = json.loads(config.read_text(encoding="utf-8"))
        values.pop("_name_or_path", None)  # the local folder that it was loaded from
        write_json(config, values)


def _rename_as_published(path: Path) -> None:
    """Give the weights of a CLIP text encoder the names under which every release of transformers loads them.

    From 5.6 on transformers saves them without the prefix ``text_model.``, which older releases need and
    newer ones still read.
    """
    weights = load_file(path)
    renamed = {f"{_TEXT_PREFIX}{name.removeprefix(_TEXT_PREFIX)}": value for name, value in weights.items()}
    save_file(renamed, path, metadata={"format": "pt"})


def write_index(folder: Path, pipeline: str, parts: Mapping[str, tuple[str, str]], **more: object) -> None:
    """Write a folder's ``model_index.json``.

    Args:
        folder: Folder of the model.
        pipeline: Class of the published pipeline.
        parts: Library and class of each subfolder.
        more: Further fields.
    """
    listed = {name: list(part) for name, part in sorted(parts.items())}
    write_json(folder / "model_index.json", {"_class_name": pipeline, **listed, **more})


def write_image_processor(folder: Path) -> None:
    """Write the config of an image processor that only resizes and normalizes."""
    settings = {
        "crop_size": {"height": SIZE, "width": SIZE},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [_MEAN] * 3,
        "image_processor_type": "CLIPImageProcessor",
        "image_std": [_STD] * 3,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": SIZE},
    }
    write_json(folder / "preprocessor_config.json", settings)


def write_tokenizer(folder: Path, num_tokens: int) -> None:
    """Write a tokenizer with a vocabulary of one word and the start and end tokens."""
    special = {"bos_token": _START, "eos_token": _END, "pad_token": _END, "unk_token": _END}
    write_json(folder / "vocab.json", {_START: 0, _END: 1, "toy": 2, "toy</w>": 3})
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    write_json(folder / "special_tokens_map.json", special)
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": num_tokens, **special}
    write_json(folder / "tokenizer_config.json", settings)


def write_json(path: Path, document: object) -> None:
    """Write a JSON file; its folder is created if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
