"""Does the integer program say what PyTorch evaluation says? Spike for spike, logit for logit.

Spikes are compared neuron by neuron and step by step (a Lif node has its module's full name); a real
logit is compared as round(logit / logit_scale) with the integer one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.reference import Reference
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode


class Backend(Protocol):
    """What every runtime offers: logits, and all spikes by node name."""

    def __call__(self, x: NDArray[np.uint8]) -> NDArray[np.int32]: ...

    def spikes(self, x: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]: ...


@dataclasses.dataclass(frozen=True)
class Verification:
    """Counts over all samples. `spike_mismatches` is by node name."""

    samples: int
    spikes: int  # neuron-steps compared
    spike_mismatches: dict[str, int]
    logits: int
    logit_mismatches: int
    float_accuracy: float
    integer_accuracy: float

    @property
    def mismatches(self) -> int:
        """Spikes and logits that differ, together."""
        return sum(self.spike_mismatches.values()) + self.logit_mismatches

    def __str__(self) -> str:
        return (
            f"PyTorch {self.float_accuracy:.2%}, integers {self.integer_accuracy:.2%} on {self.samples} samples; "
            f"of {self.spikes:,} spikes and {self.logits:,} logits differ: "
            f"{sum(self.spike_mismatches.values()):,} and {self.logit_mismatches:,}"
        )


def _appender(outputs: list[Tensor]) -> Callable[[nn.Module, object, Tensor], None]:
    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        outputs.append(output.clone())  # the model may add to its spikes in place later on

    return hook


@contextmanager
def _recorded(model: nn.Module, names: list[str]) -> Iterator[dict[str, list[Tensor]]]:
    modules = dict(model.named_modules())
    missing = [n for n in names if n not in modules]
    if missing:
        raise GraphError(f"the model has no module named {missing[0]!r}; verify needs the model that was lowered.")
    outputs: dict[str, list[Tensor]] = {n: [] for n in names}
    hooks = [modules[n].register_forward_hook(_appender(outputs[n])) for n in names]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def verify(
    graph: ir.IntGraph,
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    backend: Callable[[ir.IntGraph], Backend] = Reference,
) -> Verification:
    """Compares `backend(graph)` with `model` in evaluation mode.

    Args:
        graph: lowered from `model`.
        model: its mode is put back after.
        batches: pairs of uint8 input ([B, C, H, W] or [T, B, C, H, W]) and labels [B].
        backend: Reference, or spikelet.Program.
    Raises:
        GraphError: the model is another one.
        ValueError: there are no batches.
    """
    program = backend(graph)
    layers = [n.name for n in graph.of_type(ir.Lif)]
    modules = sorted({name.split("#")[0] for name in layers})
    total, wrong = dict.fromkeys(layers, 0), dict.fromkeys(layers, 0)
    counts = {"samples": 0, "logits": 0, "logit_mismatches": 0, "float": 0, "integer": 0}
    with evaluation_mode(model):
        for x, y in batches:
            with torch.no_grad(), _recorded(model, modules) as outputs:
                real = model(x.to(device_of(model)))
            real = (real.mean(0) if real.dim() == 3 else real).double().cpu().numpy()
            pixels = np.ascontiguousarray(x.cpu().numpy())
            spikes, logits = program.spikes(pixels), program(pixels)
            for name in layers:
                module, _, use = name.partition("#")
                expected = outputs[module][int(use or 1) - 1].cpu().numpy()
                total[name] += expected.size
                wrong[name] += int((expected != spikes[name]).sum())
            labels = y.cpu().numpy()
            counts["samples"] += len(labels)
            counts["logits"] += logits.size
            counts["logit_mismatches"] += int((np.floor(real / graph.logit_scale + 0.5) != logits).sum())
            counts["float"] += int((real.argmax(1) == labels).sum())
            counts["integer"] += int((logits.argmax(1) == labels).sum())
    if not counts["samples"]:
        raise ValueError("verify needs at least one batch, got none.")
    return Verification(
        counts["samples"],
        sum(total.values()),
        wrong,
        counts["logits"],
        counts["logit_mismatches"],
        counts["float"] / counts["samples"],
        counts["integer"] / counts["samples"],
    )
