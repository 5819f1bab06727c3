"""Old graphs keep the plans, logits and spikes that they had (tests/golden/PROVENANCE.md says since when)."""

from __future__ import annotations

import json

import pytest

from spikelet.runtime import kernel_sets
from tests.support.plans import GOLDEN, SEEDS, SETS, TOGETHER, fingerprint_of_seeds

HERE = [s.name for s in kernel_sets() if s.name in SETS]


@pytest.mark.parametrize("kernels", HERE)
def test_random_graphs_keep_files_logits_spikes_and_plans(kernels: str) -> None:
    expected = json.loads(GOLDEN.read_text())[kernels]
    assert len(expected) == SEEDS // TOGETHER
    found = [fingerprint_of_seeds(first, kernels) for first in range(0, SEEDS, TOGETHER)]
    assert [i * TOGETHER for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b] == []
