"""Weight files: which of several formats is loaded, missing shards, tensors larger than their data."""

import itertools
import json
import re
import zipfile

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPVisionModelWithProjection

from stag4d.diffusion.folders import check_module, load_module
from stag4d.diffusion.weight_files import find_weights

VARIANTS = (None, "fp16", "fp16_ema", "non_ema", "fp16_non_ema")
FORMATS = list(itertools.product((".safetensors", ".bin"), VARIANTS))  # in the order of preference
NETWORKS = {  # class, library, whether shards are preferred to a whole file, a weight that is changed
    "unet": (UNet2DConditionModel, "diffusers", True, "conv_in.bias"),
    "vision_encoder": (CLIPVisionModelWithProjection, "transformers", False, "visual_projection.weight"),
}
STEMS = {
    ("diffusers", ".safetensors"): "diffusion_pytorch_model",
    ("diffusers", ".bin"): "diffusion_pytorch_model",
    ("transformers", ".safetensors"): "model",
    ("transformers", ".bin"): "pytorch_model",
}


def preferred(library_prefers_index):
    """Return all kinds of weight files, (suffix, variant, is sharded), in the order of preference."""
    return [
        (*kind, is_sharded)
        for kind in FORMATS
        for is_sharded in (library_prefers_index, not library_prefers_index)
    ]


def save(weights, path):
    if path.suffix == ".safetensors":
        save_file(weights, path, metadata={"format": "pt"})
    else:
        torch.save(weights, path)


@pytest.fixture
def network(published, tmp_path):
    """A function that makes a network's folder without weights, and functions that add and load some."""

    def make(name):
        kind, library, prefers_index, marked = NETWORKS[name]
        place = tmp_path / name
        place.mkdir()
        (place / "config.json").write_bytes((published / name / "config.json").read_bytes())
        weights = kind.from_pretrained(published / name).state_dict()

        def add(suffix, variant, is_sharded, mark):
            infix = "" if variant is None else f".{variant}"
            stem = STEMS[library, suffix]
            content = {key: value.clone() for key, value in weights.items()}
            content[marked].fill_(mark)
            if variant:
                content = {key: value.half() for key, value in content.items()}
            if not is_sharded:
                save(content, place / f"{stem}{infix}{suffix}")
                return
            names = [f"{stem}{infix}-0000{number}-of-00002{suffix}" for number in (1, 2)]
            shards = [dict(list(content.items())[number::2]) for number in (0, 1)]
            for file, shard in zip(names, shards, strict=True):
                save(shard, place / file)
            weight_map = {key: file for file, shard in zip(names, shards, strict=True) for key in shard}
            index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
            (place / f"{stem}{suffix}.index{infix}.json").write_text(json.dumps(index))

        def load():
            module = load_module(kind, tmp_path, name, torch.float32)
            return dict(module.named_parameters())[marked].flatten()[0].item()

        return place, preferred(prefers_index), add, load

    return make


@pytest.mark.parametrize("name", NETWORKS)
def test_of_two_kinds_of_weight_files_the_preferred_one_is_loaded(network, name):
    """Marks are 1, 2, ... in the order of preference; of each pair, the network has the smaller one."""
    place, order, add, load = network(name)
    for first, second in itertools.pairwise(range(len(order))):
        for rank in (first, second):
            add(*order[rank], mark=rank + 1)
        assert load() == first + 1, (order[first], order[second])
        for path in place.glob("*model*"):
            path.unlink()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_weight_file_is_loaded_where_it_is_alone(network, name):
    place, order, add, load = network(name)
    for rank, kind in enumerate(order):
        add(*kind, mark=rank + 1)
        assert load() == rank + 1, kind
        for path in place.glob("*model*"):
            path.unlink()


@pytest.mark.parametrize("name", NETWORKS)
def test_weight_files_of_the_other_library_are_ignored(network, name):
    place, _, add, load = network(name)
    add(".bin", None, False, mark=2)
    other = {"unet": "model.safetensors", "vision_encoder": "diffusion_pytorch_model.safetensors"}[name]
    (place / other).write_bytes(b"another program's")
    assert load() == 2


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_missing_shard_is_named_even_beside_whole_weights_of_another_format(network, name, suffix):
    place, _, add, load = network(name)
    add(suffix, None, True, mark=1)
    add(".bin" if suffix == ".safetensors" else suffix, "fp16", False, mark=2)
    missing = next(place.glob(f"*-00002-of-00002{suffix}"))
    missing.unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"^{re.escape(str(missing))}: no such file; expected all 2 files"
    ):
        load()


