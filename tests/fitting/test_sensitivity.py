"""Every single choice gets its loss, and no network is measured twice for it."""

from __future__ import annotations

import pytest
import torch

from spikelet.fitting.plan import Changes, Plan, Subject
from spikelet.fitting.sensitivity import Choices, measure
from tests.fitting.subjects import small_subject

CHOICES = Choices(bits=(2, 8), first_last_bits=(4, 8), ratios=(0.0, 0.01, 0.02, 0.5))


def test_no_network_is_measured_twice(monkeypatch: pytest.MonkeyPatch):
    subject = small_subject(weight_bits=8)
    layers = [name for name in subject.channels.layers if hasattr(subject.model.get_submodule(name), "quantizer")]
    samples = [(torch.randint(0, 256, (8, 1, 12, 12), dtype=torch.uint8), torch.arange(8))]
    built: list[Changes] = []
    build = Subject.build

    def recorded(self: Subject, plan: Plan) -> torch.nn.Module:
        built.append(self.changes(plan))
        return build(self, plan)

    monkeypatch.setattr(Subject, "build", recorded)
    steps: list[None] = []
    found = measure(subject, layers, samples, CHOICES, lambda: steps.append(None))
    assert len(set(built)) == len(built) == 1 + len(layers) + 2 * len(subject.orders)
    assert len(steps) == 2 * len(layers) + 3 * len(subject.orders)
    assert all(by_bits[8] == 0.0 and len(by_bits) == 2 for by_bits in found.bits.values())
    assert all(by_ratio[0.01] == by_ratio[0.02] for by_ratio in found.ratios.values()), "one channel leaves"
    assert max(max(r.values()) for r in found.ratios.values()) > 0
