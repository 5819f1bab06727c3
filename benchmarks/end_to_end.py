"""Latency of whole networks: the native program against PyTorch, and int8 twins, on the same processor and threads.

    python -m benchmarks.end_to_end qsnn_vgg_s --batch 1 32 --threads 1 --out latency.json
    python -m benchmarks.end_to_end spikformer_4_384:1 spikformer_4_384:4 --firing 0.02 0.1 0.5 --beside eager bf16
    python -m benchmarks.end_to_end qsnn-vgg-s-cifar10 --images test.npy --beside eager ort_int8 openvino_int8

A case is a model of the catalogue and, behind a colon, the bits of its hidden weights; or a shipped network by name.
Contenders, all given the same images:

    native          spikelet.Program(graph, threads)
    eager           the same network in plain fp32 PyTorch (benchmarks/plain_torch.py)
    compiled        `eager` under torch.compile, its weights frozen
    bf16            `compiled` in bfloat16 throughout: weights, currents and membranes
    exact           the model's own evaluation (`model.eval()`), whose rounding equals the integer program's
    ort_int8        a network of the same shape with ReLUs for neurons, run once, in int8 by ONNX Runtime
    openvino_int8   the same file in OpenVINO                                            (benchmarks/int8_onnx.py)
    spikingjelly    SpikingJelly's own network of this shape, where its zoo has one (benchmarks/spikingjelly_zoo.py)

Plain PyTorch leaves roundings and membranes of few bits out, which favours it; what bfloat16 does to the spikes is not
judged. Random networks (cases.py) are made to fire as often as --firing says, in every layer of binary neurons; shipped
ones have their own rates, and their own images where --images names a file of them, uint8 [N, *input shape]. What was
measured is printed and saved: spikes of a neuron and step, counts where it has levels.

Contenders take turns, and every figure is the median over rounds, once of wall-clock time and once of the processor
time that all threads of the process took; on a busy machine only the second means anything, and the ratios are of it
when one thread runs. The quarter and three quarters of the rounds beside it say how far they spread. Where several
numbers of threads were asked for, each result says how many times faster it is than one thread by the wall's clock.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import int8_onnx, spikingjelly_zoo
from benchmarks.cases import FIRING, Subject, subject_of
from benchmarks.plain_torch import PlainTorch
from benchmarks.record import command, commit, device
from spikelet import Reference
from spikelet.base.timing import Times, taking_turns
from spikelet.runtime import Program
from spikelet.zoo import names

CONTENDERS = ("eager", "compiled", "bf16", "exact", "ort_int8", "openvino_int8", "spikingjelly")
BASELINES = ("torch", "numpy", "onnxruntime", "openvino", "spikingjelly")
BESIDE = ("eager", "exact")
HEADS = "{:20} {:>5} {:>7} {:>8} {:>6} {:>9} {:>9}   {}"


def medians(contenders: dict[str, Callable[[], Any]], seconds: float) -> dict[str, dict[str, float]]:
    """Median wall and processor milliseconds of every contender; they take turns until `seconds` have passed."""
    return milliseconds(taking_turns(contenders, seconds))


def milliseconds(times: Mapping[str, Times], share: float = 0.5) -> dict[str, dict[str, float]]:
    """Wall and processor milliseconds below which a share of the rounds of every contender lies; half is the median."""
    return {
        clock: {name: round(1e3 * float(np.quantile(getattr(t, clock), share)), 4) for name, t in times.items()}
        for clock in ("wall", "cpu")
    }


def contenders(wanted: Sequence[str], subject: Subject, x: Tensor, threads: int) -> dict[str, Callable[[], Any]]:
    """Calls that run `x` through the contenders of these names.

    Raises:
        SystemExit: a shipped network is to be evaluated in PyTorch, or a twin is asked for a network that has none.
    """
    if "exact" in wanted and subject.model is None:
        raise SystemExit(f"{subject.name} ships as integers: leave `exact` out of --beside")
    graph = subject.graph
    twin = functools.cache(lambda: int8_onnx.Twin(graph, x))
    makes: dict[str, Callable[[], Callable[[], Any]]] = {
        "eager": lambda: functools.partial(PlainTorch(graph).eval(), x),
        "compiled": lambda: functools.partial(_compiled(PlainTorch(graph).eval()), x),
        "bf16": lambda: functools.partial(_compiled(PlainTorch(graph, torch.bfloat16).eval()), x),
        "exact": lambda: functools.partial(subject.model or nn.Identity(), x),
        "ort_int8": lambda: twin().onnx_runtime(threads),
        "openvino_int8": lambda: twin().openvino(threads),
        "spikingjelly": lambda: spikingjelly_zoo.implementation(subject, x),
    }
    return {name: makes[name]() for name in wanted}


def _compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    torch._dynamo.reset()  # every network is compiled for its own shape, none for a general one
    return torch.compile(network, dynamic=False, options={"freezing": True})


@torch.no_grad()
def measure(subject: Subject, batch: int, threads: int, args: argparse.Namespace, kernels: str) -> dict[str, Any]:
    """The native program and the contenders `beside` it, at one batch size, number of threads and kernel set."""
    torch.set_num_threads(threads)
    x = subject.batch(batch)
    program, x_numpy = Program(subject.graph, threads, kernels), x.numpy()
    _check(subject, program, x)
    calls = {"native": lambda: program(x_numpy)} | contenders(args.beside, subject, x, threads)
    times = taking_turns(calls, args.seconds)
    ms = milliseconds(times)
    judged = ms["cpu" if threads == 1 else "wall"]
    spikes = program.spikes(x_numpy)
    return {
        "model": subject.name,
        "batch": batch,
        "threads": threads,
        "kernels": program.kernels,
        "pytorch_instructions": torch.backends.cpu.get_cpu_capability(),
        "milliseconds": ms,
        "quarter": milliseconds(times, 0.25),
        "three_quarters": milliseconds(times, 0.75),
        "rounds": len(times["native"].wall),
        "times_faster_than": {k: round(v / judged["native"], 1) for k, v in judged.items() if k != "native"},
        "firing_asked": subject.firing,
        "snapped": subject.snapped,
        "firing_rates": {name: round(float(s.mean()), 4) for name, s in spikes.items()},
        "firing_rate": round(float(sum(s.sum() for s in spikes.values()) / sum(s.size for s in spikes.values())), 4),
        "options": subject.options,
    }


def _check(subject: Subject, program: Program, x: Tensor) -> None:
    """Raises SystemExit unless the program is right: the classes are those of the model's evaluation; of a shipped
    network, the first image's logits those of the reference."""
    found = program(x.numpy())
    if subject.model is None:
        first = x[:1].numpy()
        same = (Reference(subject.graph)(first) == found[:1]).all()
    else:
        same = (subject.model(x).mean(0).argmax(-1).numpy() == found.argmax(-1)).all()
    if not same:
        raise SystemExit(f"{subject.name}: native and exact evaluation differ")


