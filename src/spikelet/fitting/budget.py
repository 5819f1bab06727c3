"""What a fitted network may cost."""

from __future__ import annotations

import dataclasses

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import make_plain, not_negative, positive


@dataclasses.dataclass(frozen=True)
class Budget:
    """Limits of a fitted network; None sets no limit.

    max_bytes: of the packed file.
    max_sops: accumulates per sample over all time steps, by the papers' rule (profiling/layers.py).
    max_accuracy_drop: percentage points below the starting network, on the test set (or else the validation set).

    Example:
        >>> spikelet.Budget(max_bytes=8000, max_accuracy_drop=1.0)
        Budget(max_bytes=8000, max_sops=None, max_accuracy_drop=1.0)

    Raises:
        ValueError: a limit is not a number above 0 (a drop may be 0), or there is neither of the first two.
    """

    max_bytes: int | None = None
    max_sops: float | None = None
    max_accuracy_drop: float | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        limits = {"max_bytes": self.max_bytes, "max_sops": self.max_sops}
        positive("Budget", **{name: limit for name, limit in limits.items() if limit is not None})
        if self.max_accuracy_drop is not None:
            not_negative("Budget", " percentage points", max_accuracy_drop=self.max_accuracy_drop)
        if self.max_bytes is None and self.max_sops is None:
            raise SpikeletError("Budget needs max_bytes, or max_sops, or both: without a limit nothing has to shrink.")

    def holds(self, size: int, sops: float) -> bool:
        """Whether a network of `size` bytes and `sops` accumulates is within the limits."""
        return not self.missed(size, sops)

    def missed(self, size: int, sops: float, drop: float = 0.0) -> list[str]:
        """The limits that such a network, `drop` percentage points less accurate, does not meet, in words."""
        values = [
            (size, self.max_bytes, "bytes"), (sops, self.max_sops, "SOPs"),
            (round(drop, 9), self.max_accuracy_drop, "points of accuracy lost"),  # 93 % less 91 % is 2.0000000000000018
        ]  # fmt: skip
        return [f"{v:,.9g} {what}, at most {m:,.9g} asked" for v, m, what in values if m is not None and v > m]
