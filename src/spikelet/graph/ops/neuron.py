"""What a neuron computes step by step (O6), for the operations that give its spikes (O6) and its charge (O17)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import ArtifactError
from spikelet.base.strict_json import integer, integers, shown
from spikelet.graph.edge import INT32, Edge, Int64, Shape, padded
from spikelet.graph.ops.growth import Growth
from spikelet.graph.ops.membrane import Membrane
from spikelet.graph.ops.operation import Operation, State, Work
from spikelet.graph.ops.record import Attribute, Record, Stated, Stream, field, numbers, one_of, whole, width_of

ByChannel = int | NDArray[np.int32]
MAX_LEVELS = 255


def _constant(name: str, low: int = 0, since: int = 1) -> Attribute:
    """A number, or in format 3 [width, channels] of an array in `value`."""

    def of(node: Any, version: int) -> Any:
        value = getattr(node, name)
        return (width_of(value), value.size) if isinstance(value, np.ndarray) else value

    return Attribute(name, of, lambda value, what, version: _number(value, what, version, low), since)


def _number(value: Any, what: str, version: int, low: int) -> Any:
    if version >= 3 and isinstance(value, list):
        width, channels = integers(value, what, (2, 2), low=1)
        if width not in (16, 32):
            raise ArtifactError(f"{what}: must be a number or [16 or 32, channels], got {shown(value)}.")
        return width, channels
    return integer(value, what, low=low)


def _reset(value: Any, what: str, version: int) -> Any:
    if value in ("hard", "soft"):
        return value
    if type(value) is not int and not (version >= 3 and isinstance(value, list)):
        raise ArtifactError(f"{what}: must be 'hard', 'soft' or a whole number, got {shown(value)}.")
    return _number(value, what, version, 0)


def _step(value: Any, what: str, version: int) -> Any:
    return None if value is None else _number(value, what, version, 1)


def _membrane(value: Any, what: str, version: int) -> tuple[int, ...] | None:
    return None if value is None else integers(value, what, (2, 2))


def _membrane_of(node: Any, version: int) -> tuple[int, int] | None:
    return None if node.membrane is None else (int(node.membrane.bits), int(node.membrane.shift))


CONSTANTS = ("gain", "leak", "reset", "start", "step", "threshold")  # that may go by channel, in the order of a file


def _streams(stated: Stated) -> list[Stream]:
    def of(name: str) -> Callable[[Any], Any]:
        return lambda node: getattr(node, name)

    sizes = {name: stated[name] for name in CONSTANTS if isinstance(stated.get(name), tuple)}
    return [numbers("value", bits, (count,), of(name)) for name, (bits, count) in sizes.items()]


ATTRIBUTES = (
    _constant("gain"),
    _constant("leak"),
    field("leak_bits", whole),
    field("levels", whole, since=3),
    Attribute("membrane", _membrane_of, _membrane),
    Attribute("reset", _constant("reset").of, _reset),
    field("rounding", one_of("floor", "half"), since=3),
    _constant("start", -(2**31), since=3),
    Attribute("step", _constant("step").of, _step, since=3),
    _constant("threshold"),
)


def record_of(make: Callable[..., Any]) -> Record:
    """How an operation with a neuron's fields, made by `make`, stands in a file."""

    def made(name: str, inputs: tuple[str, ...], a: Stated, arrays: list[NDArray[Any]]) -> Any:
        left = iter(arrays)
        by: dict[str, Any] = {key: next(left) if isinstance(a.get(key), tuple) else a.get(key) for key in CONSTANTS}
        membrane = None if a["membrane"] is None else Membrane(*a["membrane"])
        return make(
            name, inputs, by["leak"], by["gain"], a["leak_bits"], by["threshold"], by["reset"], membrane,
            a.get("levels", 1), by["step"], 0 if by["start"] is None else by["start"], a.get("rounding", "floor"),
        )  # fmt: skip

    return Record(ATTRIBUTES, made, _streams)


