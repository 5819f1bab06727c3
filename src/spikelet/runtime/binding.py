"""A plan given to the library: its operations as C structures, with the addresses of their arrays."""

from __future__ import annotations

import ctypes
from typing import NoReturn

from spikelet.base.errors import GraphError, RuntimeUnavailable
from spikelet.runtime import layout
from spikelet.runtime.calling import Pace
from spikelet.runtime.library import choose, library
from spikelet.runtime.plan.operation import PLACES, Planned
from spikelet.runtime.plan.plan import Plan
from spikelet.runtime.structures import NONE, Op


class Native:
    """A plan that this process can run.

    set: the number of its kernel set in the library.
    ops, address, count: its operations, where they begin, and how many they are.
    pace: how long its calls take.
    """

    def __init__(self, plan: Plan, index: int, ops: ctypes.Array[Op], keep: object) -> None:
        self.plan, self.set, self.ops, self._keep = plan, index, ops, keep
        self.address, self.count = ctypes.addressof(ops), len(ops)
        self.arena_bytes = plan.arena_bytes
        self.pace = Pace()

    def __reduce__(self) -> NoReturn:
        raise GraphError("a bound plan holds addresses of this process; pickle or copy its plan, or its Program.")


def bind(plan: Plan) -> Native:
    """`plan`, ready to run; arrays that are not at a multiple of 64 are copied.

    Raises:
        RuntimeUnavailable: the library is not built, has no such kernel set for this machine, or takes more scratch
            memory than the plan has.
    """
    kernels = choose(plan.kernels)
    arrays = {name: _aligned(constant.values) for name, constant in plan.constants.items()}
    ops = (Op * len(plan.operations))()
    for op, planned in zip(ops, plan.operations, strict=True):
        _fill(op, planned, arrays)
        needed = library().spk_op_scratch(kernels.index, ctypes.byref(op))
        if needed > plan.scratch_bytes:
            raise RuntimeUnavailable(
                f"the library takes {needed} bytes of scratch memory for {planned.kind.name}, the plan has "
                f"{plan.scratch_bytes}: it was built from other sources than these. Build it again: pip install ."
            )
    return Native(plan, kernels.index, ops, arrays)


def _fill(op: Op, planned: Planned, arrays: dict[str, layout.Array]) -> None:
    """Writes everything that `planned` names; places and states that it doesn't name are absent."""
    op.kind = planned.kind
    for name in (*PLACES, "state"):
        setattr(op, name, NONE)
    for name, number in planned.numbers.items():
        setattr(op, name, number)
    for name, buffer in planned.places.items():
        setattr(op, name, buffer.offset)
    for name, constant in planned.arrays.items():
        setattr(op, name, arrays[constant.name].ctypes.data)


def _aligned(values: layout.Array) -> layout.Array:
    return values if values.ctypes.data % layout.ALIGNMENT == 0 else layout.aligned(values)
