"""Model folders: every weight format gives the same model; errors are one sentence that names the file."""

import json
import os
import re
import shutil
import socket

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from stag4d.diffusion import SamplingConfig, SeededNoise, load_multiview_model, sample_latents
from stag4d.diffusion.folders import weight_sums
from tiny_models import TILE, make_multiview_folder

NETWORKS = ("unet", "vae", "text_encoder", "vision_encoder")
UNET, VAE = (f"{name}/diffusion_pytorch_model.safetensors" for name in ("unet", "vae"))
TEXT, VISION = (f"{name}/model.safetensors" for name in ("text_encoder", "vision_encoder"))
CLIP_PROCESSOR = "feature_extractor_clip/preprocessor_config.json"
VAE_PROCESSOR = "feature_extractor_vae/preprocessor_config.json"
SCHEDULER = "scheduler/scheduler_config.json"


@pytest.fixture
def folder(published, tmp_path):
    """A model folder that a test may damage."""
    return shutil.copytree(published, tmp_path / "zero123plus")


def first_frame(model, video):
    """Return latents and views of a video's first frame."""
    images, alphas = video
    config = SamplingConfig(num_steps=2, anchor=None)
    latents = sample_latents(model, images[:1], alphas[:1], SeededNoise(2), config)
    return torch.cat([latents.flatten(), model.decode(latents[0]).flatten()])


@pytest.fixture(scope="module")
def expected(model, video):
    return first_frame(model, video)


def change(path, **values):
    """Change fields of a JSON object; None removes one."""
    document = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))


def change_weights(path, function):
    save_file(function(load_file(path)), path, metadata={"format": "pt"})


def refusal(error, where, words):
    """Expect an error of one sentence that begins with a path and states what is wrong with it."""
    return pytest.raises(error, match=rf"^{re.escape(str(where))}: [^\n]*{words}[^\n]*\.$")


@pytest.mark.parametrize(("safe", "half"), [(False, False), (True, True), (False, True)])
def test_every_weight_format_gives_the_same_model(tmp_path, video, expected, safe, half):
    folder = make_multiview_folder(tmp_path, safe=safe, half=half)
    suffix = "safetensors" if safe else "bin"
    assert all(list((folder / name).glob(f"*{'fp16' * half}.{suffix}")) for name in NETWORKS)
    found = first_frame(load_multiview_model(folder), video)
    torch.testing.assert_close(found, expected, atol=1e-2 if half else 1e-4, rtol=0)


def test_full_precision_safetensors_take_precedence(folder, tmp_path, video, expected):
    for options in ({"half": True}, {"safe": False}):
        other = make_multiview_folder(tmp_path / "other", seed=1, **options)
        for name in NETWORKS:
            for path in (other / name).glob("*model*"):
                shutil.copy(path, folder / name)
        shutil.rmtree(other)
    assert len(list((folder / "unet").iterdir())) == 4
    assert torch.equal(first_frame(load_multiview_model(folder), video), expected)


def test_weight_names_of_older_libraries_are_accepted(folder, video, expected):
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def rename(weights):
        renamed = {}
        for name, weight in weights.items():
            for new, previous in old.items():
                name = name.replace(f".attentions.0.{new}.", f".attentions.0.{previous}.")
            renamed[name] = weight
        assert renamed.keys() != weights.keys()
        return renamed

    def prefix(weights):
        whole = {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in weights.items()}
        return whole | {"text_model.embeddings.position_ids": torch.arange(7)[None]}

    change_weights(folder / VAE, rename)
    change_weights(folder / TEXT, prefix)
    assert torch.equal(first_frame(load_multiview_model(folder), video), expected)


