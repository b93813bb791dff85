"""The small posed prior: a toy from anywhere, given one picture of it, in the layout of Zero123.

    python -m training.prior --toys DIR --vae RUN/vae --vision RUN --out RUN

Camera projection and UNet learn together with the image encoder, which begins as ``training.vision`` left it.
The condition is the input or one of the six views, on white; the target is any camera's, on white or black,
as score distillation renders. The result is the folder ``RUN/mini-zero123``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

from stag4d.diffusion import CameraProjection, camera_numbers
from stag4d.export import write_contact_sheet
from stag4d.geometry import OrbitPose

from .autoencoder import CHANNELS, STRENGTH, basis_of, latents_of
from .folders import save_modules, write_image_processor, write_json
from .loop import autocast, plan_of, plan_parser, train
from .parallel import NUM_PROCESSES
from .toys import NUM_FREE, RIG, Toys, draw_toys, on_background, read_toys, recolored
from .vision import TOLD_EVERYWHERE, WIDTH, read_encoder

BATCH = 48
UNCONDITIONAL_SHARE = 0.1
FREE_SHARE = 0.75  # of targets; the others are the rig's cameras
SCALING_FACTOR = 0.5 / STRENGTH  # of noisy latents, whose backgrounds are far from gray
MOST_WEIGHT = 10.0  # of a timestep, see Learner.loss
SHEET_TOYS = 6
SHEET_STEPS = 20


class Learner(nn.Module):
    """The networks that learn.

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
        self.image_encoder = image_encoder
        self.clip_camera_projection = CameraProjection(WIDTH)
        self.register_buffer("alphas_cumprod", make_scheduler().alphas_cumprod, persistent=False)

    def predict(self, noisy: Tensor, timesteps: Tensor, conditions: Tensor, tokens: Tensor) -> Tensor:
        """Return the noise in latents [B, C, h, w], given condition latents and tokens [B, D]."""
        return self.unet(torch.cat([noisy, conditions], dim=1), timesteps, tokens[:, None]).sample.float()

    def tokens(self, pictures: Tensor, cameras: Tensor) -> Tensor:
        """Return tokens [B, D] of condition pictures [B, 3, S, S] in -1..1 and camera numbers [B, 4]."""
        embeddings = self.image_encoder(pictures).image_embeds.float()
        return self.clip_camera_projection(torch.cat([embeddings, cameras], dim=-1)).float()

    def loss(
        self,
        pictures: Tensor,
        cameras: Tensor,
        conditions: Tensor,
        targets: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the weighted squared error of the noise of a batch.

        Where there is little signal, noise is easy to tell and its error small: a timestep is weighted by the
        inverse of its share of signal, which makes it the error of the velocity, up to a limit.

        Args:
            pictures: [B, 3, S, S] conditions, -1..1.
            cameras: [B, 4] what ``camera_numbers`` gives.
            conditions: [B, C, h, w] latents of the conditions.
            targets: [B, C, h, w], scaled.
            generator: Source of the draws, on the CPU.
        """
        count, device = len(targets), targets.device
        timesteps = torch.randint(len(self.alphas_cumprod), (count,), generator=generator)
        keeps = (torch.rand(count, generator=generator) >= UNCONDITIONAL_SHARE).float().to(device)
        noise = torch.randn(targets.shape, generator=generator).to(device)
        timesteps = timesteps.to(device)
        alpha = self.alphas_cumprod[timesteps][:, None, None, None]
        with autocast(device):
            tokens = self.tokens(pictures, cameras) * keeps[:, None]
            noisy = alpha.sqrt() * targets + (1 - alpha).sqrt() * noise
            predicted = self.predict(noisy, timesteps, conditions * keeps[:, None, None, None], tokens)
        return ((predicted - noise).square() * (1 / alpha).clamp_max(MOST_WEIGHT)).mean()


def make_scheduler() -> DDIMScheduler:
    """Return the noise schedule, that of Zero123-XL."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
    )


