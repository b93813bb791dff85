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

from stag4d.diffusion import PosedPrior, Zero123Model, load_guidance_model
from stag4d.evaluation import on_white
from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.pipeline import model_folder
from stag4d.toys import INPUT_POSE, many_toys
from stag4d.toys.objects import SPLITS
from stag4d.types import ViewSet

RIG = zero123plus_rig("v1.1")
TIMESTEPS = (300, 500, 700, 850, 950)
TOLD = ("right", "another camera", "another toy", "nothing")
OPPOSITE = (*RIG[3:], *RIG[:3])


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.toys < 2:
        raise ValueError(f"--toys: {options.toys}; expected at least two, as a toy is told of another.")
    model = load_guidance_model(model_folder(options.model, "guidance"))
    images, alphas = many_toys(options.split, options.toys, (INPUT_POSE, *RIG), model.image_size)
    generator = torch.Generator().manual_seed(options.seed)
    prior = told_of_toys(model, images, alphas, generator)
    print(f"{'timestep':>8} {'signal':>7} " + " ".join(f"{name:>15}" for name in TOLD))
    for timestep in TIMESTEPS:
        errors = denoising_errors(prior, images, alphas, timestep, generator)
        share = prior.alphas_cumprod[timestep].item()
        print(f"{timestep:>8} {share:7.4f} " + " ".join(f"{error:15.4f}" for error in errors.values()))


def told_of_toys(
    model: Zero123Model, images: Tensor, alphas: Tensor, generator: torch.Generator
) -> PosedPrior:
    """Return the prior of N toys, each a frame; inputs and six views are [7, N, S, S, 3] and alphas."""
    views = ViewSet(
        images[0], alphas[0], images[1:].transpose(0, 1), alphas[1:].transpose(0, 1), INPUT_POSE, RIG
    )  # fmt: skip
    return PosedPrior(model, views, generator)


def denoising_errors(
    prior: PosedPrior, images: Tensor, alphas: Tensor, timestep: int, generator: torch.Generator
) -> dict[str, float]:
    """Return the mean errors on the toys that a prior was told of, by what it is told.

    Args:
        prior: Result of ``told_of_toys``.
        images: [7, N, S, S, 3] the same toys; N is at least 2.
        alphas: [7, N, S, S].
        timestep: How much noise.
        generator: Of the noise.
    """
    sums = dict.fromkeys(TOLD, 0.0)
    num_toys = images.shape[1]
    share = prior.alphas_cumprod[timestep]
    steps = torch.full((len(RIG),), timestep)
    for toy in range(num_toys):
        pictures = on_white(images[1:, toy], alphas[1:, toy])
        latents = prior.encode(pictures, torch.zeros(len(RIG), *prior.latent_shape)).detach()
        noise = torch.randn(latents.shape, generator=generator)
        noisy = share.sqrt() * latents + (1 - share).sqrt() * noise
        told: dict[str, tuple[int, Sequence[OrbitPose], float]] = {  # condition's frame, cameras, guidance
            "right": (toy, RIG, 1.0),
            "another camera": (toy, OPPOSITE, 1.0),
            "another toy": ((toy + 1) % num_toys, RIG, 1.0),
            "nothing": (toy, RIG, 0.0),
        }
        for name, (frame, poses, scale) in told.items():
            predicted = prior.predict(noisy, steps, [(frame, 0)] * len(RIG), poses, scale)
            error = (predicted - noise).square().mean() * (1 - share) / share / latents.square().mean()
            sums[name] += error.item() / num_toys
    return sums


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
