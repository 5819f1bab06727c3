"""Writes the results of results/ as tables: the published networks and the latencies into README.md, between its two
markers, and every ablation into results/README.md.

    python -m benchmarks.readme_table [--check]

`--check` changes nothing and fails if one of the two is not what the results say.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
LATENCY = RESULTS / "latency.json"
KERNELS = RESULTS / "kernels.json"
MICROCONTROLLER = RESULTS / "microcontroller" / "table.json"
CONTENDERS = {
    "eager": "eager",
    "compiled": "compiled",
    "bf16": "bf16",
    "exact": "exact",
    "ort_int8": "ONNX Runtime int8",
    "openvino_int8": "OpenVINO int8",
    "spikingjelly": "SpikingJelly",
}
BEGIN, END = "<!-- results: benchmarks/readme_table.py writes this -->", "<!-- end of results -->"
Rows = list[dict[str, str]]


def _percent(rows: Rows, column: str) -> str:
    values = [100 * float(r[column]) for r in rows if r[column]]
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"


def _grouped(rows: Rows, *columns: str) -> dict[tuple[str, ...], Rows]:
    groups: dict[tuple[str, ...], Rows] = defaultdict(list)
    for row in rows:
        groups[tuple(row[c] for c in columns)].append(row)
    return groups


def _latest(rows: Rows) -> Rows:
    """The rows without those of trainings that were done again at the same seed."""
    columns = ("recipe", "variant", "data", "time_steps", "weight_bits", "membrane_bits", "seed")
    return [group[-1] for group in _grouped(rows, *columns).values()]


def _models(rows: Rows) -> list[str]:
    lines = [
        "| network | data | T | weights | membrane | PyTorch % | integers % | packed bytes | seeds | shipped as |",
        "| --- " * 10 + "|",
    ]
    for (_, variant, data, t, w, u), group in _grouped(
        rows, "recipe", "variant", "data", "time_steps", "weight_bits", "membrane_bits"
    ).items():
        lines.append(
            f"| `{variant}` | {data} | {t} | {w} bit | {u} bit | {_percent(group, 'test_accuracy')} | "
            f"{_percent(group, 'integer_accuracy')} | {int(group[0]['packed_bytes']):,} | {len(group)} | "
            f"{_shipped(group)} |"
        )
    return lines


def _shipped(rows: Rows) -> str:
    names = [row["ships_as"] for row in rows if row["ships_as"]]
    return ", ".join(f"[`{name}`](src/spikelet/zoo/models/{name}.md)" for name in names) or "–"


def _others(rows: Rows) -> list[str]:
    return [
        f"* `{row['recipe']}` on {row['other_data']}: {_percent([row], 'other_accuracy')} %, integers."
        for row in rows
        if row["other_accuracy"]
    ]


ABLATIONS = {  # of results.csv, in this order
    "dual regulation": "What each half of Q-SNN's weight-spike dual regulation brings",
    "dual regulation, clipped gradient": "Dual regulation with the gradient clipped at |z| <= 1, before EDE was used",
    "membrane bits": "More bits for a trained network of 1-bit weights and 2-bit membranes",
    "QP-SNN bits": "QP-SNN's weights: plain, rescaled by the paper's equations, and with its code's gradient",
    "QP-SNN criteria": "Pruning criteria, one-shot with the same fine-tuning, 4 bits rescaled by the paper's equations",
    "fit": "A trained CIFAR-10 network of 1.2 MB fitted to 100 kB",
    "QP-SNN both": "Rescaling and pruning together at 2 bits, ratio 0.5",
    "QSD-Transformer parts": "Low-bit spike-driven transformers: neurons, bits, distillation",
    "BESTformer parts": "Binary spiking transformers: reversible streams, coupled distillation",
    "EST parts": "Partial information from the start: tokens, heads or channels of attention",
}


EST = {  # of results.csv: titles of tables whose rows differ in data and training
    "EST network": "A small EST: the network, which is the barrier at T = 16",
    "EST twins": "Its twins at other numbers of steps, by both schedules",
    "EST partial information": "Partial information in its attention, fine-tuned",
}


def _mean(values: list[float]) -> str:
    if not values:
        return "–"
    mean = statistics.mean(values)
    return f"{mean:,.0f}" if mean >= 1 else f"{mean:.3f}"


def _section(title: str, about: str, *columns: str) -> list[str]:
    """A title, what was measured, and the head of its table."""
    return [f"## {title}", "", about, "", f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]


def _ablation(title: str, rows: Rows) -> list[str]:
    first = rows[0]
    epochs, steps = (" / ".join(dict.fromkeys(row[key] for row in rows)) for key in ("epochs", "time_steps"))
    hours = sum(float(row["train_seconds"] or 0) for row in rows) / 3600
    commits = ", ".join(dict.fromkeys(row["commit"] for row in rows))
    rates = " (firing rate: hidden layers, first 1,000)" if any(row["firing_rate"] for row in rows) else ""
    about = (
        f"`{first['command']}`: {first['recipe']}, {first['data']}, T = {steps}, "
        f"{epochs} epochs, last epoch, all test images{rates}; {first['device']}, {hours:.1f} h of training in all, "
        f"commit {commits}."
    )
    shown = {"firing rate": "firing_rate", "spikes an image": "spikes", "packed bytes": "packed_bytes"}
    columns = {name: key for name, key in shown.items() if any(row[key] for row in rows)}
    seeds = {frozenset(r["seed"] for r in group) for group in _grouped(rows, "variant").values()}
    title += "" if len(seeds) == 1 else " (unfinished: not every variant has the same seeds)"
    lines = _section(title, about, "variant", "accuracy %", *columns, "seeds")
    for (variant,), group in _grouped(rows, "variant").items():
        cells = [_mean([float(row[key]) for row in group if row[key]]) for key in columns.values()]
        lines.append("| " + " | ".join([variant, _percent(group, "test_accuracy"), *cells, str(len(group))]) + " |")
    return lines


def _est(title: str, rows: Rows) -> list[str]:
    """Rows of integers in the native runtime, and of PyTorch where there are no integers."""
    commands, commits = (" and ".join(dict.fromkeys(f"`{row[key]}`" for row in rows)) for key in ("command", "commit"))
    about = f"{commands}: {rows[0]['recipe']}; {rows[0]['device']}, commit {commits}."
    lines = _section(title, about, "variant", "T", "images", "epochs", "accuracy %", "as", "packed bytes", "seeds")
    for group in _grouped(rows, "variant", "data", "epochs").values():
        row = group[0]
        column, kind = ("integer_accuracy", "integers") if row["integer_accuracy"] else ("test_accuracy", "PyTorch")
        cells = [row["variant"], row["time_steps"], row["data"], row["epochs"], _percent(group, column), kind]
        cells += [f"{int(row['packed_bytes']):,}" if row["packed_bytes"] else "–", str(len(group))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _pruned(rows: Rows) -> list[str]:
    about = (
        f"`{rows[0]['command']}`: random weights, one image, one thread, all T steps, "
        f"processor time, seed {rows[0]['seed']}; {rows[0]['device']}, commit {rows[0]['commit']}."
    )
    columns = ("network", "ratio", "channels", "parameters", "SOPs", "file bytes", "native ms")
    lines = _section("What leaves with pruned channels", about, *columns)
    for r in rows:
        counts = [f"{int(r[key]):,}" for key in ("kept_channels", "parameters", "sops", "file_bytes")]
        lines.append("| " + " | ".join([f"`{r['model']}`", r["ratio"], *counts, r["native_ms"]]) + " |")
    return lines


def _transformers(rows: Rows) -> list[str]:
    first = rows[0]
    about = (
        f"`{first['command']}`: one image, one thread, all T steps, processor time, in turns, seed {first['seed']}; "
        f"{first['device']}, commit {first['commit']}."
    )
    lines = _section("Latency of the small transformers above", about, "table", "variant", "native ms")
    return [*lines, *(f"| {row['table']} | {row['variant']} | {row['native_ms']} |" for row in rows)]


def _firing(rows: Rows) -> list[str]:
    first = rows[0]
    about = (
        f"`{first['command']}`: digits, one image, one thread, processor time, in turns, seed {first['seed']}; "
        f"{first['device']}, commit {first['commit']}."
    )
    columns = ("system", "trained", "accuracy %", "spikes of a neuron and step", "synaptic operations", "us an image")
    lines = _section("What a low firing rate costs and saves (`spikelet train --firing-rate`)", about, *columns)
    for row in rows:
        figures = f"{100 * float(row['accuracy']):.2f} | {float(row['rate']):.3f} | {float(row['operations']):,.0f}"
        lines.append(f"| {row['system']} | {row['name']} | {figures} | {float(row['microseconds']):.1f} |")
    return [*lines, "", "![Accuracy and latency at low firing rates](../docs/speed_from_training.png)"]


def _ends(taken: dict[str, Any]) -> list[dict[str, Any]]:
    """The whole networks of `make bench`, without its layers."""
    return [r for r in taken["results"] if "firing_rate" in r]


def _latency(taken: dict[str, Any]) -> list[str]:
    """A row a network, batch and number of threads; contenders that it was not measured beside have no figure."""
    heads = ["network", "batch", "threads", "kernels", "spikes", "native ms", *CONTENDERS.values(), "one thread"]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for r in _ends(taken):
        ratios = [*map(r["times_faster_than"].get, CONTENDERS), r["threads"] > 1 and r["times_faster_than_one_thread"]]
        if not any(ratios):
            continue  # what two threads are compared with
        cells = [
            _network(r), str(r["batch"]), str(r["threads"]), f"`{r['kernels']}`", f"{100 * r['firing_rate']:.0f} %",
            f"{_milliseconds(r)['native']:.2f}", *(f"{ratio:.1f}" if ratio else "–" for ratio in ratios),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _about_latency(taken: dict[str, Any]) -> str:
    machine = taken["machine"]
    held = {f"`{r['kernels']}` ({_limits(r)})" for r in _ends(taken) if "limits" in r}
    limited = f" Beside {' and '.join(sorted(held))} PyTorch is held to those instructions too." if held else ""
    return (
        f"One image or batch through all T steps, {machine['device']}, PyTorch "
        f"{machine['torch']}; behind it how many times as long the same takes in folded PyTorch (eager, compiled, "
        "compiled in bfloat16), in the evaluation that equals the integers (exact), in int8 networks of the same shape "
        "with ReLUs, which run once, in SpikingJelly's own network, and in one thread."
        f"{limited} Random weights, but for networks that ship; `{machine['command']}`, commit {machine['commit']}."
    )


def _microcontroller(taken: dict[str, Any]) -> list[str]:
    """Counted and published instructions, a row each."""
    about = (
        f"`{taken['command']}`: a run of one image, emulated, each network at -Os or -O2, whichever takes fewer "
        "instructions; cycles by Arm's table, without wait states (benchmarks/microcontroller.py); commit "
        f"{taken['commit']}."
    )
    columns = ("network", "core", "instructions", "cycles, estimated", "flash, bytes", "RAM, bytes", "built with")
    title = "Exported networks beside int8 ones of their shape, on an emulated Cortex-M"
    lines = _section(title, about, *columns)
    for row in taken["rows"]:
        numbers = (row[name] for name in ("instructions", "cycles", "flash", "ram"))
        cells = ("–" if number is None else f"{number:,.0f}" for number in numbers)
        lines.append(f"| {row['network']} | {row['core']} | {' | '.join(cells)} | {row['flags'] or '–'} |")
    return [*lines, "", "![Instructions an inference](microcontroller/table.png)"]


def _kernels(taken: dict[str, Any]) -> list[str]:
    """A row a network and kernel, in bold where it is over three times the convolutions."""
    machine = taken["machine"]
    about = (
        f"`{machine['command']}`: one image, all T steps, one thread, processor time, {machine['device']}, commit "
        f"{machine['commit']}. Operations are all multiply-accumulates where a kernel does all of them, and those of "
        "the ones of its input where it reads events; what is fused behind is in the time. Bold: over three times what "
        "an operation takes in the network's convolutions together."
    )
    columns = "network", "kernels", "kernel", "us", "share", "operations", "counted", "ps each", "times convolutions'"
    lines = _section("What an operation takes by kernel", about, *columns)
    for r in taken["results"]:
        for k in r["kernels"]:
            times = f"**{k['slower']:.1f}**" if k["is_slow"] else f"{k['slower']:.1f}"
            lines.append(
                f"| {_network(r)} | `{r['set']}` | `{k['kind']}` | {k['microseconds']:,.1f} | {k['share']:.0%} | "
                f"{k['operations']:,} | {k['counted']} | {k['picoseconds']:.1f} | {times} |"
            )
    return lines


def _slow_kernels(taken: dict[str, Any]) -> str:
    """The kernels of the table above, by name, that are slow in some network."""
    slow: dict[str, list[str]] = defaultdict(list)
    for r in taken["results"]:
        for k in r["kernels"]:
            if k["is_slow"]:
                slow[k["kind"]].append(f"{_network(r)} ({k['slower']:.1f})")
    named = "; ".join(f"`{kind}` in {', '.join(networks)}" for kind, networks in slow.items())
    return (
        "What an operation takes by kernel is in [`results/README.md`](results/README.md). Over three times what it "
        f"takes in the network's convolutions: {named or 'none'}."
    )


def _limits(r: dict[str, Any]) -> str:
    """What PyTorch was told, as one tells it."""
    return ", ".join(f"`{name}={value}`" for name, value in r["limits"].items())


def _network(r: dict[str, Any]) -> str:
    """The model, the bits and the side of images that it was asked to have, and whether `Snap` has moved its biases."""
    bits, side, steps = (r["options"].get(option) for option in ("weight_bits", "image_size", "time_steps"))
    name = f"`{r['model']}`" if bits is None else f"`{r['model']}` at {bits} bit{'s' if bits > 1 else ''}"
    name += ("" if side is None else f", {side} x {side}") + ("" if steps is None else f", T = {steps}")
    return f"{name}, snapped" if r.get("snapped") else name


def _milliseconds(r: dict[str, Any]) -> dict[str, float]:
    """By the clock that the ratios are of (benchmarks/end_to_end.py)."""
    return r["milliseconds"]["cpu" if r["threads"] == 1 else "wall"]


def _read(name: str) -> Rows:
    path = RESULTS / name
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _ablations() -> str:
    tables = _grouped(_read("results.csv"), "table")
    about = "Written by `benchmarks/readme_table.py`; what did not work is in `LOG.md`."
    parts = [["# Ablations", "", about]]
    parts += [_ablation(title, tables[(name,)]) for name, title in ABLATIONS.items() if (name,) in tables]
    parts += [_est(title, tables[(name,)]) for name, title in EST.items() if (name,) in tables]
    pruned = _read("pruned_speed.csv")
    parts += [_pruned(pruned)] if pruned else []
    transformers = _read("transformer_speed.csv")
    parts += [_transformers(transformers)] if transformers else []
    firing = _read("speed_from_training.csv")
    parts += [_firing(firing)] if firing else []
    parts += [_kernels(json.loads(KERNELS.read_text()))]
    parts += [_microcontroller(json.loads(MICROCONTROLLER.read_text()))]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _readme(before: str) -> str:
    head, rest = before.split(BEGIN)
    published = _latest(_grouped(_read("results.csv"), "table").get(("results",), []))
    table = "\n".join([*_models(published), "", *_others(published)])
    taken = json.loads(LATENCY.read_text())
    slow = _slow_kernels(json.loads(KERNELS.read_text()))
    speeds = "\n".join([_about_latency(taken), "", *_latency(taken), "", slow])
    return f"{head}{BEGIN}\n\n{table}\n\n{speeds}\n\n{END}{rest.split(END)[1]}"


def main() -> int:
    """Returns 1 if --check finds another text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    readme, ablations = ROOT / "README.md", RESULTS / "README.md"
    texts = {readme: _readme(readme.read_text()), ablations: _ablations()}
    if options.check:
        return int(any(not path.exists() or path.read_text() != text for path, text in texts.items()))
    for path, text in texts.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
