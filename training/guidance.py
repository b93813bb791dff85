"""Train the bundled guidance model: novel views of a toy from one image, in the folder layout of Zero123.

    python -m training.guidance --toys DIR --vae RUN/vae --outlines RUN --out RUN

Camera projection and UNet are trained; the image encoder is that of ``training.outlines``. Targets are from
random cameras and those of the rig, on white or black, like the renders of score distillation; conditions are
on white, from the cameras that score distillation would choose. The result is the folder
``RUN/mini-zero123``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from transformers import CLIPVisionModelWithProjection

from stag4d.diffusion import CameraProjection, pose_numbers
from stag4d.export import write_contact_sheet
from stag4d.optimization import GuidanceConfig, conditioning_camera

from .autoencoder import CHANNELS, LATENT_RMS, basis_of_encoder, latents_of
from .auxiliary import POSITION_WEIGHT, AlphaHead, PositionHeads
from .folders import save_modules, write_image_processor, write_index
from .loop import autocast, config_from, train, training_parser, weights_key
from .outlines import poses_of, read_posed_encoder
from .parallel import local_batch_size
from .toys import NUM_FREE, RIG, Toys, generate_toys, on_background, read_toys, recolored
from .vision import ALPHA_RMS, ALPHA_WEIGHT, CONDITION_EVERY_RESNET, WIDTH

BATCH = 48
UNCONDITIONAL_SHARE = 0.1
GUIDANCE = GuidanceConfig()  # for its choice of conditioning images in score distillation
VELOCITY_WEIGHT = 4.0  # 1 / mean square of the scaled latents of images on gray
RANDOM_CAMERA_SHARE = 0.75  # of the targets; the others are from the cameras of the rig
NOISY_SHARE = 0.5  # of a batch at high noise levels, where the output depends on the condition most
NOISY_FROM = 0.6  # share of the timesteps above which the noise level is high
SCALING_FACTOR = 0.5 / LATENT_RMS  # of noisy latents; their backgrounds, white or black, are far from 0
CAMERA_GAIN = 4.0  # initial gain of the relative pose, about the ratio of the embedding's norm to its norm
SHEET_TOYS = 6
SHEET_STEPS = 20
PARTS = {
    "clip_camera_projection": ("zero123", "CLIPCameraProjection"),
    "feature_extractor": ("transformers", "CLIPImageProcessor"),
    "image_encoder": ("transformers", "CLIPVisionModelWithProjection"),
    "scheduler": ("diffusers", "DDIMScheduler"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
}


class Examples(NamedTuple):
    """A batch of pairs of condition and target.

    Attributes:
        conditions: [B, 3, S, S] condition images on white, -1..1.
        references: [B, C, h, w] their latents.
        cameras: [B, 4] ``pose_numbers`` from the condition's camera to the target's.
        targets: [B, C, h, w] scaled latents of the targets.
        alphas: [B, 1, S, S] alphas of the targets, divided by ``ALPHA_RMS``.
    """

    conditions: Tensor
    references: Tensor
    cameras: Tensor
    targets: Tensor
    alphas: Tensor


class Learner(nn.Module):
    """UNet and camera projection, the frozen image encoder, and the auxiliary heads.

    Args:
        image_encoder: Image encoder of the conditions, which is not trained.
    """

    alphas_cumprod: Tensor

    def __init__(self, image_encoder: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.unet = UNet2DConditionModel(
            sample_size=8,
            in_channels=2 * CHANNELS,
            out_channels=CHANNELS,
            layers_per_block=1,
            block_out_channels=(40, 64),
            attention_head_dim=(2, 2),
            norm_num_groups=4,
            cross_attention_dim=WIDTH,
            **CONDITION_EVERY_RESNET,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        )
        self.unet.set_attn_processor(AttnProcessor())  # on CPUs, the fused kernel's backward pass is slow
        self.image_encoder = image_encoder.requires_grad_(False)
        self.clip_camera_projection = CameraProjection(WIDTH)
        with torch.no_grad():
            self.clip_camera_projection.proj.weight[:, WIDTH:] *= CAMERA_GAIN
        self.position_heads, self.alpha_head = PositionHeads(self.unet), AlphaHead(self.unet)
        self.register_buffer("alphas_cumprod", make_scheduler().alphas_cumprod, persistent=False)

    def predict(self, noisy: Tensor, timesteps: Tensor, references: Tensor, tokens: Tensor) -> Tensor:
        """Return the velocity [B, C, h, w], given condition latents [B, C, h, w] and tokens [B, D]."""
        return self.unet(torch.cat([noisy, references], dim=1), timesteps, tokens[:, None]).sample.float()

    def tokens(self, conditions: Tensor, cameras: Tensor) -> Tensor:
        """Return tokens [B, D] of condition images [B, 3, S, S] in -1..1 and relative poses [B, 4]."""
        with torch.no_grad():
            embeddings = self.image_encoder(conditions).image_embeds.float()
        return self.clip_camera_projection(torch.cat([embeddings, cameras], dim=-1)).float()

    def loss(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the mean squared error of v-prediction (Salimans and Ho, 2022), and the auxiliary losses.

        Args:
            examples: A batch.
            generator: Random generator of timesteps and noise, on the CPU.
        """
        targets = examples.targets
        count, device, last = len(targets), targets.device, len(self.alphas_cumprod) - 1
        times = torch.rand(count, generator=generator)
        is_noisy = torch.rand(count, generator=generator) < NOISY_SHARE
        times = torch.where(is_noisy, NOISY_FROM + (1 - NOISY_FROM) * times, times)
        timesteps = (times * last).round().long().to(device)
        is_cond = (torch.rand(count, generator=generator) >= UNCONDITIONAL_SHARE).float().to(device)
        noise = torch.randn(targets.shape, generator=generator).to(device)
        alpha = self.alphas_cumprod[timesteps][:, None, None, None]
        noisy = alpha.sqrt() * targets + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * targets
        references = examples.references * is_cond[:, None, None, None]
        with autocast(device):
            tokens = self.tokens(examples.conditions, examples.cameras) * is_cond[:, None]
            with self.position_heads.recording() as position_errors, self.alpha_head.recording() as features:
                predicted = self.predict(noisy, timesteps, references, tokens)
        return {
            "velocity": VELOCITY_WEIGHT * mse_loss(predicted, velocity),
            "position": POSITION_WEIGHT * torch.stack(position_errors).mean(),
            "alpha": ALPHA_WEIGHT * self.alpha_head.error(features[-1], examples.alphas),
        }


