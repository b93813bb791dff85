"""The small multi-view model: six views of a toy from one, in the layout of Zero123++.

    python -m training.multiview --toys DIR --vae RUN/vae --out RUN

Vision encoder and UNet learn together. The text encoder stays as it was drawn: the prompt is always empty, so
its states are constants. The result is the folder ``RUN/mini-zero123plus``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, one_hot
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from stag4d.diffusion import SeededNoise, load_multiview_model, sample_latents
from stag4d.diffusion.attention import ReadTokens, WriteTokens, install_reference_attention
from stag4d.diffusion.zero123plus import GRAY
from stag4d.export import write_contact_sheet

from .autoencoder import CHANNELS, STRENGTH, basis_of, latents_of
from .folders import save_modules, write_image_processor, write_json, write_tokenizer
from .loop import add_plan_arguments, autocast, plan_of, train
from .parallel import NUM_PROCESSES
from .toys import RIG, SIZE, Toys, draw_toys, on_background, read_toys, recolored

BATCH = 16
WIDTH = 128  # of text states and image embeddings
NUM_TOKENS = 8
RAMP = tuple(round(token / (NUM_TOKENS - 1), 4) for token in range(NUM_TOKENS))
UNCONDITIONAL_SHARE = 0.05
START_SHARE = 0.5  # of a batch that is at the first step of sampling, where views are noise and nothing else
PLACE_WEIGHT = 0.1  # of the loss that has every token know where it is
OUTLINE, OUTLINE_WEIGHT = (12, 8), 0.5  # of the views' latents, which the embedding alone has to tell
SHEET_TOYS = 8
SAMPLING = {"num_steps": 12, "guidance_scale": 1.0}  # what the folder advises


class Learner(nn.Module):
    """The networks that learn, and the constants that they are given.

    Args:
        unet: With reference attention installed.
        vision_encoder: Embeds the input.
        uncond_states: [1, K, D].
    """

    uncond_states: Tensor
    ramp: Tensor
    alphas_cumprod: Tensor

    def __init__(
        self,
        unet: UNet2DConditionModel,
        vision_encoder: CLIPVisionModelWithProjection,
        uncond_states: Tensor,
    ) -> None:
        super().__init__()
        self.unet, self.vision_encoder = unet, vision_encoder
        self.outline = nn.Linear(WIDTH, CHANNELS * math.prod(OUTLINE))
        self.places = Places(unet)
        self.register_buffer("uncond_states", uncond_states, persistent=False)
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

        A share of the batch is where sampling starts, see ``noised``. So that the embedding soon says what
        the views look like, a linear layer that is not kept has to tell their coarse latents from it.

        Args:
            inputs: [B, 3, S, S] pictures on gray, -1..1.
            references: [B, C, h, w] their latents, with a mean square of 1.
            grids: [B, C, 3h, 2w] latents of the six views, the same.
            generator: Source of the draws, on the CPU.
        """
        count, device = len(grids), grids.device
        last = len(self.alphas_cumprod) - 1
        timesteps = torch.randint(last + 1, (count,), generator=generator)
        is_blank = (torch.rand(count, generator=generator) < UNCONDITIONAL_SHARE).to(device)
        is_start = torch.rand(count, generator=generator) < START_SHARE
        timesteps = timesteps.masked_fill(is_start, last).to(device)
        noises = [
            torch.randn(latents.shape, generator=generator).to(device) for latents in (references, grids)
        ]
        is_blank, is_start = is_blank[:, None, None, None], is_start.to(device)[:, None, None, None]
        alphas = self.alphas_cumprod[timesteps][:, None, None, None]
        noisy, wanted = noised(grids, noises[1], alphas, is_start)
        references = STRENGTH * references.masked_fill(is_blank, 0.0)
        noisy_references, _ = noised(references, noises[0], alphas, torch.zeros_like(is_start))
        with autocast(device):
            embeddings = self.vision_encoder(inputs).image_embeds.float()
            outlines = self.outline(embeddings).float()
            embeddings = embeddings.masked_fill(is_blank.flatten(1), 0.0)
            states = self.uncond_states + embeddings[:, None] * self.ramp[:, None]
            with self.places.watching() as misplaced:
                predicted = predict_velocity(self.unet, noisy_references, noisy, timesteps, states).float()
        coarse = adaptive_avg_pool2d(grids, OUTLINE).flatten(1)
        return {
            "velocity": (predicted - wanted).square().mean(),
            "outline": OUTLINE_WEIGHT * (outlines - coarse).square().mean(),
            "place": PLACE_WEIGHT * torch.stack(misplaced).mean(),
        }


def noised(latents: Tensor, noise: Tensor, alphas: Tensor, is_start: Tensor) -> tuple[Tensor, Tensor]:
    """Return noisy latents and their velocity, the shape of the latents.

    Sampling starts from noise alone, though the last timestep's level would leave a trace of the picture.
    Where ``is_start`` says so, no trace is left, and the velocity is the one whose clean estimate is right.

    Args:
        latents: [B, C, h, w].
        noise: The same shape.
        alphas: [B, 1, 1, 1] products of the schedule's alphas.
        is_start: [B, 1, 1, 1] bool.
    """
    signal, sigma = alphas.sqrt(), (1 - alphas).sqrt()
    noisy = signal * latents.masked_fill(is_start, 0.0) + sigma * noise
    return noisy, signal * noise - torch.where(is_start, 1 / sigma, sigma) * latents


