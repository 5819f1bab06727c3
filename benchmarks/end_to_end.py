"""Latency of whole networks: the native program against PyTorch on the same processor and threads.

    python -m benchmarks.end_to_end qsnn_vgg_s --batch 1 32 --threads 1 --out latency.json
    python -m benchmarks.end_to_end spikformer_4_384:1 spikformer_4_384:4 --beside eager compiled bf16

A case is a model of the catalogue and, behind a colon, the bits of its hidden weights. Contenders, all given the same
uint8 images:

    native     spikelet.Program(graph, threads)
    eager      the same network in plain fp32 PyTorch (benchmarks/plain_torch.py)
    compiled   `eager` under torch.compile, its weights frozen
    bf16       `compiled` in bfloat16 throughout: weights, currents and membranes
    exact      the model's own evaluation (`model.eval()`), whose rounding equals the integer program's

Plain PyTorch leaves roundings and membranes of few bits out, which favours it; what bfloat16 does to the spikes is not
judged. Weights are random; batch norm statistics are those of the benchmark's images, so that neurons fire as in a
network in training. Contenders take turns, and every figure is the median over rounds, once of wall-clock time and once
of the processor time that all threads of the process took; on a busy machine only the second means anything, and the
ratios are of it when one thread runs. Speed depends on the firing rates (spikes of a neuron and step, counts where it
has levels), which are saved too.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import inspect
import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain_torch import PlainTorch
from benchmarks.record import command, commit, device
from spikelet.base.timing import taking_turns
from spikelet.compression.passes import recalibrate
from spikelet.graph import ir
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.models.catalogue import MODELS
from spikelet.runtime import Program

CONTENDERS = ("eager", "compiled", "bf16", "exact")
BESIDE = ("eager", "exact")


@dataclasses.dataclass
class Case:
    """One model, batch size and number of threads."""

    model: str
    batch: int
    threads: int


def named(word: str) -> tuple[str, dict[str, int]]:
    """The model's name and its options, from "name" or "name:bits".

    Raises:
        SystemExit: there is no such model, or the bits are no number.
    """
    name, colon, bits = word.partition(":")
    if name not in MODELS or (colon and not bits.isdecimal()):
        raise SystemExit(f"a case must be a model's name, or a name and its weights' bits as in {name}:4, got {word!r}")
    return name, {"weight_bits": int(bits)} if colon else {}


def images(model: str, batch: int, generator: torch.Generator) -> Tensor:
    """What the model takes at its own size: smooth images [B, 3, H, W], or sparse event frames [T, B, 2, H, W]."""
    options = inspect.signature(MODELS[model]).parameters
    channels, side, steps = (options[name].default for name in ("in_channels", "image_size", "time_steps"))
    if channels == 2:
        return torch.poisson(torch.full((steps, batch, 2, side, side), 0.1), generator).to(torch.uint8)
    coarse = torch.rand(batch, channels, 8, 8, generator=generator)
    return (F.interpolate(coarse, size=(side, side), mode="bilinear") * 255).to(torch.uint8)


def calibrated(name: str, options: dict[str, int]) -> nn.Module:
    """A random model whose batch norms have seen some images, in evaluation mode."""
    torch.manual_seed(0)
    return seen(name, create_model(name, **options))


def seen(name: str, model: nn.Module) -> nn.Module:
    """`model`, whose batch norms have now seen some images, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    recalibrate(model, [images(name, 4, generator) for _ in range(20)])
    return model.eval()


def medians(contenders: dict[str, Callable[[], Any]], seconds: float) -> dict[str, dict[str, float]]:
    """Median wall and processor milliseconds of every contender; they take turns until `seconds` have passed."""
    times = taking_turns(contenders, seconds)
    return {
        clock: {name: round(1e3 * statistics.median(getattr(t, clock)), 4) for name, t in times.items()}
        for clock in ("wall", "cpu")
    }


