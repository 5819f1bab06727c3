"""Random programs of moves, sums, products and layers: every spike and logit is PyTorch's, whatever the axes."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.graph import ir
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.quant import Uniform
from spikelet.runtime import Program

SEEDS = range(40)
Step = Callable[[Tensor], Tensor]


class Written(nn.Module):
    """Some code as a module."""

    def __init__(self, run: Step, what: str) -> None:
        super().__init__()
        self.run, self.what = run, what

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


class Writer:
    """Draws one step after the other, for spikes [T, B, C, H, W] of known sizes."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.T = int(self.rng.integers(1, 5))
        self.c, self.h, self.w = 4, 4, 6
        self.used: list[str] = []

    def pick(self, *values: object) -> object:
        return values[int(self.rng.integers(len(values)))]

    def network(self) -> nn.Module:
        layers: list[nn.Module] = [Encode(), *self.synapses(3), self.neuron()]
        for _ in range(int(self.rng.integers(2, 5))):
            layers += [self.step(), *(self.synapses(self.c) if self.rng.random() < 0.5 else ()), self.neuron()]
        layers += [self.step(), Written(self.flat(), "flat")]
        return nn.Sequential(*layers, Linear(self.c * self.h * self.w, 4, Uniform(4, per_channel=False))).eval()

    def synapses(self, inputs: int) -> list[nn.Module]:
        self.c = int(self.rng.choice([4, 8]))
        kernel = int(self.rng.choice([1, 3]))
        norm = BatchNorm2d(self.c)
        nn.init.uniform_(norm.bias, -0.2, 0.4)
        return [Conv2d(inputs, self.c, kernel, Uniform(4), padding=kernel // 2), norm]

    def neuron(self) -> LIF:
        many = LIFParams.rounding(4, 1.0) if self.rng.random() < 0.3 else LIFParams(threshold=0.25)
        return LIF(self.T, many)

    def flat(self) -> Step:
        return self.pick(  # type: ignore[return-value]
            lambda x: x.flatten(2),
            lambda x: x.permute(0, 1, 3, 4, 2).flatten(2),
            lambda x: x.transpose(0, 1).reshape(x.shape[1], x.shape[0], -1).transpose(0, 1),
            lambda x: torch.stack([one.flatten(1) for one in x]),
        )

    def step(self) -> nn.Module:
        kinds = ("channels", "positions", "join", "halve", "double", "heads", "gate", "attention", "constant", "swap")
        kind = str(self.rng.choice(kinds))
        self.used.append(kind)
        return Written(getattr(self, kind)(), kind)

    def channels(self) -> Step:
        order = torch.from_numpy(self.rng.permutation(self.c))
        return self.pick(lambda x: x.roll(1, 2), lambda x: x.flip(2), lambda x: x[:, :, order])  # type: ignore[return-value]

    def positions(self) -> Step:
        order = torch.from_numpy(self.rng.permutation(self.h))
        return self.pick(  # type: ignore[return-value]
            lambda x: x.roll((1, -2), (3, 4)), lambda x: x.flip(-1), lambda x: x.index_select(3, order),
            lambda x: F.pad(x, (1, 0, 0, 0))[..., :-1],
        )  # fmt: skip

    def join(self) -> Step:
        self.c *= 2
        return self.pick(  # type: ignore[return-value]
            lambda x: torch.cat([x, x.flip(2)], 2),
            lambda x: x.repeat_interleave(2, 2),
            lambda x: x.repeat(1, 1, 2, 1, 1),
        )

    def halve(self) -> Step:
        self.c //= 2
        return self.pick(  # type: ignore[return-value]
            lambda x: functools.reduce(torch.add, x.chunk(2, 2)),
            lambda x: x[:, :, ::2],
            lambda x: x.unflatten(2, (-1, 2)).sum(3),
        )

    def double(self) -> Step:
        return lambda x: F.interpolate(x.flatten(0, 1), scale_factor=2).unflatten(0, x.shape[:2])[..., ::2, 1::2]

    def heads(self) -> Step:
        return lambda x: x.unflatten(2, (2, -1)).transpose(2, 3).flatten(2, 3)

    def gate(self) -> Step:
        return self.pick(  # type: ignore[return-value]
            lambda x: x * x.roll(1, 3),
            lambda x: (1 - x) * x.flip(2) / 2,
            lambda x: x + x[:, :, :1],
            lambda x: x - x[..., :1],
        )

    def attention(self) -> Step:
        heads = int(self.rng.choice([1, 2]))

        def attend(x: Tensor, first: bool) -> Tensor:
            q = x.flatten(3).unflatten(2, (heads, -1))  # T B g d N
            k, v = q.roll(1, 4), q.flip(3)
            y = ((v @ k.mT) @ q) if first else (q.mT @ k @ v.mT).mT
            return y.flatten(2, 3).unflatten(3, x.shape[3:]) / 16

        return functools.partial(attend, first=bool(self.rng.random() < 0.5))

    def constant(self) -> Step:
        table = torch.from_numpy(self.rng.integers(-4, 5, (self.c, self.h, self.w))) / 8
        return self.pick(lambda x: x + table, lambda x: x - table[:, :1, :1], lambda x: x * table)  # type: ignore[return-value]

    def swap(self) -> Step:
        self.h, self.w = self.w, self.h
        return lambda x: x.transpose(3, 4)


def written(seed: int) -> tuple[nn.Module, Writer, Tensor]:
    for attempt in itertools.count():
        writer = Writer(seed + 1000 * attempt)
        model = writer.network()
        x = torch.randint(0, 256, (3, 3, 4, 6), dtype=torch.uint8)
        try:
            with torch.no_grad():
                model(x)
        except RuntimeError:
            continue
        return model, writer, x
    raise AssertionError


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_program_is_lowered_and_exact(seed: int):
    model, _, x = written(seed)
    graph = lower(model, x)
    for backend in (None, Program):
        for batch in (x, x[:1], torch.full_like(x, 255)):
            labels = torch.zeros(len(batch), dtype=torch.long)
            result = verify(graph, model, [(batch, labels)], *([backend] if backend else []))
            assert result.mismatches == 0, str(result)


def test_the_random_programs_contain_everything():
    steps, nodes = Counter[str](), Counter[type]()
    for seed in SEEDS:
        model, writer, x = written(seed)
        steps.update(writer.used)
        nodes.update({type(node) for node in lower(model, x).nodes})
    kinds = ("channels", "positions", "join", "halve", "double", "heads", "gate", "attention", "constant", "swap")
    assert {kind: steps[kind] for kind in kinds if steps[kind] < 5} == {}
    wanted = (ir.Matmul, ir.Mul, ir.Gather, ir.ChannelMap, ir.Constant, ir.Add, ir.Lif)
    assert {kind: nodes[kind] for kind in wanted if nodes[kind] < 5} == {}
