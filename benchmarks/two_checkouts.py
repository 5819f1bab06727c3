"""How much faster a shipped model runs in this checkout than in another one, both in one process and taking turns.

    python -m benchmarks.two_checkouts ../before [--model qsnn-vgg-s-cifar10] [--images x.npy] [--batch 1 32]

The other checkout needs its own built library (src/spikelet/runtime/libspikelet_runtime.so). Both run the same images,
and must give the same logits. Figures are milliseconds of the processor for a batch on one thread, the least and the
median over rounds: on a busy machine only the least ones, and their ratio, mean anything. Images are uint8
[N, *input shape]; without --images, smooth random ones, whose firing rates are not those of the data.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.timing import taking_turns


def program(model: str, checkout: Path | None = None) -> Any:
    """The model's native program on one thread, in this process's spikelet or in that of another checkout.

    Raises:
        SystemExit: there is no spikelet in the checkout.
    """
    if checkout is None:
        spikelet = importlib.import_module("spikelet")
        return spikelet.Program(spikelet.load(model))
    source = checkout.resolve() / "src"
    if not (source / "spikelet").is_dir():
        raise SystemExit(f"two_checkouts: no src/spikelet in {checkout}")
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "spikelet"}
    for name in ours:
        del sys.modules[name]
    sys.path.insert(0, str(source))
    try:
        return program(model)
    finally:
        sys.path.remove(str(source))
        for name in [name for name in sys.modules if name.partition(".")[0] == "spikelet"]:
            del sys.modules[name]
        sys.modules.update(ours)


def smooth(shape: tuple[int, ...], count: int) -> NDArray[np.uint8]:
    """Random images of 8 * 8 values, enlarged."""
    channels, height, width = shape
    coarse = np.random.default_rng(1).integers(0, 256, (count, channels, 8, 8), dtype=np.uint8)
    return coarse.repeat(-(-height // 8), 2)[:, :, :height].repeat(-(-width // 8), 3)[..., :width]


def compared(here: Any, there: Any, x: NDArray[np.uint8], seconds: float) -> dict[str, dict[str, float]]:
    """Least and median milliseconds of both for the batch `x`.

    Raises:
        SystemExit: they give different logits.
    """
    if (here(x) != there(x)).any():
        raise SystemExit("two_checkouts: the logits differ")
    calls = {"here": functools.partial(here, x), "there": functools.partial(there, x)}
    times = taking_turns(calls, seconds)
    return {name: {"least": 1e3 * min(t.cpu), "median": 1e3 * statistics.median(t.cpu)} for name, t in times.items()}


def main() -> None:
    """Measures and prints a line for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="the other checkout")
    parser.add_argument("--model", default="qsnn-vgg-s-cifar10", help="a shipped model of still images, or its file")
    parser.add_argument("--images", type=Path, help="uint8 images, a .npy file")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each batch size")
    args = parser.parse_args()
    here, there = program(args.model), program(args.model, args.checkout)
    images = smooth(here.graph.input.shape, max(args.batch)) if args.images is None else np.load(args.images)
    for batch in args.batch:
        found = compared(here, there, np.ascontiguousarray(images[:batch]), args.seconds)
        ratios = {which: found["there"][which] / found["here"][which] for which in ("least", "median")}
        print(
            f"batch {batch}: least {found['there']['least']:.3f} -> {found['here']['least']:.3f} ms, "
            f"{ratios['least']:.2f} times faster; median {ratios['median']:.2f} times"
        )


if __name__ == "__main__":
    main()
