"""Partial information: attention that reads a part of its queries, keys and values, a ratio p of them left out.

    PartialTokens(p)      keys and values of a fixed subset of tokens; every token still asks    q k^T and A v: 1 - p
    PartialHeads(p)       a fixed subset of heads; the others give 0                             q k^T and A v: 1 - p
    PartialChannels(p)    a fixed subset of the channels of q and k                              q k^T alone:   1 - p
    PartialRandom(p)      every element of q, k and of the scores is 0 with probability p        nothing is skipped
    WholeInformation()    all of it                                                              p = 0

`Product` in linear order, and `ContextMap`, multiply k and v first and that by q (attention.py): there PartialTokens
makes only the first product smaller.

The first three make smaller products, in PyTorch, in the integer graph and in the native program. Lowering leaves out
the channels of q, k and v that nothing reads then, with their weights and neurons (lowering/read_channels.py).

Subsets are spread evenly: of n things the j-th stays where floor((j + 1)(1 - p) + phase) > floor(j (1 - p) + phase),
one at least. A `phase` from 0 to 1 moves the subset, and decides how n (1 - p) is rounded; layers that alternate 0 and
1/2 leave out the ratio p between them.

`PartialRandom` draws anew in every pass of training. In evaluation its masks depend on its seed and the time step
alone; they are the same for all samples of a batch, and at every evaluation. `rescale` multiplies what stays by
1 / (1 - p). Lowering refuses it by name: what differs from element to element no device can skip.

A network trained at one ratio has scores of another size at another one: its accuracy may fall to chance. So the ratio
of the last training pass is a buffer, `trained_at`, and travels with the checkpoint; evaluation at another ratio warns.

Source: partial-information self-attention (EST, arXiv:2210.01208 v1), whose body could not be had, and random spike
masking (Masked Spiking Transformer, its v2). The structured forms are ours. Differences from v2's released code: masks
have a seed, ratio 0 masks nothing, and samples of a batch share masks in evaluation; there they are drawn without a
seed, evaluation included.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import floor
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import PartialWarning, SpikeletError
from spikelet.base.numbers import flag, one_of, plain, share
from spikelet.base.numbers import seed as check_seed
from spikelet.quant.recording import is_recorded

NEVER = -1.0

Triple = tuple[Tensor, Tensor, Tensor]


def evenly(count: int, ratio: float, phase: float = 0.0) -> list[int]:
    """Which of `count` things stay where a share `ratio` leaves, spread evenly. See the module's formula."""
    kept, start = (Fraction(x).limit_denominator(1 << 16) for x in (1 - ratio, phase))
    passed = [floor(j * kept + start) for j in range(count + 1)]
    return [j for j in range(count) if passed[j + 1] > passed[j]] or [0]


