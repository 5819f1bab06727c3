"""Random torch modules over everything that lowering accepts, and the bytes they were made with.

    net = random_network(seed)      net.model, net.x, net.others          tied(model, x): ties for another batch

A network grows block by block while a probe batch runs through it in evaluation, so that its constants can be
awkward on purpose: batch norms get statistics near those of the probe, with negative and zero gamma and channels
with next to no variance; each threshold is a charge that really occurs in the first step of `net.x`, so that
there are exact ties; membrane steps lie around the threshold. The same seed gives the same network.

Convolutions read pixels or spikes and sums of spikes, whose products with the codes stay below 2^24: that is
where float32 is exact, and where the claim of bit-for-bit equality is made.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikelet.neurons import LIF, LIFParams, QuantizedMembrane, membrane_of
from spikelet.nn import BatchNorm2d, ChannelMap, Conv2d, Encode, Linear, MaxPool2d, SumPool2d
from spikelet.quant import Binary, MaxAbs, MeanAbs, Quantizer, ReScaW, Uniform, Unit
from tests.support.catalogue import RESETS

BATCH = 3
BITS = (1, 1, 2, 4, 8)


# --- pieces -----------------------------------------------------------------------------------------


class Layer(nn.Module):
    """synapses -> pooling before -> neuron -> pooling after."""

    def __init__(self, synapses: nn.Module, before: nn.Module, neuron: LIF, after: nn.Module) -> None:
        super().__init__()
        self.synapses, self.before, self.neuron, self.after = synapses, before, neuron, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.neuron(self.before(self.synapses(x))))


class AddCurrents(nn.Module):
    """Two currents of one input, added before the neuron."""

    def __init__(self, left: nn.Module, right: nn.Module, neuron: LIF) -> None:
        super().__init__()
        self.left, self.right, self.neuron = left, right, neuron

    def forward(self, x: Tensor) -> Tensor:
        y = self.left(x)
        y += self.right(x)
        return self.neuron(y)


class AddSpikes(nn.Module):
    """s + neuron(synapses(s)): sums of spikes."""

    def __init__(self, synapses: nn.Module, neuron: LIF) -> None:
        super().__init__()
        self.synapses, self.neuron = synapses, neuron

    def forward(self, s: Tensor) -> Tensor:
        return torch.add(s, self.neuron(self.synapses(s)))


class MembraneShortcut(nn.Module):
    """r + synapses(neuron(r)): the current passes by."""

    def __init__(self, neuron: LIF, synapses: nn.Module) -> None:
        super().__init__()
        self.neuron, self.synapses = neuron, synapses

    def forward(self, r: Tensor) -> Tensor:
        return sum([r, self.synapses(self.neuron(r))])  # pyright: ignore[reportReturnType]


class SameNeuronTwice(nn.Module):
    """One LIF module, with its one membrane step, at two places."""

    def __init__(self, first: nn.Module, second: nn.Module, neuron: LIF) -> None:
        super().__init__()
        self.first, self.second, self.neuron = first, second, neuron

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.second(self.neuron(self.first(x))))


class Head(nn.Module):
    """Maps to logits; `flat` is one of the ways to write a flatten."""

    def __init__(self, flat: Callable[[Tensor], Tensor], body: nn.Module, over_time: bool) -> None:
        super().__init__()
        self.flat, self.body, self.over_time = flat, body, over_time

    def forward(self, x: Tensor) -> Tensor:
        logits = self.body(self.flat(x))
        return logits.mean(0) if self.over_time else logits


FLATTENINGS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.flatten(2),
    lambda x: torch.flatten(x, start_dim=2),
    lambda x: x.reshape(x.shape[0], x.size(1), -1),
    lambda x: x.contiguous().view(*x.shape[:2], -1),
    nn.Flatten(2),
)


class Network(nn.Module):
    """Encode, then the blocks."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.encode = Encode()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encode(x)
        for block in self.blocks:
            x = block(x)
        return x


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RandomNetwork:
    """A network in evaluation mode, the batch its thresholds come from, and other batches of that shape."""

    model: Network
    x: Tensor
    others: tuple[Tensor, ...]
    time_steps: int


class DrawAgain(Exception):
    """Nothing is left of a map, or no charge could be a threshold."""


# --- constants from what the probe does -------------------------------------------------------------


def _settle_norm(norm: BatchNorm2d, x: Tensor, rng: np.random.Generator) -> None:
    def draw(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, norm.num_features)).float()

    mean, var = x.mean((0, 1, 3, 4)), x.var((0, 1, 3, 4), unbiased=False)
    kind = torch.from_numpy(rng.random(norm.num_features))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        norm.running_mean.copy_(mean * draw(0.5, 1.5))
        norm.running_var.copy_(torch.where(kind < 0.1, torch.tensor(4e-3), var * draw(0.3, 2) + 1e-3))
        norm.weight.copy_(draw(0.3, 2) * torch.where(draw(0, 1) < 0.3, -1, 1) * (kind < 0.9))
        norm.bias.copy_(draw(-0.5, 1))


