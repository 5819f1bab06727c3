"""The search over predictions."""

from __future__ import annotations

import itertools

import pytest

from spikelet.fitting.cost import Cost
from spikelet.fitting.plan import Plan
from spikelet.fitting.search import Candidate, front, search
from spikelet.fitting.sensitivity import Choices, Sensitivity

CHOICES = Choices(bits=(1, 2, 4), first_last_bits=(4, 8), ratios=(0.0, 0.5))
LAYERS, GROUPS = ("a", "b", "c"), ("g", "h")


class Linear:
    """Bytes that are a sum over layers, halved by each group."""

    def of(self, plan: Plan) -> Cost:
        share = 1.0
        for ratio in plan.ratios.values():
            share *= 1 - ratio
        size = sum(100 * (i + 1) * bits for i, bits in enumerate(plan.bits.values()))
        return Cost(int(size * share), 1000.0 * share)


def sensitivity() -> Sensitivity:
    bits = {name: {b: (4 / b - 1) * (3 - i) for b in CHOICES.bits} for i, name in enumerate(LAYERS)}
    return Sensitivity(bits, {g: {0.0: 0.0, 0.5: 1.0 + i} for i, g in enumerate(GROUPS)})


def everything() -> list[Candidate]:
    found = []
    for bits in itertools.product(CHOICES.bits, repeat=3):
        for ratios in itertools.product(CHOICES.ratios, repeat=2):
            plan = Plan(dict(zip(LAYERS, bits, strict=True)), {g: r for g, r in zip(GROUPS, ratios, strict=True) if r})
            found.append(Candidate(plan, sensitivity().of(plan), Linear().of(plan)))
    return found


def test_the_search_finds_the_front_of_all_plans():
    pytest.importorskip("optuna")
    found = search(Linear(), sensitivity(), CHOICES, trials=1500)  # type: ignore[arg-type]
    expected = {(c.loss_increase, c.cost.size, c.cost.sops) for c in front(everything())}
    assert {(c.loss_increase, c.cost.size, c.cost.sops) for c in found} == expected


def test_no_candidate_of_a_front_beats_another():
    kept = front(everything())
    assert kept and not any(a.beats(b) for a in kept for b in kept)
    assert all(
        any(k.beats(c) or (k.cost == c.cost and k.loss_increase == c.loss_increase) for k in kept) for c in everything()
    )


def test_the_search_is_the_same_twice():
    pytest.importorskip("optuna")
    one, two = (search(Linear(), sensitivity(), CHOICES, trials=200) for _ in range(2))  # type: ignore[arg-type]
    assert one == two
