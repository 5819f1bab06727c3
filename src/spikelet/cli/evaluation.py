"""`spikelet eval`: accuracy in PyTorch and as the integer program, and what differs between the two.

A run with float weights has the first alone: it is what others are compared with, not what is deployed.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.cli.confusion import Confusion
from spikelet.cli.outputs import side_file
from spikelet.cli.predicting import summed
from spikelet.cli.printing import facts, heading, hint, percent
from spikelet.cli.quiet import is_quiet
from spikelet.cli.result import FILE, Result, load_result, result_of
from spikelet.cli.sources import Choice, Packed, Trained, open_target, samples_of
from spikelet.data import Batches, Samples, batches
from spikelet.graph.ir import IntGraph
from spikelet.lowering import lower, verify
from spikelet.lowering.verify import Verification
from spikelet.nn.evaluation import evaluation_mode
from spikelet.profiling.packed import has_float_weights
from spikelet.runtime import Program
from spikelet.train.evaluate import predict

BATCH = 100
SCHEMA = "spikelet.eval/1"


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was counted of one target.

    real, integer: accuracy in PyTorch and as the integer program; None where there is no such evaluation.
    logits: [N, K], of the integers where there are any.
    """

    real: float | None
    integer: float | None
    logits: NDArray[Any]
    compared: Verification | None = None

    @property
    def differ(self) -> int:
        """Spikes and outputs that differ between the two."""
        return 0 if self.compared is None else self.compared.mismatches


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured of the target `name` on `samples` of a split, and which classes were mistaken."""

    name: str
    samples: Samples
    split: str
    measured: Measured
    confusion: Confusion | None

    @property
    def is_exact(self) -> bool:
        """Whether nothing differs between PyTorch and the integers."""
        return not self.measured.differ

    def show(self) -> None:
        """Prints it."""
        heading(title(self.name, self.samples, self.split))
        facts(_facts(self.measured))
        if self.confusion is not None:
            self.confusion.show()

    def document(self) -> dict[str, Any]:
        """The same as JSON has it; null stands for what was not measured."""
        samples, measured, compared = self.samples, self.measured, self.measured.compared
        of_comparison = {} if compared is None else _document(compared)
        return {
            "schema": SCHEMA,
            "target": self.name,
            "data": samples.name,
            "note": samples.note,
            "split": self.split,
            "samples": len(samples),
            "accuracy_pytorch": measured.real,
            "accuracy_integers": measured.integer,
            "is_exact": None if compared is None else self.is_exact,
            **of_comparison,
            **({} if self.confusion is None else self.confusion.document()),
        }


def evaluate(target: str, choice: Choice, threads: int, by_class: bool) -> Evaluation:
    """The accuracy of `target`; a run's own test result is also kept in its result.json.

    Raises:
        ValueError, OSError, ImportError: what opening the target, the data and lowering raise.
    """
    torch.set_num_threads(threads)
    opened = open_target(target)
    splits, samples = samples_of(opened, choice)
    split = choice.split_of(splits)
    if isinstance(opened, Packed):
        measured = _of_file(opened.graph, samples, threads)
    elif has_float_weights(opened.model):
        measured = _of_floats(opened.model, samples)
    else:
        measured = _of_run(opened, samples, threads)
    if isinstance(opened, Trained) and choice.is_own_test_set(split):
        _keep(opened, result_of(splits, measured.real))
    confusion = Confusion.of(measured.logits, samples.y.numpy(), samples.labels) if by_class else None
    return Evaluation(opened.name, samples, split, measured, confusion)


def _keep(opened: Trained, result: Result) -> None:
    """Writes result.json, unless the one that is there is about other samples."""
    try:
        before = load_result(opened.folder)
    except (FileNotFoundError, ValueError):  # none yet, or a damaged one
        before = result
    if (before.about, before.test_samples) == (result.about, result.test_samples):
        with side_file(opened.folder / FILE):
            result.save(opened.folder)
    else:
        hint(f"{FILE} is unchanged: it is about {before.test_samples:,} samples of {before.about}")


class _Heard:
    """A program that remembers its logits [B, K], those of the last step where there are some for every step."""

    def __init__(self, program: Program) -> None:
        self.program, self.spikes, self.outputs = program, program.spikes, program.outputs
        self.logits: list[NDArray[np.int32]] = []

    def __call__(self, x: NDArray[np.uint8]) -> NDArray[np.int32]:
        logits = self.program(x)
        self.logits.append(logits[-1] if logits.ndim == 3 else logits)
        return logits


def _of_run(opened: Trained, samples: Samples, threads: int) -> Measured:
    example, _ = samples.batch(torch.arange(1))
    time_axis = samples.time_axis
    graph = lower(opened.model, example, time_axis=time_axis)
    heard = _Heard(Program(graph, threads))
    compared = verify(graph, opened.model, shown(batches(samples, BATCH)), lambda _: heard, time_axis=time_axis)
    return Measured(compared.float_accuracy, compared.integer_accuracy, np.concatenate(heard.logits), compared)


def _of_file(graph: IntGraph, samples: Samples, threads: int) -> Measured:
    program = Program(graph, threads)
    parts = [summed(graph, program(x.numpy()))[0] for x, _ in shown(batches(samples, BATCH))]
    logits = np.concatenate(parts)
    return Measured(None, _accuracy(logits, samples), logits)


def _of_floats(model: nn.Module, samples: Samples) -> Measured:
    with evaluation_mode(model):
        parts = [predict(model, x, samples.time_axis) for x, _ in shown(batches(samples, BATCH))]
    logits = torch.cat(parts).numpy()
    return Measured(_accuracy(logits, samples), None, logits)


def _accuracy(logits: NDArray[Any], samples: Samples) -> float:
    return float((logits.argmax(1) == samples.y.numpy()).mean())


def shown(made: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches, with a bar while they last where someone watches."""
    hidden = is_quiet() or not sys.stdout.isatty()
    with click.progressbar(made, label="evaluating", hidden=hidden) as bar:
        yield from bar


def title(name: str, samples: Samples, split: str) -> str:
    """What was evaluated, and on which samples."""
    note = f", {samples.note}" if samples.note else ""
    return f"{name} on {samples.name}{note}: {split} set, {len(samples):,} samples"


def _facts(measured: Measured) -> list[tuple[str, str]]:
    real, integer, v = measured.real, measured.integer, measured.compared
    rows = [] if real is None else [("accuracy, PyTorch evaluation", percent(real))]
    if integer is None:
        return [*rows, ("", "float weights have no integer program")]
    rows.append(("accuracy, integer program", percent(integer)))
    if v is None:
        return rows
    wrong = {name: n for name, n in v.spike_mismatches.items() if n}
    return [
        *rows,
        ("spikes that differ", f"{sum(v.spike_mismatches.values()):,} of {v.spikes:,}"),
        *((f"  in {name}", f"{n:,}") for name, n in wrong.items()),
        ("logits that differ", f"{v.logit_mismatches:,} of {v.logits:,}"),
    ]


def _document(v: Verification) -> dict[str, Any]:
    others = {"compared": v.other_outputs, "differ": sum(v.other_mismatches.values())}
    return {
        "spikes": {"compared": v.spikes, "differ": sum(v.spike_mismatches.values()), "by_node": v.spike_mismatches},
        "logits": {"compared": v.logits, "differ": v.logit_mismatches},
        "other_outputs": others,
        "not_compared": list(v.not_compared),
    }
