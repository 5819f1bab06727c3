"""Which kernel runs a convolution or linear layer, and its weights as that kernel reads them.

    source          codes                              kernel
    any             a group for each channel           CONV_DEPTHWISE  int16 taps, of values
    spikes          1 bit, many outputs, no groups     CONV_SLICED     1-bit rows
    spikes          1 bit, few outputs, no groups      CONV_NIBBLES    1-bit rows, 4 bits an output
    spikes          1 bit, ends in a neuron            CONV_CUTS       1-bit rows; see cuts.py
    spikes          1 bit, wide maps, stride 1         CONV_PLACES     lists of the weights of +1
    spikes          any other                          CONV_ROWS       int8 rows
    counts          where lists are faster             as spikes
    bytes           8 bits, where a set has tiles      CONV_BLOCKS     int8 blocks
    values to 255   small enough, the same             CONV_QUADS      int8 quads
    16-bit values   any, no groups, no dilation        CONV_PAIRS      int16 pairs
    any values      any                                CONV_VALUES     int8 rows

Counts are values from 0 to 16, such as those of neurons of a few levels or sums of spikes: a value of n is n events.
Their expected mean (density.py) and what both take (costs.py) say whether lists of them are faster than multiplying.
Any kernel further down in the table can run a layer too, and either of 1 bit where the other does: spikes can be read
as values, at the cost of unpacking them. Results are the same. A dilated kernel reads spikes as values. CONV_PLACES
counts as long however few spikes there are, at 512 places at once.

Odd codes 2 w + 1 (spec Q5) of 8 bits don't fit int8, but every w does: int8 rows hold w, and the kernel turns their sum
into that of the codes,

    sum of (2 w + 1) x  =  2 (sum of w x) + (sum of x),

where the sum of x over spikes is their number. Smaller w also let more rows be added in int8. Pairs and quads hold the
codes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import Codes, top_code, values_of
from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.runtime import layout
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.sets import KernelSet
from spikelet.runtime.plan.shared_rows import row_pixels

NARROW = 64  # outputs beyond which a bit each pays
PLANES_REACH = 2**16 - 8  # events that 1-bit rows can count
MOST_COUNTS = 16  # the largest value that can be events
NARROW_CODES = 31  # of which int8 holds the sum of four
BYTE, CODE, SHORT = 2**8 - 1, 2**7, 2**15 - 1  # what uint8, int8 and int16 hold
READS_EVENTS = frozenset({Kind.CONV_ROWS, Kind.CONV_SLICED, Kind.CONV_NIBBLES, Kind.CONV_CUTS})
COUNTS_VALUES = READS_EVENTS | {Kind.CONV_QUADS}  # which are told how large values can be
READS_BYTES = frozenset({Kind.CONV_BLOCKS, Kind.CONV_QUADS, Kind.CONV_PAIRS, Kind.CONV_VALUES})
COUNTS_ONES = READS_EVENTS | {Kind.CONV_PLACES}  # whose sums can be short
READS_SPIKES = COUNTS_ONES | {Kind.CONV_BLOCKS}  # or planes, as they lie in memory
LONGEST_ROW, LARGEST_KERNEL = 64, 8  # places.h: pixels of a map, taps each way
HOLDS_CODES = frozenset({Kind.CONV_BLOCKS, Kind.CONV_QUADS})  # odd codes too, not their halves


@dataclasses.dataclass(frozen=True, eq=False)
class Read:
    """What a layer reads: its edge, the values' expected mean, where they lie as spikes, pool * pool of them each, that
    pool, 0 where they don't, by how many places: output positions and steps, and the pixels of a row, the source's and
    the output's."""

    edge: Edge
    mean: float
    pool: int
    places: int
    widths: tuple[int, int]

    @property
    def most(self) -> int:
        """Events that a value is at most; 0 where values are no events."""
        low, high = int(self.edge.low.min()), int(self.edge.high.max())
        return self.pool**2 or (high if low >= 0 and 1 <= high <= MOST_COUNTS else 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Synapses:
    """A layer as a convolution: its node, its w [O, I / groups, kh, kw], how the kernel moves."""

    node: ir.Conv | ir.Linear
    weight: Codes
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int
    dilation: tuple[int, int] = (1, 1)

    @staticmethod
    def of(node: ir.Conv) -> Synapses:
        """A convolution's."""
        return Synapses(node, node.weight, node.stride, node.padding, node.groups, node.dilation)

    @property
    def dilated(self) -> bool:
        """Whether the kernel's taps stand apart."""
        return self.dilation != (1, 1)

    def kinds(self, kernels: KernelSet, read: Read) -> tuple[Kind, ...]:
        """Kernels of the set that can run these weights on what they read; the one to take unless told otherwise
        first."""
        able: list[Kind] = [Kind.CONV_DEPTHWISE] if self._is_depthwise else []
        most = read.most
        by_events = self._by_events(most) if most and not self.dilated else []
        products = self._products(kernels, read)
        able += by_events if by_events and self._lists_win(kernels, by_events[0], products, read) else []
        able += [*products, *(kind for kind in by_events if kind not in able), Kind.CONV_VALUES]
        if self._fits_places(by_events, read):
            able.insert(0 if self._places_win(kernels, able[0], read) else 1, Kind.CONV_PLACES)
        return tuple(kind for kind in able if kind in kernels.kinds)

    def _products(self, kernels: KernelSet, read: Read) -> list[Kind]:
        """Kernels that multiply what they read, all at once; the faster first."""
        source, costs = read.edge, kernels.costs
        if self.groups > 1 or self.dilated:
            return []
        able = [Kind.CONV_QUADS] if self._fits_quads(source) else []
        able += [Kind.CONV_PAIRS] if source.low.min() >= -(2**15) and source.high.max() < 2**15 else []
        if not self._fits_blocks(source):
            return able
        outputs, synapses = len(self.weight), self.weight[0].size
        of_blocks, of_others = (
            math.inf if costs is None else costs.multiplied(kind, outputs, synapses, read.places)
            for kind in (Kind.CONV_BLOCKS, able[0])
        )
        return [Kind.CONV_BLOCKS, *able] if of_blocks < of_others else [*able, Kind.CONV_BLOCKS]

    def _by_events(self, most: int) -> list[Kind]:
        """Kernels that read lists of events, of which an input value has `most` at most; the faster first."""
        sliced = self.node.bits == 1 and self.groups == 1 and self.weight[0].size * most < PLANES_REACH
        of_bits = [Kind.CONV_NIBBLES, Kind.CONV_SLICED] if sliced else []
        return [*(reversed(of_bits) if len(self.weight) > NARROW else of_bits), Kind.CONV_ROWS]

    def _lists_win(self, kernels: KernelSet, kind: Kind, products: list[Kind], read: Read) -> bool:
        """Whether the set's lists of events are expected to be faster than multiplying: spikes are unpacked for blocks
        alone, which read them as they lie in memory."""
        costs, outputs, taps = kernels.costs, len(self.weight) // self.groups, self.weight[0, 0].size
        if read.pool and (read.pool > 1 or costs is None or Kind.CONV_BLOCKS not in products):
            return True
        if costs is None:
            return False
        others = [Kind.CONV_BLOCKS] if Kind.CONV_BLOCKS in products else []
        others += [] if read.pool else [Kind.CONV_QUADS]
        multiplied = min(costs.multiplied(other, outputs, self.weight[0].size, read.places) for other in others)
        return costs.listed(kind, outputs, taps, read.mean, wide=self.code_top(kind) > NARROW_CODES) < multiplied

    def _fits_places(self, by_events: list[Kind], read: Read) -> bool:
        """Whether CONV_PLACES can run 1-bit weights on these spikes."""
        small = max(self.weight.shape[2:]) <= LARGEST_KERNEL and max(read.widths) <= LONGEST_ROW
        small &= self.weight[0].size <= SHORT
        return Kind.CONV_SLICED in by_events and read.pool == 1 and self.stride == (1, 1) and small

    def _places_win(self, kernels: KernelSet, kind: Kind, read: Read) -> bool:
        """Whether counting at many places at once is expected to be faster than the kernel `kind`: than lists of events
        whose rows have few outputs, for those of many are read once for all of them."""
        costs, outputs, taps = kernels.costs, len(self.weight), self.weight[0, 0].size
        if costs is None or kind is not Kind.CONV_NIBBLES:
            return False
        listed = costs.listed(kind, outputs, taps, read.mean, wide=False)
        return costs.side_by_side(outputs, read.places, read.widths[1]) < listed

    def packer(self, kind: Kind, row_pixels: int) -> Callable[[], layout.Weights]:
        """What packs the weights for a kernel of `kind`, of whose rows so many output pixels share one."""
        if kind is Kind.CONV_SLICED:
            return lambda: layout.sliced(self.node.name, self.codes(), row_pixels, self.stride[1])
        if kind is Kind.CONV_NIBBLES:
            return lambda: layout.nibbles(self.node.name, self.codes())
        if kind is Kind.CONV_PLACES:
            return lambda: layout.places(self.codes())
        if kind is Kind.CONV_PAIRS:
            return lambda: layout.pairs(self.codes())
        if kind is Kind.CONV_QUADS:
            return lambda: layout.quads(self.codes())
        if kind is Kind.CONV_BLOCKS:
            return lambda: layout.blocks(self.codes())
        if kind is Kind.CONV_DEPTHWISE:
            return lambda: layout.taps(self.codes())
        return lambda: layout.rows(self.node.name, self._stored(), self.groups)

    @property
    def _is_depthwise(self) -> bool:
        """Whether every channel has a group, and a kernel, of its own."""
        return self.groups == len(self.weight) > 1 and self.weight.shape[1] == 1

    def _stored(self) -> Codes:
        """What int8 rows hold: the codes, or w of odd codes 2 w + 1."""
        return self.weight if self._odd else self.codes().astype(np.int8)

    def codes(self) -> NDArray[np.int16]:
        """The weights as integers."""
        return values_of(self.weight, self.node.bits, self.node.grid)

    @property
    def _odd(self) -> bool:
        return self.node.grid == "odd"

    def _fits_quads(self, source: Edge) -> bool:
        """Whether values are bytes, codes int8, and int16 holds two of their products."""
        low, high, top = int(source.low.min()), int(source.high.max()), self._top
        return low >= 0 and 1 <= high <= BYTE and top <= CODE and 2 * high * top <= SHORT

    def _fits_blocks(self, source: Edge) -> bool:
        """Whether values are bytes and codes int8."""
        return source.low.min() >= 0 and source.high.max() <= BYTE and self._top <= CODE

    @property
    def _top(self) -> int:
        """The largest code that its bits and grid have."""
        return top_code(self.node.bits, self.node.grid)

    def code_top(self, kind: Kind) -> int:
        """The largest magnitude of what a kernel of `kind` holds: codes, or w of odd codes 2 w + 1."""
        return (self._top + 1) // 2 if self._odd and kind not in HOLDS_CODES else self._top

    def row_pixels(self, kernels: KernelSet, kind: Kind, out_w: int) -> int:
        """Output pixels that share a row of weights, of so many side by side."""
        return row_pixels(kind, kernels.vector, self.weight.shape, self.stride[1], out_w)

    def fields(self, kind: Kind) -> dict[str, int]:
        """What a kernel of `kind` is told of the layer, its weights' place apart."""
        return {
            "kernel_h": self.weight.shape[2], "kernel_w": self.weight.shape[3], "stride_h": self.stride[0],
            "stride_w": self.stride[1], "pad_h": self.padding[0], "pad_w": self.padding[1], "groups": self.groups,
            "dilation_h": self.dilation[0], "dilation_w": self.dilation[1],
            "code_top": self.code_top(kind), "odd": self._odd and kind not in HOLDS_CODES,
        }  # fmt: skip
