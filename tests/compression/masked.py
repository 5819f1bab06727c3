"""What removing channels means, written a second time: the unpruned network with these channels silenced.

Every layer's output is set to zero where it carries a removed channel, and each quantizer is applied to the weights
that stay, with zeros for those that leave. Nothing here calls the surgery.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.compression.channels import Channels
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Coded, FullPrecision, LayerQuantizer, Quantizer


@dataclasses.dataclass(frozen=True)
class OfTheKept(Quantizer):
    """`quantizer` on weight[o][columns[o]] of the kept rows o; zero elsewhere."""

    quantizer: Quantizer
    rows: tuple[int, ...]
    columns: tuple[tuple[int, ...], ...]

    def encode(self, weight: Tensor) -> Coded:
        raise AssertionError("a masked network is evaluated, never lowered")

    def __call__(self, weight: Tensor) -> Tensor:
        if isinstance(self.quantizer, LayerQuantizer):  # what it learned does not depend on other weights
            every = self.quantizer(weight)
            made = [every[o][list(self.columns[o])] for o in self.rows]
        else:
            made = list(self.quantizer(torch.stack([weight[o][list(self.columns[o])] for o in self.rows])))
        whole = torch.zeros_like(weight)
        for row, o in zip(made, self.rows, strict=True):
            whole[o, list(self.columns[o])] = row
        return whole


def masked(model: nn.Module, channels: Channels, units: Tensor, *, quantizers: bool = True) -> nn.Module:
    """A copy of `model` in which the units' channels are silent; `quantizers=False` leaves the quantizers alone."""
    model = copy.deepcopy(model)
    for name, module in model.named_modules():
        layer = channels.layers.get(name)
        if layer is None:
            continue
        if quantizers and isinstance(module, Conv2d | Linear):
            assert layer.reads is not None
            assert layer.makes is not None
            module.quantizer = _of_the_kept(module, torch.isin(layer.reads, units), torch.isin(layer.makes, units))
        module.register_forward_hook(_silence([torch.isin(carried, units) for carried in layer.carries]))
    return model


def _of_the_kept(module: Conv2d | Linear, no_input: Tensor, no_output: Tensor) -> OfTheKept:
    groups = module.groups if isinstance(module, Conv2d) else 1
    outputs, width = len(no_output), len(no_input) // groups
    columns = []
    for o in range(outputs):
        group = o // (outputs // groups)
        columns.append(tuple(i for i in range(width) if not no_input[group * width + i]))
    rows = tuple(o for o in range(outputs) if not no_output[o])
    return OfTheKept(module.quantizer, rows, tuple(columns))


def _silence(gone_by_use: list[Tensor]) -> Callable[..., Tensor]:
    uses = itertools.cycle(gone_by_use)

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        gone = next(uses)
        return output * ~gone if gone.any() else output

    return hook


def in_full_precision(model: nn.Module) -> nn.Module:
    """A copy whose weights are used as they are."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, Conv2d | Linear):
            module.quantizer = FullPrecision()
    return model
