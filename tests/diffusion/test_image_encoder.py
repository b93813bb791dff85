"""CLIP's image encoder from a folder, and CLIP-S, against transformers' own CLIP."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel
from transformers.utils import logging as transformers_logging

from stag4d.diffusion.image_encoder import load_image_encoder
from stag4d.evaluation import clip_similarity
from tiny_models import make_clip_folder

SIDE = 28


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_clip_folder(tmp_path_factory.mktemp("clip") / "clip-tiny")


@pytest.fixture
def images() -> torch.Tensor:
    """Images of 8-bit values, of the size of the encoder."""
    values = torch.randint(0, 256, (3, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(3))
    return values / 255


def test_embeddings_are_those_of_the_whole_clip_model(folder, images):
    """Its mean and standard deviation are 0.5 and 0.25, and its images have the encoder's size already."""
    clip = CLIPModel.from_pretrained(folder).eval()
    pixels = ((images - 0.5) / 0.25).permute(0, 3, 1, 2)
    with torch.no_grad():
        pooled = clip.vision_model(pixel_values=pixels).pooler_output
        expected = clip.visual_projection(pooled)
    embed = load_image_encoder(folder)
    torch.testing.assert_close(embed(images), expected, rtol=1e-4, atol=1e-5)
    assert embed.description == "CLIP ViT, 2 layers, width 8, patch 14"


def test_unused_weights_of_the_text_encoder_are_not_reported(folder, capfd, caplog):
    verbosity = transformers_logging.get_verbosity()
    load_image_encoder(folder)
    captured = capfd.readouterr()
    assert (captured.out, captured.err, caplog.text) == ("", "", "")
    assert transformers_logging.get_verbosity() == verbosity


def test_clip_s_is_the_cosine_of_the_embeddings(folder, images):
    embed = load_image_encoder(folder)
    first, second = embed(images[:2]).numpy(), embed(images[1:]).numpy()
    expected = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    values = clip_similarity(images[:2], images[1:], embed)
    np.testing.assert_allclose(values.numpy(), expected, atol=1e-6)
    assert (values < 0.9999).all()
    assert clip_similarity(images, images, embed).tolist() == pytest.approx([1, 1, 1])


def test_images_of_any_size_are_resized_and_cropped(folder, images):
    embed = load_image_encoder(folder)
    large = images.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    assert (torch.cosine_similarity(embed(large), embed(images)) > 0.9).all()
    assert embed(torch.rand(1, 40, 60, 3)).shape == (1, 8)


def test_missing_files_are_named(folder, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"^CLIP .*none: no such folder; expected one with config\.json"
    ):
        load_image_encoder(tmp_path / "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"empty.config\.json: no such file; expected the configuration"
    ):
        load_image_encoder(empty)
    (empty / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(
        FileNotFoundError, match=r"empty: no weights; expected a file such as model\.safetensors"
    ):
        load_image_encoder(empty)
    (empty / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"empty.preprocessor_config\.json: no such file"):
        load_image_encoder(empty)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["crop_size"] = {"height": 32, "width": 32}
    (empty / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"makes images of 32 x 32 pixels; expected three channels of 28"):
        load_image_encoder(empty)


def test_weights_of_another_model_are_refused(folder, tmp_path):
    other = make_clip_folder(tmp_path / "other")
    config = CLIPConfig.from_pretrained(other).to_dict()
    config["vision_config"]["hidden_size"] = 16
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"other: its configuration and weights cannot be read"):
        load_image_encoder(other)
