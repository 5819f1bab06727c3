"""Self-attention on spikes, tokens as positions of a map, heads as blocks of channels.

q, k, v are [T, B, h, d, N]: h heads of d = C / h channels over N = H W tokens. With columns as tokens,

    ScoreMap       y = v A^T,   A = neuron(q^T k)      a binary map of tokens, [N, N]       BESTformer on CIFAR
    ContextMap     y = M^T q,   M = neuron(k v^T)      a binary map of channels, [d, d]     BESTformer on ImageNet
    Product        y = v k^T q                         Spikformer's and QSD-Transformer's

`SelfAttention` puts projections before the mix and a scale, a neuron and a projection behind it:

    s = first(x);   q, k, v = query(s), key(s), value(s);   y = behind(mix(q, k, v))

All are exact in integers: spikes are counts times a power of two, and sums of products of counts are whole. Product is
the same function in both orders, (v k^T) q and v (k^T q); it takes the cheaper one, which is linear in tokens where
N > d. Sources: Spikformer (arXiv:2209.15425), BESTformer (arXiv:2501.05904), QSD-Transformer (arXiv:2501.13492). The
authors' fixed factor, 0.125 or 0.25, and learned ones go into `behind`.
"""

from __future__ import annotations

import abc

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import instance
from spikelet.neurons import Neuron
from spikelet.nn.evaluation import exact_products
from spikelet.nn.partial import PartialInformation, ReadsPartially


def heads_of(x: Tensor, head_width: int) -> Tensor:
    """[T, B, h d, H, W] or [T, B, h d, N] as [T, B, h, d, N], d = `head_width`."""
    return x.flatten(3).unflatten(2, (-1, head_width))


def map_of(y: Tensor, like: Tensor) -> Tensor:
    """[T, B, h, d, N] as [T, B, h d, ...], its tokens laid out as those of `like`."""
    return y.flatten(2, 3).unflatten(3, like.shape[3:])


class Mix(nn.Module, abc.ABC):
    """What q, k and v make of each other, [T, B, h, d, N] each."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[T, B, h, d, N], exact in evaluation, under autocast too."""
        with exact_products(self):
            return self.mixed(q, k, v)

    @abc.abstractmethod
    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[T, B, h, d, N]."""


class ScoreMap(Mix):
    """Each token takes the values of the tokens that a neuron fires for: y = v neuron(q^T k)^T.

    Args:
        neuron: from scores [T, B, h, N, N] to spikes; row i has what the query of token i makes of every key.
    Raises:
        SpikeletError: neuron is no module.
    """

    def __init__(self, neuron: Neuron) -> None:
        instance("ScoreMap", nn.Module, neuron=neuron)
        super().__init__()
        self.neuron = neuron

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = self.neuron(q.transpose(-2, -1) @ k)
        return v @ scores.transpose(-2, -1)


class ContextMap(Mix):
    """A neuron fires for pairs of channels, over all tokens: y = neuron(k v^T)^T q. Linear in tokens.

    Args:
        neuron: from contexts [T, B, h, d, d] to spikes; row c has what channel c of the keys makes of every value's.
    Raises:
        SpikeletError: neuron is no module.
    """

    def __init__(self, neuron: Neuron) -> None:
        instance("ContextMap", nn.Module, neuron=neuron)
        super().__init__()
        self.neuron = neuron

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        context = self.neuron(k @ v.transpose(-2, -1))
        return context.transpose(-2, -1) @ q


class Product(Mix):
    """y = v k^T q, without a neuron between, in the order that costs less."""

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        channels, tokens = q.shape[-2:]
        if channels <= tokens:
            return (v @ k.transpose(-2, -1)) @ q
        return v @ (k.transpose(-2, -1) @ q)


class SelfAttention(ReadsPartially):
    """Spiking self-attention over the positions of a map. See the module's equations.

    Args:
        head_width: d, the channels of a head. Heads that leave (pruning) take their channels along; a projection with
            fewer channels than d is one head.
        first: from currents or spikes to what all projections read, such as a neuron.
        query, key, value: each from that to spikes of as many channels.
        mix: ScoreMap(neuron), ContextMap(neuron) or Product().
        behind: from mixed counts to the output, such as a scale, a neuron and a projection.
        partial: what the mix reads of q, k and v (partial.py); None for all of them.
    Raises:
        SpikeletError: head_width is not a whole number from 1, or does not divide the channels of a projection; mix is
            none of the three; q, k and v differ in channels, or k and v in positions.

    Shapes: x [T, B, C, H, W] or [T, B, C, N] -> what `behind` makes of [T, B, C, ...].
    """

    def __init__(
        self,
        head_width: int,
        first: nn.Module,
        query: nn.Module,
        key: nn.Module,
        value: nn.Module,
        mix: Mix,
        behind: nn.Module,
        partial: PartialInformation | None = None,
    ) -> None:
        super().__init__()
        if type(head_width) is not int or head_width < 1:
            raise SpikeletError(f"SelfAttention.head_width must be a whole number from 1, got {head_width!r}.")
        if not isinstance(mix, Mix):
            raise SpikeletError(
                f"SelfAttention.mix must be ScoreMap(neuron), ContextMap(neuron) or Product(), got {mix!r}."
            )
        self.head_width = head_width
        self.first, self.query, self.key, self.value = first, query, key, value
        self.mix, self.behind, self.partial = mix, behind, partial

    def forward(self, x: Tensor) -> Tensor:
        """The attention of every token to all others."""
        s = self.first(x)
        made = [projection(s) for projection in (self.query, self.key, self.value)]
        _require_alike(made)
        q, k, v = (heads_of(spikes, self._width_within(spikes.shape[2])) for spikes in made)
        y = self.mix(q, k, v) if self.partial is None else self.partial.mixed(self.mix, q, k, v)
        return self.behind(map_of(y, made[0]))

    def _width_within(self, channels: int) -> int:
        width = min(self.head_width, channels)
        if channels % width:
            raise SpikeletError(
                f"SelfAttention.head_width = {width} must divide the channels of its projections, got {channels}. "
                "Choose a width that is a multiple of it."
            )
        return width

    def extra_repr(self) -> str:
        return f"head_width={self.head_width}"


def _require_alike(made: list[Tensor]) -> None:
    """Queries, keys and values of as many channels, and as many values as keys."""
    q, k, v = (tuple(spikes.shape) for spikes in made)
    if min(map(len, (q, k, v))) < 4 or not q[2] == k[2] == v[2] or k[3:] != v[3:]:
        raise SpikeletError(
            "SelfAttention's query, key and value must give spikes [T, B, C, H, W] or [T, B, C, N] of as many "
            f"channels, and key and value as many positions, got {q}, {k} and {v}."
        )
