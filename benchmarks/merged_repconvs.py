"""The price of merging re-parameterisable convolutions: a trained QSD-Transformer before and after `merge_repconvs`.

    python -m benchmarks.merged_repconvs RUN [--epochs 2] [--lr 1e-3] [--data-root DIR] [--samples 256] [--seconds 10]

RUN is the folder of a finished `spikelet train qsd-...`. Four networks: as trained; merged; merged, its batch norms
measured again on training images; and that one after fine-tuning, on labels alone, with the run's settings but for the
learning rate. The merged kernels have the run's weight bits, their steps learned (quant/learned_step.py). Accuracy is
that of the packed integers on the whole test set, last epoch, and nothing is printed where PyTorch differs in a spike.
Operations are NeuroBench's effective ones of an image over all T steps, input and weight both not zero, those of
attention's products too (the papers' rule counts none where spikes are counts). Latency is processor time of the native
program for one image on one thread, the median while the networks take turns. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.end_to_end import medians
from benchmarks.record import command, commit, device
from benchmarks.verified import verified
from spikelet import Program, lower
from spikelet.compression.passes import recalibrate
from spikelet.data import DataSplits, batches, load
from spikelet.graph.file.artifact import dumps
from spikelet.graph.ir import IntGraph
from spikelet.models.qsd import learned
from spikelet.nn import merge_repconvs
from spikelet.profiling import profile_graph
from spikelet.train import TrainConfig, further, load_run, train_further

COLUMNS = ("network", "accuracy", "parameters", "packed bytes", "synaptic operations", "ms an image")
BATCH = 128


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """A network, lowered, and what it costs, but for its latency."""

    name: str
    graph: IntGraph
    accuracy: float
    parameters: int
    operations: float


def networks(
    model: nn.Module, config: TrainConfig, data: DataSplits, options: argparse.Namespace
) -> Iterator[tuple[str, nn.Module]]:
    """The four networks, each of its own."""
    yield "as trained", model
    merged = copy.deepcopy(model)
    count = merge_repconvs(merged, learned(config.model_options["weight_bits"]))
    if not count:
        raise SystemExit(f"{config.model} has no re-parameterisable convolution: take the run of a qsd recipe")
    yield f"{count} blocks merged", merged
    settled = copy.deepcopy(merged)
    recalibrate(settled, (x for x, _ in batches(data.train.spread(options.samples), BATCH)))
    yield "the same, norms measured again", settled
    tuned = copy.deepcopy(settled)
    training = further(config, tuned, options.epochs)
    train_further(
        tuned, data, dataclasses.replace(training, optimizer=dataclasses.replace(training.optimizer, lr=options.lr))
    )
    yield f"the same, {options.epochs} epoch(s) of training", tuned


def measured(name: str, model: nn.Module, data: DataSplits, samples: int) -> Measured:
    """Accuracy and costs of one network."""
    graph = lower(model, data.test.x[:1], labels=data.test.labels)
    counted = profile_graph(graph, data.test.spread(samples).x.numpy(), tables=()).total.neurobench
    return Measured(
        name, graph, verified(graph, model, data.test).integer_accuracy,
        sum(p.numel() for p in model.parameters()), counted.effective_acs + counted.effective_macs,
    )  # fmt: skip


def table(rows: list[Measured], x: np.ndarray, seconds: float) -> list[str]:
    """The lines of the table."""
    calls = {row.name: functools.partial(Program(row.graph, threads=1), x) for row in rows}
    milliseconds = medians(calls, seconds)["cpu"]
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for row in rows:
        size = len(dumps(row.graph))
        cells = (f"{row.accuracy:.2%}", f"{row.parameters:,}", f"{size:,}", f"{row.operations:,.0f}")
        lines.append((row.name, *cells, f"{milliseconds[row.name]:.3f}"))
    return [f"| {' | '.join(line)} |" for line in lines]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--epochs", type=int, default=2, help="of the fine-tuning")
    parser.add_argument("--lr", type=float, default=1e-3, help="its peak")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--samples", type=int, default=256, help="images for norms and for counting operations")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for the latencies")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, config = load_run(options.run)
    data = load(config.data, root=options.data_root, **config.data_options)
    rows = [measured(name, network, data, options.samples) for name, network in networks(model, config, data, options)]
    print("\n".join(table(rows, data.test.x[:1].numpy(), options.seconds)))
    print(f"\n{config.model}, seed {config.seed}, {len(data.test):,} test images of {data.test.name}; {device()}")
    print(f"commit {commit()}, `{command()}`")


if __name__ == "__main__":
    main()
