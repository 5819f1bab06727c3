"""What every operation of the integer graph must state. Nothing has a default, so nothing can be forgotten.

An operation is one file of this folder and one line in `graph/ops/__init__.py`: its fields, its form in the model
file, its shape, constraints, interval, meaning and cost. Analysis, reference, file, limits and profile are loops over
these methods and name no operation. A backend keeps a table from operations to its own rules.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import GraphError, OverflowRefused
from spikelet.graph.edge import INT32, Edge, Int64, Shape
from spikelet.graph.ops.record import Record

Interval = tuple[Int64, Int64]
State = NDArray[np.int64] | None


@dataclasses.dataclass(frozen=True)
class Work:
    """Arithmetic of one sample and one time step: multiply-accumulates, additions, comparisons."""

    macs: int = 0
    additions: int = 0
    comparisons: int = 0

    @property
    def total(self) -> int:
        """All of them together."""
        return self.macs + self.additions + self.comparisons


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """One application small enough to check by hand.

    sources: the values read, each [T or 1, *shape]; expected: the values made, [T or 1, *shape].
    """

    node: Operation
    sources: tuple[Int64, ...]
    expected: Int64
    time_steps: int = 1


def example(node: Operation, sources: Sequence[Any], expected: Any, time_steps: int = 1) -> Example:
    """An `Example` from nested lists."""
    arrays = tuple(np.array(x, np.int64) for x in sources)
    return Example(node, arrays, np.array(expected, np.int64), time_steps)


@dataclasses.dataclass(frozen=True, eq=False)
class Operation(abc.ABC):
    """One node of a graph: a unique name, the names of the nodes it reads, and the fields of its kind.

    Arrays are copied when a node is made and can't be written to afterwards.
    """

    name: str
    inputs: tuple[str, ...]

    word: ClassVar[str]  # its name in files
    arity: ClassVar[tuple[int, int]]  # fewest and most inputs
    first_format: ClassVar[int]  # the first file format that has it
    record: ClassVar[Record]  # its fields in a file
    reads_later: ClassVar[bool] = False  # whether it may read a later node, of which it sees the step before

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, field.name, _owned(value))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy and a pickle own read-only arrays too."""
        for name, value in state.items():
            object.__setattr__(self, name, _owned(value) if isinstance(value, np.ndarray) else value)

    @abc.abstractmethod
    def since(self, *sources: Shape) -> int:
        """The first file format that can say this node."""

    @abc.abstractmethod
    def output_shape(self, *sources: Shape) -> Shape:
        """The sample shape of the output, from sizes alone. Never fails: `check` refuses what makes no sense."""

    @abc.abstractmethod
    def check(self, *sources: Edge) -> None:
        """Raises GraphError where a constraint of the specification does not hold."""

    @abc.abstractmethod
    def timed(self, *sources: Edge) -> bool:
        """Whether the output has a time axis."""

    @abc.abstractmethod
    def interval(self, *sources: Edge, T: int) -> Interval:
        """The smallest and largest value of each output channel, for any values of the sources.

        Raises:
            OverflowRefused: a value on the way could leave int32.
        """

    @abc.abstractmethod
    def advance(self, *xs: Int64, steps: range, state: State) -> tuple[Int64, State]:
        """The values of time steps `steps`, and the state after them: the meaning of the operation.

        Args:
            xs: the sources, int64 [1 or len(steps), B, ...]; an axis of 1 is the same at every step.
            steps: consecutive time steps; `state` is what `advance` returned for those before, None at the start.
        """

    @abc.abstractmethod
    def endless(self, *sources: Edge, T: int) -> bool:
        """Whether the operation may go on beyond the T steps that the intervals were derived for."""

    @abc.abstractmethod
    def work(self, *sources: Shape) -> Work:
        """The arithmetic of one sample and step."""

    @classmethod
    @abc.abstractmethod
    def examples(cls) -> tuple[Example, ...]:
        """Applications small enough to check by hand; every backend is tested on them."""

    def promise(self) -> int | None:
        """N where every output lies in 0..N whatever is read, which a node that reads a later one relies on."""
        return None

    def proof(self, *sources: Edge, T: int) -> int:
        """Values that `interval` looks at beyond the node's arrays and the ends of its channels."""
        return 0

    def steps(self, *sources: Shape) -> int:
        """What the slowest kernel does for one sample and step, as `max_operations` counts it: the work at least."""
        return self.work(*sources).total

    def stands_for(self) -> int:
        """Values of the source that a backend may read instead of one of this node's, for every reader."""
        return 1

    def passing(self, *sources: Shape) -> int:
        """Values of a sample and step that `advance` holds for a while, at most."""
        return 3 * sum(map(math.prod, (*sources, self.output_shape(*sources))))

    def laid_out(self, *sources: Shape) -> int:
        """Bytes of the node's arrays as they lie in memory when it runs, at most."""
        return sum(array.size * array.itemsize for array in self.arrays)

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """The fields that are arrays."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return [v for v in values if isinstance(v, np.ndarray)]

    # What `check` is written with.

    def require(self, condition: bool, field: str, value: object, expected: str) -> None:
        """Raises GraphError by the node's name unless `condition` holds."""
        if not condition:
            raise GraphError(f"{self.name}: {field} must be {expected}, got {value}.")

    def require_map(self, x: Edge) -> None:
        """Raises GraphError unless `x` is (C, H, W)."""
        self.require(len(x.shape) == 3, "input shape", x.shape, "(C, H, W)")

    def require_int32(self, what: str, low: object, high: object) -> None:
        """Raises OverflowRefused unless [low, high], numbers or arrays, fits 32 bits."""
        require_int32(self.name, what, low, high)


class Stateless(Operation):
    """An operation whose output at a step depends on its sources at that step alone."""

    @abc.abstractmethod
    def run(self, *xs: Int64, steps: range) -> Int64:
        """The values, int64 [1 or len(steps), B, ...]."""

    def advance(self, *xs: Int64, steps: range, state: State) -> tuple[Int64, State]:
        """`run`; there is no state."""
        return self.run(*xs, steps=steps), None

    def endless(self, *sources: Edge, T: int) -> bool:
        """True: a step does not know its number."""
        return True


class Pointwise(Stateless):
    """A stateless operation that keeps the time axis of its sources."""

    def timed(self, *sources: Edge) -> bool:
        """As the first source."""
        return sources[0].timed


def require_int32(name: str, what: str, low: object, high: object) -> None:
    """Raises OverflowRefused unless [low, high], numbers or arrays, fits 32 bits."""
    lowest = low if type(low) is int else int(np.min(low))  # type: ignore[arg-type]
    highest = high if type(high) is int else int(np.max(high))  # type: ignore[arg-type]
    if lowest < INT32[0] or highest > INT32[1]:
        raise OverflowRefused(
            f"{name}: {what} may reach [{lowest}, {highest}], beyond 32 bits.",
            "Use fewer input channels or weight bits, or smaller gains; in PyTorch, a batch norm, a neuron or "
            "spikelet.nn.Requantize before it.",
        )


def _owned(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only array that nobody else can write to: `array`, or a copy of it."""
    hollow = array.size > 0 and not any(array.strides)  # one element, broadcast: limits know no other arrays
    if not array.flags.writeable and (array.base is None or hollow):
        return array
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy
