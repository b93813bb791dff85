"""The input video of the commands: a span of its time, and where its alpha comes from."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stag4d.cli import main, options
from stag4d.cli.options import add_video_options, read_input
from stag4d.data import VideoClip, read_video
from stag4d.types import InputVideo
from tiny_models import make_multiview_folder

SIZE = (32, 48)
GREEN, RED = (60, 160, 80), (220, 40, 30)


def box(frame: int) -> np.ndarray:
    """Return the mask of a box of 12 x 12 pixels that moves two pixels to the right in each frame."""
    mask = np.zeros(SIZE, bool)
    mask[10:22, 6 + 2 * frame : 18 + 2 * frame] = True
    return mask


def write_images(folder: Path, count: int = 9, *, background: str = "plain", alpha: bool = False) -> Path:
    """Write frames of the moving box, whose red value is 100 and ten more in each frame."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    for frame in range(count):
        pixels = noise.copy() if background == "noise" else np.full((*SIZE, 3), GREEN, np.uint8)
        pixels[box(frame)] = (100 + 10 * frame, *RED[1:])
        if alpha:
            pixels = np.dstack([pixels, np.uint8(255) * box(frame)])
        Image.fromarray(pixels).save(folder / f"{frame}.png")
    return folder


def write_masks(folder: Path, count: int = 9, *, is_inverted: bool = False) -> Path:
    """Write the masks of the moving box."""
    folder.mkdir()
    for frame in range(count):
        Image.fromarray(np.uint8(255) * (box(frame) ^ is_inverted)).save(folder / f"{frame}.png")
    return folder


def prepared(source: Path, *words: object) -> InputVideo:
    """Return what a command reads as its input video."""
    parser = argparse.ArgumentParser()
    add_video_options(parser)
    return read_input(parser.parse_args([str(source), "--margin", "0", *map(str, words)]), 28)


def reds(video: InputVideo) -> list[int]:
    """Return the red value of each frame's object."""
    values = [
        image[alpha > 0.5].median(dim=0).values[0]
        for image, alpha in zip(video.images, video.alphas, strict=True)
    ]
    return [round(float(value) * 255) for value in values]


def refusal(capsys: pytest.CaptureFixture, tmp_path: Path, *words: object) -> str:
    """Return the error of a multiview command, which ends before the model is read."""
    if not (tmp_path / "model").exists():
        make_multiview_folder(tmp_path / "model")
    capsys.readouterr()
    out = ["--model", str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--size", "16"]
    assert main(["multiview", *map(str, words), *out]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), [100, 110, 120, 130, 140, 150, 160, 170, 180]),
        (("--start", 0.25), [120, 130, 140, 150, 160, 170, 180]),
        (("--end", 0.5), [100, 110, 120, 130]),
        (("--start", 0.25, "--end", 0.75), [120, 130, 140, 150]),
        (("--start", 0.125, "--end", 0.75, "--frames", 3), [110, 130, 150]),
    ],
)
def test_start_and_end_are_seconds_of_the_video(tmp_path, words, expected):
    video = prepared(write_images(tmp_path / "source"), *words)
    assert reds(video) == expected
    assert video.fps == (4.0 if "--frames" in words else 8.0)


def test_crop_can_follow_the_object(tmp_path):
    source = write_images(tmp_path / "source")
    fixed, followed = prepared(source), prepared(source, "--crop", "follow")
    assert fixed.crop_offsets is None
    expected = (torch.arange(9) - 4)[:, None] * torch.tensor([2 / 12, 0.0])  # 2 pixels of 12 a frame
    torch.testing.assert_close(followed.crop_offsets, expected)
    assert (followed.alphas > 0.5).all()  # the box fills the square
    assert (fixed.alphas > 0.5).float().mean() < 0.3  # 12 of 28 pixels on each axis


@pytest.mark.parametrize("background", ["plain", "noise"])
def test_masks_of_a_folder_cut_out_the_object(tmp_path, background):
    source, masks = write_images(tmp_path / "source", background=background), write_masks(tmp_path / "masks")
    expected = prepared(write_images(tmp_path / "alpha", alpha=True))
    video = prepared(source, "--mattes", masks)
    torch.testing.assert_close(video.alphas, expected.alphas)
    torch.testing.assert_close(video.images, expected.images)
    part = prepared(source, "--mattes", masks, "--start", 0.25, "--frames", 3)
    assert reds(part) == [120, 150, 180]


