"""The small posed prior: a toy from anywhere, given one picture of it, in the layout of Zero123.

    python -m training.prior --toys DIR --vae RUN/vae --outlines RUN --out RUN

Camera projection and UNet learn; the image encoder is taken as ``training.outlines`` left it. Targets are of
any camera, on white or black, as score distillation renders; conditions, on white, are those that it would
choose. The result is the folder ``RUN/mini-zero123``.
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
from stag4d.optimization import GuidanceConfig, anchor_camera

from .autoencoder import CHANNELS, STRENGTH, basis_of_encoder, latents_of
from .folders import save_modules, write_image_processor, write_index
from .loop import autocast, plan_of, plan_parser, train, weights_key
from .outlines import poses_of, read_posed_encoder
from .parallel import share_of
from .side_tasks import PLACE_WEIGHT, Mattes, Places
from .toys import NUM_FREE, RIG, Toys, draw_toys, on_background, read_toys, recolored
from .vision import MATTE_STRENGTH, MATTE_WEIGHT, TOLD_EVERYWHERE, WIDTH

BATCH = 48
UNCONDITIONAL_SHARE = 0.1
GUIDANCE = GuidanceConfig()  # how score distillation chooses a condition
VELOCITY_WEIGHT = 4.0  # scaled latents have a mean square of a quarter on gray
FREE_SHARE = 0.75  # of targets; the others are the rig's cameras
NOISY_SHARE = 0.5  # of a batch, in the noisy part of the schedule, where only what it is told helps
NOISY_FROM = 0.6
SCALING_FACTOR = 0.5 / STRENGTH  # of noisy latents, whose backgrounds are far from gray
CAMERA_GAIN = 4.0  # at first, of the camera numbers in the token: the embedding is about as much longer
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
    """Some pairs of pictures.

    Attributes:
        conditions: [B, 3, S, S] on white, -1..1.
        references: [B, C, h, w] their latents.
        cameras: [B, 4] what ``pose_numbers`` gives.
        targets: [B, C, h, w] scaled latents.
        mattes: [B, 1, S, S] of the targets, over ``MATTE_STRENGTH``.
    """

    conditions: Tensor
    references: Tensor
    cameras: Tensor
    targets: Tensor
    mattes: Tensor


class Learner(nn.Module):
    """The networks that learn, the encoder that stays, and the layers that have the UNet learn on the side.

    Args:
        image_encoder: Embeds conditions.
    """

    alphas_cumprod: Tensor

    def __init__(self, image_encoder: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.unet = UNet2DConditionModel(
            sample_size=8, in_channels=2 * CHANNELS, out_channels=CHANNELS, layers_per_block=1,
            block_out_channels=(40, 64), attention_head_dim=(2, 2), norm_num_groups=4,
            cross_attention_dim=WIDTH, **TOLD_EVERYWHERE,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        )  # fmt: skip
        self.unet.set_attn_processor(AttnProcessor())  # written out: on CPUs, the fused kernel's is slow
        self.image_encoder = image_encoder.requires_grad_(False)
        self.clip_camera_projection = CameraProjection(WIDTH)
        with torch.no_grad():
            self.clip_camera_projection.proj.weight[:, WIDTH:] *= CAMERA_GAIN
        self.places, self.mattes = Places(self.unet), Mattes(self.unet)
        self.register_buffer("alphas_cumprod", make_scheduler().alphas_cumprod, persistent=False)

    def predict(self, noisy: Tensor, timesteps: Tensor, references: Tensor, tokens: Tensor) -> Tensor:
        """Return the velocity in latents [B, C, h, w], given condition latents and tokens [B, D]."""
        return self.unet(torch.cat([noisy, references], dim=1), timesteps, tokens[:, None]).sample.float()

    def tokens(self, conditions: Tensor, cameras: Tensor) -> Tensor:
        """Return tokens [B, D] of condition pictures [B, 3, S, S] in -1..1 and camera numbers [B, 4]."""
        with torch.no_grad():
            embeddings = self.image_encoder(conditions).image_embeds.float()
        return self.clip_camera_projection(torch.cat([embeddings, cameras], dim=-1)).float()

    def loss(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the mean squared error of the velocity (Salimans and Ho 2022), and of the side tasks.

        Args:
            examples: A batch.
            generator: Source of the draws, on the CPU.
        """
        targets = examples.targets
        count, device, last = len(targets), targets.device, len(self.alphas_cumprod) - 1
        times = torch.rand(count, generator=generator)
        is_noisy = torch.rand(count, generator=generator) < NOISY_SHARE
        times = torch.where(is_noisy, NOISY_FROM + (1 - NOISY_FROM) * times, times)
        timesteps = (times * last).round().long().to(device)
        keeps = (torch.rand(count, generator=generator) >= UNCONDITIONAL_SHARE).float().to(device)
        noise = torch.randn(targets.shape, generator=generator).to(device)
        alpha = self.alphas_cumprod[timesteps][:, None, None, None]
        noisy = alpha.sqrt() * targets + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * targets
        references = examples.references * keeps[:, None, None, None]
        with autocast(device):
            tokens = self.tokens(examples.conditions, examples.cameras) * keeps[:, None]
            with self.places.watching() as misplaced, self.mattes.watching() as told:
                predicted = self.predict(noisy, timesteps, references, tokens)
        return {
            "velocity": VELOCITY_WEIGHT * mse_loss(predicted, velocity),
            "place": PLACE_WEIGHT * torch.stack(misplaced).mean(),
            "matte": MATTE_WEIGHT * self.mattes.error(told[-1], examples.mattes),
        }


