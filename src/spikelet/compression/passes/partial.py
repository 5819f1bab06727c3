"""Attention that reads a part of its queries, keys and values: fewer products, no fewer parameters.

    PartialAttention(0.5)                    every other token for keys and values: q k^T and A v cost half
    PartialAttention(0.5, kind="heads")      every other head
    PartialAttention(0.5, kind="channels")   every other channel of q and k
    PartialAttention(0.5, kind="random")     masks, which lowering refuses

It applies to spikelet.nn.SelfAttention and to the attention of EST (nn/partial.py has the rules and the source). Scores
change their size, so train further behind it (Finetune): the network that `compress` returns says PartialWarning where
it is evaluated at another ratio than that of its last training.
"""

from __future__ import annotations

import dataclasses

from torch import nn

from spikelet.base.errors import CompressionError
from spikelet.base.numbers import make_plain
from spikelet.compression.execution import layers_of
from spikelet.compression.filters import Filter, everything, select
from spikelet.compression.passes.base import Context, Row
from spikelet.nn.device import device_of
from spikelet.nn.partial import PartialInformation, ReadsPartially, partial_information


@dataclasses.dataclass(frozen=True)
class PartialAttention:
    """Gives attentions another partial information.

    Args:
        ratio: the share that is left out, from 0 to below 1.
        kind: one of nn.partial.KINDS.
        rescale: of "random": whether what stays is multiplied by 1 / (1 - ratio).
        where: which attentions.
    Raises:
        SpikeletError: an argument is out of range.
    """

    ratio: float
    kind: str = "tokens"
    rescale: bool = False
    where: Filter = dataclasses.field(default_factory=everything)

    def __post_init__(self) -> None:
        make_plain(self)
        self._made(0)

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Raises CompressionError where the model has no such attention, or the filter matches none."""
        found = layers_of(model, (ReadsPartially,), context.example, context.time_axis)
        if not found:
            raise CompressionError(
                "PartialAttention found no attention whose information it could reduce. It knows "
                "spikelet.nn.SelfAttention and subclasses of spikelet.nn.partial.ReadsPartially."
            )
        rows = []
        for number, (name, attention) in enumerate(select(found, self.where, "PartialAttention.where")):
            assert isinstance(attention, ReadsPartially)
            before, made = attention.partial, self._made(number)
            made.trained_at.fill_(0.0 if before is None else float(before.trained_at))
            attention.partial = made.to(device_of(attention))
            rows.append(Row(name, "information", _words(before), _words(made)))
        return model, rows

    def _made(self, number: int) -> PartialInformation:
        return partial_information(self.kind, self.ratio, layer=number, rescale=self.rescale)


def _words(partial: PartialInformation | None) -> str:
    return "whole" if partial is None or partial.ratio == 0 else f"{type(partial).__name__} {partial.ratio:g}"
