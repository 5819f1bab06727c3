"""What lowering knows of a real tensor: which integer edge stands for it, and at what scale.

    real value = scale[c] * integer     scale: positive, one number or one a channel

A value is *on the grid* when its scale is 2^-12 everywhere: then currents add and neurons compare.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.quant.grid import FRACTION_BITS, split_gain

GRID = 2.0**-FRACTION_BITS


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """An edge and its scale, float64 of shape () or [C]; `channels` is the size of the edge's channel axis."""

    node: str
    scale: NDArray[np.float64]
    channels: int
    timed: bool = True

    @property
    def has_one_scale(self) -> bool:
        """Whether all channels share a scale."""
        return bool((self.scale == self.scale.reshape(-1)[0]).all())

    def one_scale(self, where: str) -> float:
        """The scale that all channels share."""
        if not self.has_one_scale:
            raise LoweringError(
                f"{where}: reads a tensor whose channels have different scales. Put a batch norm or a neuron before it."
            )
        return float(self.scale.reshape(-1)[0])


class Builder:
    """Collects nodes; gives each a unique name.

    Args:
        time_steps: T.
        modules: full names of the model's modules, which only their own nodes may bear.
    """

    def __init__(self, time_steps: int, modules: Collection[str]) -> None:
        self.time_steps = time_steps
        self.modules = modules
        self.nodes: list[ir.Operation] = []
        self.names: set[str] = set()

    def extra_name(self, wanted: str) -> str:
        """A name for a node that is no module's: `wanted`, or `wanted()` where a module has that name."""
        return self.name(f"{wanted}()" if wanted in self.modules else wanted)

    def name(self, wanted: str) -> str:
        """`wanted`, or `wanted#2` and so on where it is taken: the second, third ... use of a module."""
        name, n = wanted, 1
        while name in self.names:
            n += 1
            name = f"{wanted}#{n}"
        self.names.add(name)
        return name

    def append(self, node: ir.Operation) -> str:
        """Adds a node made with a name from `name`, and returns that name."""
        self.nodes.append(node)
        return node.name

    def affine(self, value: Value, gain: NDArray[np.float64], offset: NDArray[np.float64], where: str) -> Value:
        """gain[c] * value + offset[c] on the grid; offset is a multiple of 2^-12 already."""
        if (np.frexp(value.scale)[0] != 0.5).any():
            raise LoweringError(
                f"{where}: reads a mean over a number of values that is no power of two, which integers can't scale "
                "exactly. Take that mean last, or use spikelet.nn.SumPool2d."
            )
        total = np.broadcast_to(gain * value.scale / GRID, (value.channels,))
        integers = np.broadcast_to(np.round(offset / GRID), (value.channels,))
        if not (np.abs(total).max() < 2**31 and np.abs(integers).max() < 2**31):
            raise LoweringError(
                f"{where}: a gain of {float(np.abs(total).max()) * GRID:.3g} or an offset of "
                f"{float(np.abs(integers).max()) * GRID:.3g} does not fit 32 bits. Look for a channel without variance."
            )
        mantissa, exponent = (t.numpy() for t in split_gain(torch.tensor(total)))
        multiplier, shift = mantissa.copy(), exponent.copy()
        # A gain above 2^15 integer units a step: shift left by folding powers of two into the multiplier.
        multiplier[exponent < 0] <<= -exponent[exponent < 0]
        shift[exponent < 0] = 0
        # Trailing zeros carry nothing: 4096 / 2^12 is 1 / 2^0.
        for c in range(value.channels):
            while shift[c] > 0 and multiplier[c] % 2 == 0:
                multiplier[c] //= 2
                shift[c] -= 1
        too_small = shift > 62
        multiplier[too_small], shift[too_small] = 0, 0
        name = self.append(
            ir.Affine(
                self.name(where),
                (value.node,),
                multiplier.astype(np.int32),
                shift.astype(np.uint8),
                integers.astype(np.int32),
            )
        )
        return Value(name, np.array(GRID), value.channels, value.timed)

    def on_grid(self, value: Value, where: str) -> Value:
        """`value` rounded to the grid; itself where it is there already."""
        if value.has_one_scale and math.isclose(value.one_scale(where), GRID, rel_tol=0):
            return value
        return self.affine(value, np.array(1.0), np.array(0.0), f"{where}.grid")

    def at_scale(self, value: Value, scale: float, where: str) -> Value:
        """`value` in units of `scale`, exactly; itself where it is so already.

        Raises:
            LoweringError: its scale is not a whole multiple of `scale`, a power of two below 2^31.
        """
        ratio = np.broadcast_to(value.scale / scale, (value.channels,))
        if (ratio == 1).all():
            return value
        if (np.frexp(ratio)[0] != 0.5).any() or ratio.min() < 1 or ratio.max() >= 2**31:
            raise LoweringError(
                f"{where}: its channels' scales differ by factors of {ratio.min():.3g} to {ratio.max():.3g}, and "
                "integers need a power of two below 2^31. Put a batch norm or a neuron before it."
            )
        zeros = np.zeros(value.channels)
        node = ir.Affine(
            self.extra_name(f"{where}.scale"),
            (value.node,),
            ratio.astype(np.int32),
            zeros.astype(np.uint8),
            zeros.astype(np.int32),
        )
        return Value(self.append(node), np.array(scale), value.channels, value.timed)
