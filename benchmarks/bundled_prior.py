"""The bundled prior's errors on new toys: told right, of another camera, of another toy, or nothing.

    python3 tasks.py bench bundled_prior
    python3 tasks.py bench bundled_prior --model DIR --split val --toys 16

It is told of the input and asked for the six views of the rig. An error is that of the clean latents which a
prediction stands for, squared, over the mean square of the latents.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

from stag4d.diffusion import Zero123Prior, load_guidance_model
from stag4d.evaluation import on_white
from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.mini import raycast, toy_object, toy_seed
from stag4d.mini.objects import SPLITS
from stag4d.pipeline import model_folder
from stag4d.types import Cameras, ViewSet

INPUT, RIG = OrbitPose(azimuth_deg=0.0), zero123plus_rig("v1.1")
TIMESTEPS = (300, 500, 700, 850, 950)
TOLD = ("right", "another camera", "another toy", "nothing")
OPPOSITE = (*RIG[3:], *RIG[:3])


def main() -> None:
    """Measure and print."""
    options = _options()
    model = load_guidance_model(model_folder(options.model, "guidance"))
    cameras = Cameras.from_poses([INPUT, *RIG], model.image_size, model.image_size)
    shots = [
        raycast(toy_object(toy_seed(options.split, toy)), (0.37 * toy) % 1, cameras)[:2]
        for toy in range(options.toys)
    ]
    images, alphas = (
        torch.stack(parts) for parts in zip(*shots, strict=True)
    )  # [N, 7, S, S, 3], [N, 7, S, S]
    views = ViewSet(images[:, 0], alphas[:, 0], images[:, 1:], alphas[:, 1:], INPUT, RIG)  # a toy a frame
    generator = torch.Generator().manual_seed(options.seed)
    prior = Zero123Prior(model, views, generator)
    print(f"{'timestep':>8} {'signal':>7} " + " ".join(f"{name:>15}" for name in TOLD))
    for timestep in TIMESTEPS:
        errors = torch.stack(
            [
                _errors(
                    prior, on_white(images[toy, 1:], alphas[toy, 1:]), toy, options.toys, timestep, generator
                )
                for toy in range(options.toys)
            ]
        ).mean(dim=0)
        share = prior.alphas_cumprod[timestep].item()
        print(f"{timestep:>8} {share:7.4f} " + " ".join(f"{error:15.4f}" for error in errors.tolist()))


def _errors(
    prior: Zero123Prior, pictures: Tensor, toy: int, num_toys: int, timestep: int, generator: torch.Generator
) -> Tensor:
    """Return the errors on one toy's views [6, S, S, 3], in the order of ``TOLD``."""
    latents = prior.encode(pictures, torch.zeros(len(RIG), *prior.latent_shape)).detach()
    noise = torch.randn(latents.shape, generator=generator)
    share = prior.alphas_cumprod[timestep]
    noisy = share.sqrt() * latents + (1 - share).sqrt() * noise
    told: Sequence[tuple[int, Sequence[OrbitPose], float]] = (
        (toy, RIG, 1.0),
        (toy, OPPOSITE, 1.0),
        ((toy + 1) % num_toys, RIG, 1.0),
        (toy, RIG, 0.0),
    )
    errors = []
    for frame, poses, scale in told:
        steps = torch.full((len(RIG),), timestep)
        predicted = prior.predict(noisy, steps, [(frame, 0)] * len(RIG), poses, scale)
        errors.append((predicted - noise).square().mean() * (1 - share) / share / latents.square().mean())
    return torch.stack(errors)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bundled/mini-zero123", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--toys", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