def make_scheduler() -> DDIMScheduler:
    """Return the noise schedule, that of Zero123-XL; but the UNet tells velocities, easier to learn."""
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
    write_index(folder, "Zero123Pipeline", PARTS)


def draw_examples(
    toys: Toys, basis: Tensor, count: int, generator: torch.Generator, device: torch.device
) -> Examples:
    """Draw some toys and cameras, and recolor the toys."""
    rows = torch.randint(len(toys), (count,), generator=generator)
    is_free = torch.rand(count, generator=generator) < FREE_SHARE
    free = len(RIG) + torch.randint(NUM_FREE, (count,), generator=generator)
    wanted = torch.where(is_free, free, torch.randint(len(RIG), (count,), generator=generator))
    wants_reference = torch.rand(count, generator=generator) < GUIDANCE.reference_share
    poses = [poses_of(toys, row)[camera] for row, camera in zip(rows.tolist(), wanted.tolist(), strict=True)]
    given = [
        anchor_camera(pose, RIG, GUIDANCE, wants)
        for pose, wants in zip(poses, wants_reference.tolist(), strict=True)
    ]
    numbers = [pose_numbers(RIG[camera], pose) for camera, pose in zip(given, poses, strict=True)]
    chosen = toys.pictures[torch.stack([rows, rows]), torch.stack([torch.tensor(given), wanted])]
    pictures = recolored(chosen.transpose(0, 1), generator)  # [B, 2, S, S, 4]
    levels = torch.ones(count, 2)
    levels[:, 1] = (torch.rand(count, generator=generator) < 0.5).float()
    pixels = on_background(pictures, levels[..., None, None, None]).to(device)  # [B, 2, 3, S, S]
    references, targets = (STRENGTH * latents_of(basis, pixels)).unbind(1)
    return Examples(
        conditions=pixels[:, 0],
        references=references,
        cameras=torch.tensor(numbers, device=device),
        targets=targets * SCALING_FACTOR,
        mattes=pictures[:, 1, None, ..., 3].to(device).float() / (255 * MATTE_STRENGTH),
    )


@torch.no_grad()
def draw_views(learner: Learner, vae: AutoencoderKL, toys: Toys, path: Path) -> None:
    """Draw toys from their free cameras, given the input: input, then truth and result for each."""
    scheduler = make_scheduler()
    scheduler.set_timesteps(SHEET_STEPS)
    inputs = on_background(toys.pictures[:, 0], 1.0).to(vae.device)
    # Even the noisiest latents show whether what is behind the toy is white or black: say which.
    blank = vae.encode(torch.ones_like(inputs)).latent_dist.mean * SCALING_FACTOR
    truth = on_background(toys.pictures[:, len(RIG) :], 1.0)  # [N, 3, 3, S, S]
    columns = [inputs.cpu()]
    for free in range(NUM_FREE):
        numbers = [pose_numbers(RIG[0], poses_of(toys, row)[len(RIG) + free]) for row in range(len(toys))]
        tokens = learner.tokens(inputs, torch.tensor(numbers, device=vae.device))
        references = vae.encode(inputs).latent_dist.mean
        drawn = torch.randn(references.shape, generator=torch.Generator().manual_seed(free)).to(vae.device)
        latents = scheduler.add_noise(blank, drawn, scheduler.timesteps[:1])
        for timestep in scheduler.timesteps:
            velocity = learner.predict(latents, timestep, references, tokens)
            latents = scheduler.step(velocity, timestep, latents).prev_sample
        columns += [truth[:, free], vae.decode(latents / SCALING_FACTOR).sample.cpu()]
    pictures = torch.stack(columns, dim=1).flatten(0, 1).permute(0, 2, 3, 1)
    write_contact_sheet(path, (pictures / 2 + 0.5).clamp(0, 1), columns=1 + 2 * NUM_FREE)


def main() -> None:
    """Train."""
    parser = plan_parser(__doc__, num_steps=14_000, learning_rate=4e-4)
    parser.add_argument("--vae", type=Path, required=True, help="result of training.autoencoder")
    parser.add_argument("--outlines", type=Path, required=True, help="folder of a run of training.outlines")
    arguments = parser.parse_args()
    plan = plan_of(arguments, ema_decay=0.998)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    vae = AutoencoderKL.from_pretrained(arguments.vae).to(plan.device)
    vae.register_to_config(scaling_factor=SCALING_FACTOR)
    encoder = read_posed_encoder(arguments.outlines)
    made_of = {"the encoder of --vae": weights_key(vae.encoder), "--outlines": weights_key(encoder)}
    plan = replace(plan, made_of=made_of)
    learner = Learner(encoder).to(plan.device)
    basis = basis_of_encoder(vae)
    unseen = draw_toys("val", 0, SHEET_TOYS)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, Learner)
        examples = draw_examples(toys, basis, share_of(BATCH), generator, plan.device)
        return module.loss(examples, generator)

    def draw_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, Learner)
        write_folder(plan.folder / "mini-zero123", module, vae)
        draw_views(module, vae, unseen, path)

    train(learner, losses_of, plan, draw_sheet)


if __name__ == "__main__":
    main()
