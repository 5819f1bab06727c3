"""Fine-grained distillation: tokens are to be as alike to each other as in a teacher.

    F(X) = X X^T / (|X X^T| + eps)            X [N, d] the tokens of a head, | | the Frobenius norm
    L    = mean over features, samples and heads of  |F(teacher) - F(network)|^2

F is N x N and its norm is 1, so the teacher's heads may have another width. Where the number of heads differs, F is
averaged over them; where the number of tokens differs, the teacher's map is resized to the network's. Spikes are
averaged over time first.

Source: QSD-Transformer (arXiv:2501.13492) names the distillation of q, k and v and shows neither formula nor code. This
is our reading, after Q-ViT (Li et al., NeurIPS 2022, arXiv:2210.06707), whose queries and keys are matched by the same
matrices under the norm; ours is under its square, which has a gradient at 0, and takes v along.
"""

from __future__ import annotations

import dataclasses
import math

import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.nn import SelfAttention

LAYOUTS = ("map", "tokens")
_EPS = 1e-6


@dataclasses.dataclass(frozen=True)
class TokenFeature:
    """The tokens that a module gives.

    module: its name in `model.named_modules()`.
    heads: blocks of channels that are compared apart.
    layout: "map" for [T, B, C, H, W] or [B, C, H, W], "tokens" for [T, B, N, C] or [B, N, C] of a square map.

    Raises:
        SpikeletError: no such layout, or heads below 1.
    """

    module: str
    heads: int = 1
    layout: str = "map"

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise SpikeletError(f"TokenFeature.layout must be one of {', '.join(LAYOUTS)}, got {self.layout!r}.")
        if type(self.heads) is not int or self.heads < 1:
            raise SpikeletError(f"TokenFeature.heads must be a whole number from 1, got {self.heads!r}.")

    def map_of(self, x: Tensor) -> Tensor:
        """[B, C, H, W] of what the module gave, its mean over time.

        Raises:
            ValueError: it has other axes than the layout says.
        """
        axes = 4 if self.layout == "map" else 3
        if x.dim() not in (axes, axes + 1):
            raise SpikeletError(
                f"the feature {self.module} of layout {self.layout!r} must have {axes} axes, or {axes + 1} with time "
                f"first, got shape {tuple(x.shape)}."
            )
        x = x.mean(0) if x.dim() == axes + 1 else x
        if self.layout == "map":
            return x
        side = math.isqrt(x.shape[1])
        if side * side != x.shape[1]:
            raise SpikeletError(
                f"the feature {self.module} has {x.shape[1]} tokens, which are no square map. Leave a class token out."
            )
        return x.transpose(1, 2).unflatten(2, (side, side))


def gram(tokens: Tensor, heads: int) -> Tensor:
    """F of [B, C, H, W], as [B, heads, N, N]."""
    x = tokens.float().flatten(2).unflatten(1, (heads, -1))
    product = x.transpose(-2, -1) @ x
    return product / (product.norm(dim=(-2, -1), keepdim=True) + _EPS)


def gram_loss(network: Tensor, teacher: Tensor, of_network: TokenFeature, of_teacher: TokenFeature) -> Tensor:
    """L of one feature, from what both modules gave."""
    own, other = of_network.map_of(network), of_teacher.map_of(teacher)
    if own.shape[2:] != other.shape[2:]:
        other = F.interpolate(other.float(), own.shape[2:], mode="bilinear", antialias=True)
    mine, told = gram(own, of_network.heads), gram(other, of_teacher.heads)
    if mine.shape[1] != told.shape[1]:
        mine, told = mine.mean(1, keepdim=True), told.mean(1, keepdim=True)
    return (mine - told).square().sum((-2, -1)).mean()


def attention_features(model: nn.Module) -> list[tuple[TokenFeature, TokenFeature, TokenFeature]]:
    """q, k and v of every `SelfAttention` in `model`, in the order of its modules."""
    found = []
    for name, module in model.named_modules():
        if isinstance(module, SelfAttention):
            heads = _heads(module)
            q, k, v = (TokenFeature(f"{name}.{part}", heads) for part in ("query", "key", "value"))
            found.append((q, k, v))
    return found


def _heads(attention: SelfAttention) -> int:
    """Its heads, from the last layer of its query that says how many channels it makes."""
    made = [
        getattr(m, "out_channels", None) or getattr(m, "num_features", None) or 0 for m in attention.query.modules()
    ]
    return max(1, next(c for c in reversed(made) if c) // attention.head_width)


def paired(network: nn.Module, teacher: nn.Module) -> list[tuple[TokenFeature, TokenFeature]]:
    """Every q, k and v of the network, each with the teacher's of the attention at the same relative depth.

    Raises:
        SpikeletError: one of the two has no `SelfAttention`; name their features then.
    """
    own, other = attention_features(network), attention_features(teacher)
    if not own or not other:
        lacking = "the network" if not own else "the teacher"
        raise SpikeletError(
            f"{lacking} has no spikelet.nn.SelfAttention whose q, k and v could be matched. Name the features: "
            "GramMatrices(pairs=[(TokenFeature(...), TokenFeature(...)), ...])."
        )
    pairs = []
    for k, mine in enumerate(own):
        place = (k + 1) * len(other) // len(own) - 1
        pairs += list(zip(mine, other[max(place, 0)], strict=True))
    return pairs
