"""Where the size of a layer's weights matters: what reads it, but for batch norms, which take any size out again.

conv -> batch norm                  nothing: the norm divides by what it measures, channel by channel
conv -> max pooling -> batch norm   nothing: pooling passes a scale on
conv -> neuron                      the neuron compares with its threshold
conv -> the network's output        the logits
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from spikelet.base.time_axis import TimeAxis
from spikelet.compression.channels.layers import WEIGHTED, is_leaf
from spikelet.compression.execution import few_samples
from spikelet.lowering.trace import Call, tensors, trace
from spikelet.nn import ChannelMap, Gather, MaxPool2d, SumPool2d

PER_CHANNEL_NORMS = (nn.modules.batchnorm._NormBase,)  # batch and instance norms, lazy and synchronised ones too
NORM_FUNCTIONS = frozenset({"batch_norm", "instance_norm"})
PASS_ON = (
    MaxPool2d, SumPool2d, ChannelMap, Gather, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
    nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.Identity,
)  # fmt: skip
PASS_ON_FUNCTIONS = {
    "flatten", "reshape", "view", "unflatten", "permute", "transpose", "squeeze", "unsqueeze", "contiguous", "clone",
    "detach", "dropout", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d",
}  # fmt: skip


def readers_of_scale(model: nn.Module, example: Tensor, time_axis: TimeAxis) -> dict[str, list[Call | None]]:
    """The calls that read each weighted layer's scale, by the layer's name; None stands for the network's output.

    A layer whose list is empty may have weights of any size: a norm behind it takes the size out again.
    """
    traced = trace(model, few_samples(example, time_axis), lambda m: isinstance(m, PER_CHANNEL_NORMS) or is_leaf(m))
    made = {id(tensor) for tensor in tensors(traced.output)}
    uses: defaultdict[int, list[int]] = defaultdict(list)
    for number, call in enumerate(traced.calls, 1):
        for source in call.inputs:
            uses[source].append(number)
    found: defaultdict[str, list[Call | None]] = defaultdict(list)
    for number, call in enumerate(traced.calls, 1):
        if isinstance(call.target, WEIGHTED):
            found[call.where] += _readers(traced.calls, uses, made, number)
    return dict(found)


def _readers(calls: Sequence[Call], uses: dict[int, list[int]], made: set[int], number: int) -> Iterator[Call | None]:
    if id(calls[number - 1].output) in made:
        yield None
    for user in uses.get(number, []):
        call = calls[user - 1]
        if _passes_on(call):
            yield from _readers(calls, uses, made, user)
        elif not _takes_out(call):
            yield call


def _takes_out(call: Call) -> bool:
    is_norm = isinstance(call.target, PER_CHANNEL_NORMS)
    return call.target in NORM_FUNCTIONS if isinstance(call.target, str) else is_norm


def _passes_on(call: Call) -> bool:
    return call.target in PASS_ON_FUNCTIONS if isinstance(call.target, str) else isinstance(call.target, PASS_ON)
