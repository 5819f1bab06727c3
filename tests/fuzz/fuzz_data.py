"""Damaged pictures, arrays, data sets and run folders: python -m tests.fuzz.fuzz_data pictures --inputs 10000

    pictures   PNG, JPEG, BMP, GIF, TIFF, WebP and PPM through the reader, `spikelet run` and a folder of classes
    arrays     .npy files through `spikelet run`, `verify` and `profile`
    sets       N-MNIST's zips, IDX files, parquet cells and run folders through `load`, and commands that read such

Each input is a whole file with one to three changes. It is used, or refused by one sentence (judge.py). A traceback, a
second line, an object's address, more than 20 s, or more memory than `MOST_MIB` above the start is a fault: it is
printed with the options that repeat it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.judge import Hang, in_time

FAMILIES = {
    "pictures": ("damaged_pictures", "DamagedPictures"),
    "arrays": ("damaged_arrays", "DamagedArrays"),
    "sets": ("damaged_sets", "DamagedSets"),
}
ROOM = 6 << 30  # of addresses above the start, so that a fault does not take the machine with it
MOST_MIB = 1280  # a picture of the most pixels that are read takes 1 GiB


def peak_mib() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def fault_of(family: Any, rng: random.Random, counts: collections.Counter[str]) -> str | None:
    """Tries one input and counts what came of it; the traceback of a fault, or None."""
    before = peak_mib()
    try:
        with in_time():
            counts[family.attempt(rng)] += 1
    except (Exception, Hang):
        return traceback.format_exc()
    grown = peak_mib() - before
    return None if grown <= MOST_MIB else f"took {grown} MiB of memory"


@contextlib.contextmanager
def limited_room() -> Iterator[None]:
    """Gives this process no more than `ROOM` of addresses beside those it has, in a block."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries the inputs; 0 if each was used or refused by one sentence."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of data and the commands that use them.")
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--inputs", type=int, default=10_000, help="how many damaged inputs (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other inputs (default: 0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input, to repeat a fault")
    options = parser.parse_args(arguments)
    module, name = FAMILIES[options.family]
    counts: collections.Counter[str] = collections.Counter()
    faults, slowest, start = 0, (0.0, 0), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), limited_room():
        warnings.simplefilter("ignore")
        family = getattr(importlib.import_module(f"tests.fuzz.{module}"), name)(Path(folder))
        for i in range(options.first, options.first + options.inputs):
            began = time.perf_counter()
            fault = fault_of(family, random.Random(f"{options.seed}:{i}"), counts)
            slowest = max(slowest, (time.perf_counter() - began, i))
            if fault is not None:
                faults += 1
                repeat = f"{options.family} --seed {options.seed} --first {i} --inputs 1"
                sys.stdout.write(f"FAULT; repeat with {repeat}\n{fault}\n")
    lines = [f"{counts[k]:>9}  {k}" for k in sorted(counts)] + [f"{faults:>9}  faults"]
    lines.append(f"{options.inputs} {options.family} in {time.perf_counter() - start:.1f} s; "
                 f"slowest {slowest[0] * 1e3:.0f} ms (input {slowest[1]}); peak memory {peak_mib()} MiB")  # fmt: skip
    sys.stdout.write("\n".join(lines) + "\n")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
