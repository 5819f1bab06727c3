"""The whole path in a minute: train on scikit-learn's digits, pack, run natively, compare spike for spike.

    make demo          or          python examples/demo.py

Writes into ./demo: the run's folder, digits.safetensors, and report.png. The last line says how many spikes
and logits differ between PyTorch and the integer runtime over the whole test set.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from demo_plot import Story, plot
from torch import nn

import spikelet
from spikelet.cli.printing import facts, heading, percent, say
from spikelet.data import DataSplits, batches, load
from spikelet.graph.ir import IntGraph
from spikelet.recipes import RECIPES
from spikelet.train import Run, TrainConfig

RECIPE = "qsnn-digits"
BATCH = 200


def main(folder: Path, config: TrainConfig) -> None:
    """Trains `config` and reports. Everything written lies in `folder`."""
    data = load(config.data)
    model = train(config, data, folder / "run")

    path = folder / "digits.safetensors"
    spikelet.save(spikelet.lower(model, data.test.x[:1], labels=data.test.labels), path)
    graph = spikelet.load(path)
    found = spikelet.verify(graph, model, batches(data.test, BATCH), spikelet.Program)

    cost = spikelet.profile(model, batches(data.test, BATCH)).total
    native, exact = latencies(graph, model, data)
    parameters = sum(p.numel() for p in model.parameters())
    size = path.stat().st_size
    rows = [
        ("accuracy, PyTorch evaluation", percent(found.float_accuracy)),
        ("accuracy, integer program", percent(found.integer_accuracy)),
        ("packed file", f"{size:,} bytes, without the words about its origin that spikelet pack adds"),
        ("the same weights as float32", f"{4 * parameters:,} bytes, {4 * parameters / size:.1f} times as many"),
        ("latency, integer program", f"{1e3 * native:.3f} ms an image, 1 thread"),
        (
            "latency, PyTorch, exact evaluation",
            f"{1e3 * exact:.3f} ms an image, 1 thread, {exact / native:,.0f} times as long",
        ),
        ("mean firing rate", f"{cost.output_rate:.3f} spikes a neuron and step"),
        ("synaptic operations", f"{cost.paper_sops:,.0f} SOPs and {cost.paper_macs:,.0f} MACs an image, papers' rule"),
    ]
    heading(f"\n{config.model} on {data.test.name}: {len(data.test)} test images, T = {graph.time_steps}")
    facts(rows)

    history = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    plot(Story(graph, data.test, history, found.integer_accuracy, 4 * parameters, size), folder / "report.png")
    say(f"written: {path}, {folder / 'report.png'}")
    spikes = sum(found.spike_mismatches.values())
    say(
        f"spikes that differ between PyTorch and the integer runtime: {spikes:,}, "
        f"logits that differ: {found.logit_mismatches:,}"
    )


def train(config: TrainConfig, data: DataSplits, folder: Path) -> nn.Module:
    """A new run in `folder`, shown as it goes; the model in evaluation mode."""
    if folder.exists():
        shutil.rmtree(folder)
    return Run(config, data, folder).train()


def latencies(graph: IntGraph, model: nn.Module, data: DataSplits) -> tuple[float, float]:
    """Seconds for one image by itself: the integer program's and the PyTorch evaluation's, here and now."""
    program = spikelet.Program(graph, threads=1)
    x = data.test.x[:1]
    pixels = x.numpy()
    with torch.inference_mode():
        return median_seconds(lambda: program(pixels), 300), median_seconds(lambda: model(x), 30)


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work`, after a tenth as many runs to warm up."""
    for _ in range(repeats // 10):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    torch.set_num_threads(1)  # tensors as small as these only lose by being shared
    out = Path("demo")
    out.mkdir(exist_ok=True)
    main(out, RECIPES[RECIPE]())
