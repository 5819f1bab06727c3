"""From a trained module to the integer graph.

`lower(model, example)` runs the model once in evaluation mode on the example, records its layers and
tensor functions (trace.py), turns each into integer operations (rules.py), and proves by interval
analysis that nothing can overflow. Composed of spikelet's own layers, the graph's spikes and logits equal
the model's evaluation bit for bit; with torch's own BatchNorm they differ as far as that layer's
floating-point gain differs from m * 2^-e, which `verify` measures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.lower.errors import LoweringError
from spikelet.lower.rules import MODULES, convert
from spikelet.lower.trace import trace
from spikelet.lower.values import Builder, Value
from spikelet.neurons import LIF


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
        OverflowRefused: a value could leave 32 bits; names the layer.
    """
    if example.dtype != torch.uint8 or example.dim() not in (4, 5):
        raise LoweringError(
            f"example must be a uint8 batch [B, C, H, W] or [T, B, C, H, W], got {example.dtype} {tuple(example.shape)}."
        )
    time_steps = _time_steps(model)
    calls, output = trace(model, example, lambda m: type(m) in MODULES or not list(m.children()) and _is_layer(m))
    builder = Builder()
    shape = tuple(example.shape[-3:])
    name = builder.append(ir.Input(builder.name("input"), (), shape))
    values = [Value(name, np.array(1.0), shape[0])]
    for call in calls:
        values.append(convert(builder, call, [values[i] for i in call.inputs]))
    made = [i + 1 for i, call in enumerate(calls) if call.output is output]
    if not made:
        raise LoweringError("the model's output must be one tensor computed from its input.")
    logits = _logits(builder, values[made[-1]], time_steps)
    graph = ir.IntGraph(
        _needed(builder.nodes, logits.node), time_steps, float(logits.scale.reshape(-1)[0]), tuple(labels), dict(meta or {})
    )
    analyse(graph)
    return graph


def _is_layer(module: nn.Module) -> bool:
    """Leaves without parameters of their own, such as nn.Flatten, are looked into; unknown layers are not."""
    return bool(list(module.parameters())) or not type(module).__module__.startswith("torch.nn.modules.flatten")


def _time_steps(model: nn.Module) -> int:
    steps = {name: m.time_steps for name, m in model.named_modules() if isinstance(m, LIF)}
    if not steps:
        raise LoweringError("the model has no LIF layer; there is nothing spiking to lower.")
    if len(set(steps.values())) > 1:
        raise LoweringError(f"all LIF layers must have the same time_steps, got {steps}.")
    return next(iter(steps.values()))


def _logits(builder: Builder, value: Value, time_steps: int) -> Value:
    if not value.has_one_scale:
        value = builder.on_grid(value, "output")
    if not value.timed:
        return value
    name = builder.append(ir.SumTime(builder.name("logits"), (value.node,)))
    return Value(name, value.scale / time_steps, value.channels, timed=False)


def _needed(nodes: list[ir.Node], output: str) -> tuple[ir.Node, ...]:
    """The nodes that the output depends on, the input always among them."""
    wanted = {output, nodes[0].name}
    for node in reversed(nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
    kept = [n for n in nodes if n.name in wanted]
    kept.sort(key=lambda n: n.name == output)
    return tuple(kept)
