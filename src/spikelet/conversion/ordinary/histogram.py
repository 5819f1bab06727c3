"""How often each value occurs, counted in bins that are 1/256 of the value wide.

    bin of v = sign of v, and the upper 16 bits of |v| as a float32: its exponent and 7 bits behind the point

A bin stands for its middle, which is off by at most 2^-8 of a value; that of 0, and of numbers below 2^-133, for 0. So
any number of values of any size takes 1 MiB, and the counts depend neither on the order of the values nor on how they
were cut into batches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikelet.base.errors import ConversionError

DROPPED_BITS = 15
BINS = 2 ** (31 - DROPPED_BITS)  # of each sign


class Histogram:
    """Counts of the values so far. See the module's description.

    Args:
        name: whose values they are, for the error.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts = torch.zeros(2 * BINS, dtype=torch.int64)

    def add(self, values: Tensor) -> None:
        """Counts every element.

        Raises:
            ConversionError: one is NaN or infinite.
        """
        v = values.detach().float().cpu().reshape(-1)
        if not torch.isfinite(v).all():
            raise ConversionError(
                f"{self.name} was given NaN or infinity. Look for a diverged training, or for such numbers in the data."
            )
        bins = (v.abs().view(torch.int32) >> DROPPED_BITS) + BINS * (v < 0)
        self.counts += torch.bincount(bins, minlength=2 * BINS)

    def values_and_counts(self) -> tuple[Tensor, Tensor]:
        """The middle of each bin that holds a value, and how many it holds, float64 [n] each."""
        used = self.counts.nonzero().reshape(-1)
        code = used % BINS
        half = (code > 0).long() << (DROPPED_BITS - 1)
        middles = ((code << DROPPED_BITS) + half).to(torch.int32).view(torch.float32).double()
        return torch.where(used < BINS, middles, -middles), self.counts[used].double()
