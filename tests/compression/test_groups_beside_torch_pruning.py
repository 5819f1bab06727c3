"""Groups of channels that leave together, beside those that torch-pruning (arXiv:2301.12900) finds by gradients.

Ours are equal or finer: two layers that we couple it couples too, and no group of ours reaches into two of its.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.compression.channels import find_channels
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, SumPool2d
from spikelet.quant import FullPrecision

SIDE = 8


class Branch(nn.Module):
    """Neurons and a convolution with its norm; `depthwise` where each channel has its own filter."""

    def __init__(self, c_in: int, c_out: int, depthwise: bool = False) -> None:
        super().__init__()
        self.neuron = LIF(2, LIFParams(threshold=0.25))
        self.conv = Conv2d(c_in, c_out, 3, FullPrecision(), padding=1, groups=c_in if depthwise else 1)
        self.norm = BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.neuron(x)))


class Block(nn.Module):
    """One of four ways on from a current: a branch, a depthwise one, a sum with it, a sum of two branches."""

    def __init__(self, kind: str, c_in: int, c_out: int) -> None:
        super().__init__()
        self.kind = kind
        self.body = Branch(c_in, c_out, kind == "depthwise")
        self.inner = Branch(c_out, c_out) if kind in ("sum", "two") else None
        self.side = Branch(c_in, c_out) if kind == "two" else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        y = y if self.inner is None else self.inner(y)
        if self.kind == "sum":
            return x + y
        return y if self.side is None else self.side(x) + y


class Grown(nn.Module):
    """A random network of such blocks."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        width = int(rng.integers(3, 7))
        self.encode, self.stem = Encode(), Conv2d(3, width, 3, FullPrecision(), padding=1)
        blocks = []
        for kind in rng.choice(["branch", "depthwise", "sum", "two"], int(rng.integers(2, 6))):
            wider = width if kind in ("depthwise", "sum") else int(rng.integers(3, 9))
            blocks.append(Block(str(kind), width, wider))
            width = wider
        self.blocks = nn.Sequential(*blocks)
        self.neuron, self.pool = LIF(2, LIFParams(threshold=0.25)), SumPool2d(SIDE)
        self.head = Linear(width, 5, FullPrecision())

    def forward(self, x: Tensor) -> Tensor:
        currents = self.blocks(self.stem(self.encode(x)).expand(2, -1, -1, -1, -1))
        return self.head(self.pool(self.neuron(currents)).flatten(2))


def of_torch_pruning(model: nn.Module, x: Tensor) -> list[frozenset[str]]:
    """The layers with weights of each of its groups, by name."""
    pruning: Any = pytest.importorskip("torch_pruning")
    graph = pruning.DependencyGraph().build_dependency(model, example_inputs=x)
    names = {module: name for name, module in model.named_modules()}
    found = []
    for group in graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]):
        cut = {d.target.module for d, _ in group if graph.is_out_channel_pruning_fn(d.handler)}
        found.append(frozenset(names[module] for module in cut if isinstance(module, nn.Conv2d | nn.Linear)))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_our_groups_are_those_of_torch_pruning_or_finer(seed: int):
    torch.manual_seed(seed)
    model, x = Grown(seed).eval(), torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    theirs = of_torch_pruning(model, x)
    ours = [frozenset(group.layers) for group in find_channels(model, x).groups]
    assert ours, "a network in which nothing may leave shows nothing"
    assert [group for group in ours if sum(group <= other for other in theirs) != 1] == []
    assert set().union(*ours) == set().union(*theirs) - {"head"}, "it would cut the classes too"
