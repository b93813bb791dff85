"""Write a random checkpoint in Stable-Zero123's own format; ComfyUI's Python runs it in ComfyUI's folder.

Its UNet has the width that ComfyUI recognizes and the least depth; image encoder and VAE have full size.
"""

import sys
from pathlib import Path

import torch

target = sys.argv[1]
sys.path.insert(0, str(Path.cwd()))
sys.argv = [sys.argv[0], "--cpu"]
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
from comfy.ldm.models.autoencoder import AutoencoderKL  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

torch.manual_seed(0)
unet = UNetModel(
    image_size=32,
    in_channels=8,
    out_channels=4,
    model_channels=320,
    num_res_blocks=[1, 1],
    channel_mult=[1, 1],
    num_heads=8,
    use_spatial_transformer=True,
    transformer_depth=[1, 0],
    transformer_depth_output=[1, 1, 0, 0],
    transformer_depth_middle=0,
    context_dim=768,
    dtype=torch.float32,
)
vae = AutoencoderKL(
    ddconfig={
        "double_z": True,
        "z_channels": 4,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [],
        "dropout": 0.0,
    },
    embed_dim=4,
)
shapes = {
    "conv1.weight": (1024, 3, 14, 14),
    "class_embedding": (1024,),
    "positional_embedding": (257, 1024),
    "proj": (1024, 768),
}
shapes |= {f"{name}.{part}": (1024,) for name in ("ln_pre", "ln_post") for part in ("weight", "bias")}
for layer in range(24):
    block = f"transformer.resblocks.{layer}"
    shapes |= {f"{block}.{name}.{part}": (1024,) for name in ("ln_1", "ln_2") for part in ("weight", "bias")}
    for name, rows, columns in (
        ("attn.out_proj", 1024, 1024),
        ("mlp.c_fc", 4096, 1024),
        ("mlp.c_proj", 1024, 4096),
    ):
        shapes |= {f"{block}.{name}.weight": (rows, columns), f"{block}.{name}.bias": (rows,)}
    shapes |= {f"{block}.attn.in_proj_weight": (3072, 1024), f"{block}.attn.in_proj_bias": (3072,)}
tensors = {
    f"cond_stage_model.model.visual.{name}": 0.02 * torch.randn(shape) for name, shape in shapes.items()
}
for prefix, module in (("model.diffusion_model.", unet), ("first_stage_model.", vae)):
    for name, value in module.state_dict().items():
        fan_in = value[0].numel() if value.ndim > 1 else 1
        is_scale = value.ndim == 1 and name.endswith("weight")
        initial = torch.ones_like(value) if is_scale else torch.randn(value.shape) / max(fan_in, 1) ** 0.5
        tensors[prefix + name] = initial if value.ndim > 1 or is_scale else torch.zeros_like(value)
tensors["cc_projection.weight"] = torch.randn(768, 772) / 772**0.5
tensors["cc_projection.bias"] = torch.zeros(768)
save_file({name: value.half().contiguous() for name, value in tensors.items()}, target)
