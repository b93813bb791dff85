"""Text states of the empty prompt, the only prompt of a multi-view model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from .folders import load_module, reading
from .json_files import read_json, shown

_PARTS = ("tokenizer", "text_encoder")


def empty_prompt_embeddings(root: Path) -> Tensor:
    """Return the embeddings of the empty prompt, float32 [1, K, D], by a folder's tokenizer and encoder.

    Those of the last few folders are kept until a file changes: the encoder takes seconds to load.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is damaged, or the tokenizer does not fit the text encoder.
    """
    paths = sorted(path for name in _PARTS for path in (root / name).glob("*") if path.is_file())
    identity = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    # Embeddings that are made in inference mode could not be used outside of it.
    with torch.inference_mode(False), torch.no_grad():
        return _embeddings(root, identity).clone()


@lru_cache(maxsize=4)
def _embeddings(root: Path, identity: tuple[tuple[str, int, int], ...]) -> Tensor:
    """Compute the embeddings of the empty prompt; ``identity`` stands for the contents of the files."""
    place = root / "tokenizer"
    is_whole = all((place / name).is_file() for name in ("vocab.json", "merges.txt"))
    if not is_whole and not (place / "tokenizer.json").is_file():
        raise FileNotFoundError(f"{place}: no tokenizer; expected vocab.json and merges.txt.")
    for path in sorted(place.glob("*.json")):
        read_json(path, "a file of the tokenizer")
    encoder = load_module(CLIPTextModel, root, "text_encoder", torch.float32)
    tokens = _empty_prompt(place, encoder.config.max_position_embeddings)  # [1, K]
    num_words = encoder.config.vocab_size
    if int(tokens.min()) < 0 or int(tokens.max()) >= num_words:
        raise ValueError(
            f"{place}: the empty prompt has tokens from {int(tokens.min())} to {int(tokens.max())}; expected "
            f"0 to {num_words - 1}, which the text encoder has."
        )
    with reading(root / "text_encoder", "its configuration and weights"):
        states = encoder(tokens)[0]
    if not states.isfinite().all():
        raise ValueError(f"{root / 'text_encoder'}: its states are not finite; fetch the folder again.")
    return states


def _empty_prompt(place: Path, length: int) -> Tensor:
    """Return the tokens of the empty prompt, int64 [1, K], padded to a length K."""
    config = place / "tokenizer_config.json"
    if config.is_file():
        longest = read_json(config, "the settings of the tokenizer").get("model_max_length", length)
        if longest != length:
            raise ValueError(
                f"{config}: model_max_length is {shown(longest)}; expected {length}, the "
                "max_position_embeddings of the text encoder."
            )
    with reading(place, "the tokenizer"):
        tokenizer = CLIPTokenizer.from_pretrained(place, local_files_only=True)
        tokens = tokenizer("", padding="max_length", max_length=length, return_tensors="pt").input_ids
        if tokens.shape != (1, length):
            raise ValueError(f"the empty prompt has {tokens.shape[-1]} tokens instead of {length}")
    return tokens
