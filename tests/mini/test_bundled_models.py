"""The bundled models, on toys that neither was trained on: they know what no picture shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stag4d.diffusion import SeededNoise, Zero123Prior, load_guidance_model, load_multiview_model
from stag4d.evaluation import compare, on_white, psnr
from stag4d.geometry import OrbitPose
from stag4d.mini import raycast, toy_object, toy_seed
from stag4d.pipeline import bundled_models, model_folder
from stag4d.pipeline.multiview import generate_views
from stag4d.types import Cameras, ViewSet

NUM_TOYS = 12
NUM_KNOWN = 24  # training toys in the mean view
LEAST_GAIN_DB = 2.0  # over both guesses; benchmarks/bundled_views.py measures it on more toys
LEAST_IOU = 0.72
INPUT = OrbitPose(azimuth_deg=0.0)
MOST_BYTES, MOST_FILE_BYTES = 20e6, 15e6
TIMESTEPS = (500, 700, 850)
MOST_SHARE = 0.9  # of the errors of a prior that is told of another camera, or of another toy


@pytest.fixture(scope="module")
def multiview():
    return load_multiview_model(model_folder("bundled/mini-zero123plus", "multiview"))


@pytest.fixture(scope="module")
def toys(multiview):
    """Straight colors [7, N, S, S, 3] and alphas of test toys: the input and the six views."""
    return pictures_of("test", NUM_TOYS, multiview)


@pytest.fixture(scope="module")
def drawn(multiview, toys):
    """The model's views of the inputs: colors [6, N, S, S, 3] and alphas."""
    return draw(multiview, *(part[0] for part in toys), SeededNoise(0))


def pictures_of(split, count, model):
    size = model.grid.tile_size
    cameras = Cameras.from_poses([INPUT, *model.grid.poses], size, size)
    shots = [raycast(toy_object(toy_seed(split, toy)), (0.37 * toy) % 1, cameras)[:2] for toy in range(count)]
    return tuple(torch.stack(parts, dim=1) for parts in zip(*shots, strict=True))


def draw(model, images, alphas, noise):
    views = generate_views(model, images, alphas, noise, replace(model.sampling, anchor=None))
    return views.view_images.transpose(0, 1), views.view_alphas.transpose(0, 1)


def test_bundled_models_are_small():
    folders = [*bundled_models("multiview").values(), *bundled_models("guidance").values()]
    assert [folder.name for folder in folders] == ["mini-zero123plus", "mini-zero123"]
    sizes = [path.stat().st_size for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    assert sum(sizes) <= MOST_BYTES
    assert max(sizes) <= MOST_FILE_BYTES


def test_the_views_beat_the_input_copied_and_the_mean_view(multiview, toys, drawn):
    images, alphas = toys
    truth = images[1:], alphas[1:]
    found = compare(*drawn, *truth)
    copied = compare(*(part[:1].expand_as(part[1:]) for part in toys), *truth)
    known = pictures_of("train", NUM_KNOWN, multiview)
    mean = on_white(*known)[1:].mean(dim=1, keepdim=True)  # [6, 1, S, S, 3]
    white = on_white(*truth)
    mean_psnr = torch.stack(
        [psnr(mean[view, 0], white[view, toy]) for view in range(6) for toy in range(NUM_TOYS)]
    )
    assert found["psnr"] > copied["psnr"] + LEAST_GAIN_DB
    assert found["psnr"] > mean_psnr.mean().item() + LEAST_GAIN_DB
    assert found["iou"] > max(copied["iou"], LEAST_IOU)


def test_the_views_stand_in_the_order_of_their_azimuths(toys, drawn):
    """Each place of the grid resembles the truth of its own camera more than that of any other."""
    shown, truth = on_white(*drawn), on_white(*(part[1:] for part in toys))
    errors = (shown[:, None] - truth[None]).square().mean(dim=(2, 3, 4, 5))  # [6 drawn, 6 true]
    assert errors.argmin(dim=1).tolist() == list(range(6))


def test_a_fixed_seed_gives_the_same_views(multiview, toys):
    inputs = [part[0, :2] for part in toys]
    first, second = (draw(multiview, *inputs, SeededNoise(3)) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_the_prior_is_best_told_the_right_camera_and_the_right_toy(multiview, toys):
    """The error is that of the clean latents that a prediction stands for."""
    images, alphas = toys
    prior = Zero123Prior(
        load_guidance_model(model_folder("bundled/mini-zero123", "guidance")),
        ViewSet(
            images=images[0], alphas=alphas[0], view_images=images[1:].transpose(0, 1),
            view_alphas=alphas[1:].transpose(0, 1), input_pose=INPUT, view_poses=multiview.grid.poses,
        ),
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    poses = multiview.grid.poses
    sums = {"right": 0.0, "another camera": 0.0, "another toy": 0.0, "nothing": 0.0}
    for toy in range(NUM_TOYS):
        pictures = on_white(images[1:, toy], alphas[1:, toy])
        latents = prior.encode(pictures, torch.zeros(6, *prior.latent_shape)).detach()
        for timestep in TIMESTEPS:
            noise = torch.randn(latents.shape, generator=generator)
            share = prior.alphas_cumprod[timestep]
            noisy = share.sqrt() * latents + (1 - share).sqrt() * noise
            told = {  # frame of the condition, cameras, guidance scale: at 0 it is told nothing
                "right": (toy, poses, 1.0),
                "another camera": (toy, [*poses[3:], *poses[:3]], 1.0),
                "another toy": ((toy + 1) % NUM_TOYS, poses, 1.0),
                "nothing": (toy, poses, 0.0),
            }
            for name, (frame, cameras, scale) in told.items():
                steps = torch.full((6,), timestep)
                predicted = prior.predict(noisy, steps, [(frame, 0)] * 6, cameras, scale)
                error = (predicted - noise).square().mean() * (1 - share) / share
                sums[name] += error.item()
    assert all(sums["right"] < MOST_SHARE * sums[name] for name in sums if name != "right")
