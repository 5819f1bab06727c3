"""One planned operation: numbers by name, arrays by name, and the bytes of the arena that it reads and writes.

The names are those of spk_op (csrc/spikelet.h). A number that an operation does not name is 0; a place, a state or an
array that it does not name is not there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from spikelet.runtime.layout import Array
from spikelet.runtime.plan.kinds import AffineMode, Form, Kind

NUMBERS = (
    "kind", "source", "T", "in_c", "in_h", "in_w", "in_t", "out_c", "out_h", "out_w", "map_h", "map_w", "pool",
    "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w", "groups", "code_top", "odd", "affine", "split",
    "addend_source", "addend_t", "sum_time", "leak", "gain", "leak_bits", "threshold", "soft_reset",
    "membrane_shift", "membrane_top", "drop", "dilation_h", "dilation_w", "affine_t", "clipped", "rounding", "levels",
    "add_to", "heads", "transpose_a", "transpose_b", "by_row", "narrow", "addend_c", "addend_h", "addend_w",
    "planes", "has_sign", "lane_bits", "wide_charge", "most", "quotient_bits", "max_h", "max_w", "short_sums",
    "states", "cut_count", "source_planes", "sum_planes", "row_pixels",
)  # fmt: skip
PLACES = ("src", "addend", "values", "spikes", "counts")  # offsets in the arena
SIZES = ("state", "scratch", "external", "row_bytes")  # 64-bit numbers; `state` is an offset in a sample's state
ARRAYS = (
    "weight", "multiplier", "shift", "offset", "high", "low", "half", "rest", "addend_zero", "addend_one",
    "channels", "clip_low", "clip_high", "neuron", "index", "cuts", "transitions", "first_spikes",
)  # fmt: skip
_WORDS: Mapping[str, type[Form] | type[AffineMode]] = {"source": Form, "addend_source": Form, "affine": AffineMode}


@dataclasses.dataclass(eq=False)
class Buffer:
    """Bytes in the arena, needed from operation `first` to operation `last`.

    offset: where they begin; -1 until they have a place (arena.py).
    """

    size: int
    first: int
    last: int
    offset: int = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """Weights or constants of a node as the kernels read them.

    name: the node's and what it is, as in "conv1.weight"; no two arrays of a plan share one.
    packing: the order of its values; layout.py says what each means.
    """

    name: str
    packing: str
    values: Array

    def to_json(self) -> dict[str, Any]:
        """What it is; its values follow from the graph."""
        return {"packing": self.packing, "type": str(self.values.dtype), "shape": list(self.values.shape)}


@dataclasses.dataclass(frozen=True, eq=False)
class Planned:
    """One operation of the library for one sample and all steps of a call.

    kind: the kernel that runs it.
    node: the node whose rule made it, "" where none did; the nodes behind are fused into it.
    numbers: by their names in spk_op.
    places, arrays: what it reads and writes, and its constants, by their names in spk_op.
    candidates: the kernels that give the same result here, the fastest by rule of thumb first; () where there is one.
    """

    kind: Kind
    node: str
    numbers: Mapping[str, int]
    places: Mapping[str, Buffer]
    arrays: Mapping[str, Constant]
    candidates: tuple[Kind, ...] = ()

    def number(self, name: str) -> int:
        """The number called `name`; 0 where the operation does not name it."""
        return self.numbers.get(name, 0)

    def to_json(self) -> dict[str, Any]:
        """Everything that the library is told, the values of arrays apart; words where numbers stand for them."""
        return {
            "kind": self.kind.name,
            "node": self.node,
            "numbers": {n: _WORDS[n](v).name if n in _WORDS else int(v) for n, v in self.numbers.items()},
            "places": {n: {"offset": b.offset, "bytes": b.size} for n, b in self.places.items()},
            "arrays": {n: constant.name for n, constant in self.arrays.items()},
            "candidates": [kind.name for kind in self.candidates],
        }