@pytest.mark.parametrize("stored_half", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_networks_have_the_requested_dtype(tmp_path, video, model, stored_half, dtype):
    loaded = load_multiview_model(make_multiview_folder(tmp_path, half=stored_half), dtype=dtype)
    for network in (loaded.unet, loaded.vae, loaded.vision_encoder):
        assert {parameter.dtype for parameter in network.parameters()} == {dtype}
    assert {loaded.uncond_embeddings.dtype, loaded.ramp.dtype} == {torch.float32}
    conditioning, exact = (each.encode_conditioning(*video, SeededNoise(2)) for each in (loaded, model))
    assert conditioning.references.dtype == conditioning.cond_embeddings.dtype == torch.float32
    torch.testing.assert_close(conditioning.references, exact.references, atol=0.1, rtol=0.1)
    torch.testing.assert_close(conditioning.cond_embeddings, exact.cond_embeddings, atol=0.1, rtol=0.1)


def test_weight_checksums_do_not_depend_on_the_number_of_threads():
    layer = torch.nn.Linear(2560, 1280, bias=False)
    torch.nn.init.normal_(layer.weight, std=0.02, generator=torch.Generator().manual_seed(0))
    before, sums = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            sums.append(weight_sums(layer))
    finally:
        torch.set_num_threads(before)
    assert sums[0] == sums[1] == sums[2]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_weight_checksum_is_the_sum_of_its_elements_bits(dtype):
    layer = torch.nn.Linear(5, 3).to(dtype)
    kind = {8: np.int64, 4: np.int32, 2: np.int16}[dtype.itemsize]
    expected = [
        int(np.frombuffer(bytes(weight.detach().flatten().view(torch.uint8).tolist()), kind).sum())
        for weight in layer.parameters()
    ]
    assert weight_sums(layer) == expected
    with torch.no_grad():
        layer.bias[1] = torch.nextafter(layer.bias[1], layer.bias[1] + 1)
    assert weight_sums(layer)[1] == expected[1] + (1 if layer.bias[1] > 0 else -1)


def test_networks_are_frozen_and_in_evaluation_mode(model):
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(network.training for network in (model.unet, model.vae, model.vision_encoder))


def test_no_module_is_in_training_mode(model):
    assert not any(module.training for module in model.modules())


def test_loading_does_not_use_the_internet(published, monkeypatch):
    requests = []

    def refuse(*args, **kwargs):
        requests.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_multiview_model(published)
    assert requests == []


@pytest.mark.parametrize("shown", [True, False])
def test_transformers_progress_bar_setting_is_restored(published, shown, capfd):
    show, hide = transformers_logging.enable_progress_bar, transformers_logging.disable_progress_bar
    was_shown = transformers_logging.is_progress_bar_enabled()
    try:
        (show if shown else hide)()
        load_multiview_model(published)
        assert transformers_logging.is_progress_bar_enabled() == shown
        assert "%|" not in capfd.readouterr().err
    finally:
        (show if was_shown else hide)()


def test_grid_settings_are_read_from_the_index(folder):
    assert load_multiview_model(folder).grid.tile_size == TILE
    change(folder / "model_index.json", stag4d={"tile_size": 2 * TILE, "rig": "v1.2"})
    grid = load_multiview_model(str(folder)).grid
    assert (grid.tile_size, grid.poses[0].elevation_deg) == (2 * TILE, 20.0)
    assert load_multiview_model(folder, rig="v1.1").grid.poses[0].elevation_deg == 30.0


def test_json_file_may_begin_with_a_byte_order_mark(folder):
    path = folder / "model_index.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_multiview_model(folder).grid.tile_size == TILE


def test_sampling_settings_are_read_from_the_index(folder):
    change(folder / "model_index.json", stag4d={"tile_size": TILE, "sampling": {"guidance_scale": 2}})
    assert load_multiview_model(folder).sampling == SamplingConfig(guidance_scale=2.0)
    change(folder / "model_index.json", stag4d={"tile_size": TILE, "sampling": {"num_steps": 28}})
    assert load_multiview_model(folder).sampling == SamplingConfig(num_steps=28)


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        ([28], r" is \[28\]; expected an object with num_steps and guidance_scale"),
        ({"steps": 28}, " is .*; expected an object with num_steps and guidance_scale"),
        ({"batch_size": 2}, " is .*; expected an object with num_steps and guidance_scale"),
        ({"num_steps": 28.5}, r"\.num_steps must be a whole number from 0, not 28\.5"),
        ({"num_steps": True}, r"\.num_steps must be a finite number, not true"),
        ({"num_steps": 0}, ": 0 steps; expected 1 to 1000"),
        ({"guidance_scale": "4"}, r"\.guidance_scale must be a finite number, not .4."),
        ({"guidance_scale": -1}, r": guidance_scale is -1\.0; expected 0 or more"),
    ],
    ids=repr,
)
def test_malformed_sampling_settings_are_refused(folder, sampling, words):
    change(folder / "model_index.json", stag4d={"tile_size": TILE, "sampling": sampling})
    with pytest.raises(ValueError, match=rf"^model_index\.json: stag4d\.sampling{words}"):
        load_multiview_model(folder)


def test_malformed_sampling_settings_beside_the_index_are_refused(folder):
    for sampling, words in (([28], r"sampling is \[28\]"), ({"num_steps": 0}, "sampling: 0 steps")):
        (folder / "stag4d.json").write_text(json.dumps({"sampling": sampling}))
        with pytest.raises(ValueError, match=rf"^stag4d\.json: {words}; expected"):
            load_multiview_model(folder)


