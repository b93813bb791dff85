"""The conditioning of a multi-view model on the frames of a video, for ComfyUI's samplers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from ..stag4d.view_set import check_square
from .host.anchored_model import conditioning as frame_conditioning
from .host.prepared_frames import input_video
from .host.progress import HostMonitor
from .host.sockets import CATEGORY_VIEWS, Rig

if TYPE_CHECKING:
    from ..stag4d.diffusion import MultiViewRig


class STAG4DMultiViewConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="STAG4DMultiViewConditioning",
            display_name="STAG4D Multi-View Conditioning",
            category=CATEGORY_VIEWS,
            description="Encodes the frames of a video for a multi-view model: image embeddings and "
            "references for STAG4D Anchored Attention, and an empty latent for each frame's grid of views.",
            search_aliases=["zero123++ conditioning", "multi-view latent", "reference attention"],
            inputs=[
                io.ClipVision.Input("clip_vision", tooltip="CLIP vision of the multi-view model."),
                io.Vae.Input("vae", tooltip="VAE of the multi-view model."),
                io.Conditioning.Input(
                    "conditioning",
                    tooltip="The empty prompt, from STAG4D Load Multi-View Model or CLIP Text Encode.",
                ),
                Rig.Input(
                    "rig",
                    tooltip="From STAG4D Load Multi-View Model or STAG4D Multi-View Model Options.",
                ),
                io.Image.Input("images", tooltip="Square video frames, from STAG4D Prepare Frames."),
                io.Boolean.Input(
                    "share_noise",
                    default=True,
                    tooltip="Have all frames start from the same noise: less flicker.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="1 on the object, one mask per frame. Without it, the images need alpha or a "
                    "plain background.",
                ),
            ],
            outputs=[
                io.Conditioning.Output("positive", tooltip="For KSampler: the frames."),
                io.Conditioning.Output("negative", tooltip="For KSampler: a blank image."),
                io.Latent.Output("latent", tooltip="For KSampler: one empty latent per frame."),
            ],
        )

    @classmethod
    def execute(
        cls,
        clip_vision: Any,
        vae: Any,
        conditioning: list[list[Any]],
        rig: MultiViewRig,
        images: torch.Tensor,
        share_noise: bool,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        check_square(images[..., :3], "images")
        video = input_video(images, mask, 1.0, 0.0, None)
        count = len(video)
        height, width = rig.grid.latent_size(vae.spacial_compression_encode())
        monitor = HostMonitor(encode=2 * count)
        prompt = conditioning[0][0].float()  # [1, K, D]
        embeddings, references = [], []
        # One network after the other: ComfyUI may have memory for one only.
        for frame in range(count):
            image = on_gray(video.images[frame], video.alphas[frame])[None]  # [1, S, S, 3]
            embeddings.append(clip_vision.encode_image(image).image_embeds.float())
            monitor("encode", frame + 1, 2 * count)
        for frame in range(count):
            pixels = rig.reference_pixels(video.images[frame], video.alphas[frame])  # [1, H, W, 3]
            references.append(vae.encode(pixels))
            monitor("encode", count + frame + 1, 2 * count)
        blank = vae.encode(torch.full_like(pixels, 0.5))  # [1, C, h, w]
        reference_latents = torch.cat(references).float()  # [F, C, h, w]
        prompts = rig.embeddings(prompt, torch.cat(embeddings).to(prompt))  # [F, K, D]
        positive = frame_conditioning(prompts, reference_latents)
        negative = frame_conditioning(prompt, blank.float().expand_as(reference_latents))
        latent: dict[str, Any] = {"samples": torch.zeros(count, reference_latents.shape[1], height, width)}
        if share_noise:
            latent["batch_index"] = [0] * count
        return io.NodeOutput(positive, negative, latent)


def on_gray(image: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Return a frame [S, S, 3] composited on the gray of conditioning images, rounded to 8 bits."""
    from ..stag4d.diffusion import gray_background  # diffusers takes seconds to import

    return torch.from_numpy(gray_background(image, alpha)) / 255
