"""What leaves with the channels: parameters, operations, bytes and native latency of pruned networks.

    python -m benchmarks.pruned_speed [MODEL ...] [--ratios 0 0.25 0.5 0.75] [--seconds 5]

Each network has random weights and is pruned by weight L1 to a uniform ratio of every group; its batch norms have seen
some images before and after, so that it fires as in training, and operations are counted at these rates. Latency is the
processor time of the integer program for one image on one thread, the median of as many runs as fit --seconds; the
networks take turns. Rows go to results/pruned_speed.csv, replaced model by model.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from typing import Any

import torch
from torch import nn

from benchmarks.cases import calibrated, images, seen
from benchmarks.end_to_end import medians
from benchmarks.record import ROOT, command, commit, device
from spikelet import Program, compress, lower
from spikelet.compression import Prune
from spikelet.compression.criteria import WeightL1
from spikelet.graph.file.artifact import dumps
from spikelet.graph.ir import IntGraph
from spikelet.profiling import profile

RESULTS = ROOT / "results" / "pruned_speed.csv"
SEED = 1  # of the images; weights have that of benchmarks/cases.py
MODELS = ("qsnn_vgg_s", "qpsnn_resnet20", "qpsnn_vgg16")


@dataclasses.dataclass(frozen=True)
class Row:
    """A network after pruning. Operations and latency are per image over all T steps."""

    model: str
    ratio: float
    kept_channels: int
    parameters: int
    sops: int
    file_bytes: int
    native_ms: float
    seed: int
    device: str
    commit: str
    command: str


def _channels(model: nn.Module) -> int:
    return sum(m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d))


def rows_of(name: str, ratios: list[float], seconds: float) -> list[Row]:
    """One row a ratio."""
    x = images(name, 8, torch.Generator().manual_seed(SEED))
    full = calibrated(name, {}, None)
    networks: dict[float, nn.Module] = {
        ratio: seen(name, compress(full, [Prune(ratio, WeightL1())], x).model) for ratio in ratios
    }
    graphs = {ratio: lower(network, x[:1]) for ratio, network in networks.items()}
    programs = {str(ratio): _call(graph, x[:1].numpy()) for ratio, graph in graphs.items()}
    milliseconds = medians(programs, seconds * len(ratios))["cpu"]
    device_now, commit_now = device(), commit()
    rows = []
    for ratio, network in networks.items():
        total = profile(network, x, tables=()).total
        row = Row(
            model=name,
            ratio=ratio,
            kept_channels=_channels(network),
            parameters=sum(p.numel() for p in network.parameters()),
            sops=round(total.paper_sops),
            file_bytes=len(dumps(graphs[ratio])),
            native_ms=round(milliseconds[str(ratio)], 3),
            seed=SEED,
            device=device_now,
            commit=commit_now,
            command=command(),
        )
        rows.append(row)
    return rows


def _call(graph: IntGraph, x: Any) -> Any:
    program = Program(graph, threads=1)
    return lambda: program(x)


def _write(rows: list[Row]) -> None:
    old: list[dict[str, Any]] = []
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            old = [row for row in csv.DictReader(file) if row["model"] not in {r.model for r in rows}]
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in dataclasses.fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows([*old, *(dataclasses.asdict(row) for row in rows)])


def main() -> None:
    """Measures, prints, and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="model")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.0, 0.25, 0.5, 0.75])
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each network")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.models:
        rows = rows_of(name, options.ratios, options.seconds)
        for row in rows:
            print(
                f"{row.model:16s} ratio {row.ratio:4.2f}  {row.kept_channels:6,} channels {row.parameters:11,} weights "
                f"{row.sops:13,} SOPs {row.file_bytes:11,} bytes {row.native_ms:9.3f} ms",
                flush=True,
            )
        _write(rows)


if __name__ == "__main__":
    main()
