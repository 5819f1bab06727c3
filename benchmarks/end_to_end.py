"""Latency of whole networks: the native program against PyTorch on the same processor and threads.

    python -m benchmarks.end_to_end qsnn_vgg_s --batch 1 32 --threads 1 --out latency.json

Contenders, all given the same uint8 images:

    native     spikelet.Program(graph, threads)
    eager      the same network in plain fp32 PyTorch: batch norms folded into the convolutions, the LIF a loop
               over T, the part before the first LIF computed once for a still image
    compiled   `eager` under torch.compile, with --compile
    exact      the model's own evaluation (`model.eval()`), whose rounding equals the integer program's

`eager` leaves the membrane's rounding out, which favours it. Weights are random; batch norm statistics are
those of the benchmark's images, so that neurons fire as in a network in training. Contenders take turns, and every
figure is the median over rounds, once of wall-clock time and once of the processor time that all threads of
the process took; on a busy machine only the second means anything, and the ratios are of it when one
thread runs. Speed depends on the firing rates, which are saved too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.record import command, commit, device
from spikelet.base.codes import values_of
from spikelet.fitting.sensitivity import recalibrate
from spikelet.graph import ir
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.runtime import Program


class PlainTorch(nn.Module):
    """An integer graph as an ordinary fp32 network: uint8 [B, ...] or [T, B, ...] -> logits [B, K]."""

    def __init__(self, graph: ir.IntGraph) -> None:
        super().__init__()
        self.graph = graph
        users = {n.name: [u for u in graph.nodes if n.name in u.inputs] for n in graph.nodes}
        self.steps: list[tuple[ir.Operation, str]] = []  # a node, and the name that its value takes
        folded: set[str] = set()
        for node in graph.nodes[1:]:
            if node.name in folded:
                continue
            name = node.name
            if isinstance(node, ir.Conv | ir.Linear):
                weight, bias = torch.tensor(values_of(node.weight, node.bits, node.grid), dtype=torch.float32), None
                after = users[name][0] if len(users[name]) == 1 else None
                if isinstance(after, ir.Affine):
                    gain = torch.tensor(after.multiplier[0] * 2.0 ** -after.shift[0].astype(float), dtype=torch.float32)
                    weight, bias = (
                        weight * gain.view(-1, *[1] * (weight.dim() - 1)),
                        torch.tensor(after.offset[0]).float(),
                    )
                    folded.add(after.name)
                    name = after.name
                self.register_buffer(f"w{len(self.steps)}", weight)
                self.register_buffer(f"b{len(self.steps)}", bias)
            self.steps.append((node, name))

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the graph's integer unit, up to rounding."""
        t_b = (x if x.dim() == len(self.graph.input.shape) + 2 else x[None]).float()
        values = {self.graph.input.name: t_b}
        for i, (node, name) in enumerate(self.steps):
            values[name] = self._run(node, [values[n] for n in node.inputs], i)
        return values[self.graph.output.name][0]

    def _run(self, node: ir.Operation, xs: list[Tensor], i: int) -> Tensor:
        x = xs[0]
        weight, bias = getattr(self, f"w{i}", None), getattr(self, f"b{i}", None)
        match node:
            case ir.Conv():
                return _fold(x, lambda z: F.conv2d(z, weight, bias, node.stride, node.padding, 1, node.groups))
            case ir.Linear():
                return F.linear(x, weight, bias)
            case ir.Affine():
                return self._affine(node, x)
            case ir.Add():
                return sum(xs[1:], start=x)
            case ir.Lif():
                return self._lif(node, x)
            case _:
                return self._reshaped(node, x)

    def _reshaped(self, node: ir.Operation, x: Tensor) -> Tensor:
        match node:
            case ir.MaxPool():
                return _fold(x, lambda z: F.max_pool2d(z, node.kernel, node.stride, node.padding))
            case ir.SumPool():
                return _fold(x, lambda z: F.avg_pool2d(z, node.kernel, divisor_override=1))
            case ir.Flatten():
                return x.flatten(2)
            case ir.ChannelMap():
                return self._map(node, x)
            case ir.SumTime():
                return x.sum(0, keepdim=True) if len(x) > 1 else x * self.graph.time_steps
            case _:
                raise TypeError(f"{type(node).__name__} has no plain form here.")

    @staticmethod
    def _affine(node: ir.Affine, x: Tensor) -> Tensor:
        view = (-1, *[1] * (x.dim() - 3))
        gain = torch.tensor(node.multiplier * 2.0 ** -node.shift.astype(float), dtype=torch.float32)
        return x * gain.view(view) + torch.tensor(node.offset).float().view(view)

    @staticmethod
    def _map(node: ir.ChannelMap, x: Tensor) -> Tensor:
        source = torch.tensor(node.source.astype(int))
        picked = x[:, :, source.clamp(min=0), :: node.stride, :: node.stride]
        return picked * (source >= 0).float().view(-1, 1, 1)

    def _lif(self, node: ir.Lif, x: Tensor) -> Tensor:
        leak, gain = node.leak / 2**node.leak_bits, node.gain / 2**node.leak_bits
        x = x if gain == 1 else x * gain
        drop = node.threshold if isinstance(node.reset, str) else node.reset
        v, spikes = torch.zeros_like(x[0]), []
        for t in range(self.graph.time_steps):
            h = v * leak + x[t if len(x) > 1 else 0]
            s = (h >= node.threshold).float()
            v = h * (1 - s) if node.reset == "hard" else h - drop * s
            spikes.append(s)
        return torch.stack(spikes)


