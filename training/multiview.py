"""Train the bundled multi-view model: six views of a toy from one, in the folder layout of Zero123++.

    python -m training.multiview --toys DIR --vae RUN/vae --vision RUN --out RUN
    python -m training.multiview --toys DIR --vae RUN/vae --begin-with FOLDER --out RUN

The UNet is trained, and with it the vision encoder, which starts from ``training.vision``. The text encoder
keeps its random weights, since the prompt is always empty and its states are constants. The second form
continues an existing model. The result is the folder ``RUN/mini-zero123plus``.
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

from stag4d.diffusion import ReadTokens, WriteTokens, load_multiview_model
from stag4d.diffusion.attention import install_reference_attention
from stag4d.diffusion.zero123plus import GRAY
from stag4d.export import write_contact_sheet

from .autoencoder import CHANNELS, LATENT_RMS, basis_of_encoder, sample_grids
from .auxiliary import POSITION_WEIGHT, AlphaHead, PositionHeads
from .folders import save_modules, write_image_processor, write_index, write_tokenizer
from .loop import autocast, config_from, train, training_parser, weights_key
from .parallel import local_batch_size
from .toys import SIZE, Toys, generate_toys, on_background, read_toys
from .vision import ALPHA_WEIGHT, CONDITION_EVERY_RESNET, WIDTH, Examples, read_encoder, sample_examples

BATCH = 16
NUM_TOKENS = 8
RAMP = tuple(round(token / (NUM_TOKENS - 1), 4) for token in range(NUM_TOKENS))
UNCONDITIONAL_SHARE = 0.05
START_SHARE = 0.8  # of a batch that is at the first step of sampling, where grids are pure noise
SHEET_TOYS = 8
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
SAMPLING = {"num_steps": 1, "guidance_scale": 1.0}  # the model's defaults: one step predicts the mean view


class Learner(nn.Module):
    """The UNet with its auxiliary heads, the vision encoder and constants.

    Args:
        unet: UNet with reference attention installed.
        vision_encoder: Image encoder of the input view.
        uncond_embeddings: [1, K, D] text encoder states of the empty prompt.
    """

    uncond_embeddings: Tensor
    ramp: Tensor
    alphas_cumprod: Tensor

    def __init__(
        self,
        unet: UNet2DConditionModel,
        vision_encoder: CLIPVisionModelWithProjection,
        uncond_embeddings: Tensor,
    ) -> None:
        super().__init__()
        self.unet, self.vision_encoder = unet, vision_encoder
        self.position_heads, self.alpha_head = PositionHeads(unet), AlphaHead(unet)
        self.register_buffer("uncond_embeddings", uncond_embeddings, persistent=False)
        self.register_buffer("ramp", torch.tensor(RAMP), persistent=False)
        self.register_buffer("alphas_cumprod", make_scheduler().alphas_cumprod, persistent=False)

    def loss(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the mean squared error of v-prediction (Salimans and Ho, 2022), and the auxiliary losses.

        ``START_SHARE`` of the batch is at the first step of sampling, see ``noised``.

        Args:
            examples: A batch.
            generator: Random generator of timesteps and noise, on the CPU.
        """
        count, device = len(examples.grids), examples.grids.device
        last = len(self.alphas_cumprod) - 1
        timesteps = torch.randint(last + 1, (count,), generator=generator)
        is_uncond = (torch.rand(count, generator=generator) < UNCONDITIONAL_SHARE).to(device)
        is_start = torch.rand(count, generator=generator) < START_SHARE
        timesteps = timesteps.masked_fill(is_start, last).to(device)
        noises = [
            torch.randn(latents.shape, generator=generator).to(device)
            for latents in (examples.references, examples.grids)
        ]
        is_uncond, is_start = is_uncond[:, None, None, None], is_start.to(device)[:, None, None, None]
        alphas = self.alphas_cumprod[timesteps][:, None, None, None]
        noisy, velocity = noised(examples.grids, noises[1], alphas, is_start)
        references = LATENT_RMS * examples.references.masked_fill(is_uncond, 0.0)
        noisy_references, _ = noised(references, noises[0], alphas, torch.zeros_like(is_start))
        with autocast(device):
            embeddings = self.vision_encoder(examples.inputs).image_embeds.float()
            embeddings = embeddings.masked_fill(is_uncond.flatten(1), 0.0)
            states = self.uncond_embeddings + embeddings[:, None] * self.ramp[:, None]
            with self.position_heads.recording() as position_errors, self.alpha_head.recording() as features:
                predicted = predict_velocity(self.unet, noisy_references, noisy, timesteps, states).float()
        return {
            "velocity": mse_loss(predicted, velocity),
            "position": POSITION_WEIGHT * torch.stack(position_errors).mean(),
            "alpha": ALPHA_WEIGHT * self.alpha_head.error(features[-1], examples.alphas),
        }