class Places(nn.Module):
    """Linear layers that have to tell from a token, at each self-attention, where in the grid it is.

    The UNet knows places by the padding of its convolutions only, and is slow to find that out for itself.
    The layers are not kept.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self._blocks = [block for block in unet.modules() if isinstance(block, BasicTransformerBlock)]
        self.readers = nn.ModuleList(nn.Linear(block.dim, 7) for block in self._blocks)

    @contextmanager
    def watching(self) -> Iterator[list[Tensor]]:
        """Collect the mean squared error of every block's tokens, of the reference and then of the views."""
        errors: list[Tensor] = []

        def hook(reader: nn.Module, tokens: Tensor) -> None:
            errors.append(
                (reader(tokens).float() - places_of(tokens.shape[1], tokens.device)).square().mean()
            )

        with ExitStack() as stack:
            for block, reader in zip(self._blocks, self.readers, strict=True):
                handle = block.register_forward_pre_hook(
                    lambda _, given, reader=reader: hook(reader, given[0])
                )
                stack.callback(handle.remove)
            yield errors


def places_of(num_tokens: int, device: torch.device) -> Tensor:
    """Return what tells tokens' places, [L, 7]: row and column of the tile, and row and column in the tile.

    The reference, which is one tile by itself, has zeros for the first five.
    """
    is_reference = math.isqrt(num_tokens) ** 2 == num_tokens
    side = math.isqrt(num_tokens if is_reference else num_tokens // 6)
    heights, widths = (1, 1) if is_reference else (3, 2)
    rows, columns = torch.meshgrid(
        torch.arange(heights * side, device=device), torch.arange(widths * side, device=device), indexing="ij"
    )
    inside = [(2 * (axis % side) + 1) / side - 1 for axis in (rows, columns)]
    tiles = [one_hot(rows // side, 3), one_hot(columns // side, 2)]
    tile = torch.cat(tiles, dim=-1) * (0 if is_reference else 1)
    return torch.cat([tile, torch.stack(inside, dim=-1)], dim=-1).flatten(0, 1)


def predict_velocity(
    unet: UNet2DConditionModel, references: Tensor, grids: Tensor, timesteps: Tensor, states: Tensor
) -> Tensor:
    """Return the velocity of noisy grids [B, C, 3h, 2w], which read noisy references [B, C, h, w]."""
    write = WriteTokens()
    unet(references, timesteps, states, cross_attention_kwargs={"exchange": write})
    read = ReadTokens(reference=write.tokens)
    return unet(grids, timesteps, states, cross_attention_kwargs={"exchange": read}).sample


def make_unet() -> UNet2DConditionModel:
    """Return an untrained UNet for latents of 24 x 16; most of it works on half and a quarter of them."""
    unet = UNet2DConditionModel(
        sample_size=(24, 16), in_channels=CHANNELS, out_channels=CHANNELS, layers_per_block=1,
        block_out_channels=(48, 112, 112), attention_head_dim=(2, 4, 4), norm_num_groups=4,
        cross_attention_dim=WIDTH, use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    install_reference_attention(unet)
    return unet


def make_vision_encoder() -> CLIPVisionModelWithProjection:
    """Return an untrained encoder of pictures of 64 x 64."""
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=144, intermediate_size=432, num_hidden_layers=5, num_attention_heads=4,
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
    add_plan_arguments(parser, num_steps=12_000, learning_rate=4e-4)
    parser.add_argument("--vae", type=Path, required=True, help="result of training.autoencoder")
    arguments = parser.parse_args()
    plan = plan_of(arguments, ema_decay=0.995)
    toys = read_toys(arguments.toys, arguments.shards)
    text_encoder = make_text_encoder()
    with torch.no_grad():
        uncond_states = text_encoder(torch.tensor([[0] + [1] * (NUM_TOKENS - 1)]))[0]
    learner = Learner(make_unet(), make_vision_encoder(), uncond_states).to(plan.device)
    basis = basis_of(toys).to(plan.device)
    unseen = draw_toys("val", 0, SHEET_TOYS)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, Learner)
        rows = torch.randint(len(toys), (BATCH // NUM_PROCESSES,), generator=generator)
        chosen = recolored(toys.pictures[rows, : len(RIG)], generator)
        pictures = on_background(chosen, GRAY / 255).to(plan.device)  # [B, 7, 3, S, S]
        latents = latents_of(basis, pictures)  # [B, 7, C, h, w]
        tiles = latents[:, 1:].unflatten(1, (3, 2)).permute(0, 3, 1, 4, 2, 5)  # [B, C, 3, h, 2, w]
        grids = tiles.flatten(4, 5).flatten(2, 3)
        return module.loss(pictures[:, 0], latents[:, 0], grids, generator)

    def draw_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, Learner)
        folder = plan.folder / "mini-zero123plus"
        decoder = AutoencoderKL.from_pretrained(arguments.vae)  # it may have learned since
        write_folder(folder, module, decoder, text_encoder)
        draw_views(folder, unseen, path)

    train(learner, losses_of, plan, draw_sheet)


if __name__ == "__main__":
    main()
