"""Every kernel set of this machine against the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.runtime import kernel_sets

SETS = [s.name for s in kernel_sets()]


def assert_equal_everywhere(graph: ir.IntGraph, x: NDArray[np.uint8]) -> None:
    """Every kernel set gives what the reference gives, at every output."""
    expected = Reference(graph).outputs(x)
    for kernels in SETS:
        found = Program(graph, threads=2, kernels=kernels).outputs(x)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{kernels} {name}")
