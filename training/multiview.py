"""The small multi-view model: six views of a toy from one, in the layout of Zero123++.

    python -m training.multiview --toys DIR --vae RUN/vae --out RUN

Vision encoder and UNet learn together. The text encoder stays as it was drawn: the prompt is always empty, so
its states are constants. The result is the folder ``RUN/mini-zero123plus``.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from stag4d.diffusion import SeededNoise, load_multiview_model, sample_latents
from stag4d.diffusion.attention import ReadTokens, WriteTokens, install_reference_attention
from stag4d.diffusion.zero123plus import GRAY
from stag4d.export import write_contact_sheet

from .autoencoder import CHANNELS, basis_of, latents_of
from .folders import save_modules, write_image_processor, write_json, write_tokenizer
from .loop import add_plan_arguments, autocast, plan_of, train
from .toys import RIG, SIZE, Toys, draw_toys, on_background, read_toys

BATCH = 16
WIDTH = 160  # of text states and image embeddings
NUM_TOKENS = 8
RAMP = tuple(round(token / (NUM_TOKENS - 1), 4) for token in range(NUM_TOKENS))
UNCONDITIONAL_SHARE = 0.1
OUTLINE, OUTLINE_WEIGHT = (12, 8), 0.5  # of latents that the embedding alone has to tell
SHEET_TOYS = 8
SAMPLING = {"num_steps": 12, "guidance_scale": 1.0}  # what the folder advises


class Learner(nn.Module):
    """The networks that learn, and the constants that they are given.

    Args:
        unet: With reference attention installed.
        vision_encoder: Embeds the input.
        uncond_states: [1, K, D].
        blank: [1, C, h, w] latent of the blank reference.
    """

    uncond_states: Tensor
    blank: Tensor
    ramp: Tensor
    alphas_cumprod: Tensor

    def __init__(
        self,
        unet: UNet2DConditionModel,
        vision_encoder: CLIPVisionModelWithProjection,
        uncond_states: Tensor,
        blank: Tensor,
    ) -> None:
        super().__init__()
        self.unet, self.vision_encoder = unet, vision_encoder
        self.outline = nn.Linear(WIDTH, CHANNELS * math.prod(OUTLINE))
        self.register_buffer("uncond_states", uncond_states, persistent=False)
        self.register_buffer("blank", blank, persistent=False)
        self.register_buffer("ramp", torch.tensor(RAMP), persistent=False)
        self.register_buffer("alphas_cumprod", make_scheduler().alphas_cumprod, persistent=False)

    def loss(
        self,
        inputs: Tensor,
        references: Tensor,
        grids: Tensor,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Return the mean squared error of the velocity (Salimans and Ho 2022) of a batch.

        At high noise levels the input is known by its embedding only: its reference is as noisy as the
        views. So that it soon says what the views look like, a linear layer that is not kept has to
        tell their coarse latents from it.

        Args:
            inputs: [B, 3, S, S] pictures on gray, -1..1.
            references: [B, C, h, w] their latents.
            grids: [B, C, 3h, 2w] latents of the six views.
            generator: Source of the draws, on the CPU.
        """
        count, device = len(grids), grids.device
        timesteps = torch.randint(len(self.alphas_cumprod), (count,), generator=generator)
        is_blank = torch.rand(count, generator=generator) < UNCONDITIONAL_SHARE
        noises = [
            torch.randn(latents.shape, generator=generator).to(device) for latents in (references, grids)
        ]
        timesteps, is_blank = timesteps.to(device), is_blank.to(device)
        alpha = self.alphas_cumprod[timesteps][:, None, None, None]
        signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
        references = torch.where(is_blank[:, None, None, None], self.blank, references)
        with autocast(device):
            embeddings = self.vision_encoder(inputs).image_embeds.float()
            outlines = self.outline(embeddings).float()
            embeddings = embeddings.masked_fill(is_blank[:, None], 0.0)
            states = self.uncond_states + embeddings[:, None] * self.ramp[:, None]
            noisy = signal * references + sigma * noises[0], signal * grids + sigma * noises[1]
            predicted = predict_velocity(self.unet, *noisy, timesteps, states).float()
        wanted = adaptive_avg_pool2d(grids, OUTLINE).flatten(1)
        return {
            "velocity": (predicted - (signal * noises[1] - sigma * grids)).square().mean(),
            "outline": OUTLINE_WEIGHT * (outlines - wanted).square().mean(),
        }


def predict_velocity(
    unet: UNet2DConditionModel, references: Tensor, grids: Tensor, timesteps: Tensor, states: Tensor
) -> Tensor:
    """Return the velocity of noisy grids [B, C, 3h, 2w], which read noisy references [B, C, h, w]."""
    write = WriteTokens()
    unet(references, timesteps, states, cross_attention_kwargs={"exchange": write})
    read = ReadTokens(reference=write.tokens)
    return unet(grids, timesteps, states, cross_attention_kwargs={"exchange": read}).sample