def _settle_neuron(lif: LIF, x: Tensor, rng: np.random.Generator) -> None:
    current = lif.current(x[0])
    charge = lif.charge(current, lif.initial(current))
    candidates = charge[(charge > 0) & (charge < 2000)].unique()
    if not len(candidates):
        raise DrawAgain
    threshold = float(candidates[int(rng.uniform(0.1, 0.8) * len(candidates))])
    lif.params = dataclasses.replace(lif.params, threshold=threshold)
    if isinstance(lif.membrane, QuantizedMembrane):
        with torch.no_grad():
            lif.membrane.log2_step.fill_(math.log2(threshold / lif.membrane.top) + rng.uniform(-2, 2))


@torch.no_grad()
def _settle(block: nn.Module, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Sets the constants of `block` in the order in which it uses them, and returns what it makes of `x`."""
    settled: set[nn.Module] = set()

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        if module not in settled:
            settled.add(module)
            settle = _settle_norm if isinstance(module, BatchNorm2d) else _settle_neuron
            settle(module, args[0], rng)  # type: ignore[arg-type]

    block.eval()
    hooks = [m.register_forward_pre_hook(before) for m in block.modules() if isinstance(m, BatchNorm2d | LIF)]
    try:
        return block(x)
    except RuntimeError as e:
        raise DrawAgain from e  # torch: the map is smaller than the kernel
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def tied(model: nn.Module, x: Tensor) -> nn.Module:
    """A copy of `model` with its first threshold that can be one on a charge that occurs in the first step of `x`.

    Raises:
        DrawAgain: no neuron is charged above zero then.
    """
    model, rng, settled = copy.deepcopy(model).eval(), np.random.default_rng(0), list[LIF]()

    def before(module: LIF, args: tuple[Any, ...]) -> None:
        if not settled:
            with contextlib.suppress(DrawAgain):
                _settle_neuron(module, args[0], rng)
                settled.append(module)

    hooks = [m.register_forward_pre_hook(before) for m in model.modules() if isinstance(m, LIF)]  # type: ignore[arg-type]
    model(x)
    for hook in hooks:
        hook.remove()
    if not settled:
        raise DrawAgain
    return model


# --- growing ----------------------------------------------------------------------------------------


class _Grower:
    def __init__(self, seed: int, attempt: int) -> None:
        self.rng = np.random.default_rng([seed, attempt])
        torch.manual_seed(seed)
        self.T = int(self.rng.integers(1, 9))
        self.reset = RESETS[str(self.rng.choice(sorted(RESETS)))]
        self.blocks: list[nn.Module] = []

    def network(self) -> RandomNetwork:
        frames = (self.T,) if self.chance(0.4) else ()
        side = int(self.rng.integers(5, 10))
        shape = (*frames, BATCH, int(self.rng.integers(1, 4)), side, side + int(self.rng.choice([0, 0, 2])))
        x = self.bytes(self.rng.integers(0, 256, shape))
        self.x = Encode()(x)
        self.add(self.stem())
        for _ in range(self.rng.integers(1, 4)):
            self.add(self.block())
        self.add(self.head())
        others = (
            self.bytes(np.full(shape, 255)),
            self.bytes(self.rng.binomial(2, 0.1, shape)),
            self.bytes(self.rng.integers(0, 256, (*frames, 1, *shape[len(frames) + 1 :]))),
        )
        return RandomNetwork(Network(self.blocks).eval(), x, others, self.T)

    def bytes(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.uint8))

    def add(self, block: nn.Module) -> None:
        self.x = _settle(block, self.x, self.rng)
        self.blocks.append(block)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def quantizer(self) -> Quantizer:
        if self.chance(0.4):
            gamma = self.pick((MeanAbs(), MaxAbs(), Unit()))
            return ReScaW(int(self.rng.integers(1, 9)), gamma=gamma, per_channel=self.chance(0.7))
        bits = self.pick(BITS)
        return Binary(standardize=self.chance(0.7)) if bits == 1 else Uniform(bits, per_channel=self.chance(0.7))

    def neuron(self) -> LIF:
        leak = self.pick((0.5, 0.5, 0.75, 1.0, 0.25, 0.0, 237 / 256))
        scaled = leak < 1 and self.chance(0.4)
        reset = self.reset if self.chance(0.8) else self.pick(list(RESETS.values()))
        return LIF(self.T, LIFParams(leak, 1.0, scaled, reset), membrane_of(self.pick((2, 4, 8, 32))))

    def pool(self, p: float) -> nn.Module:
        if min(self.x.shape[3:]) < 6 or not self.chance(p):
            return nn.Identity()
        return self.pick((MaxPool2d(2), MaxPool2d(3, 2, 1), MaxPool2d(2, 1), SumPool2d(2), SumPool2d(3)))

    def synapses(self, out: int | None = None, keep_map: bool = False) -> nn.Module:
        """A convolution, its batch norm or bias or neither."""
        c = self.x.shape[2]
        groups = self.pick([g for g in range(1, c + 1) if c % g == 0]) if self.chance(0.3) else 1
        out = groups * int(self.rng.integers(2, 5)) if out is None else out
        groups = groups if out % groups == 0 else 1
        kernel = self.pick((1, 3, 3, 3))
        stride, padding = 1, kernel // 2
        if not keep_map and min(self.x.shape[3:]) >= 5:
            stride, padding = self.pick((1, 1, 2, (2, 1))), int(self.rng.integers(0, kernel // 2 + 1))
        bias = self.chance(0.3)
        conv = Conv2d(
            c, out, kernel, self.quantizer(), bias=bias, stride=stride, padding=padding, groups=groups
        )  # fmt: skip
        with torch.no_grad():
            conv.weight.copy_(
                torch.from_numpy(self.rng.normal(0, 1 / math.sqrt(conv.weight[0].numel()), conv.weight.shape))
            )
            if bias:
                conv.bias.copy_(torch.from_numpy(self.rng.normal(0, 0.3, out)))  # type: ignore[union-attr]
        return conv if self.chance(0.3) else nn.Sequential(conv, BatchNorm2d(out), nn.Dropout(0.5))

    def layer(self) -> Layer:
        return Layer(self.synapses(), self.pool(0.3), self.neuron(), self.pool(0.3))

    def stem(self) -> nn.Module:
        """Reads pixels; ends in spikes."""
        if self.chance(0.5):
            return self.layer()
        out = int(self.rng.integers(2, 6))
        first = nn.Sequential(self.synapses(out, keep_map=True), BatchNorm2d(out))
        self.x = _settle(first, self.x, self.rng)
        shortcuts = [
            MembraneShortcut(self.neuron(), self.synapses(out, keep_map=True)) for _ in range(self.pick((1, 2)))
        ]
        for shortcut in shortcuts:
            self.x = _settle(shortcut, self.x, self.rng)
        self.blocks += [first, *shortcuts]
        return nn.Sequential(self.pool(0.3), self.neuron())

    def block(self) -> nn.Module:
        """Spikes to spikes, or to sums of spikes."""
        kind, c = self.rng.integers(7), self.x.shape[2]
        if kind == 0:
            return AddSpikes(self.synapses(c, keep_map=True), self.neuron())
        if kind == 1:
            out = int(self.rng.integers(2, 6))
            return AddCurrents(self.synapses(out, keep_map=True), self.synapses(out, keep_map=True), self.neuron())
        if kind == 2:
            return AddCurrents(nn.Identity(), self.synapses(c, keep_map=True), self.neuron())
        if kind == 3:
            return SameNeuronTwice(self.synapses(c, keep_map=True), self.synapses(keep_map=True), self.neuron())
        if kind == 4:
            return self.mapped(c)
        return self.layer()

    def mapped(self, c: int) -> AddCurrents:
        """A shortcut without parameters: padded with zeros, or any channels in any order."""
        out, stride = int(self.rng.integers(2, 7)), self.pick((1, 2))
        source = self.rng.integers(-1, c, out).tolist()
        shortcut = ChannelMap.padded(c, out, stride) if self.chance(0.5) else ChannelMap(source, stride)
        conv = Conv2d(c, out, 3, self.quantizer(), stride=stride, padding=1)
        return AddCurrents(shortcut, nn.Sequential(conv, BatchNorm2d(out)), self.neuron())

    def linear(self, inputs: int, outputs: int) -> Linear:
        linear = Linear(inputs, outputs, self.quantizer(), bias=self.chance(0.3))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(self.rng.normal(0, 1 / math.sqrt(inputs), linear.weight.shape)))
            if linear.bias is not None:
                linear.bias.copy_(torch.from_numpy(self.rng.normal(0, 0.3, outputs)))
        return linear

    def head(self) -> Head:
        _, _, c, h, w = self.x.shape
        over_time, classes = self.chance(0.3), int(self.rng.integers(2, 11))
        if h == w and self.chance(0.3):
            return Head(lambda x: x.mean((3, 4)), Linear(c, classes, Uniform(8, per_channel=False)), over_time)
        flat = self.pick(FLATTENINGS)
        if self.chance(0.4):
            hidden = int(self.rng.integers(3, 9))
            body: nn.Module = nn.Sequential(self.linear(c * h * w, hidden), self.neuron(), self.linear(hidden, classes))
        else:
            body = self.linear(c * h * w, classes)
        return Head(flat, body, over_time)


@functools.cache
def random_network(seed: int) -> RandomNetwork:
    """The network of `seed`."""
    with torch.random.fork_rng():
        for attempt in range(100):
            with contextlib.suppress(DrawAgain):
                return _Grower(seed, attempt).network()
    raise AssertionError(f"no network in 100 attempts from seed {seed}")
