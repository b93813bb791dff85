"""Reference attention and the temporal anchor, as an exchange of tokens between calls of one UNet.

The tokens that a call stores, reads and mixes belong to an object of this module; the UNet itself keeps no
state, and several samplers may use it in turn. It needs torch only: ``attention`` connects it to diffusers'
UNets, the ComfyUI nodes to ComfyUI's.
Reference attention: Zero123++ (arXiv 2310.15110), section 2.2. Anchor: STAG4D, section 3.2. Keys and values
are linear in the tokens (without bias), so mixing tokens mixes keys and values.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from .sampling_config import Anchor

Layer: TypeAlias = Hashable
"""Identifies a self-attention layer of a UNet."""

Tokens: TypeAlias = "dict[Layer, Tensor]"
"""Input tokens of self-attention layers, by layer."""


class TokenExchange(Protocol):
    """Decides which tokens the self-attentions of one UNet call attend to."""

    def keys_and_values_from(self, layer: Layer, tokens: Tensor) -> Tensor:
        """Return the tokens [GB, L', C] for a layer's keys and values, given its own tokens [GB, L, C].

        B is the number of frames, G that of guidance branches: 2, or 1 without guidance.
        """
        ...


class OwnTokens:
    """Plain self-attention: every layer attends to its own tokens."""

    def keys_and_values_from(self, layer: Layer, tokens: Tensor) -> Tensor:
        """See ``TokenExchange``."""
        return tokens


@dataclass
class WriteTokens:
    """The reference pass: every layer's tokens are stored.

    Attributes:
        tokens: [GB, R, C] each.
    """

    tokens: Tokens = field(default_factory=dict)

    def keys_and_values_from(self, layer: Layer, tokens: Tensor) -> Tensor:
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

    def keys_and_values_from(self, layer: Layer, tokens: Tensor) -> Tensor:
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

    def _mixed(self, layer: Layer, own: Tensor, anchor: Anchor) -> Tensor:
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

    def _previous(self, layer: Layer, own: Tensor, anchors: Tensor, anchor_frame: int) -> Tensor:
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
