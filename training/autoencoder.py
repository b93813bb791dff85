"""The autoencoder between pictures of toys and latents, which both models use.

    python -m training.autoencoder --toys DIR --out RUN [--multiview FOLDER]

Its encoder is not learned: it is set to the leading principal components of 8 x 8 patches, so pictures can be
encoded, and the models trained, while the decoder still learns to draw them; see ``set_linear_encoder``. The
result is ``RUN/vae``.

Views that a multi-view model draws are less sharp than pictures. Given one, the decoder learns half of the
time from its latents, and draws outlines where they most likely are. The model's folder gets the result, too.
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
from .loop import autocast, plan_of, plan_parser, train, weights_key
from .parallel import RANK, share_of
from .toys import RIG, Toys, draw_toys, on_background, read_toys

BATCH = 16
PATCH = 8
CHANNELS = 24  # of a latent
WIDTHS, NUM_GROUPS = (12, 48, 48, 64), 4
BACKGROUNDS = (0.0, GRAY / 255, 1.0)  # those that the models see
STRENGTH = 6.0  # root mean square of latents; a UNet gets its own divided by it, its reference as it is
LATENT_NOISE = 0.1 * STRENGTH  # standard deviation: latents that a model draws are not exact
LOG_VARIANCE = -4.0  # of the posterior
PCA_TOYS = 512
DRAWN_TOYS = 12_288
SHEET_TOYS = 8
STEADY = 512.0  # of the channels that make group normalization a constant factor


def make_autoencoder() -> AutoencoderKL:
    """Return an untrained autoencoder: 64 x 64 pixels to 24 x 8 x 8."""
    return AutoencoderKL(
        sample_size=64, block_out_channels=WIDTHS, layers_per_block=1, latent_channels=CHANNELS,
        norm_num_groups=NUM_GROUPS, down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS), mid_block_add_attention=False,
        scaling_factor=1 / STRENGTH,
    )  # fmt: skip


def basis_of(toys: Toys) -> Tensor:
    """Return the basis [C, 3, 8, 8] that the encoder is made of."""
    return patch_basis(on_background(toys.pictures[:PCA_TOYS, : len(RIG)].flatten(0, 1), GRAY / 255))


def patch_basis(pictures: Tensor) -> Tensor:
    """Return the leading principal components of the patches of pictures [N, 3, H, W] in front of gray.

    Gray is 0 in -1..1, and stays 0. The components keep their variances: errors of latents are errors of
    pixels.

    Returns:
        [C, 3, 8, 8]; products have a mean square of 1 over all channels.
    """
    patches = pictures.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # [N, 3, h, w, 8, 8]
    rows = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2).double()  # [K, 192]
    _, vectors = torch.linalg.eigh(rows.T @ rows)  # ascending
    basis = vectors[:, -CHANNELS:].flip(1).T  # [C, 192]
    basis /= (rows @ basis.T).square().mean().sqrt()
    return basis.reshape(CHANNELS, 3, PATCH, PATCH).float()


@torch.no_grad()
def set_linear_encoder(vae: AutoencoderKL, basis: Tensor) -> None:
    """Make an autoencoder's encoder compute ``STRENGTH`` times the products of patches with a basis.

    The residual branches are zero, and the strided convolutions sort the pixels of a patch into channels.
    What is left is one group normalization and one SiLU. Two large opposite channels in every group make the
    first a constant factor, to a thousandth. For the second every value x is kept as x and -x, since
    silu(x) - silu(-x) = x.

    Args:
        vae: As ``make_autoencoder`` gives it.
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
    # A patch's row number in binary is its halves' numbers, coarsest first; so is its column number.
    bits = basis.reshape(CHANNELS, 3, *(2,) * (2 * halvings))
    order = [axis for bit in range(halvings) for axis in (2 + bit, 2 + halvings + bit)]
    taps = bits.permute(*order[:2], 0, *order[2:], 1).flatten(3)  # [2, 2, C, what was sorted before]
    used = 3  # channels that hold something
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
    pairs, steady = _places()
    widen = encoder.down_blocks[-1].resnets[0].conv_shortcut
    for channel, (plus, minus) in enumerate(pairs):
        widen.weight[plus, channel, 0, 0] = 1.0
        widen.weight[minus, channel, 0, 0] = -1.0
        encoder.conv_out.weight[channel, plus, 1, 1] = 1.0
        encoder.conv_out.weight[channel, minus, 1, 1] = -1.0
    for plus, minus in steady:
        widen.bias[plus], widen.bias[minus] = STEADY, -STEADY
    encoder.conv_norm_out.weight.fill_(STEADY * (2 / (WIDTHS[-1] // NUM_GROUPS)) ** 0.5)
    encoder.conv_out.bias[CHANNELS:] = LOG_VARIANCE
    assert vae.quant_conv is not None
    vae.quant_conv.weight[:, :, 0, 0] = identity[: 2 * CHANNELS, : 2 * CHANNELS]
    vae.quant_conv.weight[:CHANNELS] *= STRENGTH
    vae.quant_conv.bias.zero_()


def _places() -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the last level's channels for each value and its opposite, and each group's two steady ones."""
    size, values = WIDTHS[-1] // NUM_GROUPS, CHANNELS // NUM_GROUPS
    pairs = [
        (size * group + 2 * value, size * group + 2 * value + 1)
        for group in range(NUM_GROUPS)
        for value in range(values)
    ]
    return pairs, [(size * group + size - 2, size * group + size - 1) for group in range(NUM_GROUPS)]


def random_pictures(toys: Toys, count: int, generator: torch.Generator) -> Tensor:
    """Return pictures of random toys from random cameras on random backgrounds, [B, 3, 64, 64] in -1..1."""
    rows = torch.randint(len(toys), (count,), generator=generator)
    cameras = torch.randint(toys.pictures.shape[1], (count,), generator=generator)
    levels = torch.tensor(BACKGROUNDS)[torch.randint(len(BACKGROUNDS), (count,), generator=generator)]
    return on_background(toys.pictures[rows, cameras], levels[:, None, None, None])


def sample_grids(model: MultiViewModel, toys: Toys) -> Tensor:
    """Return the latents of the grids that a multi-view model draws of toys' first pictures, each alone."""
    inputs = toys.pictures[:, 0].float() / 255  # [N, S, S, 4]
    config = replace(model.sampling, anchor=None)
    return sample_latents(model, inputs[..., :3], inputs[..., 3], SeededNoise(0), config)


def views_of(model: MultiViewModel, toys: Toys) -> tuple[Tensor, Tensor]:
    """Return what a multi-view model makes of the first pictures of N toys, and what it should make.

    Returns:
        Latents [6 N, C, h, w] as the decoder takes them, and pictures [6 N, S, S, 4] uint8; the model's have
        its gray behind them.
    """
    latents = model.grid.unscaled(sample_grids(model, toys)) / model.vae.config.scaling_factor
    tiles = torch.cat([model.grid.views_of(grid.movedim(0, -1)).movedim(-1, 1) for grid in latents])
    return tiles, toys.pictures[:, 1 : len(RIG)].flatten(0, 1)


@torch.no_grad()
def basis_of_encoder(vae: AutoencoderKL) -> Tensor:
    """Return the basis [C, 3, 8, 8] that ``set_linear_encoder`` made an encoder of, to a thousandth."""
    pixels = torch.eye(3 * PATCH**2, device=vae.device).reshape(-1, 3, PATCH, PATCH)  # one lit in each
    return vae.encode(pixels).latent_dist.mean.flatten(1).T.reshape(CHANNELS, 3, PATCH, PATCH) / STRENGTH


def latents_of(basis: Tensor, pictures: Tensor) -> Tensor:
    """Return what the encoder makes of pictures, over ``STRENGTH``, by a tenth of the work.

    Args:
        basis: [C, 3, 8, 8].
        pictures: [..., 3, S, S] in -1..1.

    Returns:
        [..., C, h, w] with a mean square of 1.
    """
    return conv2d(pictures.flatten(0, -4), basis, stride=PATCH).unflatten(0, pictures.shape[:-3])


def main() -> None:
    """Train."""
    parser = plan_parser(__doc__, num_steps=6_000, learning_rate=2e-3)
    parser.add_argument("--multiview", type=Path, help="folder of a multi-view model, mini-zero123plus")
    arguments = parser.parse_args()
    plan = plan_of(arguments, ema_decay=0.995)
    toys = read_toys(arguments.toys, arguments.shards, arguments.first)
    if arguments.multiview is None:
        basis, drawn = basis_of(toys), None
    else:  # the basis is what the model learned with, whatever toys these are
        known = AutoencoderKL.from_pretrained(arguments.multiview / "vae", torch_dtype=torch.float32)
        basis = basis_of_encoder(known)
        model = load_multiview_model(arguments.multiview, device=plan.device)
        drawn = views_of(model, toys.first(DRAWN_TOYS))
        plan = replace(plan, made_of={"--multiview": weights_key(model.unet, model.vision_encoder)})
    vae = make_autoencoder()
    set_linear_encoder(vae, basis)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    vae.to(plan.device)
    if RANK == 0 and not (plan.folder / "vae").exists():
        vae.save_pretrained(plan.folder / "vae")  # what encodes is ready

    def losses_of(module: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        assert isinstance(module, AutoencoderKL)
        count = share_of(BATCH) if drawn is None else share_of(BATCH // 2)  # half are drawn
        pictures = random_pictures(toys, count, generator).to(plan.device)
        with torch.no_grad():
            latents = module.encode(pictures).latent_dist.mean
        latents = latents + LATENT_NOISE * torch.randn(latents.shape, generator=generator).to(plan.device)
        if drawn is not None:
            rows = torch.randint(len(drawn[0]), (count,), generator=generator)
            latents = torch.cat([latents, drawn[0][rows].to(plan.device)])
            truth = on_background(drawn[1][rows], GRAY / 255).to(plan.device)
            pictures = torch.cat([pictures, truth])
        with autocast(plan.device):
            decoded = module.decode(latents).sample.float()
        error = decoded - pictures
        return {"l1": error.abs().mean(), "l2": error.square().mean()}

    unseen = draw_toys("val", 0, SHEET_TOYS)
    fixed = random_pictures(unseen, 16, torch.Generator().manual_seed(0)).to(plan.device)

    def draw_sheet(module: nn.Module, path: Path) -> None:
        assert isinstance(module, AutoencoderKL)
        with torch.no_grad():
            decoded = module.decode(module.encode(fixed).latent_dist.mean).sample
        rows = torch.cat([fixed[:8], decoded[:8], fixed[8:], decoded[8:]])
        write_contact_sheet(path, (rows / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu(), columns=8)
        module.save_pretrained(plan.folder / "vae")
        if arguments.multiview is not None:
            save_modules(arguments.multiview, {"vae": module})

    train(vae, losses_of, plan, draw_sheet)


if __name__ == "__main__":
    main()
