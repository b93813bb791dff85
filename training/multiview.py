"""The small multi-view model: six views of a toy from one, in the layout of Zero123++.

    python -m training.multiview --toys DIR --vae RUN/vae --vision RUN --out RUN
    python -m training.multiview --toys DIR --vae RUN/vae --begin-with FOLDER [--vision RUN] --out RUN

Only the UNet learns here: the vision encoder is taken as ``training.vision`` left it, and the text encoder
stays as it was drawn, since the prompt is always empty and its states are constants. The second form goes on
with a model that is there, by its own encoder or by a better one, whose embeddings are turned towards those
that the UNet knows. The result is the folder ``RUN/mini-zero123plus``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionModelWithProjection

from stag4d.diffusion import load_multiview_model
from stag4d.diffusion.attention import ReadTokens, WriteTokens, install_reference_attention
from stag4d.diffusion.zero123plus import GRAY
from stag4d.export import write_contact_sheet

from .autoencoder import CHANNELS, STRENGTH, basis_of_encoder, sample_grids
from .folders import save_modules, write_image_processor, write_index, write_tokenizer
from .loop import autocast, plan_of, plan_parser, train, weights_key
from .parallel import share_of
from .side_tasks import PLACE_WEIGHT, Mattes, Places
from .toys import SIZE, Toys, draw_toys, on_background, read_toys
from .vision import MATTE_WEIGHT, TOLD_EVERYWHERE, WIDTH, Examples, draw_examples, read_encoder

BATCH = 16
NUM_TOKENS = 8
RAMP = tuple(round(token / (NUM_TOKENS - 1), 4) for token in range(NUM_TOKENS))
UNCONDITIONAL_SHARE = 0.05
START_SHARE = 0.6  # of a batch that is at the first step of sampling, where views are noise and nothing else
SHEET_TOYS = 8
ALIGNED_TOYS = 2048  # that tell how one encoder's embeddings follow from another's
PARTS = {
    "feature_extractor_clip": ("transformers", "CLIPImageProcessor"),
    "feature_extractor_vae": ("transformers", "CLIPImageProcessor"),
    "scheduler": ("diffusers", "EulerAncestralDiscreteScheduler"),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
    "vision_encoder": ("transformers", "CLIPVisionModelWithProjection"),
}
SAMPLING = {"num_steps": 1, "guidance_scale": 1.0}  # what the folder advises: the mean of what views may be


class Learner(nn.Module):
    """The UNet, the layers that have it learn on the side, and what they are given.

    Args:
        unet: With reference attention installed.
        vision_encoder: Embeds the input; it stays as it is.
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
        self.unet, self.vision_encoder = unet, vision_encoder.requires_grad_(False)
        self.places, self.mattes = Places(unet), Mattes(unet)
        self.register_buffer("uncond_states", uncond_states, persistent=False)
        self.register_buffer("ramp", torch.tensor(RAMP), persistent=False)
        self.register_buffer("alphas_cumprod", make_scheduler().alphas_cumprod, persistent=False)

    def loss(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the mean squared error of the velocity (Salimans and Ho 2022) of a batch.

        A share of the batch is where sampling starts, see ``noised``. Beside it stand the errors of the side
        tasks.

        Args:
            examples: A batch.
            generator: Source of the draws, on the CPU.
        """
        count, device = len(examples.grids), examples.grids.device
        last = len(self.alphas_cumprod) - 1
        timesteps = torch.randint(last + 1, (count,), generator=generator)
        is_blank = (torch.rand(count, generator=generator) < UNCONDITIONAL_SHARE).to(device)
        is_start = torch.rand(count, generator=generator) < START_SHARE
        timesteps = timesteps.masked_fill(is_start, last).to(device)
        noises = [
            torch.randn(latents.shape, generator=generator).to(device)
            for latents in (examples.references, examples.grids)
        ]
        is_blank, is_start = is_blank[:, None, None, None], is_start.to(device)[:, None, None, None]
        alphas = self.alphas_cumprod[timesteps][:, None, None, None]
        noisy, wanted = noised(examples.grids, noises[1], alphas, is_start)
        references = STRENGTH * examples.references.masked_fill(is_blank, 0.0)
        noisy_references, _ = noised(references, noises[0], alphas, torch.zeros_like(is_start))
        with autocast(device):
            embeddings = self.vision_encoder(examples.inputs).image_embeds.float()
            embeddings = embeddings.masked_fill(is_blank.flatten(1), 0.0)
            states = self.uncond_states + embeddings[:, None] * self.ramp[:, None]
            with self.places.watching() as misplaced, self.mattes.watching() as told:
                predicted = predict_velocity(self.unet, noisy_references, noisy, timesteps, states).float()
        return {
            "velocity": mse_loss(predicted, wanted),
            "place": PLACE_WEIGHT * torch.stack(misplaced).mean(),
            "matte": MATTE_WEIGHT * self.mattes.error(told[-1], examples.mattes),
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


def predict_velocity(
    unet: UNet2DConditionModel, references: Tensor, grids: Tensor, timesteps: Tensor, states: Tensor
) -> Tensor:
    """Return the velocity of noisy grids [B, C, 3h, 2w], which read noisy references [B, C, h, w]."""
    write = WriteTokens()
    unet(references, timesteps, states, cross_attention_kwargs={"exchange": write})
    read = ReadTokens(reference=write.tokens)
    return unet(grids, timesteps, states, cross_attention_kwargs={"exchange": read}).sample


def make_unet() -> UNet2DConditionModel:
    """Return an untrained UNet for latents of 24 x 16; most of it works on half and a quarter of them.

    Attention is written out: on CPUs, the fused kernel's backward pass takes longer.
    """
    unet = UNet2DConditionModel(
        sample_size=(24, 16), in_channels=CHANNELS, out_channels=CHANNELS, layers_per_block=1,
        block_out_channels=(48, 96, 96), attention_head_dim=(1, 6, 6), norm_num_groups=4,
        cross_attention_dim=WIDTH, use_linear_projection=True, **TOLD_EVERYWHERE,
        down_block_types=("CrossAttnDownBlock2D",) * 3, up_block_types=("CrossAttnUpBlock2D",) * 3,
    )  # fmt: skip
    install_reference_attention(unet, AttnProcessor())
    return unet


def read_networks(folder: Path) -> tuple[UNet2DConditionModel, CLIPVisionModelWithProjection, CLIPTextModel]:
    """Return UNet, vision encoder and text encoder of a folder that ``write_folder`` wrote."""
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    install_reference_attention(unet, AttnProcessor())
    encoder = CLIPVisionModelWithProjection.from_pretrained(
        folder / "vision_encoder", dtype=torch.float32, attn_implementation="eager"
    )
    return unet, encoder, CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)


@torch.no_grad()
def align(
    encoder: CLIPVisionModelWithProjection, known: CLIPVisionModelWithProjection, inputs: Tensor
) -> None:
    """Turn an encoder's embeddings, by a linear map, towards those of another: least squares over pictures.

    A UNet that learned from the other can go on from there.

    Args:
        encoder: Its projection takes in the map.
        known: The other.
        inputs: [N, 3, S, S] pictures on gray, -1..1, many more than an embedding has numbers.
    """
    embeddings, wanted = (
        torch.cat([network(part).image_embeds for part in inputs.split(256)]) for network in (encoder, known)
    )
    turn = torch.linalg.lstsq(embeddings, wanted).solution  # [D, D]
    encoder.visual_projection.weight.copy_(turn.T @ encoder.visual_projection.weight)


def make_text_encoder() -> CLIPTextModel:
    """Return an untrained text encoder that knows two words."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=4, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
            max_position_embeddings=NUM_TOKENS, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )  # fmt: skip