def contenders(names: Sequence[str], graph: ir.IntGraph, model: nn.Module, x: Tensor) -> dict[str, Callable[[], Any]]:
    """Calls that run `x` through the contenders of these names."""
    plain = {
        "eager": lambda: PlainTorch(graph).eval(),
        "compiled": lambda: _compiled(PlainTorch(graph).eval()),
        "bf16": lambda: _compiled(PlainTorch(graph, torch.bfloat16).eval()),
        "exact": lambda: model,
    }
    return {name: functools.partial(plain[name](), x) for name in names}


def _compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    torch._dynamo.reset()  # every network is compiled for its own shape, none for a general one
    return torch.compile(network, dynamic=False, options={"freezing": True})


@torch.no_grad()
def measure(case: Case, model: nn.Module, seconds: float, beside: Sequence[str]) -> dict[str, Any]:
    """The native program and the contenders `beside` it; its classes must be those of the model's evaluation."""
    torch.set_num_threads(case.threads)
    x = images(case.model, case.batch, torch.Generator().manual_seed(1))
    graph = lower(model, x, time_axis=0 if x.dim() == 5 else None)
    program, x_numpy = Program(graph, threads=case.threads), x.numpy()
    if (model(x).mean(0).argmax(-1).numpy() != program(x_numpy).argmax(-1)).any():
        raise SystemExit(f"{case.model}: native and exact evaluation predict other classes")
    ms = medians({"native": lambda: program(x_numpy)} | contenders(beside, graph, model, x), seconds)
    judged = ms["cpu" if case.threads == 1 else "wall"]
    spikes = program.spikes(x_numpy)
    return dataclasses.asdict(case) | {
        "kernels": program.kernels,
        "milliseconds": ms,
        "times_faster_than": {k: round(v / judged["native"], 1) for k, v in judged.items() if k != "native"},
        "firing_rates": {name: round(float(s.mean()), 4) for name, s in spikes.items()},
        "firing_rate": round(float(sum(s.sum() for s in spikes.values()) / sum(s.size for s in spikes.values())), 4),
    }


def machine() -> dict[str, Any]:
    """Where and when figures were taken."""
    return {
        "device": device(),
        "cores": os.cpu_count(),
        "load_average": [round(v, 2) for v in os.getloadavg()],
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "commit": commit(),
        "command": command(),
    }


def table(words: Sequence[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measures every case at every batch and number of threads, and prints a line each."""
    results = []
    print(f"{'model':20} {'batch':>5} {'threads':>7} {'wall ms':>9} {'cpu ms':>9} {'spikes':>6}   times faster than")
    for word in words:
        name, options = named(word)
        options |= {} if args.time_steps is None else {"time_steps": args.time_steps}
        model = calibrated(name, options)
        for batch in args.batch:
            for threads in args.threads:
                result = measure(Case(name, batch, threads), model, args.seconds, args.beside) | {"options": options}
                results.append(result)
                faster = ", ".join(f"{k} {v}" for k, v in result["times_faster_than"].items())
                wall, cpu = (result["milliseconds"][clock]["native"] for clock in ("wall", "cpu"))
                rate = result["firing_rate"]
                print(f"{word:20} {batch:5} {threads:7} {wall:9.3f} {cpu:9.3f} {rate:6.3f}   {faster}", flush=True)
    return results


def options_of(parser: argparse.ArgumentParser) -> None:
    """Adds what this and `make bench` can be told."""
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--time-steps", type=int)
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each case")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")


def write(path: Path | None, results: list[dict[str, Any]]) -> None:
    """Writes the figures, and where and when they were taken."""
    if path is not None:
        path.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["qsnn_vgg_s"], metavar="model[:bits]")
    parser.add_argument("--beside", nargs="*", choices=CONTENDERS, default=list(BESIDE))
    options_of(parser)
    args = parser.parse_args()
    write(args.out, table(args.cases, args))


if __name__ == "__main__":
    main()