def test_inverted_masks_need_the_option(tmp_path, capsys):
    source, masks = write_images(tmp_path / "source"), write_masks(tmp_path / "masks", is_inverted=True)
    error = refusal(capsys, tmp_path, source, "--mattes", masks)
    assert "the mask is inverted, 100% of the image border" in error
    assert "or give the command --invert-mattes." in error
    video = prepared(source, "--mattes", masks, "--invert-mattes")
    expected = prepared(write_images(tmp_path / "alpha", alpha=True))
    torch.testing.assert_close(video.alphas, expected.alphas)


@pytest.mark.parametrize("method", ["border", "rembg", "none"])
def test_own_alpha_of_the_video_comes_before_computed_alpha(tmp_path, method):
    own = write_images(tmp_path / "own", background="noise", alpha=True)
    video = prepared(own, "--mattes", method)
    inverted = write_images(tmp_path / "inverted", background="noise", alpha=True)
    for file in inverted.iterdir():
        with Image.open(file) as image:
            pixels = np.array(image)
        pixels[..., 3] = 255 - pixels[..., 3]
        Image.fromarray(pixels).save(file)
    assert torch.equal(prepared(inverted, "--mattes", method, "--invert-mattes").alphas, video.alphas)
    assert torch.equal(prepared(own).alphas, video.alphas)


def test_masks_beside_the_images_are_own_alpha(tmp_path):
    source = write_images(tmp_path / "source", background="noise")
    write_masks(source / "masks")
    expected = prepared(write_images(tmp_path / "alpha", alpha=True))
    torch.testing.assert_close(prepared(source, "--mattes", "none").alphas, expected.alphas)


def test_video_without_alpha_is_refused_where_none_is_computed(tmp_path, capsys):
    source = write_images(tmp_path / "source")
    error = refusal(capsys, tmp_path, source, "--mattes", "none")
    assert "has no alpha, and --mattes none computes none; expected a video with alpha" in error
    own = prepared(write_images(tmp_path / "alpha", alpha=True), "--mattes", "none")
    assert len(own) == 9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--mattes", "rembgg"),
            "--mattes: 'rembgg' is no file or folder; expected one with masks",
        ),
        (
            ("--invert-mattes",),
            "has no alpha to invert, and --mattes border makes it 1 on the object",
        ),
        (("--invert-mattes", "--mattes", "none"), "has no alpha, and --mattes none computes none"),
        (
            ("--rembg-model", "u2netp"),
            "--rembg-model: 'u2netp' with --mattes border; expected --mattes rembg.",
        ),
        (("--start", "9"), "no frame"),
    ],
)
def test_options_that_do_not_fit_the_video_are_refused(tmp_path, capsys, words, message):
    assert message in refusal(capsys, tmp_path, write_images(tmp_path / "source"), *words)


def test_background_that_is_not_plain_names_the_option(tmp_path, capsys):
    error = refusal(capsys, tmp_path, write_images(tmp_path / "source", background="noise"))
    assert "0.png has no plain background" in error
    assert "and from --mattes for the commands." in error


