"""Does the bundled guidance model use its conditioning? Errors on toys that it was not trained on.

    python3 tasks.py bench bundled_guidance
    python3 tasks.py bench bundled_guidance --model DIR --split val --toys 16

The model denoises the six views of the rig, conditioned on the input view with the right camera, with another
camera, on another toy, or unconditionally. Prints a line per timestep: the cumulative alpha of the schedule
and, for each condition, the mean squared error of the denoised estimate (x0) over the latents' mean square.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

from stag4d.diffusion import PoseConditionedDenoiser, Zero123Model, load_guidance_model
from stag4d.evaluation import on_white
from stag4d.geometry import OrbitPose, zero123plus_rig
from stag4d.pipeline import model_folder
from stag4d.toys import ANY_CHARACTER, INPUT_POSE, render_toys
from stag4d.toys.objects import SPLITS
from stag4d.view_set import ViewSet

RIG = zero123plus_rig("v1.1")
TIMESTEPS = (300, 500, 700, 850, 950)
CONDITIONS = ("right", "another camera", "another toy", "unconditional")
OPPOSITE = (*RIG[3:], *RIG[:3])


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.toys < 2:
        raise ValueError(f"--toys: {options.toys}; expected at least two, for the condition on another toy.")
    model = load_guidance_model(model_folder(options.model, "guidance"))
    images, alphas = render_toys(
        options.split, options.toys, (INPUT_POSE, *RIG), model.image_size, ANY_CHARACTER
    )
    generator = torch.Generator().manual_seed(options.seed)
    guidance = condition_on_toys(model, images, alphas, generator)
    print(f"{'timestep':>8} {'alpha':>7} " + " ".join(f"{name:>15}" for name in CONDITIONS))
    for timestep in TIMESTEPS:
        errors = denoising_errors(guidance, images, alphas, timestep, generator)
        alpha = guidance.alphas_cumprod[timestep].item()
        print(f"{timestep:>8} {alpha:7.4f} " + " ".join(f"{error:15.4f}" for error in errors.values()))


def condition_on_toys(
    model: Zero123Model, images: Tensor, alphas: Tensor, generator: torch.Generator
) -> PoseConditionedDenoiser:
    """Return guidance conditioned on N toys, one per frame; images are [7, N, S, S, 3], the input first."""
    views = ViewSet.from_orbit(
        images[0], alphas[0], images[1:].transpose(0, 1), alphas[1:].transpose(0, 1), INPUT_POSE, RIG
    )
    return PoseConditionedDenoiser(model, views, generator)


def denoising_errors(
    guidance: PoseConditionedDenoiser,
    images: Tensor,
    alphas: Tensor,
    timestep: int,
    generator: torch.Generator,
) -> dict[str, float]:
    """Return the mean relative errors of the denoised estimates of N toys' six views, by condition.

    Args:
        guidance: Result of ``condition_on_toys``.
        images: [7, N, S, S, 3], the same toys; N is at least 2.
        alphas: [7, N, S, S].
        timestep: Timestep of the noise level.
        generator: Random generator of the noise.
    """
    sums = dict.fromkeys(CONDITIONS, 0.0)
    num_toys = images.shape[1]
    alpha = guidance.alphas_cumprod[timestep]
    steps = torch.full((len(RIG),), timestep)
    for toy in range(num_toys):
        views = on_white(images[1:, toy], alphas[1:, toy])  # [6, S, S, 3]
        latents = guidance.encode(views, torch.zeros(len(RIG), *guidance.latent_shape)).detach()
        noise = torch.randn(latents.shape, generator=generator)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        # frame of the condition, target cameras, classifier-free guidance scale (0 is unconditional)
        conditions: dict[str, tuple[int, Sequence[OrbitPose], float]] = {
            "right": (toy, RIG, 1.0),
            "another camera": (toy, OPPOSITE, 1.0),
            "another toy": ((toy + 1) % num_toys, RIG, 1.0),
            "unconditional": (toy, RIG, 0.0),
        }
        for name, (frame, poses, scale) in conditions.items():
            predicted = guidance.predict(noisy, steps, [(frame, 0)] * len(RIG), poses, scale)
            # an error e of the noise is one of sqrt((1 - alpha) / alpha) e of x0
            error = (predicted - noise).square().mean() * (1 - alpha) / alpha / latents.square().mean()
            sums[name] += error.item() / num_toys
    return sums


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bundled/mini-zero123", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: %(default)s")
    parser.add_argument("--toys", type=int, default=32, help="number of toys (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
