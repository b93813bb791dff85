"""Score distillation of this package against the official code's: a tiny random model, the same noise.

    python3 tasks.py bench published_guidance --zero123 UTILS.py

The file is ``guidance/zero123_4d_utils.py`` of zeng-yifei/STAG4D. It runs unchanged, except that
torchvision, of which it uses one conversion, is replaced by a small module, and that its 256 pixels and its
networks, which it downloads, become the tiny model's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import types
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from diffusers import DDIMScheduler
from diffusers.models.autoencoders import vae as vae_module
from PIL import Image

from stag4d.diffusion import PoseConditionedDenoiser, Zero123Model, load_guidance_model
from stag4d.geometry import OrbitPose
from stag4d.optimization import GuidanceConfig, ScoreDistillation, SdsSamples
from stag4d.view_set import ViewSet
from tiny_models import make_guidance_folder

from ._recording import recorded

SIDE = 40
AZIMUTH, ELEVATION = 70.0, -20.0  # of the render, with our sign: the official polar difference is +20


def main() -> None:
    """Print the largest differences of loss and gradient."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zero123", type=Path, required=True, help="the official score distillation's file")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    pairs = [_compare(options.zero123, seed) for seed in range(options.seeds)]
    losses = max(abs(ours.item() / theirs.item() - 1) for (ours, theirs), _ in pairs)
    gradients = max((ours - theirs).abs().max().item() for _, (ours, theirs) in pairs)
    size = max(theirs.abs().max().item() for _, (_, theirs) in pairs)
    print(
        f"{options.seeds} seeds: the loss differs by {losses:.1e} of itself at most, the gradient by "
        f"{gradients:.1e}, its largest value being {size:.1e}"
    )


def _compare(path: Path, seed: int) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """Return our loss and the official one, and the gradients of both in the render."""
    with tempfile.TemporaryDirectory() as folder:
        model = load_guidance_model(make_guidance_folder(Path(folder), seed=seed))
    official = _official(path, model)
    torch.manual_seed(seed)
    condition, render = torch.rand(2, 1, SIDE, SIDE, 3)
    places = {
        "posterior": (vae_module, "randn_tensor"),
        "noise": (torch, "randn_like"),
        "timesteps": (torch, "randint"),
    }
    with recorded(places) as samples:
        official.get_img_embeds(condition.permute(0, 3, 1, 2))
        theirs = render.clone().requires_grad_()
        expected = official.train_step(theirs.permute(0, 3, 1, 2), [-ELEVATION], [AZIMUTH], [0.0], 0.5, t=0)
    (expected_gradient,) = torch.autograd.grad(expected, theirs)

    none = torch.zeros(1, 0, 1, 1, 3)
    views = ViewSet.from_orbit(
        condition, torch.ones(1, SIDE, SIDE), none, none[..., 0], OrbitPose(azimuth_deg=0.0), ()
    )
    with patch.object(torch, "randn", lambda *shape, **options: samples["posterior"][0]):
        prior = PoseConditionedDenoiser(model, views, torch.Generator())
    sds = ScoreDistillation(prior, GuidanceConfig())
    ours = render.clone().requires_grad_()
    sds_samples = SdsSamples(samples["timesteps"][0], samples["posterior"][1], samples["noise"][0], [True])
    pose = OrbitPose(azimuth_deg=AZIMUTH, elevation_deg=ELEVATION)
    loss = sds.loss(ours, [0], [pose], sds_samples) * samples["noise"][0].numel()  # theirs is a sum
    (gradient,) = torch.autograd.grad(loss, ours)
    return (loss.detach(), expected.detach()), (gradient, expected_gradient)


def _official(path: Path, model: Zero123Model) -> Any:
    """Return the official guidance with a tiny model's networks, on the CPU."""
    side = model.image_size
    source = path.read_text(encoding="utf-8").replace("(256, 256)", f"({side}, {side})")
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "zero123")
    stand_ins: dict[str, Any] = {name: types.ModuleType(name) for name in names}
    functional = stand_ins["torchvision.transforms.functional"]
    functional.to_pil_image = lambda image: Image.fromarray(
        (image * 255).round().byte().permute(1, 2, 0).numpy()
    )
    stand_ins["torchvision.transforms"].functional = functional
    stand_ins["zero123"].Zero123Pipeline = None
    module = types.ModuleType("official_guidance")
    with patch.dict(sys.modules, stand_ins):
        exec(compile(source, str(path), "exec"), module.__dict__)
    guidance = module.Zero123.__new__(module.Zero123)  # its constructor would download
    torch.nn.Module.__init__(guidance)
    guidance.device, guidance.dtype = torch.device("cpu"), torch.float32
    guidance.vae, guidance.unet = model.vae, model.unet
    guidance.pipe = types.SimpleNamespace(
        feature_extractor=model.processor,
        image_encoder=lambda pixels: types.SimpleNamespace(
            image_embeds=model.image_encoder(pixels).image_embeds[
                :, None
            ]  # as its own encoder's, with tokens
        ),
        clip_camera_projection=model.camera_projection,
    )
    guidance.scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    guidance.alphas = model.alphas_cumprod
    guidance.min_step, guidance.max_step = 20, 500
    guidance.embedding_list = []
    return guidance


if __name__ == "__main__":
    main()
