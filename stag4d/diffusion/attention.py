"""Reference attention and the temporal anchor, as an exchange of tokens between calls of one UNet.

The tokens that a call stores, reads and mixes belong to an object that is passed down by diffusers'
``cross_attention_kwargs``: the UNet itself keeps no state, and several samplers may use it in turn.
Reference attention: Zero123++ (arXiv 2310.15110), section 2.2. Anchor: STAG4D, section 3.2. Keys and values
are linear in the tokens (without bias), so mixing tokens mixes keys and values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

from .sampling_config import Anchor

Attend = Callable[..., Tensor]
"""Computes attention, called as diffusers calls its processors."""

Tokens: TypeAlias = "dict[str, Tensor]"
"""Input tokens of self-attention layers, by layer name."""


class TokenExchange(Protocol):
    """Decides which tokens the self-attentions of one UNet call attend to."""

    def keys_and_values_from(self, layer: str, tokens: Tensor) -> Tensor:
        """Return the tokens [GB, L', C] for a layer's keys and values, given its own tokens [GB, L, C].

        B is the number of frames, G that of guidance branches: 2, or 1 without guidance.
        """
        ...


@dataclass
class WriteTokens:
    """The reference pass: every layer's tokens are stored.

    Attributes:
        tokens: [GB, R, C] each.
    """

    tokens: Tokens = field(default_factory=dict)

    def keys_and_values_from(self, layer: str, tokens: Tensor) -> Tensor:
        """See ``TokenExchange``."""
        self.tokens[layer] = tokens
        return tokens


@dataclass
class ReadTokens:
    """The anchored pass: layers attend to their own tokens, mixed with the anchor's, and to the reference.

    Attributes:
        reference: [GB, R, C] each; every layer's are freed once they are read.
        batch: Numbers of the B frames. The anchor frame is the first of a step's first batch.
        anchor: Anchor frame and weights of the mix; None mixes nothing.
        anchor_tokens: [G, 1, L, C] each, the anchor frame's at this step; the batch that contains it fills
            them in.
        previous_tokens: [G, 1, L, C] each, those of the last frame of the previous batch.
        last_tokens: The same of this batch, for the next one.
    """

    reference: Tokens = field(default_factory=dict)
    batch: Sequence[int] = (0,)
    anchor: Anchor | None = None
    anchor_tokens: Tokens = field(default_factory=dict)
    previous_tokens: Tokens = field(default_factory=dict)
    last_tokens: Tokens = field(default_factory=dict)

    def keys_and_values_from(self, layer: str, tokens: Tensor) -> Tensor:
        """See ``TokenExchange``."""
        if self.anchor is not None and (self.anchor.strength > 0 or self.anchor.previous_strength > 0):
            own = tokens.unflatten(0, (-1, len(self.batch)))  # [G, B, L, C]
            tokens = self._mixed(layer, own, self.anchor).flatten(0, 1)
        # A layer is called once per UNet call, so its reference tokens are not needed again.
        return torch.cat([tokens, self.reference.pop(layer)], dim=1)

    def clear(self) -> None:
        """Free the tokens of a call that failed."""
        self.reference.clear()
        self.last_tokens.clear()

    def _mixed(self, layer: str, own: Tensor, anchor: Anchor) -> Tensor:
        """Return tokens [G, B, L, C] mixed with the anchor's and the previous frames'; the anchor's stay."""
        contains_anchor = self.batch[0] == anchor.frame
        if contains_anchor:
            self.anchor_tokens[layer] = own[:, :1].clone()  # a slice would keep the batch's tokens alive
        anchors = self.anchor_tokens[layer]  # [G, 1, L, C]
        mixed = torch.lerp(own, anchors, anchor.strength)
        if anchor.previous_strength > 0:
            mixed += anchor.previous_strength * (self._previous(layer, own, anchors, anchor.frame) - own)
            self.last_tokens[layer] = own[:, -1:].clone()
        if contains_anchor:  # unmixed: rounding would make it depend on the strengths
            mixed[:, :1] = anchors
        return mixed

    def _previous(self, layer: str, own: Tensor, anchors: Tensor, anchor_frame: int) -> Tensor:
        """Return the tokens [G, B, L, C] of each frame's previous one; the video's first frame has itself."""
        tokens = []
        for index, frame in enumerate(self.batch):
            if frame == 0:
                tokens.append(own[:, index : index + 1])
            elif anchor_frame in (frame - 1, frame):  # the anchor frame's own mix is not used
                tokens.append(anchors)
            elif index > 0:
                tokens.append(own[:, index - 1 : index])
            else:  # the previous frame was the last one of the batch before
                tokens.append(self.previous_tokens[layer])
        return torch.cat(tokens, dim=1)


class ReferenceAttention(nn.Module):
    """Attention processor that lets a ``TokenExchange`` choose the tokens of keys and values.

    Args:
        layer: Name of the layer, for the exchange.
        attend: Computes the attention.
    """

    def __init__(self, layer: str, attend: Attend) -> None:
        super().__init__()
        self._layer, self._attend = layer, attend

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        *,
        exchange: TokenExchange,
    ) -> Tensor:
        """Compute attention; as in diffusers, ``encoder_hidden_states`` is None in self-attention."""
        if encoder_hidden_states is None:
            encoder_hidden_states = exchange.keys_and_values_from(self._layer, hidden_states)
        return self._attend(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def install_reference_attention(unet: UNet2DConditionModel, attend: Attend | None = None) -> None:
    """Install reference attention in a UNet; each call then needs the keyword argument ``exchange``.

    Args:
        unet: Changed in place.
        attend: Computes every attention; PyTorch's fused kernel by default.
    """
    attend = attend or AttnProcessor2_0()
    unet.set_attn_processor({name: ReferenceAttention(name, attend) for name in unet.attn_processors})