def make_unet() -> UNet2DConditionModel:
    """Return an untrained UNet for latents of 24 x 16."""
    unet = UNet2DConditionModel(
        sample_size=(24, 16), in_channels=CHANNELS, out_channels=CHANNELS, layers_per_block=1,
        block_out_channels=(96, 112, 96), attention_head_dim=(3, 4, 3), norm_num_groups=4,
        cross_attention_dim=WIDTH, use_linear_projection=True,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    install_reference_attention(unet)
    return unet


def make_vision_encoder() -> CLIPVisionModelWithProjection:
    """Return an untrained encoder of pictures of 64 x 64."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=144, intermediate_size=432, num_hidden_layers=4, num_attention_heads=4,
            image_size=SIZE, patch_size=8, projection_dim=WIDTH, hidden_act="gelu",
        )
    )  # fmt: skip


def make_text_encoder() -> CLIPTextModel:
    """Return an untrained text encoder that knows two words."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=4, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
            max_position_embeddings=NUM_TOKENS, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )  # fmt: skip


def make_scheduler() -> EulerAncestralDiscreteScheduler:
    """Return the noise schedule: that of Zero123++, which ends where the reference can just be made out."""
    return EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.005, beta_schedule="linear", prediction_type="v_prediction"
    )


def write_folder(folder: Path, learner: Learner, vae: AutoencoderKL, text_encoder: CLIPTextModel) -> None:
    """Write a model in the layout of Zero123++."""
    learned = {"unet": learner.unet, "vision_encoder": learner.vision_encoder}
    save_modules(folder, {**learned, "vae": vae, "text_encoder": text_encoder})
    make_scheduler().save_pretrained(folder / "scheduler")
    for name in ("feature_extractor_clip", "feature_extractor_vae"):
        write_image_processor(folder / name)
    write_tokenizer(folder / "tokenizer", NUM_TOKENS)
    scales = {"latent_scale": 1.0, "latent_shift": 0.0, "image_scale": 1.0}
    index = {
        "_class_name": "Zero123PlusPipeline",
        "ramping_coefficients": RAMP,
        "stag4d": {"tile_size": SIZE, "rig": "v1.1", **scales, "sampling": SAMPLING},
    }
    write_json(folder / "model_index.json", index)


def draw_views(folder: Path, toys: Toys, path: Path) -> None:
    """Draw the six views of some toys' first camera, truth above, by the model in a folder."""
    model = load_multiview_model(folder)
    inputs = toys.pictures[:, 0].float() / 255  # [N, S, S, 4]
    config = replace(model.sampling, anchor=None)
    latents = sample_latents(model, inputs[..., :3], inputs[..., 3], SeededNoise(0), config)
    rows = []
    for index, latent in enumerate(latents):
        truth = on_background(toys.pictures[index, :7], GRAY / 255).movedim(1, -1) / 2 + 0.5
        rows += [truth, torch.cat([truth[:1], model.decode(latent)])]
    write_contact_sheet(path, torch.cat(rows), columns=7)


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_plan_arguments(parser, num_steps=5000, learning_rate=8e-4)
    parser.add_argument("--vae", type=Path, required=True, help="result of training.autoencoder")
    arguments = parser.parse_args()
    plan = plan_of(arguments, ema_decay=0.998)
    toys = read_toys(arguments.toys, arguments.shards)
    vae = AutoencoderKL.from_pretrained(arguments.vae).to(plan.device)
    text_encoder = make_text_encoder()
    with torch.no_grad():
        uncond_states = text_encoder(torch.tensor([[0] + [1] * (NUM_TOKENS - 1)]))[0]
        blank = vae.encode(torch.zeros(1, 3, SIZE, SIZE, device=plan.device)).latent_dist.mean
    learner = Learner(make_unet(), make_vision_encoder(), uncond_states, blank)
    learner.to(plan.device)
    grays = torch.full((len(toys), len(RIG)), GRAY / 255)
    latents = latents_of(basis_of(toys), toys.pictures[:, : len(RIG)], grays)  # [N, 7, C, h, w]
    unseen = draw_toys("val", 0, SHEET_TOYS)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, Learner)
        rows = torch.randint(len(toys), (BATCH,), generator=generator)
        inputs = on_background(toys.pictures[rows, 0], GRAY / 255).to(plan.device)
        chosen = latents[rows].float().to(plan.device)
        tiles = chosen[:, 1:].unflatten(1, (3, 2)).permute(0, 3, 1, 4, 2, 5)  # [B, C, 3, h, 2, w]
        grids = tiles.flatten(4, 5).flatten(2, 3)
        return module.loss(inputs, chosen[:, 0], grids, generator)

    def draw_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, Learner)
        folder = plan.folder / "mini-zero123plus"
        decoder = AutoencoderKL.from_pretrained(arguments.vae)  # it may have learned since
        write_folder(folder, module, decoder, text_encoder)
        draw_views(folder, unseen, path)

    train(learner, losses_of, plan, draw_sheet)


if __name__ == "__main__":
    main()
