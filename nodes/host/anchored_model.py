"""Reference attention and the temporal anchor as a patch of ComfyUI's MODEL.

Nothing of ComfyUI is replaced. Wrappers and an attn1 patch, which stack with those of other nodes, call the
UNet twice per batch of frames: first for the noised references, whose self-attention tokens are stored, then
for the grids, whose keys and values also come from these tokens and from those of the anchor frame. Tokens
are exchanged before the projections to keys and values, so LoRA, quantized weights and attention overrides
act on both calls. The references travel in the conditioning, which ComfyUI splits by guidance branch.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import comfy.conds
import comfy.model_management
import torch
from comfy.patcher_extension import WrappersMP

if TYPE_CHECKING:
    from ...stag4d.diffusion import AdaptiveBatches, Anchor, SeededNoise, Tokens

KEY = "stag4d_anchor"  # of the wrappers
REFERENCE = "stag4d_reference"  # of the reference latents in the conditioning
EXCHANGE = "stag4d_exchange"  # of the token exchange in the options of a UNet call
SAMPLING = "stag4d_sampling"  # of ``Sampling`` in the options of the sampler's calls
UNCOND_BRANCH = 1  # ComfyUI's number
_EASY_CACHE = "easycache"  # key of its wrappers
_REFUSED = {  # nodes of ComfyUI whose patches need self-attention to its own tokens, and what they do
    "HyperTile": "attends within tiles of an image",
    "SelfAttentionGuidance": "reads the map of a self-attention",
    "PerturbedAttentionGuidance": "replaces a self-attention by its values",
}


class ReferenceLatents(comfy.conds.CONDRegular):
    """Reference latents [F, C, h, w] in a conditioning; refuses another number of latents."""

    def process_cond(self, batch_size: int, **options: Any) -> Any:
        """Return the latents of a batch; raises ValueError unless there is one for each frame."""
        if batch_size != len(self.cond):
            raise ValueError(
                f"multi-view: a latent of {batch_size} frames, and the conditioning of {len(self.cond)}; "
                "connect latent and conditioning of one STAG4D Multi-View Conditioning."
            )
        return self._copy_with(self.cond)


def conditioning(embeddings: torch.Tensor, references: torch.Tensor) -> list[list[Any]]:
    """Return the CONDITIONING of F frames.

    Args:
        embeddings: [F, K, D] or [1, K, D] prompt embeddings.
        references: [F, C, h, w] unscaled VAE latents of the frames, or of the blank image.
    """
    return [[embeddings, {"model_conds": {REFERENCE: ReferenceLatents(references)}}]]


@dataclass(frozen=True, eq=False)
class Sampling:
    """What the UNet calls of one run of a sampler share.

    Attributes:
        noise: Source of the references' noise, and of ancestral noise that all frames share.
        sigmas: Noise levels of the run.
        frames_per_call: Frames per UNet call; None: by free memory.
    """

    noise: SeededNoise
    sigmas: list[float]
    frames_per_call: int | None
    _batches: dict[torch.device, AdaptiveBatches] = field(default_factory=dict)

    def batches(self, latents: torch.Tensor) -> AdaptiveBatches:
        """Return the batches of frames for latents [B, C, h, w]: those of their device.

        ComfyUI calls copies of a model on several GPUs from a thread each.
        """
        from ...stag4d.diffusion import AdaptiveBatches  # diffusers takes seconds to import

        if latents.device not in self._batches:
            pixels = math.prod(latents.shape[2:])
            self._batches[latents.device] = AdaptiveBatches(self.frames_per_call, pixels, latents.device)
        return self._batches[latents.device]

    def step(self, sigma: float) -> int:
        """Return the diffusion step whose noise level is nearest."""
        return min(range(len(self.sigmas)), key=lambda index: abs(self.sigmas[index] - sigma))


@dataclass(frozen=True, eq=False)
class AnchoredAttention:
    """The patch; samplers keep their state in ``Sampling``, so a patched MODEL may be used by several.

    Attributes:
        anchor: Anchor frame and weights of the mix.
        share_noise: Whether all frames get the same ancestral noise.
        share_reference_noise: Whether the references of all frames get the same noise.
        frames_per_call: Frames per UNet call; None: by free memory.
    """

    anchor: Anchor
    share_noise: bool = True
    share_reference_noise: bool = False
    frames_per_call: int | None = None

    def patch(self, model: Any) -> Any:
        """Return a clone of a MODEL with the patch, in place of an earlier one.

        Raises:
            ValueError: if the MODEL has a patch that cannot work with it.
        """
        _refuse_patches(model.model_options.get("transformer_options", {}))
        patched = model.clone()
        for kind, wrapper in (
            (WrappersMP.APPLY_MODEL, self.apply_model),
            (WrappersMP.SAMPLER_SAMPLE, self.sampler_sample),
            (WrappersMP.PREPARE_SAMPLING, self.prepare_sampling),
        ):
            patched.remove_wrappers_with_key(kind, KEY)
            patched.add_wrapper_with_key(kind, KEY, wrapper)
        patches = patched.model_options["transformer_options"].get("patches", {})
        if exchange_tokens not in patches.get("attn1_patch", []):
            patched.set_model_attn1_patch(exchange_tokens)
        return patched

    def prepare_sampling(
        self, executor: Any, model: Any, noise_shape: list[int], conds: Any, *args: Any, **options: Any
    ) -> Any:
        """Have ComfyUI reserve memory for the frames of one call instead of the whole video."""
        from ...stag4d.diffusion import FRAMES_TO_FREE  # diffusers takes seconds to import

        frames = min(noise_shape[0], self.frames_per_call or FRAMES_TO_FREE)
        return executor(model, [frames, *noise_shape[1:]], conds, *args, **options)

    def sampler_sample(
        self,
        executor: Any,
        guider: Any,
        sigmas: torch.Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: torch.Tensor,
        *args: Any,
        **options: Any,
    ) -> Any:
        """Run a sampler with a ``Sampling``, whose noise follows from the sampler's seed.

        Sampling from pure noise begins at sigma * noise, as the published pipeline does, where ComfyUI begins
        at sqrt(1 + sigma^2) * noise.
        """
        sampling = self._sampling(sigmas, extra_args.get("seed") or 0)
        extra_args["model_options"].setdefault("transformer_options", {})[SAMPLING] = sampling
        sampler, first = executor.class_obj, float(sigmas[0])
        if sampler.max_denoise(guider, sigmas):
            noise = noise * (first / math.hypot(1, first))
        given = getattr(sampler, "extra_options", None)
        if not self.share_noise or given is None or not _takes_noise(sampler.sampler_function):
            return executor(guider, sigmas, extra_args, callback, noise, *args, **options)
        try:
            sampler.extra_options = {"noise_sampler": _shared_noise(sampling, noise), **given}
            return executor(guider, sigmas, extra_args, callback, noise, *args, **options)
        finally:
            sampler.extra_options = given

    def apply_model(
        self,
        executor: Any,
        x: torch.Tensor,
        t: torch.Tensor,
        c_concat: torch.Tensor | None = None,
        c_crossattn: torch.Tensor | None = None,
        control: Any = None,
        transformer_options: Mapping[str, Any] | None = None,
        **conds: Any,
    ) -> torch.Tensor:
        """Return the denoised estimates of F frames for each of G guidance branches, [GF, C, h, w].

        Args:
            executor: Calls the model; its noise level is that of x.
            x: [GF, C, h, w] noisy latents x0 + sigma * noise.
            t: [GF] sigma.
            c_concat: Further channels.
            c_crossattn: [GF, K, D] prompt embeddings.
            control: Residuals of a ControlNet; they act on the grids, not on the references.
            transformer_options: ComfyUI's options of the call.
            **conds: Other conditioning, with the references among it.

        Raises:
            ValueError: if the references are missing, or another patch cannot work with this one.
        """
        from ...stag4d.diffusion import COND, UNCOND, ReadTokens, WriteTokens, anchor_first

        options = dict(transformer_options or {})
        references = conds.pop(REFERENCE, None)
        _check_call(references, options)
        kinds = options["cond_or_uncond"]
        count = len(x) // len(kinds)
        if self.anchor.frame >= count:
            raise ValueError(
                f"anchor_frame: {self.anchor.frame} of {count} frames; expected 0 to {count - 1}."
            )
        sigma = float(t[0])
        sampling = options.get(SAMPLING) or self._sampling(options["sample_sigmas"], 0)
        step = sampling.step(sigma)
        anchor = self.anchor if count > 1 else None  # one frame has nothing to be mixed with
        output = torch.empty_like(x)
        anchor_tokens: Tokens = {}
        previous_tokens: Tokens = {}
        batches = sampling.batches(x)
        for batch in batches.of(anchor_first(anchor, count)):
            comfy.model_management.throw_exception_if_processing_interrupted()
            rows = torch.tensor([branch * count + frame for branch in range(len(kinds)) for frame in batch])
            chosen = _Rows(len(x), rows.to(x.device))
            write = WriteTokens()
            read = ReadTokens(write.tokens, batch, anchor, anchor_tokens, previous_tokens)
            shared = {name: chosen(value) for name, value in conds.items()}
            embeddings, shape = chosen(c_crossattn), tuple(references.shape[1:])
            with batches.attempt(batch, release=read.clear):
                fresh = [
                    sampling.noise.reference(frame, step, UNCOND if kind == UNCOND_BRANCH else COND, shape)
                    for kind in kinds
                    for frame in batch
                ]
                noised = chosen(references).to(x) + sigma * torch.stack(fresh).to(x)  # [GB, C, h, w]
                writing = {**options, EXCHANGE: write}
                executor(noised, chosen(t), None, embeddings, None, writing, **shared)
                if not write.tokens:
                    raise ValueError(
                        "multi-view: the self-attention of this model cannot be patched; expected the UNet "
                        "of a multi-view model."
                    )
                reading = {**options, EXCHANGE: read}
                output[chosen.rows] = executor(
                    chosen(x), chosen(t), chosen(c_concat), embeddings, chosen(control), reading, **shared
                )
                previous_tokens = read.last_tokens
        return output

    def _sampling(self, sigmas: torch.Tensor, seed: int) -> Sampling:
        """Return the state of a run."""
        from ...stag4d.diffusion import SeededNoise  # diffusers takes seconds to import

        noise = SeededNoise(seed, self.share_noise, self.share_reference_noise)
        return Sampling(noise, sigmas.tolist(), self.frames_per_call)


def exchange_tokens(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, extra: Mapping[str, Any]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Choose the tokens of keys and values of a self-attention: an attn1 patch of ComfyUI.

    Args:
        queries: [GB, L, C] tokens of the queries; another patch may have merged some.
        keys: [GB, L, C] the layer's own tokens.
        values: The same.
        extra: Options of the call, with number and name of the layer.
    """
    exchange = extra.get(EXCHANGE)
    if exchange is None:  # not a call of ``AnchoredAttention``, such as that of a ControlNet
        return queries, keys, values
    tokens = exchange.keys_and_values_from((*extra["block"], extra["block_index"]), keys)
    return queries, tokens, tokens


