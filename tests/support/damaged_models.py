"""Seeded damage to the files of a model folder, and a program that reads them within a memory limit.

`python damaged_models.py KIND SEED COUNT` prints each damaged file before it reads it, and ends with the
first that is neither read nor refused with an error that names it.
"""

from __future__ import annotations

import json
import logging
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tiny_models import make_guidance_folder, make_multiview_folder

MEMORY_LIMIT = 6 * 2**30  # address space: torch and its libraries map 3 GB when they are imported
MAX_SECONDS = 10
MAX_GROWTH = 300 * 2**10  # of the largest resident memory, KiB
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 8, 1000, 10**6, 10**9, 2**31, 2**63, 10**30, -(10**9)),
    *(0.5, -0.5, 1e300, 1e-300, float("nan"), "", "a", "8", "x" * 1000, "owner/name"),
    *([], [1], [8, 8], ["8"], [None], [[]], [8] * 5, [10**9, 10**9], ["diffusers", "UNet2DConditionModel"]),
    *({}, {"a": 1}, {"shortest_edge": 10**9}, {"height": 10**8, "width": 10**8}),
]
KEYS = (  # of settings that the libraries read besides those in the files
    *("quantization_config", "auto_map", "_attn_implementation", "torch_dtype", "dtype", "model_type"),
    *("_class_name", "_name_or_path", "stag4d", "trained_betas", "num_train_timesteps", "beta_schedule"),
    *("added_tokens_decoder", "tokenizer_class", "pad_token", "model_max_length", "padding_side", "size"),
    *("crop_size", "data_format", "text_config", "vision_config", "class_embed_type", "encoder_hid_dim_type"),
    *("transformer_layers_per_block", "layers_per_block", "norm_num_groups", "num_attention_heads"),
)


def damage_json(content: bytes, generator: random.Random) -> bytes:
    """Return a JSON file truncated, with other bytes, nested deeply, or with other, fewer or more values."""
    kind = generator.choice(["bytes", "deep", "set", "set", "set", "delete", "add"])
    if kind == "bytes":
        return damage_bytes(content, generator)
    document = json.loads(content)
    if kind == "deep":
        depth = generator.choice([40, 60, 500, 900, 5000, 100_000])
        return json.dumps(document)[:-1].encode() + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"
    if kind == "add":
        document[generator.choice(KEYS)] = generator.choice(VALUES)
        return json.dumps(document).encode()
    *parents, last = generator.choice(list(paths_in(document)) or [("a",)])
    place = document
    for key in parents:
        place = place[key]
    if kind == "set":
        place[last] = generator.choice(VALUES)
    else:
        place.pop(last, None) if isinstance(place, dict) else place.pop(last)
    return json.dumps(document).encode()


def damage_weights(content: bytes, generator: random.Random) -> bytes:
    """Return a safetensors file with other bytes, another length of the header, or another entry in it."""
    kind = generator.choice(["bytes", "length", "entry", "entry"])
    if kind == "bytes":
        return damage_bytes(content, generator)
    if kind == "length":
        return generator.choice([0, 1, 10**8, 2**40, 2**63, 2**64 - 1]).to_bytes(8, "little") + content[8:]
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    shape = generator.choice([[], [0], [-1], [2**40], [2**32, 2**32], [10**30], ["8"], None])
    entry = {"dtype": generator.choice(["F32", "F16", "F99", 7]), "shape": shape, "data_offsets": [0, 4]}
    header[generator.choice(list(header))] = generator.choice([entry, *VALUES])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[end:]


def damage_bytes(content: bytes, generator: random.Random) -> bytes:
    """Return a file truncated, with some bytes changed, or of random bytes."""
    kind = generator.choice(["truncate", "change", "change", "random"])
    if kind == "truncate" or not content:
        return content[: generator.randrange(len(content) + 1)]
    if kind == "random":
        return generator.randbytes(generator.randrange(3000))
    changed = bytearray(content)
    end = generator.choice([len(content), min(len(content), 4000)])
    for _ in range(generator.choice([1, 2, 10])):
        changed[generator.randrange(end)] = generator.randrange(256)
    return bytes(changed)


def paths_in(value: object) -> Iterator[tuple[Any, ...]]:
    """Yield the keys that lead to each value in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (key,)
        yield from ((key, *path) for path in paths_in(child))


def readers(kind: str, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what reads each part of a folder, by subfolder; "" reads all."""
    from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
    from transformers import CLIPVisionModelWithProjection

    from stag4d.diffusion import CameraProjection, load_guidance_model, load_multiview_model
    from stag4d.diffusion.empty_prompt import empty_prompt_embeddings
    from stag4d.diffusion.folders import load_module
    from stag4d.diffusion.image_processors import load_image_processor
    from stag4d.diffusion.noise_schedule import load_scheduler

    networks = {
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
        "vision_encoder": CLIPVisionModelWithProjection,
        "image_encoder": CLIPVisionModelWithProjection,
        "clip_camera_projection": CameraProjection,
    }
    processors = ("feature_extractor", "feature_extractor_clip", "feature_extractor_vae")
    load = {"multiview": load_multiview_model, "guidance": load_guidance_model}[kind]
    return {
        "": lambda: load(folder),
        "scheduler": lambda: load_scheduler(
            EulerAncestralDiscreteScheduler, folder, prediction_type="epsilon"
        ),
        "tokenizer": lambda: empty_prompt_embeddings(folder),
        "text_encoder": lambda: empty_prompt_embeddings(folder),
        **{name: partial(load_image_processor, folder, name, multiple=2) for name in processors},
        **{
            name: partial(load_module, network, folder, name, torch.float32)
            for name, network in networks.items()
        },
    }


def main(kind: str, seed: int, count: int) -> None:
    """Damage one file of a tiny model after the other, and read it."""
    make = {"multiview": make_multiview_folder, "guidance": make_guidance_folder}[kind]
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = make(Path(temporary) / "model")
        files = {path: path.read_bytes() for path in sorted(folder.rglob("*.*")) if path.is_file()}
        read = readers(kind, folder)
        read[""]()
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        for number in range(count):
            path = generator.choice(list(files))
            damage = {".json": damage_json, ".safetensors": damage_weights}.get(path.suffix, damage_bytes)
            path.write_bytes(damage(files[path], generator))
            sys.stdout.write(f"{number} {path.relative_to(folder)}\n")
            sys.stdout.flush()
            start = time.monotonic()
            check(read["" if path.parent == folder else path.parent.name], folder)
            seconds = time.monotonic() - start
            assert seconds < MAX_SECONDS, f"{seconds:.0f} s"
            growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - largest
            assert growth < MAX_GROWTH, f"{growth} KiB"
            path.write_bytes(files[path])


def check(read: Callable[[], object], folder: Path) -> None:
    """Read a file; raises unless it is read, or refused with an error that names it."""
    try:
        read()
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        assert message.startswith((str(folder), "model_index.json", "stag4d.json", "view grid")), message[
            :300
        ]
        assert len(message) < 1000, message[:300]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