def test_frames_without_object_are_left_out_with_their_names(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    source = write_images(tmp_path / "source")
    for frame in (0, 1):
        Image.fromarray(np.full((*SIZE, 3), 4, np.uint8)).save(source / f"{frame}.png")
    video = prepared(source)
    assert reds(video) == [120, 130, 140, 150, 160, 170, 180]
    assert video.fps == 8.0
    assert "0.png, 1.png have no object: 2 of 9 frames are left out" in caplog.text


def test_enough_frames_are_read_where_some_have_no_object(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    source, masks = write_images(tmp_path / "source"), write_masks(tmp_path / "masks")
    for frame in (5, 6, 7, 8):
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(masks / f"{frame}.png")
    video = prepared(source, "--frames", 5, "--mattes", masks)
    assert reds(video) == [100, 110, 120, 130, 140]
    assert video.fps == 8.0
    video = prepared(source, "--frames", 3, "--mattes", masks)
    assert reds(video) == [100, 120, 140]
    assert video.fps == 4.0
    caplog.clear()
    masks = write_masks(tmp_path / "three", 3)  # of the chosen frames: no others can be read
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(masks / "2.png")
    assert len(prepared(source, "--frames", 3, "--mattes", masks)) == 2
    assert "choosing from" not in caplog.text


def test_few_more_frames_than_wanted_are_read(tmp_path, monkeypatch):
    source, masks = write_images(tmp_path / "source", 14), write_masks(tmp_path / "masks", 14)
    for frame in range(1, 14):
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(masks / f"{frame}.png")
    counts = []

    def counted(path: str, num_frames: int, **more: object) -> VideoClip:
        counts.append(num_frames)
        return read_video(path, num_frames, **more)

    monkeypatch.setattr(options, "read_video", counted)
    video = prepared(source, "--frames", 3, "--mattes", masks)
    assert counts == [3, 12]
    assert len(video) == 1


def test_the_anchor_frame_is_one_of_those_that_are_left(tmp_path, capsys):
    source = write_images(tmp_path / "source")
    Image.fromarray(np.full((*SIZE, 3), GREEN, np.uint8)).save(source / "0.png")
    error = refusal(capsys, tmp_path, source, "--anchor-frame", 8)
    assert "anchor frame 8 of 8 frames; expected 0 to 7." in error


STAND_IN = """
import numpy

sessions = []

def new_session(model_name="u2net", *args, **kwargs):
    sessions.append((model_name, kwargs))
    return sessions[-1]

def remove(data, *, session, only_mask):
    assert session is sessions[-1] and only_mask
    assert data.dtype == numpy.uint8 and data.ndim == 3
    is_box = (data[..., 1] == 40) & (data[..., 2] == 30)
    return (255 * is_box).astype(numpy.uint8)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A module in place of rembg, which knows the box by its color."""
    (tmp_path / "rembg.py").write_text(STAND_IN)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        yield importlib.import_module("rembg")
    sys.modules.pop("rembg")


@pytest.mark.skipif(find_spec("rembg") is not None, reason="rembg is installed: no stand-in is needed")
@pytest.mark.parametrize("model", ["isnet-general-use", "own.onnx"])
def test_rembg_cuts_out_a_video_without_plain_background(tmp_path, stand_in, model):
    name = str(tmp_path / model) if model.endswith(".onnx") else model
    source = write_images(tmp_path / "source", background="noise")
    if model.endswith(".onnx"):
        with pytest.raises(FileNotFoundError, match=r"own\.onnx: no such file; expected an ONNX file"):
            prepared(source, "--mattes", "rembg", "--rembg-model", name)
        (tmp_path / model).write_bytes(b"weights")
    video = prepared(source, "--mattes", "rembg", "--rembg-model", name)
    expected = prepared(write_images(tmp_path / "alpha", alpha=True))
    torch.testing.assert_close(video.alphas, expected.alphas)
    own = ("u2net_custom", {"model_path": name})
    assert stand_in.sessions == [own if model.endswith(".onnx") else (model, {})]


@pytest.mark.skipif(find_spec("rembg") is not None, reason="rembg is installed: no stand-in is needed")
def test_model_that_rembg_cannot_load_is_named(tmp_path, capsys, stand_in, monkeypatch):
    class InvalidProtobuf(Exception):
        """As that of onnxruntime, no ValueError or RuntimeError."""

    def fail(*args, **kwargs):
        raise InvalidProtobuf("Protobuf parsing failed.")

    monkeypatch.setattr(stand_in, "new_session", fail)
    file = tmp_path / "own.onnx"
    file.write_bytes(b"damaged")
    source = write_images(tmp_path / "source")
    error = refusal(capsys, tmp_path, source, "--mattes", "rembg", "--rembg-model", file)
    assert f"{file}: rembg cannot load this model (Protobuf parsing failed.); expected" in error


@pytest.mark.skipif(find_spec("rembg") is not None, reason="rembg is installed")
def test_missing_rembg_is_an_error_with_the_install_command(tmp_path, capsys):
    error = refusal(capsys, tmp_path, write_images(tmp_path / "source"), "--mattes", "rembg")
    assert "the package rembg is not installed; pip install 'rembg[cpu]'" in error
