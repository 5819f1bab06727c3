"""Peak memory of a training step as a function of depth: reversible blocks that invert, and the same that store.

    python -m benchmarks.reversible_memory [--depths 2 4 8 16] [--batch 32] [--width 128] [--plot memory.png]

Each point is a process of its own (Linux): a BESTformer of so many blocks takes one training step on random images, so
that weights, gradients and the allocator's pools are there; then the peak of resident memory of a second step, less
what is resident before it. Tokenizer and heads are in it, at every depth the same. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.memory import MIB, apart
from spikelet.base.memory import resident_during
from spikelet.models import create_model
from spikelet.nn import Reversible


def measured(depth: int, batch: int, width: int, recompute: bool) -> int:
    """MiB that a training step takes at its peak, in this process."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = create_model("bestformer_2_128", width=width, depth=depth, recompute=recompute).train()
    assert any(isinstance(m, Reversible) for m in model.modules())
    x = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8)
    model(x).square().mean().backward()
    model.zero_grad(set_to_none=False)
    _, memory = resident_during(lambda: model(x).square().mean().backward())
    return memory.added // MIB


def _apart(options: argparse.Namespace, depth: int, recompute: bool) -> int:
    sizes = ("--batch", str(options.batch), "--width", str(options.width))
    return int(apart("benchmarks.reversible_memory", "--one", str(depth), str(int(recompute)), *sizes))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--plot", type=Path, default=None)
    parser.add_argument("--one", type=int, nargs=2, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(measured(options.one[0], options.batch, options.width, bool(options.one[1])))
        return
    points = {kind: [_apart(options, d, kind == "inverted") for d in options.depths] for kind in ("inverted", "stored")}
    print("| blocks | inverted, MiB | stored, MiB |\n| --- | --- | --- |")
    for depth, inverted, stored in zip(options.depths, points["inverted"], points["stored"], strict=True):
        print(f"| {depth} | {inverted} | {stored} |")
    if options.plot is not None:
        _draw(options, points)


def _draw(options: argparse.Namespace, points: dict[str, list[int]]) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.5))
    for kind, values in points.items():
        axes.plot(options.depths, values, marker="o", label=kind)
    axes.set(xlabel="blocks", ylabel="MiB of a training step", ylim=(0, None))
    axes.legend()
    figure.savefig(options.plot, bbox_inches="tight", dpi=150)


if __name__ == "__main__":
    main()
