"""`spikelet eval`: accuracy in PyTorch and as the integer program, and what differs between the two.

A run with float weights has the first alone: it is what others are compared with, not what is deployed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
import torch
from torch import Tensor

from spikelet.cli.outputs import side_file
from spikelet.cli.printing import facts, heading, percent, say
from spikelet.cli.result import FILE, Result, load_result, result_of
from spikelet.cli.running import summed
from spikelet.cli.sources import Choice, Packed, Trained, open_target, samples_of
from spikelet.data import Batches, Samples, batches
from spikelet.lowering import lower, verify
from spikelet.lowering.verify import Verification
from spikelet.profiling.packed import has_float_weights
from spikelet.runtime import Program
from spikelet.train import evaluate as accuracy_of

BATCH = 100


def evaluate(target: str, choice: Choice, threads: int) -> None:
    """Prints the accuracy of `target`; a run's own test result is also kept in its result.json.

    Raises:
        ValueError, OSError, ImportError: what opening the target, the data and lowering raise.
    """
    torch.set_num_threads(threads)
    opened = open_target(target)
    splits, samples = samples_of(opened, choice)
    split = choice.split_of(splits)
    if isinstance(opened, Packed):
        hits = _hits(opened, samples, threads)
        heading(title(opened.name, samples, split))
        facts([("accuracy, integer program", percent(hits / len(samples)))])
        return
    if has_float_weights(opened.model):
        accuracy = accuracy_of(opened.model, shown(batches(samples, BATCH)), time_axis=samples.time_axis)
        rows = [("accuracy, PyTorch evaluation", percent(accuracy)), ("", "float weights have no integer program")]
    else:
        verification = _verify(opened, samples, threads)
        accuracy, rows = verification.float_accuracy, _facts(verification)
    heading(title(opened.name, samples, split))
    facts(rows)
    if choice.is_own_test_set(split):
        _keep(opened, result_of(splits, accuracy))


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
        say(f"{FILE} is unchanged: it is about {before.test_samples:,} samples of {before.about}", fg="yellow")


def _verify(opened: Trained, samples: Samples, threads: int) -> Verification:
    example, _ = samples.batch(torch.arange(1))
    time_axis = samples.time_axis
    graph = lower(opened.model, example, time_axis=time_axis)
    pairs = shown(batches(samples, BATCH))
    return verify(graph, opened.model, pairs, lambda g: Program(g, threads), time_axis=time_axis)


def _hits(opened: Packed, samples: Samples, threads: int) -> int:
    program = Program(opened.graph, threads)
    pairs = shown(batches(samples, BATCH))
    return sum(int((summed(program(x.numpy()))[0].argmax(1) == y.numpy()).sum()) for x, y in pairs)


def shown(made: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches, with a bar while they last where someone watches."""
    with click.progressbar(made, label="evaluating", hidden=not sys.stdout.isatty()) as bar:
        yield from bar


def title(name: str, samples: Samples, split: str) -> str:
    """What was evaluated, and on which samples."""
    note = f", {samples.note}" if samples.note else ""
    return f"{name} on {samples.name}{note}: {split} set, {len(samples):,} samples"


def _facts(v: Verification) -> list[tuple[str, str]]:
    wrong = {name: n for name, n in v.spike_mismatches.items() if n}
    return [
        ("accuracy, PyTorch evaluation", percent(v.float_accuracy)),
        ("accuracy, integer program", percent(v.integer_accuracy)),
        ("spikes that differ", f"{sum(v.spike_mismatches.values()):,} of {v.spikes:,}"),
        *((f"  in {name}", f"{n:,}") for name, n in wrong.items()),
        ("logits that differ", f"{v.logit_mismatches:,} of {v.logits:,}"),
    ]
