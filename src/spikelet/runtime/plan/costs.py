"""When lists of events are faster than multiplication: what both take of an input value and tap, by kernel set.

    CONV_QUADS    dense * outputs, and CONV_PAIRS alike
    CONV_BLOCKS   blocks * outputs * places of whole blocks / places * synapses of whole blocks / synapses
    CONV_PLACES   across * outputs * places of whole strips / places
    listed        scan / taps + mean * event * ceil(outputs / outputs of a vector)

Outputs are padded to a vector of 8, those of blocks to 16, as the places (output positions and steps) are that share a
block; a strip of CONV_PLACES has 512, in rows of 8, 16, 32 or 64. Taps are the positions of a kernel: a value is looked
for events once, and then counts under every tap. The figures are nanoseconds where they were measured (`python -m
benchmarks.break_even`, results/LOG.md, 2026-11-30); only their ratios count.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from spikelet.graph.edge import padded
from spikelet.runtime.layout import row_of_places
from spikelet.runtime.plan.kinds import Kind

OUTPUTS: Mapping[Kind, int] = {Kind.CONV_ROWS: 32, Kind.CONV_NIBBLES: 64, Kind.CONV_SLICED: 256}  # of a vector
BLOCK = 16  # places and outputs
STRIP = 512  # places


@dataclasses.dataclass(frozen=True)
class Costs:
    """What the kernels of a set take.

    dense: an input value and output, multiplied by CONV_QUADS.
    blocks: the same by CONV_BLOCKS; infinite in a set that has them in plain C alone.
    pairs: the same by CONV_PAIRS; None: as much as by CONV_QUADS.
    across: the same by CONV_PLACES, spike or not; infinite where lists are always taken.
    depth: synapses of a block: 64, or 1 where what is empty of a block takes next to nothing.
    scan: a value that is looked for events.
    event: a vector of an event's weights, by the kernel that adds it up.
    wide: the same of CONV_ROWS, where int8 holds no four codes' sum.
    """

    dense: float
    scan: float
    event: Mapping[Kind, float]
    wide: float
    blocks: float = math.inf
    pairs: float | None = None
    across: float = math.inf
    depth: int = 1

    def multiplied(self, kind: Kind, outputs: int, synapses: int, places: int) -> float:
        """What `kind`, which multiplies, takes in a map of so many places, whose outputs have so many synapses."""
        if kind is not Kind.CONV_BLOCKS:
            dense = self.dense if kind is Kind.CONV_QUADS or self.pairs is None else self.pairs
            return dense * padded(outputs, 8)
        filled = padded(places, BLOCK) / places * padded(synapses, self.depth) / synapses
        return self.blocks * padded(outputs, BLOCK) * filled

    def side_by_side(self, outputs: int, places: int, width: int) -> float:
        """What CONV_PLACES takes of so many places in rows of `width`."""
        row = 8 * row_of_places(width)
        return self.across * outputs * padded(-(-places // width) * row, STRIP) / places

    def listed(self, kind: Kind, outputs: int, taps: int, mean: float, *, wide: bool) -> float:
        """What lists of events through the kernel `kind` take, for values of that `mean`."""
        event = self.wide if kind is Kind.CONV_ROWS and wide else self.event[kind]
        return self.scan / taps + mean * event * -(-outputs // OUTPUTS[kind])


AVX2 = Costs(
    dense=0.0073, scan=0.4, event={Kind.CONV_ROWS: 0.3, Kind.CONV_NIBBLES: 0.31, Kind.CONV_SLICED: 0.65}, wide=0.6
)
AVX512 = Costs(
    dense=0.0075, scan=0.03, event={Kind.CONV_ROWS: 0.27, Kind.CONV_NIBBLES: 0.3, Kind.CONV_SLICED: 0.43}, wide=0.55,
    blocks=0.0029, across=0.0004,
)  # fmt: skip
# Events of 1-bit rows count here a quarter of what was measured, so that their lists come first. Such layers mostly end
# in cuts, which take less than the 32-bit neurons behind blocks; and residual streams less busy than guessed are listed
# much faster, busier ones multiplied a little faster (results/LOG.md).
AMX = dataclasses.replace(
    AVX512, blocks=0.0007, event={Kind.CONV_ROWS: 0.27, Kind.CONV_NIBBLES: 0.08, Kind.CONV_SLICED: 0.1}, across=0.0001
)
PORTABLE = Costs(
    dense=0.158, scan=1.9, event={Kind.CONV_ROWS: 2.4, Kind.CONV_NIBBLES: 1.2, Kind.CONV_SLICED: 4.0}, wide=1.14
)
# Executed instructions, counted under emulation as GCC 12 compiles them (results/LOG.md, 2026-11-30, second session).
NEON = Costs(
    dense=0.48, scan=14, event={Kind.CONV_ROWS: 9, Kind.CONV_NIBBLES: 11, Kind.CONV_SLICED: 14}, wide=8, blocks=0.34,
    pairs=0.6, depth=64,
)  # fmt: skip
DOTPROD = dataclasses.replace(NEON, dense=0.17, blocks=0.155)
