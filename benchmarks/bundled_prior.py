"""Denoising errors of the bundled guidance model on new toys, with correct and with wrong conditioning.

    python3 tasks.py bench bundled_prior
    python3 tasks.py bench bundled_prior --model DIR --split val --toys 16

It is conditioned on the input image and predicts the six views of the rig: with the correct poses, with those
opposite, with the input image of another toy, and unconditionally. The error is the mean squared error of the
denoised estimate (x0) over the mean square of the latents.
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
CONDITIONINGS = ("correct", "opposite poses", "another toy", "unconditional")
OPPOSITE = (*RIG[3:], *RIG[:3])


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.toys < 2:
        raise ValueError(f"--toys: {options.toys}; expected at least 2, since one is conditioned on another.")
    model = load_guidance_model(model_folder(options.model, "guidance"))
    images, alphas = many_toys(options.split, options.toys, (INPUT_POSE, *RIG), model.image_size)
    generator = torch.Generator().manual_seed(options.seed)
    prior = prior_of_toys(model, images, alphas, generator)
    print(f"{'timestep':>8} {'signal':>7} " + " ".join(f"{name:>15}" for name in CONDITIONINGS))
    for timestep in TIMESTEPS:
        errors = denoising_errors(prior, images, alphas, timestep, generator)
        signal = prior.alphas_cumprod[timestep].item()
        print(f"{timestep:>8} {signal:7.4f} " + " ".join(f"{error:15.4f}" for error in errors.values()))


def prior_of_toys(
    model: Zero123Model, images: Tensor, alphas: Tensor, generator: torch.Generator
) -> PosedPrior:
    """Return the prior of N toys as N frames; inputs and six views are [7, N, S, S, 3] and their alphas."""
    views = ViewSet(
        images[0], alphas[0], images[1:].transpose(0, 1), alphas[1:].transpose(0, 1), INPUT_POSE, RIG
    )  # fmt: skip
    return PosedPrior(model, views, generator)


def denoising_errors(
    prior: PosedPrior, images: Tensor, alphas: Tensor, timestep: int, generator: torch.Generator
) -> dict[str, float]:
    """Return the mean errors on the toys of a prior, by conditioning.

    Args:
        prior: Result of ``prior_of_toys``.
        images: [7, N, S, S, 3] the same toys; N is at least 2.
        alphas: [7, N, S, S].
        timestep: Timestep of the noise schedule.
        generator: Source of the noise.
    """
    sums = dict.fromkeys(CONDITIONINGS, 0.0)
    num_toys = images.shape[1]
    signal = prior.alphas_cumprod[timestep]
    steps = torch.full((len(RIG),), timestep)
    for toy in range(num_toys):
        views = on_white(images[1:, toy], alphas[1:, toy])
        latents = prior.encode(views, torch.zeros(len(RIG), *prior.latent_shape)).detach()
        noise = torch.randn(latents.shape, generator=generator)
        noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
        cases: dict[str, tuple[int, Sequence[OrbitPose], float]] = {  # input's frame, poses, guidance scale
            "correct": (toy, RIG, 1.0),
            "opposite poses": (toy, OPPOSITE, 1.0),
            "another toy": ((toy + 1) % num_toys, RIG, 1.0),
            "unconditional": (toy, RIG, 0.0),
        }
        for name, (frame, poses, scale) in cases.items():
            predicted = prior.predict(noisy, steps, [(frame, 0)] * len(RIG), poses, scale)
            error = (predicted - noise).square().mean() * (1 - signal) / signal / latents.square().mean()
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