def write_folder(folder: Path, learner: Learner, vae: AutoencoderKL) -> None:
    """Write a model in the layout of Zero123-XL."""
    names = ("unet", "image_encoder", "clip_camera_projection")
    save_modules(folder, {**{name: getattr(learner, name) for name in names}, "vae": vae})
    make_scheduler().save_pretrained(folder / "scheduler")
    write_image_processor(folder / "feature_extractor")
    projection = ["zero123", "CLIPCameraProjection"]
    write_json(
        folder / "model_index.json", {"_class_name": "Zero123Pipeline", "clip_camera_projection": projection}
    )


def free_poses(toys: Toys, row: int) -> list[OrbitPose]:
    """Return a toy's free cameras."""
    return [
        OrbitPose(azimuth_deg=azimuth, elevation_deg=up) for azimuth, up in toys.free_poses_deg[row].tolist()
    ]


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
        numbers = [camera_numbers(RIG[0], free_poses(toys, row)[free]) for row in range(len(toys))]
        tokens = learner.tokens(inputs, torch.tensor(numbers, device=vae.device))
        conditions = vae.encode(inputs).latent_dist.mean
        drawn = torch.randn(conditions.shape, generator=torch.Generator().manual_seed(free)).to(vae.device)
        latents = scheduler.add_noise(blank, drawn, scheduler.timesteps[:1])
        for timestep in scheduler.timesteps:
            noise = learner.predict(latents, timestep, conditions, tokens)
            latents = scheduler.step(noise, timestep, latents).prev_sample
        columns += [truth[:, free], vae.decode(latents / SCALING_FACTOR).sample.cpu()]
    pictures = torch.stack(columns, dim=1).flatten(0, 1).permute(0, 2, 3, 1)
    write_contact_sheet(path, (pictures / 2 + 0.5).clamp(0, 1), columns=1 + 2 * NUM_FREE)


def main() -> None:
    """Train."""
    parser = plan_parser(__doc__, num_steps=3_000, learning_rate=4e-4)
    parser.add_argument("--vae", type=Path, required=True, help="result of training.autoencoder")
    parser.add_argument("--vision", type=Path, required=True, help="folder of a run of training.vision")
    arguments = parser.parse_args()
    plan = plan_of(arguments, ema_decay=0.998)
    toys = read_toys(arguments.toys, arguments.shards)
    vae = AutoencoderKL.from_pretrained(arguments.vae).to(plan.device)
    vae.register_to_config(scaling_factor=SCALING_FACTOR)
    learner = Learner(read_encoder(arguments.vision)).to(plan.device)
    basis = basis_of(toys).to(plan.device)
    unseen = draw_toys("val", 0, SHEET_TOYS)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, Learner)
        count = BATCH // NUM_PROCESSES
        rows = torch.randint(len(toys), (count,), generator=generator)
        given = torch.randint(len(RIG), (count,), generator=generator)
        is_free = torch.rand(count, generator=generator) < FREE_SHARE
        free = len(RIG) + torch.randint(NUM_FREE, (count,), generator=generator)
        wanted = torch.where(is_free, free, torch.randint(len(RIG), (count,), generator=generator))
        numbers = []
        for row, condition, target in zip(rows.tolist(), given.tolist(), wanted.tolist(), strict=True):
            pose = RIG[target] if target < len(RIG) else free_poses(toys, row)[target - len(RIG)]
            numbers.append(camera_numbers(RIG[condition], pose))
        both = torch.stack([rows, rows]), torch.stack([given, wanted])
        pictures = recolored(toys.pictures[both].transpose(0, 1), generator)  # [B, 2, S, S, 4]
        levels = torch.ones(count, 2)
        levels[:, 1] = (torch.rand(count, generator=generator) < 0.5).float()
        pixels = on_background(pictures, levels[..., None, None, None]).to(plan.device)  # [B, 2, 3, S, S]
        conditions, targets = (STRENGTH * latents_of(basis, pixels)).unbind(1)
        cameras = torch.tensor(numbers, device=plan.device)
        targets = targets * SCALING_FACTOR
        return {"noise": module.loss(pixels[:, 0], cameras, conditions, targets, generator)}

    def draw_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, Learner)
        write_folder(plan.folder / "mini-zero123", module, vae)
        draw_views(module, vae, unseen, path)

    train(learner, losses_of, plan, draw_sheet)


if __name__ == "__main__":
    main()
