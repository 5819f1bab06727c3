"""The Pareto front of plans in loss, bytes and operations, found by NSGA-II (doi:10.1109/4235.996017) in Optuna.

The search runs on predictions (sensitivity.py, cost.py), so that thousands of plans take seconds. It starts from
the uniform plans, all layers at one number of bits and all groups at one ratio.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from spikelet.base.optional import need
from spikelet.fitting.cost import Cost, CostModel
from spikelet.fitting.plan import Plan
from spikelet.fitting.sensitivity import Choices, Sensitivity

if TYPE_CHECKING:
    import optuna

POPULATION = 64


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A plan with its predicted loss increase and cost."""

    plan: Plan
    loss_increase: float
    cost: Cost

    def beats(self, other: Candidate) -> bool:
        """Whether this plan is at least as good in everything and better in something."""
        mine, theirs = self._figures(), other._figures()
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))

    def _figures(self) -> tuple[float, float, float]:
        return self.loss_increase, self.cost.size, self.cost.sops


def search(
    costs: CostModel, sensitivity: Sensitivity, choices: Choices, *, trials: int = 3000, seed: int = 0
) -> list[Candidate]:
    """The Pareto front, smallest plan first.

    Raises:
        ImportError: Optuna is missing.
    """
    optuna = require_optuna()
    names = [("bits", name, list(options)) for name, options in sensitivity.bits.items()]
    names += [("ratio", name, list(options)) for name, options in sensitivity.ratios.items()]
    seen: dict[tuple[Any, ...], Candidate] = {}

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        values = [trial.suggest_categorical(f"{kind} {name}", options) for kind, name, options in names]
        key = tuple(values)
        if key not in seen:
            seen[key] = _candidate(costs, sensitivity, values)
        found = seen[key]
        return found.loss_increase, found.cost.size, found.cost.sops

    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    for uniform in _uniform(names, choices):
        study.enqueue_trial(uniform)
    study.optimize(objective, n_trials=trials)
    return front(seen.values())


def front(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that no other beats (the Pareto front), smallest first."""
    kept: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: (c.cost.size, c.loss_increase, c.cost.sops)):
        if not any(other.beats(c) for other in kept):
            kept.append(c)
    return kept


def _candidate(costs: CostModel, sensitivity: Sensitivity, values: list[Any]) -> Candidate:
    count = len(sensitivity.bits)
    bits = dict(zip(sensitivity.bits, values[:count], strict=True))
    ratios = {g: r for g, r in zip(sensitivity.ratios, values[count:], strict=True) if r}
    plan = Plan(bits, ratios)
    return Candidate(plan, sensitivity.of(plan), costs.of(plan))


def _uniform(names: list[tuple[str, str, list[Any]]], choices: Choices) -> Iterable[dict[str, Any]]:
    for bits, ratio in itertools.product(choices.bits, choices.ratios):
        yield {
            f"{kind} {name}": ratio if kind == "ratio" else min(options, key=lambda b: abs(b - bits))
            for kind, name, options in names
        }


def require_optuna() -> Any:
    """Optuna, without its log output. Raises MissingLibrary where it is not installed."""
    optuna = need("optuna", package="optuna", extra="fit", what="fitting")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
