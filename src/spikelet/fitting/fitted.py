"""What a fit found: the chosen network, what it was measured to be, and the plans that it was chosen from."""

from __future__ import annotations

import dataclasses

from torch import nn

from spikelet.base.page import Displayed, Heading, Page
from spikelet.base.table import Table
from spikelet.base.words import percent
from spikelet.fitting.budget import Budget
from spikelet.fitting.plan import Plan
from spikelet.fitting.search import Candidate
from spikelet.graph import ir

ROWS = 12  # of the front that are shown


@dataclasses.dataclass(frozen=True)
class Measured:
    """A network as it is: accuracy in 0..1 on the split that judges, bytes of its packed file, SOPs per sample."""

    accuracy: float
    size: int
    sops: float


@dataclasses.dataclass(frozen=True)
class Probe:
    """A trial fine-tuning: a plan that was built and trained briefly."""

    candidate: Candidate
    measured: Measured


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fitted(Displayed):
    """The result of a fit. `print(fitted)` shows the front, the plan and what was measured.

    model, graph: the chosen network, in PyTorch and as integers.
    start, result: before and after; `result` is the packed file's. judged_on: the split's name.
    front: the predicted Pareto front, smallest plan first; probes: the trial fine-tunings.
    """

    model: nn.Module
    graph: ir.IntGraph
    plan: Plan
    budget: Budget
    start: Measured
    result: Measured
    judged_on: str
    front: tuple[Candidate, ...]
    probes: tuple[Probe, ...]

    @property
    def accuracy_drop(self) -> float:
        """Percentage points that the result lies below the start."""
        return 100 * (self.start.accuracy - self.result.accuracy)

    @property
    def is_within_budget(self) -> bool:
        """Whether bytes, operations and accuracy are all within the limits."""
        return not self.missed

    @property
    def missed(self) -> list[str]:
        """The limits that were not met, in words."""
        return self.budget.missed(self.result.size, self.result.sops, self.accuracy_drop)

    @property
    def verdict(self) -> str:
        """Whether it is within the budget, and what it is, in a sentence."""
        said = "within the budget" if self.is_within_budget else "NOT within the budget"
        result = f"{self.result.size:,} bytes, {self.result.sops:,.0f} SOPs"
        return f"{said}: {result}, {self.accuracy_drop:+.2f} points of accuracy lost"

    def page(self) -> Page:
        """The front, the plan, what was measured, and the verdict."""
        verdict = (self.verdict, *(f"  {limit}" for limit in self.missed))
        return Page((*self.tables(), *verdict))

    def tables(self) -> tuple[Heading | Table, ...]:
        """The front, the plan and what was measured, each below its heading."""
        return (
            Heading(f"The front: {len(self.front)} plans that no other is predicted to beat"),
            _front(self.front),
            Heading("The chosen plan"),
            _plan(self.plan),
            Heading(f"Measured on {self.judged_on}"),
            self._measured(),
        )

    def in_short(self) -> str:
        """Its bytes and accuracy, and those of the start."""
        before, after = self.start, self.result
        sizes = f"{before.size:,} -> {after.size:,} bytes"
        return f"{sizes}, accuracy {percent(before.accuracy)} -> {percent(after.accuracy)}"

    def _measured(self) -> Table:
        def row(name: str, m: Measured) -> tuple[str, str, str, str]:
            return name, percent(m.accuracy), f"{m.size:,}", f"{m.sops:,.0f}"

        tried = [row(f"tried {i + 1} (validation)", p.measured) for i, p in enumerate(self.probes)]
        rows = (row("start", self.start), *tried)
        return Table(("network", "accuracy", "bytes", "SOPs"), rows, (row("result", self.result),))


def _front(front: tuple[Candidate, ...]) -> Table:
    step = max(1, len(front) // ROWS)
    rows = [
        (f"{c.cost.size:,}", f"{c.cost.sops:,.0f}", f"{c.loss_increase:.3f}", " ".join(map(str, c.plan.bits.values())))
        for c in front[::step]
    ]
    return Table(("bytes, at most", "SOPs", "added loss", "bits by layer"), tuple(rows))


def _plan(plan: Plan) -> Table:
    rows = [(layer, f"{bits} bits") for layer, bits in plan.bits.items()]
    rows += [(group, f"{percent(ratio)} of its channels leave") for group, ratio in plan.ratios.items()]
    return Table(("layer or group", "choice"), tuple(rows), prose=(0, 1))