def noised(latents: Tensor, noise: Tensor, alphas: Tensor, is_start: Tensor) -> tuple[Tensor, Tensor]:
    """Return noisy latents and their velocity, both [B, C, h, w].

    Sampling starts from pure noise, although the noise level of the last timestep would leave some signal.
    Where ``is_start`` is set, the noisy latents have no signal, and the velocity is the one from which the
    sampler's denoised estimate equals the latents.

    Args:
        latents: [B, C, h, w].
        noise: Standard normal noise of the same shape.
        alphas: [B, 1, 1, 1] cumulative alphas of the schedule.
        is_start: [B, 1, 1, 1] bool.
    """
    signal, sigma = alphas.sqrt(), (1 - alphas).sqrt()
    noisy = signal * latents.masked_fill(is_start, 0.0) + sigma * noise
    return noisy, signal * noise - torch.where(is_start, 1 / sigma, sigma) * latents


def predict_velocity(
    unet: UNet2DConditionModel, references: Tensor, grids: Tensor, timesteps: Tensor, states: Tensor
) -> Tensor:
    """Return the velocity of noisy grids [B, C, 3h, 2w], with attention to noisy references [B, C, h, w]."""
    write = WriteTokens()
    unet(references, timesteps, states, cross_attention_kwargs={"exchange": write})
    read = ReadTokens(reference=write.tokens)
    return unet(grids, timesteps, states, cross_attention_kwargs={"exchange": read}).sample


def make_unet() -> UNet2DConditionModel:
    """Return an untrained UNet for latents of 24 x 16; most of its layers are at half and a quarter of that.

    Attention is not fused: on CPUs, the backward pass of the fused kernel is slower.
    """
    unet = UNet2DConditionModel(
        sample_size=(24, 16),
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        layers_per_block=1,
        block_out_channels=(48, 96, 96),
        attention_head_dim=(1, 6, 6),
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        use_linear_projection=True,
        **CONDITION_EVERY_RESNET,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
    )
    install_reference_attention(unet, AttnProcessor())
    return unet


def read_networks(folder: Path) -> tuple[UNet2DConditionModel, CLIPVisionModelWithProjection, CLIPTextModel]:
    """Return UNet, vision encoder and text encoder of a folder written by ``write_folder``, in float32."""
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    install_reference_attention(unet, AttnProcessor())
    encoder = CLIPVisionModelWithProjection.from_pretrained(
        folder / "vision_encoder", dtype=torch.float32, attn_implementation="eager"
    )
    return unet, encoder, CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)


def make_text_encoder() -> CLIPTextModel:
    """Return an untrained text encoder with a vocabulary of four tokens."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=4,
            hidden_size=WIDTH,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            max_position_embeddings=NUM_TOKENS,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )


def make_scheduler() -> EulerAncestralDiscreteScheduler:
    """Return the noise schedule: linear as Zero123++'s, but its last beta is 0.005 instead of 0.012.

    At the last timestep, 5 % of the signal remain instead of 0.2 %.
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
        folder,
        "Zero123PlusPipeline",
        PARTS,
        ramping_coefficients=RAMP,
        stag4d={"tile_size": SIZE, "rig": "v1.1", **scales, "sampling": SAMPLING},
    )


def write_view_sheet(folder: Path, toys: Toys, path: Path) -> None:
    """Write a sheet of a model's six views of some toys: rows of true views above rows of generated ones."""
    model = load_multiview_model(folder)
    rows = []
    for index, latent in enumerate(sample_grids(model, toys)):
        truth = on_background(toys.images[index, :7], GRAY / 255).movedim(1, -1) / 2 + 0.5
        rows += [truth, torch.cat([truth[:1], model.decode(latent)])]
    write_contact_sheet(path, torch.cat(rows), columns=7)


def main() -> None:
    """Train."""
    parser = training_parser(__doc__, num_steps=3_400, learning_rate=4e-4)
    parser.add_argument("--vae", type=Path, required=True, help="folder vae of a run of training.autoencoder")
    parser.add_argument("--vision", type=Path, help="folder of a run of training.vision")
    parser.add_argument("--begin-with", type=Path, help="model folder to continue")
    arguments = parser.parse_args()
    if (arguments.vision is None) == (arguments.begin_with is None):
        parser.error("expected either --vision or --begin-with")
    config = config_from(arguments, ema_decay=0.995)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    if arguments.begin_with is None:
        unet, encoder, text_encoder = make_unet(), read_encoder(arguments.vision), make_text_encoder()
    else:
        unet, encoder, text_encoder = read_networks(arguments.begin_with)
    networks = weights_key(unet, encoder, text_encoder)
    with torch.no_grad():
        uncond_embeddings = text_encoder(torch.tensor([[0] + [1] * (NUM_TOKENS - 1)]))[0]
    vae = AutoencoderKL.from_pretrained(arguments.vae)
    network_keys = {"the encoder of --vae": weights_key(vae.encoder), "networks": networks}
    config = replace(config, network_keys=network_keys)
    learner = Learner(unet, encoder, uncond_embeddings)
    learner.to(config.device)
    basis = basis_of_encoder(vae).to(config.device)
    val_toys = generate_toys("val", 0, SHEET_TOYS)

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, Learner)
        examples = sample_examples(toys, basis, local_batch_size(BATCH), generator, config.device)
        return module.loss(examples, generator)

    def write_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, Learner)
        folder = config.folder / "mini-zero123plus"
        decoder = AutoencoderKL.from_pretrained(arguments.vae)  # it may have been trained meanwhile
        write_folder(folder, module, decoder, text_encoder)
        write_view_sheet(folder, val_toys, path)

    train(learner, losses_of, config, write_sheet)


if __name__ == "__main__":
    main()
