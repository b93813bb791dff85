"""Print as JSON the relative errors of the native guidance's noise predictions against ComfyUI's sampler.

ComfyUI's Python runs it in ComfyUI's folder: ``compare_native_guidance.py CHECKPOINT PACK``. ``errors`` are
for the same target pose; ``effects`` are for the opposite azimuth, to show that the pose matters.
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch

checkpoint, root = sys.argv[1], Path(sys.argv[2])
sys.path.insert(0, str(Path.cwd()))
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import comfy.sample  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.sd  # noqa: E402
from comfy_extras.nodes_stable3d import StableZero123_Conditioning  # noqa: E402

SCALES = (1.0, 3.0)
TIMES = (100, 600)
TARGETS = ((40.0, 20.0), (-110.0, -25.0))  # azimuth and elevation, degrees


def pack():
    """Return the pack as ComfyUI loads it."""
    spec = importlib.util.spec_from_file_location(
        "native_pack", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def host_noise(model, latents, noise, sigma, positive, negative, scale):
    """Return the noise prediction of ComfyUI's guider at one noise level."""
    predicted = {}

    def sample(guider, x, sigmas, extra_args, callback, disable):
        denoised = guider(x, sigmas[:1].expand(len(x)), **extra_args)
        predicted["noise"] = (x - denoised) / sigmas[0]
        return denoised

    levels = torch.tensor([sigma, 0.0])
    sampler = comfy.samplers.KSAMPLER(sample)
    comfy.sample.sample_custom(
        model, noise, scale, sampler, levels, positive, negative, latents, disable_pbar=True, seed=0
    )
    return predicted["noise"].float()


def main():
    """Compare at two noise levels and target poses, with and without classifier-free guidance."""
    pack()
    node = importlib.import_module("native_pack.nodes.guidance_from_model").STAG4DGuidanceFromModel
    silent = importlib.import_module("native_pack.stag4d.progress").silent
    geometry = importlib.import_module("native_pack.stag4d.geometry")
    toy = importlib.import_module("native_pack.stag4d.toys").toy_views(5, 1, 48)
    # Only its frame, encoded in a batch of one as ComfyUI does: random weights amplify rounding errors.
    views = type(toy).from_orbit(
        images=toy.images,
        alphas=toy.alphas,
        view_images=toy.view_images[:, :0],
        view_alphas=toy.view_alphas[:, :0],
        input_pose=toy.input_pose,
        view_poses=(),
        fps=toy.fps,
    )
    with torch.inference_mode():
        model, _, vae, clip_vision = comfy.sd.load_checkpoint_guess_config(
            checkpoint, output_vae=True, output_clip=False, output_clipvision=True
        )
        guidance = node.execute(model, clip_vision, vae).args[0]
    with torch.inference_mode(False):
        prior = guidance.denoiser_maker(0, 0)(views, silent)
    generator = torch.Generator().manual_seed(0)
    unscaled, noise = torch.randn(2, 1, 4, 32, 32, generator=generator)
    signals = prior.alphas_cumprod[list(TIMES)]
    found = {"errors": [], "effects": []}
    for signal, time, (azimuth, elevation) in zip(signals, TIMES, TARGETS, strict=True):
        with torch.inference_mode():
            positive, negative, _ = StableZero123_Conditioning.execute(
                clip_vision, views.on_white(0), vae, 256, 256, 1, elevation, azimuth
            ).args
        latents = model.model.process_latent_in(unscaled)
        noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
        target = geometry.OrbitPose(azimuth_deg=azimuth, elevation_deg=elevation)
        away = geometry.OrbitPose(azimuth_deg=-azimuth, elevation_deg=elevation)
        for scale in SCALES:
            with torch.inference_mode():
                sigma = float(((1 - signal) / signal).sqrt())
                expected = host_noise(model, unscaled, noise, sigma, positive, negative, scale)
            ours, other = (
                prior.predict(noisy, torch.tensor([time]), [(0, 0)], [pose], scale) for pose in (target, away)
            )
            size = expected.square().mean().sqrt()
            found["errors"].append(((ours - expected).square().mean().sqrt() / size).item())
            found["effects"].append(((other - expected).square().mean().sqrt() / size).item())
    sys.stdout.write(json.dumps(found) + "\n")


main()
