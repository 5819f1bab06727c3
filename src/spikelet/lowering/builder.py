"""Collects the nodes of the graph while the rules make them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.names import Names
from spikelet.lowering.values import GRID, Kind, Source, Sources, StepSum, Time, Value
from spikelet.quant.grid import split_gain

FINEST = 2.0**-16  # halvings beyond it would use up the 24 bits of float32


class Builder:
    """The graph so far, and what a rule makes nodes with.

    Args:
        time_steps: T.
        batch: B of the traced example.
        modules: full names of the model's modules, which only their own nodes may bear.
    """

    def __init__(self, time_steps: int, batch: int, modules: Collection[str]) -> None:
        self.time_steps = time_steps
        self.batch = batch
        self.modules = modules
        self.nodes: list[ir.Operation] = []
        self.names = Names()
        self.sources = Sources()
        self.arranged: dict[object, Source] = {}  # moves made before, by what they move
        self.step_sums: dict[int, StepSum] = {}  # which steps of which edge an edge sums, by its first address
        self.once: dict[object, Value] = {}  # calls on one time step, by what they do
        self.not_held: set[str] = set()  # nodes whose values PyTorch never holds in a tensor
        self.casts: list[tuple[str, torch.dtype]] = []  # nodes whose tensors were brought to another precision
        self.scales: dict[str, NDArray[np.float64]] = {}

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Takes back the nodes made inside where a LoweringError leaves it."""
        nodes, names, arranged = len(self.nodes), set(self.names.taken), dict(self.arranged)
        try:
            yield
        except LoweringError:
            del self.nodes[nodes:]
            self.names.taken, self.arranged = names, arranged
            raise

    # --- names ---

    def extra_name(self, wanted: str) -> str:
        """A name for a node that is no module's: `wanted`, or `wanted()` where a module has that name."""
        return self.name(f"{wanted}()" if wanted in self.modules else wanted)

    def name(self, wanted: str) -> str:
        """`wanted`, or `wanted#2` and so on where it is taken."""
        return self.names.next(wanted)

    # --- nodes ---

    def append(
        self,
        node: ir.Operation,
        shape: tuple[int, ...],
        scale: NDArray[np.float64],
        time: Time,
        kinds: tuple[Kind, Kind] | None = None,
    ) -> Source:
        """Adds a node, made with a name from `name` or `extra_name`, and returns its output.

        Args:
            shape: of the output, one sample and step.
            scale, time, kinds: see `Source`; features at the positions of a map unless stated.
        """
        space = (1, 1) if len(shape) == 1 else (shape[1], shape[2])
        self.nodes.append(node)
        self.scales[node.name] = scale
        steps = self.time_steps if time == "steps" else 1
        return self.sources.add(
            node=node.name, shape=shape, scale=scale, time=time, steps=steps, batch=self.batch,
            kinds=kinds or (None, space),
        )  # fmt: skip

    def like(self, x: Source, node: ir.Operation, scale: NDArray[np.float64] | None = None) -> Source:
        """Adds a node whose output has the shape and the time of `x`, and its scale unless another is given."""
        return self.append(node, x.shape, x.scale if scale is None else scale, x.time, x.kinds)

    def rescaled(self, x: Source, scale: NDArray[np.float64]) -> Source:
        """The same integers read at another scale: no node."""
        fields = {"node": x.node, "shape": x.shape, "time": x.time, "steps": x.steps, "batch": x.batch}
        return self.sources.add(**fields, scale=scale, kinds=x.kinds)

    def constant(self, numbers: Tensor) -> Tensor:
        """Addresses for the elements of a constant of the forward; zeros are address 0."""
        values, index = np.unique(numbers.detach().cpu().double().numpy(), return_inverse=True)
        source = self.sources.add(
            node="", shape=(len(values),), scale=np.array(1.0), time="still", steps=1, batch=1, constant=values
        )
        addresses = np.where(values == 0, 0, source.start + np.arange(len(values)))[index.reshape(numbers.shape)]
        return torch.from_numpy(np.array(addresses)).view(numbers.shape)

    # --- scales ---

    def affine(
        self,
        x: Source,
        gain: NDArray[np.float64],
        offset: NDArray[np.float64],
        where: str,
        unit: float = GRID,
    ) -> Source:
        """gain * x + offset in whole `unit`s, rounded half up; offset is a multiple of it already.

        Args:
            gain, offset: float64, broadcastable to [C] or to [T, C].
            where: the node's name.
            unit: a power of two, the grid of currents unless another is given.
        """
        if (np.frexp(x.scale)[0] != 0.5).any():
            raise LoweringError(
                f"{where}: reads a mean over a number of values that is no power of two, which integers can't scale "
                "exactly. Take that mean last, or use spikelet.nn.SumPool2d or Scale."
            )
        rows = np.broadcast_shapes(np.shape(gain), np.shape(offset), (1, x.channels))
        total = np.broadcast_to(gain * x.scales / unit, rows)
        integers = np.broadcast_to(np.round(offset / unit), rows)
        if not (np.abs(total).max() < 2**31 and np.abs(integers).max() < 2**31):
            raise LoweringError(
                f"{where}: a gain of {float(np.abs(total).max()) * unit:.3g} or an offset of "
                f"{float(np.abs(integers).max()) * unit:.3g} does not fit 32 bits. Look for a channel without variance."
            )
        multiplier, shift = multipliers(total)
        return self.scaled(x, multiplier, shift, integers, self.name(where), np.array(unit))

    def scaled(
        self,
        x: Source,
        multiplier: NDArray[np.int64],
        shift: NDArray[np.int64],
        offset: NDArray[np.float64],
        name: str,
        scale: NDArray[np.float64],
        clip: tuple[int, int] | None = None,
    ) -> Source:
        """An affine node with these integers, each [C] or [1 or T, C]; constants by step give the output steps."""
        arrays = [np.broadcast_to(a, np.shape(multiplier)) for a in (multiplier, shift, offset)]
        by_step = arrays[0].ndim == 2 and len(arrays[0]) > 1
        m, s, d = (a if by_step else a.reshape(-1) for a in arrays)
        node = ir.Affine(name, (x.node,), m.astype(np.int32), s.astype(np.uint8), d.astype(np.int32), clip)
        return self.append(node, x.shape, scale, "steps" if by_step else x.time, x.kinds)

    def on_grid(self, x: Source, where: str, unit: float = GRID) -> Source:
        """`x` rounded to whole `unit`s, halves up; itself where it is there already.

        A scale that is a multiple of `unit` is not rounded: PyTorch then holds `x` alone, in its own scale.
        """
        if x.has_one_scale and x.one_scale(where) == unit:
            return x
        y = self.affine(x, np.array(1.0), np.array(0.0), f"{where}.grid", unit)
        if (x.scales >= unit).all():
            self.not_held.add(y.node)
        return y

    def at_scale(self, x: Source, scale: float, where: str) -> Source:
        """`x` in units of `scale`, exactly; itself where it is so already.

        Raises:
            LoweringError: its scale is not a whole multiple of `scale`, a power of two below 2^31.
        """
        ratio = x.scales / scale
        if (ratio == 1).all():
            return x
        if (np.frexp(ratio)[0] != 0.5).any() or ratio.min() < 1 or ratio.max() >= 2**31:
            raise LoweringError(
                f"{where}: its channels' scales differ by factors of {ratio.min():.3g} to {ratio.max():.3g}, and "
                "integers need a power of two below 2^31. Put a batch norm or a neuron before it."
            )
        zeros = np.zeros(x.channels)
        name = self.extra_name(f"{where}.scale")
        self.not_held.add(name)
        return self.scaled(x, ratio.astype(np.int64), zeros.astype(np.int64), zeros, name, np.array(scale))

    # --- values ---

    def plain(self, source: Source) -> Value:
        """The whole edge as the tensor [T or 1, B, ...], or [B, ...] after a sum over time."""
        lead = (source.batch,) if source.time == "summed" else (source.steps, source.batch)
        return Value((*lead, *source.shape), source)


def multipliers(gain: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole numbers m and s with m * 2^-s = gain to 15 bits, |m| < 2^31, 0 <= s <= 62.

    Args:
        gain: magnitudes below 2^31, in units of the output for one of the input.
    """
    mantissa, exponent = (t.numpy() for t in split_gain(torch.tensor(gain)))
    multiplier, shift = mantissa.reshape(-1).copy(), exponent.reshape(-1).copy()
    # A gain above 2^15 integer units a step: shift left by folding powers of two into the multiplier.
    multiplier[shift < 0] <<= -shift[shift < 0]
    shift[shift < 0] = 0
    # Trailing zeros carry nothing: 4096 / 2^12 is 1 / 2^0.
    for c in range(multiplier.size):
        while shift[c] > 0 and multiplier[c] % 2 == 0:
            multiplier[c] //= 2
            shift[c] -= 1
    too_small = shift > 62
    multiplier[too_small], shift[too_small] = 0, 0
    return multiplier.reshape(gain.shape), shift.reshape(gain.shape)


def is_power_of_two(x: float) -> bool:
    """Whether `x` is 2^k for a whole k."""
    return x > 0 and math.frexp(x)[0] == 0.5
