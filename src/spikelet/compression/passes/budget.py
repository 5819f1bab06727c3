"""The fewest channels that must leave for a network to fit.

All units stand in one line, least wanted first. With m of them gone the network costs bytes(m) and SOPs(m), measured on
the network cut down so far; bisection finds the smallest m within the limits. Bytes fall with m; SOPs nearly always
do (fewer channels may also make others fire more), so that the m found is within the limits, and one less is not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.compression.channels import Channels, first_removable, remove_channels
from spikelet.compression.layer_costs import cost_of


def units_for_budget(
    model: nn.Module, channels: Channels, order: Tensor, x: Tensor, max_bytes: float | None, max_sops: float | None
) -> Tensor:
    """The fewest units that must leave, int64 [R]: the first of `order` that may.

    Args:
        model: the network, left alone.
        channels: its analysis.
        order: units [U], least wanted first.
        x: a batch, on which operations are counted.
        max_bytes, max_sops: limits, or None.
    Raises:
        CompressionError: even with all units gone it does not fit; says how small it gets.
        ValueError: profile can't count a layer.
    """

    def cost(units: Tensor) -> tuple[int, float]:
        small = copy.deepcopy(model)
        if len(units):
            remove_channels(small, channels, units, x)
        return cost_of(small, x, channels.time_axis)

    def fits(units: Tensor) -> bool:
        size, sops = cost(units)
        return (max_bytes is None or size <= max_bytes) and (max_sops is None or sops <= max_sops)

    smallest = first_removable(channels, order, len(order))
    if not fits(smallest):
        size, sops = cost(smallest)
        wanted = [f"max_bytes={max_bytes:,.0f}"] if max_bytes is not None else []
        wanted += [f"max_sops={max_sops:,.0f}"] if max_sops is not None else []
        raise CompressionError(
            f"Prune can't meet {' and '.join(wanted)}: with one channel left wherever channels may leave, the network "
            f"needs {size:,} bytes and {sops:,.0f} SOPs. Fewer bits (Quantize before Prune) make it smaller."
        )
    return smallest[: first_true(len(smallest), lambda m: fits(smallest[:m]))]


def first_true(top: int, fits: Callable[[int], bool]) -> int:
    """The smallest m in 0..top that fits, where `top` does."""
    low, high = -1, top
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
