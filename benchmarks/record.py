"""One row a run in results/results.csv: what was run, with which seed, where, from which commit, by which command."""

from __future__ import annotations

import csv
import datetime
import shlex
import sys
from pathlib import Path

import torch

from spikelet.base.checkout import commit_of
from spikelet.base.machine import processor

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "results.csv"
COLUMNS = (
    "date", "table", "recipe", "variant", "data", "seed", "time_steps", "weight_bits", "membrane_bits", "epochs",
    "train_samples", "test_accuracy", "integer_accuracy", "other_data", "other_accuracy", "firing_rate", "spikes",
    "packed_bytes", "train_seconds", "ships_as", "device", "torch", "commit", "command",
)  # fmt: skip


def commit() -> str:
    """The commit this runs from, with a plus sign where its sources differ from it."""
    return commit_of([ROOT / "src", ROOT / "benchmarks"])


def device() -> str:
    """The processor's name and the threads in use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{processor()}, {torch.get_num_threads()} thread(s)"


def command() -> str:
    """What was typed: `python -m benchmarks.x ...` where sys.argv holds the file's path."""
    main = sys.modules["__main__"].__spec__
    is_file = main is None or sys.argv[0].startswith("-m ")
    what = [sys.argv[0]] if is_file else ["-m", main.name.removesuffix(".__main__")]
    return shlex.join(["python", *what, *map(portable, sys.argv[1:])])


def portable(word: str) -> str:
    """A word of a command as it is recorded: a path that leads out of the checkout is `data/` and its last name.

    Where the data lies is this machine's business; which data it is, everybody's.
    """
    option, equals, text = word.rpartition("=")
    if not text.startswith(("/", "~", "..")):
        return word
    path = (ROOT / Path(text).expanduser()).resolve()
    inside = path.is_relative_to(ROOT)
    return f"{option}{equals}{path.relative_to(ROOT) if inside else f'data/{path.name}'}"


def recorded(table: str, **same: object) -> set[tuple[str, str]]:
    """(variant, seed) of every row of a table whose columns have the values `same`: what need not run again."""
    if not RESULTS.exists():
        return set()
    with RESULTS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == table]
    return {(row["variant"], row["seed"]) for row in rows if all(row[k] == str(v) for k, v in same.items())}


def record(**row: object) -> None:
    """Appends a row; what is common to all runs of this process is filled in."""
    unknown = set(row) - set(COLUMNS)
    if unknown:
        raise ValueError(f"record: no column {sorted(unknown)[0]!r}; there are {COLUMNS}.")
    common = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": device(),
        "torch": torch.__version__,
        "commit": commit(),
        "command": command(),
    }
    new = not RESULTS.exists()
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({**common, **row})
