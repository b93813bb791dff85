"""Train the autoencoder of both models: 64 x 64 images of toys to latents of 32 x 8 x 8.

    python -m training.autoencoder --toys DIR --out RUN [--multiview FOLDER]

The encoder is not trained: its weights are set to compute the leading principal components of 8 x 8 patches
(``set_linear_encoder``), so the models can be trained before the decoder is. The result is ``RUN/vae``.

Latents that a multi-view model generates are less sharp than those of images. With ``--multiview``, half of
each batch are such latents, and the decoder learns to decode them to the most likely silhouettes. The result
is then also written to the model's folder.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn.functional import conv2d

from stag4d.diffusion import MultiViewModel, SeededNoise, load_multiview_model, sample_latents
from stag4d.diffusion.zero123plus import GRAY
from stag4d.export import write_contact_sheet

from .folders import save_modules
from .loop import autocast, config_from, train, training_parser, weights_key
from .parallel import RANK, local_batch_size
from .toys import RIG, Toys, generate_toys, on_background, read_toys

BATCH = 16
PATCH = 8
CHANNELS = 32  # of the latents
WIDTHS, NUM_GROUPS = (12, 48, 48, 72), 4
BACKGROUNDS = (0.0, GRAY / 255, 1.0)  # gray levels of the models' input images
LATENT_RMS = 6.0  # root mean square of latents; noisy latents are divided by it, references are not
LATENT_NOISE = 0.1 * LATENT_RMS  # standard deviation of noise added to the decoder's input
LOG_VARIANCE = -4.0  # of the encoder's posterior
PCA_TOYS = 512
GENERATED_TOYS = 12_288
SHEET_TOYS = 8
CONSTANT = 512.0  # value of the channels that make group normalization a constant factor


def make_autoencoder() -> AutoencoderKL:
    """Return an untrained autoencoder: images [B, 3, 64, 64] to latents [B, 32, 8, 8]."""
    return AutoencoderKL(
        sample_size=64,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=NUM_GROUPS,
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        mid_block_add_attention=False,
        scaling_factor=1 / LATENT_RMS,
    )


def basis_of(toys: Toys) -> Tensor:
    """Return the basis [C, 3, 8, 8] of the encoder, computed from the first toys on gray."""
    return patch_basis(on_background(toys.images[:PCA_TOYS, : len(RIG)].flatten(0, 1), GRAY / 255))


def patch_basis(images: Tensor) -> Tensor:
    """Return the leading principal components of the patches of images [N, 3, H, W] in -1..1, on gray.

    Gray is 0 and remains 0: the mean is not subtracted. The components keep their variances, so that errors
    of latents are proportional to errors of pixels.

    Returns:
        [C, 3, 8, 8], scaled so that latents of the images have a mean square of 1 over all channels.
    """
    patches = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # [N, 3, h, w, 8, 8]
    rows = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2).double()  # [K, 192]
    _, vectors = torch.linalg.eigh(rows.T @ rows)  # ascending
    basis = vectors[:, -CHANNELS:].flip(1).T  # [C, 192]
    basis /= (rows @ basis.T).square().mean().sqrt()
    return basis.reshape(CHANNELS, 3, PATCH, PATCH).float()


@torch.no_grad()
def set_linear_encoder(vae: AutoencoderKL, basis: Tensor) -> None:
    """Set an encoder's weights so that it computes ``LATENT_RMS`` times the products of patches and a basis.

    The residual branches are zero, and the strided convolutions move the pixels of a patch to channels. That
    leaves one group normalization and one SiLU. Two large opposite constants in every group make the
    normalization a constant factor, to a thousandth. For the SiLU every value x is stored as x and -x, since
    silu(x) - silu(-x) = x.

    Args:
        vae: Result of ``make_autoencoder``.
        basis: [C, 3, 8, 8].
    """
    encoder = vae.encoder
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
    identity = torch.eye(max(WIDTHS))
    encoder.conv_in.weight[:3, :, 1, 1] = identity[:3, :3]
    halvings = len(WIDTHS) - 1
    # Bits of a pixel's row and column in its patch, coarsest first: each strided convolution uses one pair.
    bits = basis.reshape(CHANNELS, 3, *(2,) * (2 * halvings))
    order = [axis for bit in range(halvings) for axis in (2 + bit, 2 + halvings + bit)]
    taps = bits.permute(*order[:2], 0, *order[2:], 1).flatten(3)  # [2, 2, C, channels of the level before]
    used = 3  # channels in use
    for level, block in enumerate(encoder.down_blocks[:-1]):
        shortcut = block.resnets[0].conv_shortcut
        if shortcut is not None:
            shortcut.weight[:used, :used, 0, 0] = identity[:used, :used]
        weight = block.downsamplers[0].conv.weight
        for row, column in product(range(2), repeat=2):
            if level == halvings - 1:
                weight[:CHANNELS, :used, row, column] = taps[row, column]
            else:
                start = used * (2 * row + column)
                weight[start : start + used, :used, row, column] = identity[:used, :used]
        used *= 4
    pairs, constants = _channel_layout()
    widen = encoder.down_blocks[-1].resnets[0].conv_shortcut
    for channel, (plus, minus) in enumerate(pairs):
        widen.weight[plus, channel, 0, 0] = 1.0
        widen.weight[minus, channel, 0, 0] = -1.0
        encoder.conv_out.weight[channel, plus, 1, 1] = 1.0
        encoder.conv_out.weight[channel, minus, 1, 1] = -1.0
    for plus, minus in constants:
        widen.bias[plus], widen.bias[minus] = CONSTANT, -CONSTANT
    encoder.conv_norm_out.weight.fill_(CONSTANT * (2 / (WIDTHS[-1] // NUM_GROUPS)) ** 0.5)
    encoder.conv_out.bias[CHANNELS:] = LOG_VARIANCE
    assert vae.quant_conv is not None
    vae.quant_conv.weight[:, :, 0, 0] = identity[: 2 * CHANNELS, : 2 * CHANNELS]
    vae.quant_conv.weight[:CHANNELS] *= LATENT_RMS
    vae.quant_conv.bias.zero_()


def _channel_layout() -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the last level's channels of each value and its negative, and each group's two constant ones."""
    size, values = WIDTHS[-1] // NUM_GROUPS, CHANNELS // NUM_GROUPS
    pairs = [
        (size * group + 2 * value, size * group + 2 * value + 1)
        for group in range(NUM_GROUPS)
        for value in range(values)
    ]
    return pairs, [(size * group + size - 2, size * group + size - 1) for group in range(NUM_GROUPS)]