def test_timestep_spacing_is_trailing_whatever_the_folder_sets(folder):
    change(folder / SCHEDULER, timestep_spacing="leading")
    scheduler = load_multiview_model(folder).scheduler
    scheduler.set_timesteps(4)
    assert scheduler.timesteps.tolist() == [999, 749, 499, 249]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("model_index.json", "no such file; expected a model folder in diffusers' layout"),
        *((f"{name}/config.json", f"expected the configuration of {name}") for name in NETWORKS),
        (SCHEDULER, "no such file; expected the noise schedule"),
        (CLIP_PROCESSOR, "no such file; expected the image processor of feature_extractor_clip"),
        (VAE_PROCESSOR, "no such file; expected the image processor of feature_extractor_vae"),
    ],
)
def test_missing_file_is_named(folder, path, words):
    (folder / path).unlink()
    with refusal(FileNotFoundError, folder / path, words):
        load_multiview_model(folder)


def test_missing_folder_is_named(folder, tmp_path):
    with refusal(FileNotFoundError, tmp_path / "none" / "model_index.json", "expected a model folder"):
        load_multiview_model(tmp_path / "none")
    shutil.rmtree(folder / "tokenizer")
    with refusal(FileNotFoundError, folder / "tokenizer", "no tokenizer; expected vocab.json and merges.txt"):
        load_multiview_model(folder)


@pytest.mark.parametrize("path", [UNET, VAE, TEXT, VISION])
def test_missing_weight_file_is_named(folder, path):
    weights = folder / path
    weights.rename(weights.with_name("ema.safetensors"))
    words = "no weights that can be loaded, only ema.safetensors; expected a file such as"
    with refusal(FileNotFoundError, weights.parent, words):
        load_multiview_model(folder)


@pytest.mark.parametrize(
    "path", ["model_index.json", "unet/config.json", "text_encoder/config.json", SCHEDULER, CLIP_PROCESSOR]
)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": ', "cannot be read as JSON .*; expected an object"),
        (b"", "cannot be read as JSON"),
        (b"\xff\xfe{}", "cannot be read as JSON"),
        (b'{"a": ' * 100_000, "cannot be read as JSON"),
        (b"[1, 2]", r"holds \[1, 2\]; expected a JSON object"),
    ],
)
def test_damaged_json_file_is_named(folder, path, content, words):
    (folder / path).write_bytes(content)
    with refusal(ValueError, folder / path, words):
        load_multiview_model(folder)


@pytest.mark.parametrize("kind", ["StableDiffusionPipeline", "Zero123Pipeline", None])
def test_other_model_class_is_refused(folder, kind):
    change(folder / "model_index.json", _class_name=kind)
    with refusal(ValueError, folder, f"holds a {kind}; expected a Zero123PlusPipeline"):
        load_multiview_model(folder)


@pytest.mark.parametrize("ramp", [None, 0.5, {"0": 0.5}, ["0.5"] * 7, [None] * 7], ids=repr)
def test_ramp_that_is_not_a_list_of_numbers_is_refused(folder, ramp):
    change(folder / "model_index.json", ramping_coefficients=ramp)
    words = f"ramping_coefficients is {re.escape(repr(ramp))}; expected a list of numbers"
    with refusal(ValueError, folder / "model_index.json", words):
        load_multiview_model(folder)


@pytest.mark.parametrize("length", [0, 6, 77])
def test_ramp_of_another_length_is_refused(folder, length):
    change(folder / "model_index.json", ramping_coefficients=[0.5] * length)
    with refusal(ValueError, folder, f"number of ramping_coefficients is {length}; expected 7"):
        load_multiview_model(folder)


@pytest.mark.parametrize("path", [UNET, VAE, TEXT, VISION])
@pytest.mark.parametrize("end", [0, 100, -100])
def test_truncated_safetensors_are_refused(folder, path, end):
    weights = folder / path
    weights.write_bytes(weights.read_bytes()[:end])
    words = rf"has {weights.stat().st_size} bytes of \d+, it is truncated; fetch it again"
    with refusal(ValueError, weights, words):
        load_multiview_model(folder)


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.bin", "vision_encoder/pytorch_model.bin"])
def test_truncated_pickle_is_refused(tmp_path, name):
    folder = make_multiview_folder(tmp_path, safe=False)
    (folder / name).write_bytes((folder / name).read_bytes()[:-1000])
    words = f"has {(folder / name).stat().st_size} bytes, it is truncated; fetch it again"
    with refusal(ValueError, folder / name, words):
        load_multiview_model(folder)


