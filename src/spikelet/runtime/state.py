"""Where a stream stands: a plain value that the caller keeps."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, eq=False)
class StreamState:
    """What has to be remembered between two calls of a stream.

    step: time steps taken.
    memory: uint8 [B, bytes]: membranes, delayed values and sums so far of every sample, as the native runtime has them.
    own: by node and sample, what operations that run by their own `advance` remember.
    graph: the fingerprint of the graph that it belongs to.
    """

    step: int
    memory: NDArray[np.uint8]
    own: dict[str, list[Any]]
    graph: str

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
