"""What model arguments stand for: folders, and models that ship with the package."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from stag4d.pipeline import DTYPES, bundled_models, check_model, model_folder, models
from stag4d.weights import FOLDER


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    """The package's weights: two of a kind, one of the other, and what is no model."""
    indices = {
        "tiny-b": {"ramping_coefficients": [0.0]},
        "tiny-a": {"ramping_coefficients": [1.0]},
        "prior": {"clip_camera_projection": ["zero123", "CLIPCameraProjection"]},
    }
    for name, index in indices.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    return tmp_path


def test_bundled_models_are_listed_by_kind(weights):
    assert bundled_models("multiview") == {
        "bundled/tiny-a": weights / "tiny-a",
        "bundled/tiny-b": weights / "tiny-b",
    }
    assert bundled_models("guidance") == {"bundled/prior": weights / "prior"}


def test_every_bundled_model_is_of_a_kind():
    found = [*bundled_models("multiview").values(), *bundled_models("guidance").values()]
    assert sorted(found) == sorted(index.parent for index in FOLDER.glob("*/model_index.json"))


def test_bundled_names_are_resolved_and_everything_else_is_a_folder(weights):
    assert model_folder("bundled/tiny-b", "multiview") == weights / "tiny-b"
    assert model_folder("models/zero123plus", "multiview") == Path("models/zero123plus")
    assert model_folder("./bundled/tiny-b", "multiview") == Path("bundled/tiny-b")


@pytest.mark.parametrize("name", ["bundled/none", "bundled/", "bundled/prior", "bundled/../tiny-a"])
def test_an_unknown_name_is_refused_with_the_known_ones(weights, name):
    with pytest.raises(ValueError) as caught:
        model_folder(name, "multiview")
    assert str(caught.value) == (
        f"{name}: no such multiview model in the package; expected bundled/tiny-a, bundled/tiny-b."
    )


def test_a_package_without_models_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "FOLDER", tmp_path / "none")
    assert bundled_models("guidance") == {}
    with pytest.raises(ValueError, match="expected a folder: this copy of the package has none"):
        model_folder("bundled/prior", "guidance")


def test_dtypes_have_torchs_names():
    assert {name: getattr(torch, name) for name in DTYPES} == DTYPES


def test_bundled_models_are_whole():
    for kind in ("multiview", "guidance"):
        for folder in bundled_models(kind).values():
            check_model(folder, kind)


@pytest.mark.parametrize(
    ("kind", "helps"),
    [
        ("multiview", ["`python -m stag4d download zero123plus-v1.1", "bundled/mini-zero123plus"]),
        ("guidance", ["zero123-xl-diffusers", "bundled/mini-zero123,"]),
    ],
)
def test_a_missing_or_incomplete_model_is_refused_with_how_to_get_one(tmp_path, kind, helps):
    with pytest.raises(
        FileNotFoundError, match=r"model_index\.json: no such file; expected a model"
    ) as missing:
        check_model(tmp_path / "none", kind)
    folder = tmp_path / "model"
    shutil.copytree(next(iter(bundled_models(kind).values())), folder)
    check_model(folder, kind)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "weights.bin")
    check_model(folder, kind)  # as older folders have them
    (folder / "unet" / "weights.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"unet: no weights; expected a file such as") as incomplete:
        check_model(folder, kind)
    for error in (missing.value, incomplete.value):
        assert all(text in str(error) for text in helps)


def test_a_model_of_the_other_kind_is_refused_with_its_class(weights):
    with pytest.raises(ValueError, match=r"prior: is no multiview model, .* names None; expected one with"):
        check_model(weights / "prior", "multiview")
    index = '{"_class_name": "StableDiffusionPipeline"}'
    (weights / "prior" / "model_index.json").write_text(index)
    with pytest.raises(ValueError, match=r"is no guidance model, .* names 'StableDiffusionPipeline'"):
        check_model(weights / "prior", "guidance")


def test_repository_in_the_hubs_cache_stands_for_its_snapshot(tmp_path):
    snapshot = tmp_path / "models--sudo-ai--zero123plus-v1.2" / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model_index.json").write_text('{"ramping_coefficients": []}')
    assert model_folder(str(snapshot.parents[1]), "multiview") == snapshot
    assert model_folder(str(snapshot), "multiview") == snapshot
