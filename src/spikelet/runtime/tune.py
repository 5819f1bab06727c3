"""Kernels chosen by the clock: which of those that can run a node is the fastest on this machine and these inputs.

    found = spikelet.runtime.tune(graph, images)
    print(found)                                          a row a node: every kernel's time, the rule's and the fastest
    program = Program(graph, choices=found.choices)
    save_plan(found.plan, "model.plan.json")              load_plan checks it against the graph

The rules take kernels by shapes, bits and a guess at how many neurons fire; the fastest kernel depends on how many do.
Results never depend on a choice.
"""

from __future__ import annotations

import collections
import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelet.base.errors import GraphError
from spikelet.base.numbers import positive
from spikelet.base.page import Displayed, Facts, Heading, Page
from spikelet.base.table import Table
from spikelet.base.timing import taking_turns
from spikelet.graph import ir
from spikelet.runtime.one_by_one import times
from spikelet.runtime.plan import Plan
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.program import Program

SAMPLES = 4  # at most
GAIN = 0.97  # of the rule's time: what another kernel has to stay below


@dataclasses.dataclass(frozen=True)
class Contest:
    """The kernels of one node.

    by_rule: the one that is taken unless told otherwise.
    microseconds: of one sample, by kernel.
    """

    node: str
    by_rule: Kind
    microseconds: Mapping[Kind, float]

    @property
    def best(self) -> Kind:
        """The fastest; the rule's where the gain could be chance."""
        found = min(self.microseconds, key=lambda kind: self.microseconds[kind])
        return found if self.microseconds[found] < GAIN * self.microseconds[self.by_rule] else self.by_rule


@dataclasses.dataclass(frozen=True, repr=False)
class Tuning(Displayed):
    """What `tune` found.

    contests: one for every node that several kernels can run.
    choices: kernels by node for `Program(graph, choices=...)`; those of the rules where all of the fastest together
        were no faster.
    plan: that program's plan, for `save_plan`.
    by_rule, tuned: microseconds of processor time for one sample, in turns: by the rules, and as chosen.
    """

    contests: tuple[Contest, ...]
    choices: Mapping[str, Kind]
    plan: Plan
    by_rule: float
    tuned: float

    def page(self) -> Page:
        """The contests, and what choosing brought."""
        return Page((Heading("Kernels by the clock"), self.table(), Facts(self.facts())))

    def table(self) -> Table:
        """A row a contest: what the rule takes, what was chosen, and the time of every kernel."""
        kinds = list(dict.fromkeys(kind for contest in self.contests for kind in contest.microseconds))
        columns = ("node", "rule", "chosen", *(f"{kind.name} [us]" for kind in kinds))
        return Table(columns, tuple(self._row(contest, kinds) for contest in self.contests), prose=(0, 1, 2))

    def facts(self) -> tuple[tuple[str, str], ...]:
        """What choosing brought."""
        total = f"{self.tuned:.0f} us, {self.by_rule:.0f} us by the rules ({self.by_rule / self.tuned:.2f} times)"
        return (("tuned, one sample", total),)

    def to_json(self) -> dict[str, Any]:
        """The times of every contest by kernel, the choices, and what they brought."""
        return {
            "by_rule_us": round(self.by_rule, 1),
            "tuned_us": round(self.tuned, 1),
            "choices": {node: kind.name for node, kind in self.choices.items()},
            "contests": {
                contest.node: {kind.name: round(us, 2) for kind, us in contest.microseconds.items()}
                for contest in self.contests
            },
        }

    def _row(self, contest: Contest, kinds: list[Kind]) -> tuple[str, ...]:
        figures = (f"{contest.microseconds[k]:.1f}" if k in contest.microseconds else "" for k in kinds)
        return contest.node, contest.by_rule.name, self.choices[contest.node].name, *figures

    def in_short(self) -> str:
        """How many nodes have another kernel, and what that brought."""
        changed = sum(self.choices[contest.node] != contest.by_rule for contest in self.contests)
        return f"{changed} of {len(self.contests)} nodes changed, {self.by_rule / self.tuned:.2f} times as fast"


