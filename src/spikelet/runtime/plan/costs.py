"""When lists of events are faster than multiplication: what both take of an input value and tap, by kernel set.

    multiplied   dense * outputs
    listed       scan / taps + mean * event * ceil(outputs / outputs of a vector)

Outputs are padded to a vector of 8, and taps are the positions of a kernel: a value is looked for events once, and then
counts under every tap. The figures are nanoseconds where they were measured (`python -m benchmarks.break_even`,
results/LOG.md, 2026-11-30); only their ratios count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from spikelet.graph.edge import padded
from spikelet.runtime.plan.kinds import Kind

OUTPUTS: Mapping[Kind, int] = {Kind.CONV_ROWS: 32, Kind.CONV_NIBBLES: 64, Kind.CONV_SLICED: 256}  # of a vector


@dataclasses.dataclass(frozen=True)
class Costs:
    """What the kernels of a set take.

    dense: an input value and output, multiplied by CONV_QUADS.
    scan: a value that is looked for events.
    event: a vector of an event's weights, by the kernel that adds it up.
    wide: the same of CONV_ROWS, where int8 holds no four codes' sum.
    """

    dense: float
    scan: float
    event: Mapping[Kind, float]
    wide: float

    def lists_win(self, kind: Kind, outputs: int, taps: int, mean: float, *, wide: bool) -> bool:
        """Whether lists of events through the kernel `kind` are expected to be faster, for values of that `mean`."""
        event = self.wide if kind is Kind.CONV_ROWS and wide else self.event[kind]
        listed = self.scan / taps + mean * event * -(-outputs // OUTPUTS[kind])
        return listed < self.dense * padded(outputs, 8)


AVX2 = Costs(
    dense=0.0073, scan=0.4, event={Kind.CONV_ROWS: 0.3, Kind.CONV_NIBBLES: 0.31, Kind.CONV_SLICED: 0.65}, wide=0.6
)
PORTABLE = Costs(
    dense=0.158, scan=1.9, event={Kind.CONV_ROWS: 2.4, Kind.CONV_NIBBLES: 1.2, Kind.CONV_SLICED: 4.0}, wide=1.14
)