def random_images(toys: Toys, count: int, generator: torch.Generator) -> Tensor:
    """Return images of random toys from random cameras on random backgrounds, [B, 3, 64, 64] in -1..1."""
    rows = torch.randint(len(toys), (count,), generator=generator)
    cameras = torch.randint(toys.images.shape[1], (count,), generator=generator)
    levels = torch.tensor(BACKGROUNDS)[torch.randint(len(BACKGROUNDS), (count,), generator=generator)]
    return on_background(toys.images[rows, cameras], levels[:, None, None, None])


def sample_grids(model: MultiViewModel, toys: Toys) -> Tensor:
    """Return the scaled latents of the grids that a multi-view model generates from each toy's input view."""
    inputs = toys.images[:, 0].float() / 255  # [N, S, S, 4]
    config = replace(model.sampling, anchor=None)
    return sample_latents(model, inputs[..., :3], inputs[..., 3], SeededNoise(0), config)


def generated_views(model: MultiViewModel, toys: Toys) -> tuple[Tensor, Tensor]:
    """Return the views that a multi-view model generates from the input views of N toys, and the true ones.

    Returns:
        Latents [6 N, C, h, w] for the decoder, of views on the model's gray, and true RGBA images
        [6 N, S, S, 4] uint8.
    """
    latents = model.grid.unscaled(sample_grids(model, toys)) / model.vae.config.scaling_factor
    tiles = torch.cat([model.grid.views_of(grid.movedim(0, -1)).movedim(-1, 1) for grid in latents])
    return tiles, toys.images[:, 1 : len(RIG)].flatten(0, 1)