def tune(graph: ir.IntGraph, x: ArrayLike, *, kernels: str = "auto", seconds: float = 5.0) -> Tuning:
    """The fastest kernel of every node that several can run, on this machine and on inputs such as `x`.

    Every kernel runs every node that it can; what its operations take is their processor time, the median over rounds.
    All of the fastest together then run against the rules' choice, in turns, and are kept where they are faster.

    Example:
        >>> graph = spikelet.load("qsnn-vgg-s-nmnist")
        >>> found = spikelet.runtime.tune(graph, np.zeros((5, 1, 2, 34, 34), np.uint8), seconds=0.2)
        >>> program = spikelet.Program(graph, choices=found.choices)

    Args:
        graph: an integer graph.
        x: samples as `Program` takes them, such as the network will see; the first 4 are used.
        kernels: a kernel set, as for `Program`.
        seconds: for all of it, about.
    Raises:
        GraphError: the graph has a loop or runs nodes in Python, so that its operations can't be timed one by one; x
            has no sample or does not fit.
        SpikeletError: seconds is not above 0.
        RuntimeUnavailable: the library is not built, or has no such kernels for this machine.
    """
    positive("tune", seconds=seconds)
    base = Program(graph, kernels=kernels)
    samples = _samples(base, x)
    able = _able(base, samples[0])
    programs = [base, *(_all_of(graph, kernels, able, kind) for kind in _kinds(able))]
    found: dict[str, dict[Kind, float]] = collections.defaultdict(dict)
    for program in programs:
        for (node, kind), microseconds in _by_node(program, samples, able, seconds / 2 / len(programs)).items():
            found[node][kind] = min(microseconds, found[node].get(kind, microseconds))
    rules = base.plan(still=_is_still(base, samples[0])).choices
    contests = tuple(Contest(node, rules[node], dict(found[node])) for node in able)
    return _kept(base, contests, samples, seconds / 2)


def _kept(base: Program, contests: tuple[Contest, ...], samples: list[NDArray[np.uint8]], seconds: float) -> Tuning:
    """The fastest together, or the rules where they are no slower."""
    best = {contest.node: contest.best for contest in contests}
    chosen = Program(base.graph, kernels=base.kernels, choices=best)

    def run(program: Program) -> Any:
        return lambda: [program(x) for x in samples]

    turns = taking_turns({"rules": run(base), "chosen": run(chosen)}, seconds)
    by_rule, tuned = (1e6 * statistics.median(turns[name].cpu) / len(samples) for name in ("rules", "chosen"))
    if tuned >= by_rule:
        chosen, tuned = base, by_rule
    plan = chosen.plan(still=_is_still(base, samples[0]))
    return Tuning(contests, plan.choices, plan, by_rule, tuned)


def _samples(program: Program, x: ArrayLike) -> list[NDArray[np.uint8]]:
    """The first samples of x, each a batch of one."""
    batch = np.asarray(x)
    axis = batch.ndim - 1 - len(program.graph.input.shape)
    if axis in (0, 1):
        batch = batch.take(range(min(SAMPLES, batch.shape[axis])), axis)
    program(batch)  # says what is wrong with it
    parts = np.split(batch, batch.shape[axis], axis) if batch.shape[axis] else []
    if not parts:
        raise GraphError("tune.x must hold at least one sample, got none.")
    return parts


def _is_still(program: Program, x: NDArray[Any]) -> bool:
    return x.ndim == len(program.graph.input.shape) + 1


def _able(program: Program, x: NDArray[np.uint8]) -> dict[str, tuple[Kind, ...]]:
    """The kernels of every node that several can run."""
    plan = program.plan(still=_is_still(program, x))
    return {op.node: op.candidates for op in plan.operations if op.candidates}


def _kinds(able: Mapping[str, tuple[Kind, ...]]) -> list[Kind]:
    return list(dict.fromkeys(kind for kinds in able.values() for kind in kinds))


def _all_of(graph: ir.IntGraph, kernels: str, able: Mapping[str, tuple[Kind, ...]], kind: Kind) -> Program:
    """`kind` wherever it can run."""
    return Program(graph, kernels=kernels, choices={node: kind for node, kinds in able.items() if kind in kinds})


def _by_node(
    program: Program, samples: list[NDArray[np.uint8]], able: Mapping[str, tuple[Kind, ...]], seconds: float
) -> dict[tuple[str, Kind], float]:
    """Microseconds of all operations of every node in `able`, by node and the kernel that it has in this program."""
    has = program.plan(still=_is_still(program, samples[0])).choices
    taken: dict[tuple[str, Kind], float] = collections.defaultdict(float)
    for one in times(program, samples, seconds):
        if one.node in able:
            taken[one.node, has[one.node]] += one.microseconds
    return taken