@dataclass(frozen=True, eq=False)
class _Rows:
    """Chooses rows of tensors with one row for each frame and branch.

    Attributes:
        total: Rows of such a tensor; others, such as scalars, are left as they are.
        rows: Numbers of the chosen ones.
    """

    total: int
    rows: torch.Tensor

    def __call__(self, value: Any) -> Any:
        """Return the rows of a tensor, or of the tensors in dicts and lists."""
        if isinstance(value, dict):
            return {name: self(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(part) for part in value]
        has_rows = torch.is_tensor(value) and value.ndim > 0 and len(value) == self.total
        return value[self.rows.to(value.device)] if has_rows else value


def _takes_noise(sampler_function: Callable[..., Any]) -> bool:
    """Return whether a sampler takes its noise from an argument."""
    return "noise_sampler" in inspect.signature(sampler_function).parameters


def _shared_noise(sampling: Sampling, latents: torch.Tensor) -> Callable[[Any, Any], torch.Tensor]:
    """Return the noise of a sampler's steps, the same for all frames.

    A sampler that asks more than once in a step gets independent noise each time.
    """
    asked: Counter[int] = Counter()

    def noise(sigma: Any, next_sigma: Any) -> torch.Tensor:
        step = sampling.step(float(sigma))
        number = step + asked[step] * len(sampling.sigmas)
        asked[step] += 1
        fresh = sampling.noise.ancestral(0, number, tuple(latents.shape[1:])).to(latents)
        return fresh.expand_as(latents).clone()

    return noise


def _check_call(references: torch.Tensor | None, options: Mapping[str, Any]) -> None:
    """Raise ValueError unless a call has references and no patch that cannot work with them."""
    if references is None:
        raise ValueError(
            "multi-view: a conditioning without references; connect positive and negative of STAG4D "
            "Multi-View Conditioning."
        )
    if "context_window" in options:
        raise ValueError(
            "multi-view: context windows separate frames from their anchor frame; remove the node, and set "
            "frames_per_call of STAG4D Anchored Attention to bound the memory."
        )
    if _EASY_CACHE in options.get("wrappers", {}).get(WrappersMP.DIFFUSION_MODEL, {}):
        raise ValueError(
            "multi-view: EasyCache compares consecutive calls of the UNet, which are for references and for "
            "grids in turn; remove it, or use LazyCache."
        )
    _refuse_patches(options)


def _refuse_patches(options: Mapping[str, Any]) -> None:
    """Raise ValueError if a node of ``_REFUSED`` has patched the self-attention."""
    patches = list(options.get("patches", {}).get("attn1_patch", []))
    patches += options.get("patches_replace", {}).get("attn1", {}).values()
    for patch in patches:
        node = getattr(patch, "__qualname__", "").split(".")[0]
        if node in _REFUSED:
            raise ValueError(
                f"multi-view: {node} {_REFUSED[node]}, which reference attention extends by other images; "
                "remove one of the nodes."
            )


def check_strengths(anchor: float, previous: float) -> None:
    """Raise ValueError if ``Anchor``, whose import takes seconds, would refuse the sum of its strengths."""
    if anchor + previous > 1 + 1e-6:
        raise ValueError(
            f"previous_strength: {previous:g} with an anchor_strength of {anchor:g}; expected 0 or more, and "
            "a sum of at most 1."
        )
