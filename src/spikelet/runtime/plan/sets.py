"""The kernel sets as a plan knows them: which kinds of operations each runs, and the scratch memory that they take.

The library says the same of its own sets; library.py refuses one that says otherwise. Which of them a machine can run,
the library alone knows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from spikelet.base.errors import GraphError
from spikelet.base.strict_json import shown
from spikelet.runtime.plan import costs, scratch
from spikelet.runtime.plan.costs import Costs
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.operation import Planned


@dataclasses.dataclass(frozen=True)
class KernelSet:
    """One implementation of the operations: its name, the kinds that it has, and scratch bytes of those that take some.

    costs: when layers of counts are faster by lists of events; None in a set that has nothing else.
    vector: bytes of the vector that counts 1-bit rows (csrc/wide_*.h).

    Sets that differ in their name alone plan alike.
    """

    name: str
    kinds: frozenset[Kind]
    scratch: Mapping[Kind, Callable[[Planned], int]]
    costs: Costs | None = None
    vector: int = 32

    def scratch_bytes(self, operation: Planned) -> int:
        """Scratch memory of `operation`."""
        wanted = self.scratch.get(operation.kind)
        return 0 if wanted is None else wanted(operation)


_FAST_ONLY = frozenset(
    {
        Kind.CONV_SLICED, Kind.CONV_NIBBLES, Kind.CONV_PAIRS, Kind.CONV_QUADS, Kind.CONV_DEPTHWISE, Kind.MATMUL_BITS,
        Kind.CONV_CUTS, Kind.ADD_PLANES, Kind.CONV_BLOCKS, Kind.CONV_PLACES,
    }
)  # fmt: skip
SETS: Mapping[str, KernelSet] = {
    one.name: one
    for one in (
        KernelSet("scalar", frozenset(Kind) - _FAST_ONLY, {}),
        KernelSet("portable", frozenset(Kind), scratch.FAST, costs=costs.PORTABLE),
        KernelSet("avx2", frozenset(Kind), scratch.FAST, costs=costs.AVX2),
        KernelSet("avx512", frozenset(Kind), scratch.FAST, costs=costs.AVX512, vector=64),
        KernelSet("amx", frozenset(Kind), scratch.FAST, costs=costs.AMX, vector=64),
        KernelSet("neon", frozenset(Kind), scratch.FAST, costs=costs.NEON),
        KernelSet("dotprod", frozenset(Kind), scratch.FAST, costs=costs.DOTPROD),
    )
}
PORTABLE = "portable"  # the fastest set that every machine has


def set_called(name: object) -> KernelSet:
    """The kernel set of that name, whether this machine can run it or not.

    Raises:
        GraphError: there is no such set.
    """
    found = SETS.get(name) if isinstance(name, str) else None
    if found is None:
        raise GraphError(f"kernels must be one of {', '.join(map(repr, SETS))} for a plan, got {shown(name)}.")
    return found
