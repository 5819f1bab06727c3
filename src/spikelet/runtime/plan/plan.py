"""A native program as data: operations with their numbers, arrays and places, and all that its caller must know.

A plan holds no address and needs no library; `binding.bind` gives it to one. It depends on the graph, on what is wanted
of it, on whether the input has a time axis, on the kernel set and on the kernels chosen by hand, and on nothing else:
its JSON has the same bytes on every machine (docs/spec/plan.md).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

from spikelet.base.table import Table
from spikelet.runtime.plan.carried import Slot
from spikelet.runtime.plan.emit import Value
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.operation import Constant, Planned
from spikelet.runtime.plan.planner import OwnCall

VERSION = 1
Result = Literal["logits", "spikes", "outputs"]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a plan is for.

    result: the first output, every Lif's spikes, or every output.
    steps: time steps of a call.
    still: whether the input is the same at every step.
    """

    result: Result
    steps: int
    still: bool


@dataclasses.dataclass(frozen=True)
class Export:
    """A node's values as they leave: [*leading, B, *shape], with a leading axis of the call's steps or none."""

    node: str
    shape: tuple[int, ...]
    leading: tuple[int, ...]

    @property
    def size(self) -> int:
        """Values of a sample."""
        return math.prod((*self.leading, *self.shape))

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {"node": self.node, "shape": list(self.shape), "leading": list(self.leading)}


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Operations in order, and what surrounds them.

    graph: the fingerprint of the graph that was planned.
    kernels: the kernel set's name.
    carried: whether calls go on from a state and leave one.
    operations: each over one sample and all steps of the call.
    scratch_bytes, arena_bytes: memory for one sample: scratch for all operations at its start, then their maps.
    state_bytes, state: a stream's state of one sample, and what lies in it.
    exports: the results in the order in which they lie in the caller's memory.
    calls: nodes that run in Python.
    """

    graph: str
    kernels: str
    wanted: Wanted
    carried: bool
    operations: tuple[Planned, ...]
    scratch_bytes: int
    arena_bytes: int
    state_bytes: int
    state: tuple[Slot, ...]
    exports: tuple[Export, ...]
    calls: tuple[OwnCall, ...]

    @property
    def constants(self) -> dict[str, Constant]:
        """Every array that an operation or the state names, by name, in the order of the operations."""
        arrays = [constant for op in self.operations for constant in op.arrays.values()]
        return {c.name: c for c in (*arrays, *(slot.start for slot in self.state if slot.start is not None))}

    @property
    def choices(self) -> dict[str, Kind]:
        """The kernel of every node that several kernels can run, as `Program(graph, choices=...)` takes them."""
        return {op.node: op.kind for op in self.operations if op.candidates}

    def to_json(self) -> dict[str, Any]:
        """Everything but the values of arrays, which follow from the graph."""
        return {
            "plan": VERSION,
            "graph": self.graph,
            "kernels": self.kernels,
            **dataclasses.asdict(self.wanted),
            "carried": self.carried,
            "operations": [op.to_json() for op in self.operations],
            "constants": {name: constant.to_json() for name, constant in self.constants.items()},
            "scratch_bytes": self.scratch_bytes,
            "arena_bytes": self.arena_bytes,
            "state_bytes": self.state_bytes,
            "state": [slot.to_json() for slot in self.state],
            "exports": [export.to_json() for export in self.exports],
            "calls": [_call_to_json(call) for call in self.calls],
        }

    def table(self) -> Table:
        """A row for every operation: what runs, what it reads and writes, and where that lies in the arena."""
        columns = ("#", "node", "kernel", "reads", "writes", "places", "arrays [B]")
        rows = tuple(_row(i, op) for i, op in enumerate(self.operations))
        total = sum(constant.values.nbytes for constant in self.constants.values())
        footer = ("", "", "", "", "", f"arena {self.arena_bytes:,} B, scratch {self.scratch_bytes:,} B", f"{total:,}")
        return Table(columns, rows, (footer,), prose=(1, 2, 3, 4, 5))

    def __str__(self) -> str:
        return self.table().text()


def _row(number: int, op: Planned) -> tuple[str, ...]:
    wide = op.number("map_h"), op.number("map_w")
    reads = _map(Form(op.number("source")), op.number("in_c"), *wide, steps=op.number("in_t"))
    out = op.number("out_c"), op.number("out_h"), op.number("out_w")
    written = [name for name in ("values", "counts", "spikes") if name in op.places]
    writes = " + ".join(_map(Form.SPIKES if n == "spikes" else Form.VALUES, *out, steps=None) for n in written)
    places = ", ".join(f"{name} {buffer.offset}" for name, buffer in op.places.items())
    size = sum(constant.values.nbytes for constant in op.arrays.values())
    return str(number), op.node, op.kind.name, reads, writes, places, f"{size:,}" if size else ""


def _map(form: Form, c: int, h: int, w: int, *, steps: int | None) -> str:
    times = "" if steps is None else f"{steps} x "
    return f"{times}{c} x {h} x {w} {form.name.lower()}"


def _call_to_json(call: OwnCall) -> dict[str, Any]:
    return {
        "node": call.node.name,
        "sources": [_value_to_json(source) for source in call.sources],
        "shapes": [list(shape) for shape in call.shapes],
        "result": _value_to_json(call.result),
    }


def _value_to_json(value: Value) -> dict[str, Any]:
    assert value.buffer is not None, "calls read and write the arena"
    return {"map": list(value.map), "steps": value.steps, "offset": value.buffer.offset}