@dataclasses.dataclass(frozen=True, eq=False)
class Neuron(Operation):
    """Neurons over T steps, from v = start. O6.

    h = (leak * v + gain * x + r) >> leak_bits,  r = 0 (rounding "floor") or (1 << leak_bits) >> 1 ("half");
    s = clip((h - threshold) div step + 1, 0, levels);
    v = 0 if s else h (hard), or h - drop * s (soft: drop = step; a number: that), or the k-bit `membrane` of it.

    leak, gain, threshold, reset, step, start: an int, or int32 [C]. step None is the threshold, as it must be at
    levels = 1.
    """

    leak: ByChannel
    gain: ByChannel
    leak_bits: int
    threshold: ByChannel
    reset: Literal["hard", "soft"] | ByChannel
    membrane: Membrane | None
    levels: int = 1
    step: ByChannel | None = None
    start: ByChannel = 0
    rounding: Literal["floor", "half"] = "floor"

    arity: ClassVar[tuple[int, int]] = (1, 1)

    @property
    def drop(self) -> ByChannel | None:
        """What a spike takes from the membrane; None where it takes everything."""
        if isinstance(self.reset, str):
            return None if self.reset == "hard" else self.spacing
        return self.reset

    @property
    def half(self) -> int:
        """r: what is added before the shift."""
        return (1 << self.leak_bits) >> 1 if self.rounding == "half" else 0

    @property
    def by_channel(self) -> bool:
        """Whether a constant goes by channel."""
        return any(isinstance(getattr(self, name), np.ndarray) for name in CONSTANTS)

    def output_shape(self, *sources: Shape) -> Shape:
        """As the input."""
        return sources[0]

    def timed(self, *sources: Edge) -> bool:
        """True."""
        return True

    def check(self, *sources: Edge) -> None:
        """C1 to C4, C6 to C8."""
        (x,) = sources
        self.require(x.timed, "input", self.inputs[0], "before any sumtime")
        self.require(0 <= self.leak_bits <= 15, "leak_bits", self.leak_bits, "0 to 15")
        one = 2**self.leak_bits
        self.require(self.rounding in ("floor", "half"), "rounding", repr(self.rounding), "'floor' or 'half'")
        self.require(1 <= self.levels <= MAX_LEVELS, "levels", self.levels, f"1 to {MAX_LEVELS}")
        for name, low, high in (
            ("leak", 0, one), ("gain", 1, one), ("threshold", 1, INT32[1]), ("step", 1, INT32[1]),
            ("start", *INT32), ("reset", 0, INT32[1]),
        ):  # fmt: skip
            self._check_constant(name, low, high, x.shape[0])
        self.require(self.step is None or self.levels > 1, "step", self.step, "None at levels = 1")
        self._check_spelling("step", self.step, self.threshold, "None where it is the threshold")
        if not isinstance(self.reset, str):
            soft = self.spacing
            what = "the threshold" if self.step is None else "the step"
            self._check_spelling("reset", self.reset, soft, f"'soft' where it is {what}")
        if self.membrane is not None:
            self.require(self.membrane.bits in range(2, 9), "membrane bits", self.membrane.bits, "2 to 8")
            self.require(self.membrane.shift in range(1, 23), "membrane shift", self.membrane.shift, "1 to 22")

    def _check_constant(self, name: str, low: int, high: int, channels: int) -> None:
        value = getattr(self, name)
        if isinstance(value, np.ndarray):
            fits = value.dtype == np.int32 and value.shape == (channels,)
            self.require(fits, name, f"{value.dtype} {value.shape}", f"a number, or int32 of shape ({channels},)")
            smallest, largest = int(value.min()), int(value.max())
            self.require(low <= smallest and largest <= high, name, f"{smallest}..{largest}", _range(low, high))
        elif name == "reset" and type(value) is not int:
            self.require(value in ("hard", "soft"), name, value, "'hard', 'soft' or a whole number")
        elif not (name == "step" and value is None):
            self.require(type(value) is int and low <= value <= high, name, value, _range(low, high))

    def _check_spelling(self, name: str, value: object, other: object, expected: str) -> None:
        """One neuron has one spelling."""
        self.require(not (type(value) is int and type(other) is int and value == other), name, value, expected)

    def charge_is_wide(self, *sources: Edge, T: int) -> bool:
        """Whether leak * v + gain * x + r, before its shift, may leave 32 bits."""
        return Growth(self, sources[0]).is_wide(T)

    def endless(self, *sources: Edge, T: int) -> bool:
        """Whether the membrane's interval has stopped growing."""
        return Growth(self, sources[0]).settles(T)

    def proof(self, *sources: Edge, T: int) -> int:
        """T steps where the membrane has to be followed step by step."""
        growth = Growth(self, sources[0])
        return 0 if growth.fits_always(T) else T * growth.step_work

    @property
    def spacing(self) -> ByChannel:
        """`step`, or the threshold where it is None."""
        return self.threshold if self.step is None else self.step

    def stepped(self, x: Int64, steps: range, state: State) -> Iterator[tuple[Int64, Int64, Int64]]:
        """Charge, spikes and membrane of each of `steps`, [B, ...]."""
        leak, gain, threshold, step, start = (
            self._broadcast(v, x.ndim) for v in (self.leak, self.gain, self.threshold, self.spacing, self.start)
        )
        drop = None if self.drop is None else self._broadcast(self.drop, x.ndim)
        v = np.broadcast_to(start, x[0].shape) if state is None else state
        for i in range(len(steps)):
            h = (leak * v + gain * x[i if len(x) > 1 else 0] + self.half) >> self.leak_bits
            s = np.clip((h - threshold) // step + 1, 0, self.levels)
            v = np.where(s > 0, 0, h) if drop is None else h - drop * s
            v = v if self.membrane is None else self.membrane.store(v)
            yield h, s, v

    def _broadcast(self, value: Any, rank: int) -> Int64:
        """A constant against [B, C, ...], which has one axis less than a current of `rank` axes."""
        value = np.asarray(value, np.int64)
        return value.reshape(-1, *(1,) * (rank - 3)) if value.ndim else value

    def laid_out(self, *sources: Shape) -> int:
        """A table of the constants and of a cut for every level, by channel."""
        return 4 * padded(sources[0][0], 8) * (len(CONSTANTS) + min(self.levels, MAX_LEVELS))

    def work(self, *sources: Shape) -> Work:
        """For every neuron two multiply-accumulates (leak and gain) and a comparison a level."""
        size = math.prod(sources[0])
        return Work(macs=2 * size, comparisons=self.levels * size)


def _range(low: int, high: int) -> str:
    return f"{low} to {'2^31 - 1' if high == INT32[1] else high}"