def _fold(x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    y = f(x.flatten(0, 1))
    return y.view(*x.shape[:2], *y.shape[1:])


@dataclasses.dataclass
class Case:
    """One model, batch size and number of threads."""

    model: str
    batch: int
    threads: int


def images(model: str, batch: int, generator: torch.Generator) -> Tensor:
    """Smooth random images [B, 3, 32, 32] (ImageNet's: 224 x 224), or sparse event frames [10, B, 2, 48, 48]."""
    if model.endswith("vggsnn"):
        return torch.poisson(torch.full((10, batch, 2, 48, 48), 0.1), generator).to(torch.uint8)
    coarse = torch.rand(batch, 3, 8, 8, generator=generator)
    side = 224 if model.endswith("resnet18") else 32
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
    clocks = {"wall": time.perf_counter, "cpu": time.process_time}
    times: dict[str, dict[str, list[float]]] = {clock: {name: [] for name in contenders} for clock in clocks}
    for run in contenders.values():
        run()
    end, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < end or rounds < 5:
        for name, run in contenders.items():
            start = {clock: now() for clock, now in clocks.items()}
            run()
            for clock, now in clocks.items():
                times[clock][name].append(now() - start[clock])
        rounds += 1
    return {
        clock: {name: round(1e3 * statistics.median(t), 4) for name, t in by_name.items()}
        for clock, by_name in times.items()
    }


def measure(case: Case, model: nn.Module, seconds: float, with_compile: bool) -> dict[str, Any]:
    """All contenders of one case; native logits are compared with the exact evaluation's prediction."""
    torch.set_num_threads(case.threads)
    x = images(case.model, case.batch, torch.Generator().manual_seed(1))
    graph = lower(model, x)
    program, plain, x_numpy = Program(graph, threads=case.threads), PlainTorch(graph).eval(), x.numpy()
    contenders: dict[str, Callable[[], Any]] = {
        "native": lambda: program(x_numpy),
        "eager": lambda: plain(x),
        "exact": lambda: model(x),
    }
    if with_compile:
        compiled = torch.compile(plain)
        contenders["compiled"] = lambda: compiled(x)
    with torch.no_grad():
        same = bool((model(x).mean(0).argmax(-1).numpy() == program(x_numpy).argmax(-1)).all())
        if not same:
            raise SystemExit(f"{case.model}: native and exact evaluation predict other classes")
        ms = medians(contenders, seconds)
    judged = ms["cpu" if case.threads == 1 else "wall"]
    rates = {name: round(float(s.mean()), 4) for name, s in program.spikes(x_numpy).items()}
    return dataclasses.asdict(case) | {
        "kernels": program.kernels,
        "milliseconds": ms,
        "times_faster_than": {k: round(v / judged["native"], 1) for k, v in judged.items() if k != "native"},
        "firing_rates": rates,
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


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["qsnn_vgg_s"], metavar="model")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--time-steps", type=int)
    parser.add_argument("--weight-bits", type=int)
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each case")
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    chosen = {"time_steps": args.time_steps, "weight_bits": args.weight_bits}
    options = {k: v for k, v in chosen.items() if v is not None}
    results = []
    print(f"{'model':16} {'batch':>5} {'threads':>7} {'wall ms':>9} {'cpu ms':>9}   times faster than")
    for name in args.models:
        model = calibrated(name, options)
        for batch in args.batch:
            for threads in args.threads:
                result = measure(Case(name, batch, threads), model, args.seconds, args.compile)
                results.append(result | {"options": options})
                faster = ", ".join(f"{k} {v}" for k, v in result["times_faster_than"].items())
                wall, cpu = (result["milliseconds"][clock]["native"] for clock in ("wall", "cpu"))
                print(f"{name:16} {batch:5} {threads:7} {wall:9.3f} {cpu:9.3f}   {faster}")
    if args.out is not None:
        args.out.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