@torch.no_grad()
def basis_of_encoder(vae: AutoencoderKL) -> Tensor:
    """Return the basis [C, 3, 8, 8] of an encoder that ``set_linear_encoder`` set, to a thousandth."""
    pixels = torch.eye(3 * PATCH**2, device=vae.device).reshape(-1, 3, PATCH, PATCH)  # unit impulses
    return vae.encode(pixels).latent_dist.mean.flatten(1).T.reshape(CHANNELS, 3, PATCH, PATCH) / LATENT_RMS


def latents_of(basis: Tensor, images: Tensor) -> Tensor:
    """Return the encoder's latents of images divided by ``LATENT_RMS``, with a tenth of its operations.

    Args:
        basis: [C, 3, 8, 8].
        images: [..., 3, S, S] in -1..1.

    Returns:
        [..., C, h, w] with a mean square of 1.
    """
    return conv2d(images.flatten(0, -4), basis, stride=PATCH).unflatten(0, images.shape[:-3])


def main() -> None:
    """Train."""
    parser = training_parser(__doc__, num_steps=6_000, learning_rate=2e-3)
    parser.add_argument("--multiview", type=Path, help="folder of a multi-view model")
    arguments = parser.parse_args()
    config = config_from(arguments, ema_decay=0.995)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    if arguments.multiview is None:
        basis, generated = basis_of(toys), None
    else:  # the basis that the model was trained with, which does not depend on these toys
        trained = AutoencoderKL.from_pretrained(arguments.multiview / "vae", torch_dtype=torch.float32)
        basis = basis_of_encoder(trained)
        model = load_multiview_model(arguments.multiview, device=config.device)
        generated = generated_views(model, toys.first(GENERATED_TOYS))
        config = replace(config, network_keys={"--multiview": weights_key(model.unet, model.vision_encoder)})
    vae = make_autoencoder()
    set_linear_encoder(vae, basis)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    vae.to(config.device)
    if RANK == 0 and not (config.folder / "vae").exists():
        vae.save_pretrained(config.folder / "vae")  # the encoder is final, so other scripts can use it

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, AutoencoderKL)
        count = local_batch_size(BATCH if generated is None else BATCH // 2)
        images = random_images(toys, count, generator).to(config.device)
        with torch.no_grad():
            latents = module.encode(images).latent_dist.mean
        latents = latents + LATENT_NOISE * torch.randn(latents.shape, generator=generator).to(config.device)
        if generated is not None:
            rows = torch.randint(len(generated[0]), (count,), generator=generator)
            latents = torch.cat([latents, generated[0][rows].to(config.device)])
            truth = on_background(generated[1][rows], GRAY / 255).to(config.device)
            images = torch.cat([images, truth])
        with autocast(config.device):
            decoded = module.decode(latents).sample.float()
        error = decoded - images
        return {"l1": error.abs().mean(), "l2": error.square().mean()}

    val_toys = generate_toys("val", 0, SHEET_TOYS)
    fixed = random_images(val_toys, 16, torch.Generator().manual_seed(0)).to(config.device)

    def write_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, AutoencoderKL)
        with torch.no_grad():
            decoded = module.decode(module.encode(fixed).latent_dist.mean).sample
        rows = torch.cat([fixed[:8], decoded[:8], fixed[8:], decoded[8:]])
        write_contact_sheet(path, (rows / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu(), columns=8)
        module.save_pretrained(config.folder / "vae")
        if arguments.multiview is not None:
            save_modules(arguments.multiview, {"vae": module})

    train(vae, losses_of, config, write_sheet)


if __name__ == "__main__":
    main()
