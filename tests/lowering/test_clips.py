"""Bounds, and the larger and smaller of two tensors, on integers: bit for bit what PyTorch gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import LoweringError
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.quant import Uniform

T = 3
Code = Callable[[Tensor, Tensor], Tensor]


class Two(nn.Module):
    """Spikes or normalised currents of two branches, what `code` makes of them, and classes."""

    def __init__(self, code: Code, *, currents: bool = False) -> None:
        super().__init__()
        self.encode, self.code, self.currents = Encode(), code, currents
        self.convs = nn.ModuleList(Conv2d(2, 4, 3, Uniform(4), padding=1) for _ in range(2))
        self.lifs = nn.ModuleList(spikelet.LIF(T) for _ in range(3))
        self.classes = Linear(64, 5, Uniform(4))
        norms = [BatchNorm2d(4) for _ in range(2)]
        for norm in norms:
            nn.init.uniform_(norm.weight, 2, 6)
        self.norms = nn.ModuleList(norms)

    def branch(self, i: int, x: Tensor) -> Tensor:
        current = self.norms[i](self.convs[i](x))
        return current if self.currents else self.lifs[i](current)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encode(x)
        made = self.code(self.branch(0, x), self.branch(1, x))
        return self.classes((self.lifs[2](made) if self.currents else made).flatten(2))


SPIKES: dict[str, Code] = {
    "maximum": torch.maximum,
    "minimum": lambda a, b: torch.minimum(a, b),
    "max of two": lambda a, b: torch.max(a, b),
    "the largest over time": lambda a, b: (a + b).max(0, keepdim=True).values,
    "the smallest of channels": lambda a, b: a.amin(2, keepdim=True) + b,
    "or by clamp": lambda a, b: (a + b).clamp(0, 1),
    "or by a bound": lambda a, b: torch.clamp(a + b, max=1),
    "the largest of a map": lambda a, b: a.amax((-2, -1), keepdim=True) + b,
    "the largest of a map, folded": lambda a, b: (
        (a + b).flatten(0, 1).amax((2, 3)).unflatten(0, (T, -1))[..., None, None] + a
    ),
    "exclusive or": lambda a, b: (a - b).abs(),
    "bounds by name": lambda a, b: torch.clip(a - b, min=-1, max=0),
}
CURRENTS: dict[str, Code] = {
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "min of two": lambda a, b: torch.min(a, b),
    "the largest over time": lambda a, b: torch.amax(a, dim=0, keepdim=True) - b,
    "the largest of a map": lambda a, b: torch.amax(a, dim=(3, 4), keepdim=True) - b,
    "the largest of many positions": lambda a, b: (
        a.repeat(1, 1, 1, 3, 3).flatten(3).max(-1).values[..., None, None] - b
    ),
    "the smallest of rows": lambda a, b: a.min(dim=-1, keepdim=True)[0] + b,
    "a constant": lambda a, b: torch.maximum(a, torch.full((1,), 0.5)) - b,
    "magnitude": lambda a, b: a.abs() - torch.abs(b),
    "relu6": lambda a, b: F.relu6(a) - b.clamp_min(-0.25),
    "hardtanh": lambda a, b: F.hardtanh(a) + F.hardtanh(b, -0.5, 2.0),
    "in place": lambda a, b: (a * 2).clamp_(-1, 1) + b,
}
CASES = [*((n, c, False) for n, c in SPIKES.items()), *((n, c, True) for n, c in CURRENTS.items())]


@pytest.mark.parametrize(("code", "currents"), [case[1:] for case in CASES], ids=[f"{n}-{c}" for n, _, c in CASES])
def test_the_integers_are_what_pytorch_gives(code: Code, currents: bool) -> None:
    torch.manual_seed(0)
    model, x = Two(code, currents=currents).eval(), torch.randint(0, 256, (5, 2, 4, 4), dtype=torch.uint8)
    graph = spikelet.lower(model, x)
    result = spikelet.verify(graph, model, [(x, torch.zeros(5, dtype=torch.long))], spikelet.Program)
    assert result.mismatches == 0, str(result)
    assert torch.unique(torch.from_numpy(spikelet.Program(graph)(x.numpy()))).numel() > 2


TOO_MANY: dict[str, Code] = {
    "of a vector": lambda a, b: torch.cat([a, b], 2).flatten(2).amax(-1)[..., None, None, None] + a,
    "of tokens": lambda a, b: torch.cat([a, b, a, b], 4).flatten(3).mT.amax((-2, -1))[..., None, None, None] + a,
}


@pytest.mark.parametrize("code", TOO_MANY.values(), ids=list(TOO_MANY))
def test_the_largest_of_many_that_are_no_map_is_refused_with_the_way_out(code: Code) -> None:
    with pytest.raises(LoweringError, match=r"\(amax\): takes the amax over \d+ values\. One axis of up to 64 values"):
        spikelet.lower(Two(code).eval(), torch.zeros((1, 2, 4, 4), dtype=torch.uint8))


def test_a_bound_between_two_units_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"\(clamp\): cuts off at 0\.3, which is no whole number .* batch norm"):
        spikelet.lower(Two(lambda a, b: (a + b).clamp(0, 0.3)).eval(), torch.zeros((1, 2, 4, 4), dtype=torch.uint8))


def test_a_bound_that_is_a_tensor_is_refused() -> None:
    with pytest.raises(LoweringError, match=r"\(clamp\): its bounds must be numbers\. Use torch\.maximum"):
        spikelet.lower(Two(lambda a, b: a.clamp(b)).eval(), torch.zeros((1, 2, 4, 4), dtype=torch.uint8))
