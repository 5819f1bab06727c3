"""Where a stream stands: a plain value that the caller keeps."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import GraphError
from spikelet.base.whole import whole


@dataclasses.dataclass(frozen=True, eq=False)
class StreamState:
    """What has to be remembered between two calls of a stream.

    step: time steps taken.
    memory: uint8 [B, bytes]: membranes, delayed values and sums so far of every sample, as the native runtime has them.
    own: by node and sample, what operations that run by their own `advance` remember.
    graph: the fingerprint of the graph that it belongs to.

    Raises:
        GraphError: a field is not of its kind.
    """

    step: int
    memory: NDArray[np.uint8]
    own: dict[str, list[Any]]
    graph: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", whole(self.step, "StreamState.step", 0))
        memory = self.memory
        if not isinstance(memory, np.ndarray) or memory.dtype != np.uint8 or memory.ndim != 2:
            raise GraphError(f"StreamState.memory must be a uint8 array [B, bytes], got {_kind(memory)}.")
        if not isinstance(self.own, dict) or any(_length(kept) != len(memory) for kept in self.own.values()):
            raise GraphError(f"StreamState.own must be a dict of lists of {len(memory)}, got {_kind(self.own)}.")

    @property
    def batch(self) -> int:
        """Samples."""
        return len(self.memory)

    def copy(self) -> StreamState:
        """A state of its own, to write to."""
        return StreamState(
            self.step, self.memory.copy(), {name: list(kept) for name, kept in self.own.items()}, self.graph
        )

    def after(self, steps: int) -> StreamState:
        """The same memory, `steps` later."""
        return dataclasses.replace(self, step=self.step + steps)


def _length(kept: object) -> int:
    return len(kept) if isinstance(kept, list) else -1


def _kind(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
