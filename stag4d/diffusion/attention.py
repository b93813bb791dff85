"""Attention processors that connect a ``TokenExchange`` to the UNets of diffusers."""

from __future__ import annotations

from collections.abc import Callable

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

from .token_exchange import TokenExchange

Attend = Callable[..., Tensor]
"""Computes attention, called as diffusers calls its processors."""


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
