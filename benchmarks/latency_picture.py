"""The picture of end_to_end.py's figures: how many times faster the native program is than each contender.

python -m benchmarks.latency_picture bench.json --plot docs/latency.png
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikelet.plot.style import FAINT, GRID, INK, drawing, save

COLORS = {
    "eager": "#2a6f97", "compiled": "#61a5c2", "bf16": "#a9d6e5", "exact": "#c9a227", "ort_int8": "#e07a5f",
    "openvino_int8": "#c0392b", "spikingjelly": "#3d9970",
}  # fmt: skip
LABELS = {
    "eager": "PyTorch eager", "compiled": "PyTorch compiled", "bf16": "PyTorch compiled, bfloat16",
    "exact": "spikelet in PyTorch", "ort_int8": "int8 twin, ONNX Runtime", "openvino_int8": "int8 twin, OpenVINO",
    "spikingjelly": "SpikingJelly",
}  # fmt: skip


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes the picture of all results with a contender: a group of bars for each, on a logarithmic axis whose line at
    1 is the native program's time.

    Raises:
        SystemExit: no result has a contender.
        MissingLibrary: matplotlib is not installed.
    """
    shown = [one for one in results if one.get("times_faster_than")]
    if not shown:
        raise SystemExit("latency_picture: no figure beside a contender. Measure with --beside.")
    at: list[float] = []
    bars = sum(len(one["times_faster_than"]) for one in shown)
    with drawing(None, (8, 1.4 + 0.17 * (bars + len(shown)))) as ax:
        from matplotlib.ticker import LogLocator, NullLocator

        y = 0
        for one in shown:
            at.append(y + (len(one["times_faster_than"]) - 1) / 2)
            for name, factor in one["times_faster_than"].items():
                ax.barh(y, factor - 1, 1, left=1, color=COLORS[name], label=LABELS[name])
                side = 4 if factor >= 1 else -4
                ax.annotate(
                    f"{factor:g}", (factor, y), (side, 0), textcoords="offset points", va="center",
                    ha="left" if factor >= 1 else "right", fontsize=8, color=INK,
                )  # fmt: skip
                y += 1
            y += 1
        ax.axvline(1, color=FAINT, linewidth=1)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set(yticks=at, yticklabels=[_label(one) for one in shown], ylim=(y - 1, -1))
        ax.set_xlabel("times faster than (left of the line: slower)")
        ax.margins(x=0.1)
        ax.grid(axis="x", color=GRID)
        ax.set_axisbelow(True)
        handles, labels = ax.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        ax.figure.legend(once.values(), once.keys(), loc="outside upper center", ncols=3, fontsize=8)
        save(ax.figure, path)  # pyright: ignore[reportArgumentType]


def _label(result: dict[str, Any]) -> str:
    bits = result["options"].get("weight_bits")
    name = result["model"] if bits is None else f"{result['model']}, {bits} bit"
    name += f", T = {result['options']['time_steps']}" if "time_steps" in result["options"] else ""
    name += ", snapped" if result["snapped"] else ""
    name += f", {result['kernels']}" if "limits" in result else ""
    return f"{name}, {result['firing_rate']:.0%} firing, batch {result['batch']}"


def main() -> None:
    """Draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="what end_to_end.py or `make bench` wrote with --out")
    parser.add_argument("--plot", type=Path, required=True)
    args = parser.parse_args()
    draw(json.loads(args.figures.read_text())["results"], args.plot)


if __name__ == "__main__":
    main()