class MakesFolder:
    """Its pickle creates a folder when it is loaded."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.bin", "vision_encoder/pytorch_model.bin"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_pickle_is_refused_and_not_executed(tmp_path, name, is_zip):
    folder, marker = make_multiview_folder(tmp_path / "model", safe=False), tmp_path / "ran"
    torch.save({"conv_in.weight": MakesFolder(marker)}, folder / name, _use_new_zipfile_serialization=is_zip)
    with refusal(ValueError, (folder / name).parent, "its configuration and weights cannot be read"):
        load_multiview_model(folder)
    assert not marker.exists()
    torch.load(folder / name, weights_only=False)
    assert marker.exists()  # the pickle works where it is not refused


@pytest.mark.parametrize(
    "error",
    [MemoryError("8 GB"), torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")],
)
def test_out_of_memory_while_loading_is_raised_unchanged(published, monkeypatch, error):
    def load(*args, **kwargs):
        raise error

    monkeypatch.setattr(UNet2DConditionModel, "from_pretrained", load)
    with pytest.raises(type(error)) as caught:
        load_multiview_model(published)
    assert caught.value is error


@pytest.mark.parametrize("path", [UNET, VAE, TEXT, VISION])
def test_missing_weight_is_named(folder, path):
    first = min(load_file(folder / path))
    change_weights(folder / path, lambda weights: {name: weights[name] for name in weights if name != first})
    words = f"1 weights are missing, the first is {re.escape(first)}; expected those that config"
    with refusal(ValueError, (folder / path).parent, words):
        load_multiview_model(folder)


@pytest.mark.parametrize("path", [UNET, VAE, TEXT, VISION])
def test_weights_of_another_shape_are_refused(folder, path):
    name, weight = min(load_file(folder / path).items())
    other = torch.cat([weight, weight])
    change_weights(folder / path, lambda weights: weights | {name: other})
    with refusal(ValueError, (folder / path).parent, "weights"):
        load_multiview_model(folder)


@pytest.mark.parametrize(
    ("path", "field", "value", "resize", "words"),
    [
        (UNET, "in_channels", 8, {"conv_in.weight": (8, 8, 3, 3)}, "in_channels is 8; expected 4"),
        (
            UNET,
            "out_channels",
            8,
            {"conv_out.weight": (8, 8, 3, 3), "conv_out.bias": (8,)},
            "out_channels is 8; expected 4",
        ),
        (
            VISION,
            "projection_dim",
            6,
            {"visual_projection.weight": (6, 8)},
            "vision_encoder: projection_dim is 6; expected 8",
        ),
    ],
)
def test_parts_of_mismatched_dimensions_are_refused(folder, path, field, value, resize, words):
    change((folder / path).with_name("config.json"), **{field: value})
    assert resize.keys() <= load_file(folder / path).keys()
    other = {name: torch.zeros(shape) for name, shape in resize.items()}
    change_weights(folder / path, lambda weights: weights | other)
    with refusal(ValueError, folder, words):
        load_multiview_model(folder)


def write(path, content):
    return lambda folder: (folder / path).write_text(content)


def set_field(path, **values):
    return lambda folder: change(folder / path, **values)


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (write("tokenizer/vocab.json", "{"), "tokenizer"),
        (write("tokenizer/tokenizer_config.json", "{"), "tokenizer"),
        (set_field("tokenizer/tokenizer_config.json", model_max_length=12), ""),
        (set_field("unet/config.json", cross_attention_dim="8"), "unet"),
        (set_field("vae/config.json", block_out_channels=[8, "8"]), "vae"),
        (set_field("text_encoder/config.json", num_attention_heads=3), "text_encoder"),
        (set_field("vision_encoder/config.json", hidden_size="8"), "vision_encoder"),
        (set_field(SCHEDULER, beta_start="0.1"), "scheduler"),
        (set_field(CLIP_PROCESSOR, size="large"), "feature_extractor_clip"),
    ],
)
def test_malformed_settings_are_refused(folder, damage, where):
    damage(folder)
    with pytest.raises(ValueError, match=f"^{re.escape(str(folder / where))}"):
        load_multiview_model(folder)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_incomplete_tokenizer_is_refused(folder, name):
    (folder / "tokenizer" / name).unlink()
    with refusal(FileNotFoundError, folder / "tokenizer", "no tokenizer; expected vocab.json and merges.txt"):
        load_multiview_model(folder)


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.bin", "vision_encoder/pytorch_model.bin"])
def test_pickle_of_another_object_is_refused(tmp_path, name):
    folder = make_multiview_folder(tmp_path, safe=False)
    torch.save([1, 2], folder / name)
    with refusal(ValueError, (folder / name).parent, "weights"):
        load_multiview_model(folder)
