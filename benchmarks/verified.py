"""A graph against its model on whole test sets: a benchmark records nothing where they differ."""

from __future__ import annotations

from torch import nn

from spikelet import Program, verify
from spikelet.data import Samples, batches
from spikelet.graph.ir import IntGraph
from spikelet.lowering.verify import Verification


def verified(graph: IntGraph, model: nn.Module, samples: Samples) -> Verification:
    """Accuracy of both in the native runtime.

    Raises:
        SystemExit: a spike or a logit differs.
    """
    result = verify(graph, model, batches(samples, 200), Program, time_axis=samples.time_axis)
    if result.mismatches:
        raise SystemExit(f"nothing is recorded: PyTorch and integers differ on {samples.name}\n{result}")
    return result
