"""Writes the results of results/results.csv into README.md, between its two markers.

    python -m benchmarks.readme_table [--check]

`--check` changes nothing and fails if the README is not what the results say.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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


def _models(rows: Rows) -> list[str]:
    lines = [
        "| network | data | T | weights | membrane | PyTorch % | integers % | packed bytes | seeds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (variant, data, t, w, u), group in _grouped(
        rows, "variant", "data", "time_steps", "weight_bits", "membrane_bits"
    ).items():
        lines.append(
            f"| `{variant}` | {data} | {t} | {w} bit | {u} bit | {_percent(group, 'test_accuracy')} | "
            f"{_percent(group, 'integer_accuracy')} | {int(group[0]['packed_bytes']):,} | {len(group)} |"
        )
    return lines


def _ablation(rows: Rows) -> list[str]:
    lines = ["| dual regulation | accuracy % | firing rate | seeds |", "| --- | --- | --- | --- |"]
    for (variant,), group in _grouped(rows, "variant").items():
        rate = statistics.mean(float(r["firing_rate"]) for r in group)
        lines.append(f"| {variant} | {_percent(group, 'test_accuracy')} | {rate:.3f} | {len(group)} |")
    return lines


def generated(rows: Rows) -> str:
    """The Markdown between the markers."""
    tables = _grouped(rows, "table")
    parts = [_models(tables.get(("results",), []))]
    if ("dual regulation",) in tables:
        group = tables[("dual regulation",)]
        parts.append(
            [f"Weight-spike dual regulation, 16-32-64 network, {group[0]['data']}, {group[0]['epochs']} epochs:"]
        )
        parts.append(_ablation(group))
    return "\n\n".join("\n".join(p) for p in parts)


def main() -> int:
    """Returns 1 if --check finds another README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    readme = ROOT / "README.md"
    before = readme.read_text()
    with (ROOT / "results" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    head, rest = before.split(BEGIN)
    after = f"{head}{BEGIN}\n\n{generated(rows)}\n\n{END}{rest.split(END)[1]}"
    if options.check:
        return int(after != before)
    readme.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