def versions() -> dict[str, str]:
    """The version of every library that may be measured beside, of those that are installed."""
    installed = {dist.name.lower() for dist in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in BASELINES if name in installed}


def machine() -> dict[str, Any]:
    """Where and when figures were taken."""
    return {
        "device": device(),
        "cores": os.cpu_count(),
        "load_average": [round(v, 2) for v in os.getloadavg()],
        **versions(),
        "python": platform.python_version(),
        "commit": commit(),
        "command": command(),
    }


def table(words: Sequence[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measures every case at every firing rate, batch, number of threads and kernel set, and prints a line each."""
    print(HEADS.format("model", "batch", "threads", "kernels", "spikes", "wall ms", "cpu ms", "times faster than"))
    results = []
    for word in words:
        for subject in _subjects(word, args):
            for batch in args.batch:
                for kernels in args.kernels:
                    alone: float | None = None
                    for threads in args.threads:
                        results.append(measure(subject, batch, threads, args, kernels))
                        took = results[-1]["milliseconds"]["wall"]["native"]
                        alone = took if threads == 1 else alone
                        results[-1]["times_faster_than_one_thread"] = alone and round(alone / took, 2)
                        _print(word, results[-1])
    return results


def _subjects(word: str, args: argparse.Namespace) -> Iterator[Subject]:
    """The case at every rate that was asked for."""
    asked = {"time_steps": args.time_steps, "image_size": args.image_size}
    options = {name: value for name, value in asked.items() if value is not None}
    for firing in (None,) if word in names() else args.firing or (None,):
        yield subject_of(word, options, firing, args.images, snap=args.snap)


def _print(word: str, result: dict[str, Any]) -> None:
    faster = ", ".join(f"{k} {v}" for k, v in result["times_faster_than"].items())
    if result["threads"] > 1 and result["times_faster_than_one_thread"]:
        faster += f"; one thread {result['times_faster_than_one_thread']}"
    wall, cpu = (f"{result['milliseconds'][clock]['native']:.3f}" for clock in ("wall", "cpu"))
    rate = f"{result['firing_rate']:.3f}"
    print(
        HEADS.format(word, result["batch"], result["threads"], result["kernels"], rate, wall, cpu, faster), flush=True
    )


def options_of(parser: argparse.ArgumentParser) -> None:
    """Adds what this and `make bench` can be told."""
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--kernels", nargs="+", default=["auto"], help="kernel sets of the native program")
    help = f"spikes of a neuron and step of random networks ({FIRING}); nothing: as random thresholds have it"
    parser.add_argument("--firing", type=float, nargs="*", default=[FIRING], help=help)
    parser.add_argument("--snap", action="store_true", help="give random networks cuts first: compression.Snap")
    parser.add_argument("--time-steps", type=int)
    parser.add_argument("--image-size", type=int, help="side of the images of random networks")
    parser.add_argument(
        "--images", type=Path, help="a .npy file of uint8 images [N, *input shape] to take batches from"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each case")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")


def write(path: Path | None, results: list[dict[str, Any]]) -> None:
    """Writes the figures, and where and when they were taken."""
    if path is not None:
        path.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


def main() -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["qsnn_vgg_s"], metavar="model[:bits] or shipped")
    parser.add_argument("--beside", nargs="*", choices=CONTENDERS, default=list(BESIDE))
    options_of(parser)
    args = parser.parse_args()
    write(args.out, table(args.cases, args))


if __name__ == "__main__":
    main()