def make_scheduler() -> DDIMScheduler:
    """Return the noise schedule of Zero123-XL, with v-prediction, which is easier to learn."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type="v_prediction",
    )


def write_folder(folder: Path, learner: Learner, vae: AutoencoderKL) -> None:
    """Write a model in the layout of Zero123-XL."""
    names = ("unet", "image_encoder", "clip_camera_projection")
    save_modules(folder, {**{name: getattr(learner, name) for name in names}, "vae": vae})
    make_scheduler().save_pretrained(folder / "scheduler")
    write_image_processor(folder / "feature_extractor")
    write_index(folder, "Zero123Pipeline", PARTS, stag4d={"pose_conditioning": "zero123"})


def sample_examples(
    toys: Toys, basis: Tensor, count: int, generator: torch.Generator, device: torch.device
) -> Examples:
    """Return a batch of ``count`` random toys and cameras, with permuted color channels."""
    rows = torch.randint(len(toys), (count,), generator=generator)
    is_free = torch.rand(count, generator=generator) < RANDOM_CAMERA_SHARE
    free = len(RIG) + torch.randint(NUM_FREE, (count,), generator=generator)
    target_cameras = torch.where(is_free, free, torch.randint(len(RIG), (count,), generator=generator))
    uses_reference = torch.rand(count, generator=generator) < GUIDANCE.reference_share
    poses = [
        poses_of(toys, row)[camera]
        for row, camera in zip(rows.tolist(), target_cameras.tolist(), strict=True)
    ]
    condition_cameras = [
        conditioning_camera(pose, RIG, GUIDANCE, is_reference)
        for pose, is_reference in zip(poses, uses_reference.tolist(), strict=True)
    ]
    relative_poses = [
        pose_numbers(RIG[camera], pose) for camera, pose in zip(condition_cameras, poses, strict=True)
    ]
    camera_indices = torch.stack([torch.tensor(condition_cameras), target_cameras])  # [2, B]
    chosen = toys.images[torch.stack([rows, rows]), camera_indices]
    images = recolored(chosen.transpose(0, 1), generator)  # [B, 2, S, S, 4]
    levels = torch.ones(count, 2)
    levels[:, 1] = (torch.rand(count, generator=generator) < 0.5).float()
    pixels = on_background(images, levels[..., None, None, None]).to(device)  # [B, 2, 3, S, S]
    references, targets = (LATENT_RMS * latents_of(basis, pixels)).unbind(1)
    return Examples(
        conditions=pixels[:, 0],
        references=references,
        cameras=torch.tensor(relative_poses, device=device),
        targets=targets * SCALING_FACTOR,
        alphas=images[:, 1, None, ..., 3].to(device).float() / (255 * ALPHA_RMS),
    )


@torch.no_grad()
def write_view_sheet(learner: Learner, vae: AutoencoderKL, toys: Toys, path: Path) -> None:
    """Write a sheet with a row per toy: input view, then true and generated views of its random cameras."""
    scheduler = make_scheduler()
    scheduler.set_timesteps(SHEET_STEPS)
    inputs = on_background(toys.images[:, 0], 1.0).to(vae.device)
    # At the last timestep some signal remains, from which the model reads the background: start from white.
    white = vae.encode(torch.ones_like(inputs)).latent_dist.mean * SCALING_FACTOR
    truth = on_background(toys.images[:, len(RIG) :], 1.0)  # [N, 3, 3, S, S]
    columns = [inputs.cpu()]
    for free in range(NUM_FREE):
        relative_poses = [
            pose_numbers(RIG[0], poses_of(toys, row)[len(RIG) + free]) for row in range(len(toys))
        ]
        tokens = learner.tokens(inputs, torch.tensor(relative_poses, device=vae.device))
        references = vae.encode(inputs).latent_dist.mean
        noise = torch.randn(references.shape, generator=torch.Generator().manual_seed(free)).to(vae.device)
        latents = scheduler.add_noise(white, noise, scheduler.timesteps[:1])
        for timestep in scheduler.timesteps:
            velocity = learner.predict(latents, timestep, references, tokens)
            latents = scheduler.step(velocity, timestep, latents).prev_sample
        columns += [truth[:, free], vae.decode(latents / SCALING_FACTOR).sample.cpu()]
    images = torch.stack(columns, dim=1).flatten(0, 1).permute(0, 2, 3, 1)
    write_contact_sheet(path, (images / 2 + 0.5).clamp(0, 1), columns=1 + 2 * NUM_FREE)


def main() -> None:
    """Train."""
    parser = training_parser(__doc__, num_steps=14_000, learning_rate=4e-4)
    parser.add_argument("--vae", type=Path, required=True, help="folder vae of a run of training.autoencoder")
    parser.add_argument("--outlines", type=Path, required=True, help="folder of a run of training.outlines")
    arguments = parser.parse_args()
    config = config_from(arguments, ema_decay=0.998)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    vae = AutoencoderKL.from_pretrained(arguments.vae).to(config.device)
    vae.register_to_config(scaling_factor=SCALING_FACTOR)
    encoder = read_posed_encoder(arguments.outlines)
    network_keys = {"the encoder of --vae": weights_key(vae.encoder), "--outlines": weights_key(encoder)}
    config = replace(config, network_keys=network_keys)
    learner = Learner(encoder).to(config.device)
    basis = basis_of_encoder(vae)
    val_toys = generate_toys("val", 0, SHEET_TOYS)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, Learner)
        examples = sample_examples(toys, basis, local_batch_size(BATCH), generator, config.device)
        return module.loss(examples, generator)

    def write_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, Learner)
        write_folder(config.folder / "mini-zero123", module, vae)
        write_view_sheet(module, vae, val_toys, path)

    train(learner, losses_of, config, write_sheet)


if __name__ == "__main__":
    main()
