"""Self-attention that reads a reference image's tokens, and mixes in those of an anchor frame.

What a call writes, reads and mixes is held by an object of that call, passed down by diffusers'
``cross_attention_kwargs``: the UNet itself keeps no state, and several samplers may use it in turn.
Reference attention: Zero123++ (arXiv 2310.15110), section 2.2. Anchor: STAG4D, section 3.2; mixing inputs
mixes keys and values, which are linear in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

Attend = Callable[..., Tensor]
"""Computes attention, called as diffusers calls its processors."""


class TokenExchange(Protocol):
    """What the self-attentions of one UNet call do with their input tokens."""

    def keys_and_values_from(self, layer: str, tokens: Tensor) -> Tensor:
        """Return what a layer's keys and values are made of, [HB, L', C], given its tokens [HB, L, C].

        H is 2, the halves of guidance, or 1 without.
        """
        ...


@dataclass
class WriteTokens:
    """The pass over the reference: every layer keeps its tokens.

    Attributes:
        tokens: Layer to [HB, R, C].
    """

    tokens: dict[str, Tensor] = field(default_factory=dict)

    def keys_and_values_from(self, layer: str, tokens: Tensor) -> Tensor:
        """See ``TokenExchange``."""
        self.tokens[layer] = tokens
        return tokens


@dataclass
class ReadTokens:
    """The pass over the grid: layers attend to their own tokens, mixed with other frames', and the reference.

    Attributes:
        reference: Layer to [HB, R, C]; each is let go of once it is read.
        anchor: Layer to [H, 1, L, C], the anchor frame's tokens at this step; filled by the call whose batch
            begins with the anchor.
        previous: Layer to [H, 1, L, C], those of the last frame of the batch before.
        last: The same of this batch, for the next.
        strength: Share of the anchor in the other frames, 0 to 1; at 0 nothing of it is kept or mixed.
        previous_strength: Share of the previous frame, the same; both together at most 1.
        batch: Frames of the batch, by number.
        anchor_frame: The anchor's number. Its batch comes first in a step, and it first in its batch.
    """

    reference: dict[str, Tensor] = field(default_factory=dict)
    anchor: dict[str, Tensor] = field(default_factory=dict)
    previous: dict[str, Tensor] = field(default_factory=dict)
    last: dict[str, Tensor] = field(default_factory=dict)
    strength: float = 0.0
    previous_strength: float = 0.0
    batch: Sequence[int] = (0,)
    anchor_frame: int = 0

    def keys_and_values_from(self, layer: str, tokens: Tensor) -> Tensor:
        """See ``TokenExchange``."""
        if self.strength > 0 or self.previous_strength > 0:
            tokens = self._mixed(layer, tokens.unflatten(0, (-1, len(self.batch)))).flatten(0, 1)
        return torch.cat([tokens, self.reference.pop(layer)], dim=1)

    def _mixed(self, layer: str, own: Tensor) -> Tensor:
        """Return a layer's tokens [H, B, L, C] with their shares of the anchor's and the previous frame's."""
        is_anchor_here = self.batch[0] == self.anchor_frame
        if is_anchor_here:
            self.anchor[layer] = own[:, :1].clone()
        anchor = self.anchor[layer]
        mixed = torch.lerp(own, anchor, self.strength)
        if self.previous_strength > 0:
            mixed += self.previous_strength * (self._previous(layer, own, anchor) - own)
            self.last[layer] = own[:, -1:].clone()
        if is_anchor_here:
            mixed[:, :1] = anchor
        return mixed

    def _previous(self, layer: str, own: Tensor, anchor: Tensor) -> Tensor:
        """Return the tokens of each frame's previous one; the clip's first frame has itself."""
        tokens = []
        for index, frame in enumerate(self.batch):
            if frame == 0:
                tokens.append(own[:, index : index + 1])
            elif frame - 1 == self.anchor_frame or frame == self.anchor_frame:
                tokens.append(anchor)
            elif index > 0:
                tokens.append(own[:, index - 1 : index])
            else:
                tokens.append(self.previous[layer])
        return torch.cat(tokens, dim=1)


class ReferenceAttention(nn.Module):
    """A processor for every attention: diffusers' own, self-attention over what the exchange chooses.

    Args:
        layer: Its name, for the exchange.
        attend: Computes it.
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
        """Attend; the names of the arguments are diffusers', None for the states means self-attention."""
        if encoder_hidden_states is None:
            encoder_hidden_states = exchange.keys_and_values_from(self._layer, hidden_states)
        return self._attend(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def install_reference_attention(unet: UNet2DConditionModel, attend: Attend | None = None) -> None:
    """Make a UNet's self-attentions read references; each call then needs an ``exchange``.

    Args:
        unet: Changed in place.
        attend: Computes every attention; by default PyTorch's fused one.
    """
    attend = attend or AttnProcessor2_0()
    unet.set_attn_processor({name: ReferenceAttention(name, attend) for name in unet.attn_processors})
