"""torch's fused attention layers, taken apart into layers and functions that can be replaced one by one.

    nn.MultiheadAttention         query, key, value, F.scaled_dot_product_attention, out
    nn.TransformerEncoderLayer    its attention, norms and linear layers, called as its documentation says

Both compute what torch's do in evaluation, whose fast path reads the weights of all layers in one function.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import ConversionError

FUSED_LAYERS = (nn.MultiheadAttention, nn.TransformerEncoderLayer)


class HeadsApart(nn.Module):
    """nn.MultiheadAttention of the same weights.

    Args:
        fused: the layer.
        name: its name, for errors.
    Raises:
        ConversionError: it adds keys and values of its own (add_bias_kv, add_zero_attn).
    """

    def __init__(self, fused: Any, name: str) -> None:
        super().__init__()
        if fused.bias_k is not None or fused.add_zero_attn:
            raise ConversionError(
                f"{name}: attends to keys of its own. Build it without add_bias_kv and add_zero_attn."
            )
        self.name, self.heads, self.batch_first = name, fused.num_heads, fused.batch_first
        if fused.in_proj_weight is None:
            weights = [fused.q_proj_weight, fused.k_proj_weight, fused.v_proj_weight]
        else:
            weights = list(fused.in_proj_weight.chunk(3))
        biases = [None] * 3 if fused.in_proj_bias is None else list(fused.in_proj_bias.chunk(3))
        self.query, self.key, self.value = map(_linear, weights, biases)
        self.out = _linear(fused.out_proj.weight, fused.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        **others: Any,
    ) -> tuple[Tensor, None]:
        """Tokens [B, N, C], or [N, B, C] where `batch_first` is false -> (tokens, None): weights are not given.

        Raises:
            ConversionError: a mask is given.
        """
        if key_padding_mask is not None or attn_mask is not None or others.get("is_causal"):
            raise ConversionError(f"{self.name}: attends with a mask, and levels on scores do without. Leave it out.")
        q, k, v = (self._heads(f(x)) for f, x in ((self.query, query), (self.key, key), (self.value, value)))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(y if self.batch_first else y.transpose(0, 1)), None

    def _heads(self, x: Tensor) -> Tensor:
        """[B, h, N, d]."""
        x = x if self.batch_first else x.transpose(0, 1)
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class EncoderLayer(nn.Module):
    """nn.TransformerEncoderLayer of the same layers, called one by one.

    Args:
        fused: the layer.
        name: its name, for errors.
    """

    def __init__(self, fused: Any, name: str) -> None:
        super().__init__()
        self.norm_first, self.activation = fused.norm_first, fused.activation
        self.self_attn = HeadsApart(fused.self_attn, f"{name}.self_attn".lstrip("."))
        self.norm1, self.norm2, self.linear1, self.linear2 = fused.norm1, fused.norm2, fused.linear1, fused.linear2
        self.dropout, self.dropout1, self.dropout2 = fused.dropout, fused.dropout1, fused.dropout2

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Tokens -> tokens. Raises ConversionError where a mask is given."""
        masks: dict[str, Any] = {"attn_mask": src_mask, "key_padding_mask": src_key_padding_mask}
        if self.norm_first:
            x = src + self._attended(self.norm1(src), masks, is_causal)
            return x + self._fed(self.norm2(x))
        x = self.norm1(src + self._attended(src, masks, is_causal))
        return self.norm2(x + self._fed(x))

    def _attended(self, x: Tensor, masks: dict[str, Any], is_causal: bool) -> Tensor:
        return self.dropout1(self.self_attn(x, x, x, is_causal=is_causal, **masks)[0])

    def _fed(self, x: Tensor) -> Tensor:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


def taken_apart(fused: nn.Module, name: str) -> nn.Module:
    """The counterpart of one of FUSED_LAYERS, in its mode."""
    made = HeadsApart(fused, name) if isinstance(fused, nn.MultiheadAttention) else EncoderLayer(fused, name)
    return made.train(fused.training)


@torch.no_grad()
def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device=weight.device, dtype=weight.dtype)
    made.weight.copy_(weight)
    if bias is not None:
        made.bias.copy_(bias)
    return made