@pytest.mark.parametrize(
    "weight_map",
    [
        None,
        {},
        [],
        {"conv_in.bias": None},
        {"conv_in.bias": ["a.safetensors"]},
        {"conv_in.bias": "../unet/a.safetensors"},
        {"conv_in.bias": "/etc/passwd"},
        {"conv_in.bias": "a.bin"},
        {"conv_in.bias": ""},
    ],
    ids=repr,
)
def test_malformed_index_of_shards_is_named(network, weight_map):
    place, _, _, load = network("unet")
    index = place / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    with pytest.raises(ValueError, match=rf"^{re.escape(str(index))}: weight_map is malformed; expected"):
        load()


def rewrite_zip(path, compression):
    """Write a zip archive again with another compression."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def test_compressed_pickle_is_refused(network):
    place, _, add, load = network("unet")
    add(".bin", None, False, mark=1)
    rewrite_zip(place / "diffusion_pytorch_model.bin", zipfile.ZIP_DEFLATED)
    with pytest.raises(
        ValueError, match=r"cannot be read \(diffusion_pytorch_model\.bin has compressed records"
    ):
        load()


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1).expand(10**9, 10**3), torch.zeros(3, 3).to_sparse()],
    ids=["expanded", "sparse"],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_pickled_tensor_that_is_larger_than_its_data_is_refused(network, name, tensor):
    place, _, _, load = network(name)
    torch.save({NETWORKS[name][3]: tensor}, place / f"{STEMS[NETWORKS[name][1], '.bin']}.bin")
    with pytest.raises(ValueError, match="has a sparse or expanded tensor; expected dense ones"):
        load()


def test_shards_with_more_tensors_than_any_network_has_are_refused(network, monkeypatch):
    _, _, add, load = network("unet")
    add(".safetensors", None, True, mark=1)
    monkeypatch.setattr("stag4d.diffusion.weight_files.MAX_TENSORS", 5)
    with pytest.raises(ValueError, match="expected at most 5"):
        load()


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.999])
@pytest.mark.parametrize("is_sharded", [False, True])
def test_truncated_file_is_named_with_its_size(network, suffix, kept, is_sharded):
    place, _, add, load = network("unet")
    add(suffix, None, is_sharded, mark=1)
    path = max(place.glob(f"*{suffix}"))  # of shards the last one
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    size = path.stat().st_size
    of_all = ""
    if suffix == ".safetensors":
        length = int.from_bytes(content[:8], "little")
        described = 8 if size < 8 else 8 + length if size < 8 + length else len(content)
        of_all = f" of {described}"
    expected = f"{path}: has {size} bytes{of_all}, it is truncated; fetch it again."
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        load()


def test_truncated_file_is_found_without_reading_weights(network):
    place, _, add, _ = network("unet")
    add(".safetensors", None, False, mark=1)
    assert check_module(UNet2DConditionModel, place.parent, "unet").device.type == "meta"
    path = place / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: has {path.stat().st_size} bytes of "):
        check_module(UNet2DConditionModel, place.parent, "unet")


def test_pointer_of_git_lfs_is_named(network):
    place, _, _, load = network("unet")
    path = place / "diffusion_pytorch_model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(
        ValueError, match=r"^.*\.safetensors: has \d\d bytes, a pointer of Git LFS; expected "
    ):
        load()


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_an_unknown_variant_are_named(network, name):
    place, _, add, load = network(name)
    add(".safetensors", "int8", False, mark=1)
    add(".bin", "bf16", False, mark=1)
    names = [
        f"{STEMS[NETWORKS[name][1], suffix]}.{infix}"
        for suffix, infix in ((".bin", "bf16.bin"), (".safetensors", "int8.safetensors"))
    ]
    expected = f"{place}: no weights that can be loaded, only {', '.join(sorted(names))}; expected a file"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(expected)} .*fp16_ema, non_ema"):
        load()


def test_no_weights_are_found_in_an_empty_folder(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"expected a file such as model\.safetensors or pytorch_model\.bin"
    ):
        find_weights(tmp_path, "transformers")
