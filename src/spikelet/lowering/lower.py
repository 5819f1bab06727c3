"""From a trained module to the integer graph.

`lower(model, example)` runs the model once in evaluation mode on the example, records its layers and
tensor functions (trace.py), turns each into integer operations (rules.py), and proves by interval
analysis that nothing can overflow, nor a sum leave the integers of float32. Composed of spikelet's own layers,
the graph's spikes and logits equal the model's evaluation bit for bit, while currents stay within 4096 thresholds
(quant/grid.py); with torch's own BatchNorm they differ as far as that layer's floating-point gain differs from
m * 2^-e, which `verify` measures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from spikelet.base.errors import LoweringError, OverflowRefused, SpikeletError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.lowering.rules import MODULES, convert
from spikelet.lowering.trace import Call, leaves, trace
from spikelet.lowering.values import Builder, Value
from spikelet.neurons import time_steps_of
from spikelet.nn.device import device_of


def lower(
    model: nn.Module, example: Tensor, *, labels: Sequence[str] = (), meta: dict[str, str] | None = None
) -> ir.IntGraph:
    """The integer graph of `model`.

    Args:
        model: any module composed of the layers in rules.MODULES and the functions in rules.FUNCTIONS, by
            whatever Python. Not changed.
        example: a uint8 batch as the model takes it, [B, C, H, W] or [T, B, C, H, W]; only its shape matters.
        labels: names of the classes.
        meta: strings to keep with the graph.
    Raises:
        LoweringError: a layer or function has no integer form; names it.
        OverflowRefused: a value could leave 32 bits, or a layer's sum the integers of float32; names the layer.
    """
    if example.dtype != torch.uint8 or example.dim() not in (4, 5):
        raise LoweringError(
            "example must be a uint8 batch [B, C, H, W] or [T, B, C, H, W], "
            f"got {example.dtype} {tuple(example.shape)}."
        )
    time_steps = _time_steps(model)
    traced = trace(model, example.to(device_of(model)), leaves(MODULES))
    if traced.unseen:
        raise LoweringError(f"{traced.unseen[0]}.")
    calls, output = traced.calls, traced.output
    made = [i for i, call in enumerate(calls, 1) if call.output is output]
    if not made:
        raise LoweringError("the model's output must be one tensor computed from its input.")
    needed = _needed(calls, made[-1])
    builder = Builder(time_steps, {name for name, _ in model.named_modules()})
    shape = tuple(example.shape[-3:])
    name = builder.append(ir.Input(builder.extra_name("input"), (), shape))
    values = {0: Value(name, np.array(1.0), shape[0])}
    for i, call in enumerate(calls, 1):
        if i in needed:
            values[i] = convert(builder, call, [values[j] for j in call.inputs])
        elif isinstance(call.target, nn.Module):
            builder.name(call.where)  # a use that leads nowhere counts as one: names say which use a node is
    logits = _logits(builder, values[made[-1]])
    scale = float(logits.scale.reshape(-1)[0])
    graph = ir.IntGraph.of_logits(tuple(builder.nodes), time_steps, scale, tuple(labels), dict(meta or {}))
    _require_exact_floats(graph)
    return graph


def _require_exact_floats(graph: ir.IntGraph) -> None:
    """Refuses sums that float32 evaluation would round."""
    edges = analyse(graph)
    for node in (n for n in graph.nodes if isinstance(n, ir.Conv | ir.Linear)):
        reach = max(-int(edges[node.name].low.min()), int(edges[node.name].high.max()))
        if reach >= 2**24:
            raise OverflowRefused(
                f"{node.name}: its sum may reach {reach}, and float32, in which PyTorch evaluates, holds integers up "
                "to 2^24 only. Use fewer weight bits or inputs, or let it read spikes instead of currents."
            )


def _time_steps(model: nn.Module) -> int:
    try:
        return time_steps_of(model)
    except SpikeletError as e:
        raise LoweringError(str(e)) from e


def _logits(builder: Builder, value: Value) -> Value:
    value = builder.at_scale(value, float(value.scale.min()), "output")
    if not value.timed:
        return value
    name = builder.append(ir.SumTime(builder.extra_name("logits"), (value.node,)))
    return Value(name, value.scale / builder.time_steps, value.channels, timed=False)


def _needed(calls: Sequence[Call], output: int) -> set[int]:
    """Numbers of the calls that call number `output` depends on, itself among them."""
    needed = {output}
    for i in range(output, 0, -1):
        if i in needed:
            needed.update(calls[i - 1].inputs)
    return needed
