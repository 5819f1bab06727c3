"""Channels leave a model: its tensors get smaller, everything else keeps its trained values.

Removing units takes away their channels wherever they are carried: every layer that read them goes on as if it read
zeros, and a quantizer no longer sees the weights that read or made them. In detail (M the
unpruned model with every carried channel of the units set to 0 behind each layer):

    weights without a quantizer, or with FullPrecision      pruned(x) = M(x)
    any quantizer                                           pruned(x) = M(x), with each quantizer of M applied to the
                                                            weights that stay and 0 for those that leave

The difference matters: a scale or mean over a channel's weights changes when some of them leave, as it does in the
authors' code of QP-SNN, which copies W[keep][:, keep_prev] and takes the scale anew. A quantizer that holds tensors of
its layer keeps the entries of the channels and weights that stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.compression.channels.find import Channels
from spikelet.compression.channels.layers import Kept, rule_of
from spikelet.compression.channels.same_graph import check_same, steps_of
from spikelet.compression.channels.training import training_runs


def remove_channels(model: nn.Module, channels: Channels, units: Tensor, example: Tensor) -> None:
    """Cuts `units` out of `model` in place, and runs it in evaluation and in training mode.

    Args:
        model: the model that was analysed, or a copy of it.
        channels: what `find_channels` found of it.
        units: int64 [R], of the groups' units; every layer keeps one at least.
        example: a batch as the model takes it, laid out like the one that was analysed.
    Raises:
        CompressionError: a unit is not of a group, a layer would lose all of its channels (nothing was changed), or
            the smaller model does not run or does not do the same (it is of no use then: work on a copy).
    """
    _check(channels, units)
    modules = dict(model.named_modules())
    replace = _Replacement()
    before = steps_of(model, example, channels.time_axis)
    for layer in channels.layers.values():
        masks = [None if ids is None else ~torch.isin(ids, units) for ids in (layer.reads, layer.makes)]
        if all(mask is None or bool(mask.all()) for mask in masks):
            continue
        rule = rule_of(modules[layer.name])
        assert rule is not None, "only layers with a rule carry channels"
        rule.shrink(modules[layer.name], Kept(*masks), replace)
    with _explained("does not run", units):
        after = steps_of(model, example, channels.time_axis)
    check_same(before, after, channels.values, units)
    if channels.trains:
        with _explained("does not run in training mode", units):
            training_runs(model, example, channels.time_axis)


@contextmanager
def _explained(what: str, units: Tensor) -> Iterator[None]:
    try:
        yield
    except Exception as e:
        raise CompressionError(
            f"the model {what} any more without {len(units)} of its channels: {e}. Its code may name a number of "
            "channels; take such numbers from the tensors' shapes."
        ) from e


def _check(channels: Channels, units: Tensor) -> None:
    known = {unit for group in channels.groups for unit in group.units.tolist()}
    unknown = sorted(set(units.tolist()) - known)
    if unknown:
        raise CompressionError(f"units must be of channels.groups, which hold no unit {unknown[0]}.")
    for layer in channels.layers.values():
        if layer.makes is not None and bool(torch.isin(layer.makes, units).all()):
            raise CompressionError(f"{layer.name}: all of its {len(layer.makes)} channels would leave; keep one.")


class _Replacement:
    """Puts smaller tensors in the place of a module's; a tensor that two modules share is cut once and stays shared."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Tensor, Tensor]] = {}  # with the old tensor, whose id stays taken

    def __call__(self, module: nn.Module, name: str, pick: Callable[[Tensor], Tensor]) -> None:
        old = getattr(module, name)
        if old is None:
            return
        if id(old) not in self._made:
            new = pick(old.detach()).clone()
            if isinstance(old, nn.Parameter):
                new = nn.Parameter(new, requires_grad=old.requires_grad)
            self._made[id(old)] = old, new
        setattr(module, name, self._made[id(old)][1])