class PartialInformation(nn.Module):
    """What attention reads of q, k and v. See the module's text.

    Args:
        ratio: p, from 0 to below 1.
    Raises:
        SpikeletError: ratio out of range.

    Attributes:
        trained_at: the ratio of the last pass of training with gradients, -1 before any.

    Shapes: q, k, v [T, B, h, ..., d, N], heads on axis 2, channels and tokens last; scores [T, B, h, ..., N, N'].
    """

    trained_at: Tensor

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self.ratio = _share(type(self).__name__, ratio=ratio)
        self.register_buffer("trained_at", torch.tensor(NEVER))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Triple:
        """The parts of q, k and v that are read. Warns where the network was trained at another ratio."""
        if self.training:
            if torch.is_grad_enabled():
                self.trained_at.fill_(self.ratio)
        elif not is_recorded():
            self._compare()
        return self.taken(q, k, v)

    def mixed(self, mix: Callable[[Tensor, Tensor, Tensor], Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What `mix` makes of the parts, [T, B, h, ..., d, N]."""
        return self.restored(mix(*self(q, k, v)), q.shape[2])

    def taken(self, q: Tensor, k: Tensor, v: Tensor) -> Triple:
        """The parts."""
        return q, k, v

    def pairs(self, constant: Tensor) -> Tensor:
        """The part that is used of a constant for every pair of tokens, [h, ..., N, N]."""
        return constant

    def scores(self, scores: Tensor) -> Tensor:
        """The scores that are used."""
        return scores

    def restored(self, y: Tensor, heads: int) -> Tensor:
        """The mix of all `heads`."""
        return y

    def kept(self, heads: int, width: int, tokens: int) -> tuple[int, int, int]:
        """How many heads, channels of q and k, and tokens of k and v are read."""
        return heads, width, tokens

    def _compare(self) -> None:
        trained = float(self.trained_at)
        if trained != NEVER and abs(trained - self.ratio) > 1e-6:
            warnings.warn(
                f"a network trained with partial information at ratio {trained:g} is evaluated at {self.ratio:g}: its "
                "scores have another size, and its accuracy may fall to chance. Evaluate it at the ratio of its "
                "training, or train it further at this one.",
                PartialWarning,
                stacklevel=3,
            )

    def extra_repr(self) -> str:
        return f"ratio={self.ratio:g}"


@contextmanager
def between_trainings() -> Iterator[None]:
    """PartialWarning is not given inside: a network on its way from one ratio to another is evaluated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PartialWarning)
        yield


class ReadsPartially(nn.Module):
    """An attention whose `partial` says what it reads of q, k and v; None reads all, and has no buffer for it."""

    partial: PartialInformation | None


class WholeInformation(PartialInformation):
    """All of q, k and v."""

    def __init__(self) -> None:
        super().__init__(0.0)


class Structured(PartialInformation):
    """A fixed subset, evenly spread.

    Args:
        ratio: p.
        phase: from 0 to below 1. See the module's formula.
    """

    def __init__(self, ratio: float, phase: float = 0.0) -> None:
        super().__init__(ratio)
        self.phase = _share(type(self).__name__, phase=phase)

    def subset(self, count: int) -> list[int]:
        """Which of `count` stay."""
        return evenly(count, self.ratio, self.phase)

    def _select(self, x: Tensor, axis: int) -> Tensor:
        chosen = self.subset(x.shape[axis])
        if len(chosen) == x.shape[axis]:
            return x
        return x.index_select(axis, torch.tensor(chosen, device=x.device))


class PartialTokens(Structured):
    """Keys and values of some tokens."""

    def taken(self, q: Tensor, k: Tensor, v: Tensor) -> Triple:
        return q, self._select(k, -1), self._select(v, -1)

    def pairs(self, constant: Tensor) -> Tensor:
        return self._select(constant, -1)

    def kept(self, heads: int, width: int, tokens: int) -> tuple[int, int, int]:
        return heads, width, len(self.subset(tokens))


class PartialHeads(Structured):
    """Some heads; the others give 0."""

    def taken(self, q: Tensor, k: Tensor, v: Tensor) -> Triple:
        return self._select(q, 2), self._select(k, 2), self._select(v, 2)

    def pairs(self, constant: Tensor) -> Tensor:
        return self._select(constant, 0)

    def restored(self, y: Tensor, heads: int) -> Tensor:
        chosen = self.subset(heads)
        if len(chosen) == heads:
            return y
        place = [chosen.index(head) if head in chosen else len(chosen) for head in range(heads)]
        with_zeros = F.pad(y, (0, 0) * (y.dim() - 3) + (0, 1))
        return with_zeros.index_select(2, torch.tensor(place, device=y.device))

    def kept(self, heads: int, width: int, tokens: int) -> tuple[int, int, int]:
        return len(self.subset(heads)), width, tokens


class PartialChannels(Structured):
    """Some channels of q and k."""

    def taken(self, q: Tensor, k: Tensor, v: Tensor) -> Triple:
        return self._select(q, -2), self._select(k, -2), v

    def kept(self, heads: int, width: int, tokens: int) -> tuple[int, int, int]:
        return heads, len(self.subset(width)), tokens


class RandomMask(nn.Module):
    """Elements of a tensor, each 0 with probability p.

    Args:
        ratio: p, from 0 to below 1.
        rescale: whether what stays is multiplied by 1 / (1 - p).
        seed: of evaluation's masks.
    """

    def __init__(self, ratio: float, rescale: bool = False, seed: int = 0) -> None:
        super().__init__()
        flag("RandomMask", rescale=rescale)
        check_seed("RandomMask", seed=seed)
        self.ratio, self.rescale, self.seed = _share("RandomMask", ratio=ratio), rescale, seed

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, ...] -> the same."""
        if self.ratio == 0:
            return x
        stays = (torch.rand_like(x) if self.training else self._drawn(x)) >= self.ratio
        kept = x * stays
        return kept / (1 - self.ratio) if self.rescale else kept

    def _drawn(self, x: Tensor) -> Tensor:
        """Numbers from 0 to 1 for every element of a sample, [T, 1, ...]: those of a step are the same for any T."""
        generator = torch.Generator().manual_seed(self.seed)
        steps = [torch.rand(x.shape[2:], generator=generator) for _ in range(x.shape[0])]
        return torch.stack(steps).unsqueeze(1).to(x.device)

    def extra_repr(self) -> str:
        return f"ratio={self.ratio:g}, rescale={self.rescale}, seed={self.seed}"


class PartialRandom(PartialInformation):
    """Elements of q, k and of the scores, each left out with probability p; values stay.

    Args:
        ratio: p.
        rescale: whether what stays is multiplied by 1 / (1 - p).
        seed: of evaluation's masks; layers of a network differ in it.
    """

    def __init__(self, ratio: float, rescale: bool = False, seed: int = 0) -> None:
        super().__init__(ratio)
        self.masks = nn.ModuleList(RandomMask(ratio, rescale, (seed * 3 + i) % 2**32) for i in range(3))

    def taken(self, q: Tensor, k: Tensor, v: Tensor) -> Triple:
        return self.masks[0](q), self.masks[1](k), v

    def scores(self, scores: Tensor) -> Tensor:
        return self.masks[2](scores)


STRUCTURED: dict[str, type[Structured]] = {"tokens": PartialTokens, "heads": PartialHeads, "channels": PartialChannels}
KINDS = (*STRUCTURED, "random")


def partial_information(kind: str, ratio: float, *, layer: int = 0, rescale: bool = False) -> PartialInformation:
    """The partial information of a network's attention number `layer`.

    Args:
        kind: one of KINDS.
        ratio: p, from 0 to below 1; at 0 all kinds are `WholeInformation`.
        layer: layers of odd numbers take the other half of what is structured; each has a seed of its own.
        rescale: of "random".
    Raises:
        SpikeletError: one of them is out of range, or rescale is asked of a structured kind.
    """
    one_of("partial_information", KINDS, kind=kind)
    flag("partial_information", rescale=rescale)
    if rescale and kind != "random":
        raise SpikeletError(
            f"partial_information.rescale belongs to kind='random', got kind={kind!r}: what is left out for good needs "
            "no rescaling, as training has the same sums."
        )
    if _share("partial_information", ratio=ratio) == 0:
        return WholeInformation()
    if kind == "random":
        return PartialRandom(ratio, rescale, seed=layer)
    return STRUCTURED[kind](ratio, phase=(layer % 2) / 2)


def _share(owner: str, **value: Any) -> float:
    """One number from 0 to below 1. Raises SpikeletError for anything else; names the owner and the field."""
    ((name, given),) = value.items()
    number = plain(given, f"{owner}.{name}")
    share(owner, **{name: number})
    return float(number)