def make_scheduler() -> EulerAncestralDiscreteScheduler:
    """Return the noise schedule: linear as Zero123++'s, but it ends at 0.005 and not 0.012.

    That leaves 5 % of the signal at the last step and not 0.2 %.
    """
    return EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.005, beta_schedule="linear", prediction_type="v_prediction"
    )


def write_folder(folder: Path, learner: Learner, vae: AutoencoderKL, text_encoder: CLIPTextModel) -> None:
    """Write a model in the layout of Zero123++."""
    networks = {"unet": learner.unet, "vision_encoder": learner.vision_encoder}
    save_modules(folder, {**networks, "vae": vae, "text_encoder": text_encoder})
    make_scheduler().save_pretrained(folder / "scheduler")
    for name in ("feature_extractor_clip", "feature_extractor_vae"):
        write_image_processor(folder / name)
    write_tokenizer(folder / "tokenizer", NUM_TOKENS)
    scales = {"latent_scale": 1.0, "latent_shift": 0.0, "image_scale": 1.0}
    write_index(
        folder, "Zero123PlusPipeline", PARTS, ramping_coefficients=RAMP,
        stag4d={"tile_size": SIZE, "rig": "v1.1", **scales, "sampling": SAMPLING},
    )  # fmt: skip


def draw_views(folder: Path, toys: Toys, path: Path) -> None:
    """Draw the six views of some toys' first camera, truth above, by the model in a folder."""
    model = load_multiview_model(folder)
    rows = []
    for index, latent in enumerate(sample_grids(model, toys)):
        truth = on_background(toys.pictures[index, :7], GRAY / 255).movedim(1, -1) / 2 + 0.5
        rows += [truth, torch.cat([truth[:1], model.decode(latent)])]
    write_contact_sheet(path, torch.cat(rows), columns=7)


