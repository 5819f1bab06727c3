"""A conversion in float64 with grids so fine that nothing is rounded: what is left is the network itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.interop.comparison import Comparison
from spikelet.interop.converted import Converted
from spikelet.interop.image import Image
from spikelet.interop.swap import Swap
from spikelet.neurons.constants import off_grid

FINE = {"FRACTION_BITS": 40, "LEAK_BITS": 40, "GRID": 2.0**-40, "GAIN_BITS": 50}


def ours() -> list[ModuleType]:
    """The modules of the package that are loaded."""
    return [module for name, module in sorted(sys.modules.items()) if name.partition(".")[0] == "spikelet"]


def compared(
    net: nn.Module, options: dict[str, object], time_steps: int, x: Tensor, patch: pytest.MonkeyPatch
) -> Comparison:
    """Spikes of `net` and of its conversion for bytes `x`, both in float64."""
    for module in ours():
        for name, value in FINE.items():
            if hasattr(module, name):
                patch.setattr(module, name, value)
    patch.setattr(off_grid, "__defaults__", (FINE["FRACTION_BITS"],))
    patch.setattr(Swap, "_require_float32", lambda swap: None)
    patch.setattr(Image, "floats", lambda image, pixels, axes=3: image.scale * pixels.double())
    model = converted(net.double(), options, time_steps)
    model.encode.register_forward_hook(lambda module, inputs, output: output.double())
    for module in net.modules():
        if any(cls.__module__.startswith("snntorch") for cls in type(module).__mro__):
            module.register_forward_hook(lambda neuron, inputs, output: doubles(output))  # its spikes are float32
    patch.setattr(torch.Tensor, "float", torch.Tensor.double)  # of code that makes its spikes so
    with in_float64():
        return model.compare([(x, torch.zeros(x.shape[1 if options.get("time_axis") == 0 else 0], dtype=torch.long))])


@contextmanager
def in_float64() -> Iterator[None]:
    """Inside, new tensors are of float64, as the states that code begins with."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def doubles(tree: Any) -> Any:
    """The tensors of a neuron's answer in float64."""
    return tree.double() if isinstance(tree, Tensor) else tuple(map(doubles, tree))


def converted(net: nn.Module, options: dict[str, object], time_steps: int) -> Converted:
    """`net` converted from the library that its neurons come from."""
    theirs = any(cls.__module__.startswith("snntorch") for m in net.modules() for cls in type(m).__mro__)
    convert = spikelet.from_snntorch if theirs else spikelet.from_spikingjelly
    return convert(net, time_steps=time_steps, round_leak=True, **options)  # type: ignore[arg-type]