def main() -> None:
    """Train."""
    parser = plan_parser(__doc__, num_steps=7_800, learning_rate=3e-4)
    parser.add_argument("--vae", type=Path, required=True, help="result of training.autoencoder")
    parser.add_argument("--vision", type=Path, help="folder of a run of training.vision")
    parser.add_argument("--begin-with", type=Path, help="result of this command, to go on with")
    arguments = parser.parse_args()
    if arguments.vision is None and arguments.begin_with is None:
        parser.error("expected --vision, --begin-with or both")
    plan = plan_of(arguments, ema_decay=0.995)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    if arguments.begin_with is None:
        unet, encoder, text_encoder = make_unet(), read_encoder(arguments.vision), make_text_encoder()
        networks = weights_key(unet, encoder, text_encoder)
    else:
        unet, encoder, text_encoder = read_networks(arguments.begin_with)
        networks = weights_key(unet, encoder, text_encoder)
        if arguments.vision is not None:
            known, encoder = encoder, read_encoder(arguments.vision)
            networks += weights_key(encoder)
            align(encoder, known, on_background(toys.first(ALIGNED_TOYS).pictures[:, 0], GRAY / 255))
    with torch.no_grad():
        uncond_states = text_encoder(torch.tensor([[0] + [1] * (NUM_TOKENS - 1)]))[0]
    vae = AutoencoderKL.from_pretrained(arguments.vae)
    plan = replace(plan, made_of={"the encoder of --vae": weights_key(vae.encoder), "networks": networks})
    learner = Learner(unet, encoder, uncond_states)
    learner.to(plan.device)
    basis = basis_of_encoder(vae).to(plan.device)
    unseen = draw_toys("val", 0, SHEET_TOYS)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, Learner)
        examples = draw_examples(toys, basis, share_of(BATCH), generator, plan.device)
        return module.loss(examples, generator)

    def draw_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, Learner)
        folder = plan.folder / "mini-zero123plus"
        decoder = AutoencoderKL.from_pretrained(arguments.vae)  # it may have learned since
        write_folder(folder, module, decoder, text_encoder)
        draw_views(folder, unseen, path)

    train(learner, losses_of, plan, draw_sheet)


if __name__ == "__main__":
    main()
