"""What the 224-pixel transformers take to become a file and to run: seconds, memory, bytes.

    python -m benchmarks.large_models [qsd_transformer_t ...] [--images 4] [--out large.json]

Weights are random; batch norm statistics are those of --images smooth random images, all at once. Every model is
lowered, saved and compared in a process of its own, then loaded and run in another, which never imports torch, as on a
device; each stage's memory is the peak of what is resident during it (Linux), and what is resident before it. The
native program's logits of one image are compared with those of PyTorch's evaluation. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.memory import MIB, apart
from spikelet.base.memory import resident_during

MODELS = (
    "qsd_transformer_t",
    "qsd_transformer_s",
    "qsd_transformer_m",
    "qsd_transformer_l",
    "bestformer_8_512",
    "est_swin_t",
)
RUNS = 5
Result = TypeVar("Result")


class Stages:
    """Seconds and MiB of the stages of this process, by name: processor time, the peak, and what was there before."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, float]] = {}

    def run(self, name: str, stage: Callable[[], Result]) -> Result:
        """What `stage` returns."""
        start = time.process_time()
        result, memory = resident_during(stage)
        seconds = round(time.process_time() - start, 3)
        self.taken[name] = {"seconds": seconds, "peak": memory.peak // MIB, "before": memory.before // MIB}
        return result


def made(name: str, images: int, folder: Path) -> dict[str, Any]:
    """Lowers and saves the model into `folder`, beside one image and its logits in PyTorch."""
    import torch

    from benchmarks.cases import images as images_of
    from spikelet import create_model, lower, save
    from spikelet.compression.passes import recalibrate

    torch.manual_seed(0)
    torch.set_num_threads(1)
    stages, model = Stages(), create_model(name)
    generator = torch.Generator().manual_seed(0)
    stages.run("calibrate", lambda: recalibrate(model, [images_of(name, images, generator)]))
    x = images_of(name, 1, torch.Generator().manual_seed(1))
    model.eval()
    with torch.no_grad():
        real = stages.run("pytorch", lambda: model(x)).double().mean(0).numpy()
    graph = stages.run("lower", lambda: lower(model, x))
    stages.run("save", lambda: save(graph, folder / "model.safetensors"))
    np.savez(folder / "image.npz", x=x.numpy(), logits=np.round(real / graph.logit_scale).astype(np.int64))
    parameters = sum(p.numel() for p in model.parameters())
    return {"parameters": parameters, "nodes": len(graph.nodes), "stages": stages.taken}


def ran(folder: Path) -> dict[str, Any]:
    """Loads the file of `folder`, runs its image and compares the logits."""
    from spikelet import Program, load

    stages, path = Stages(), folder / "model.safetensors"
    image = np.load(folder / "image.npz")
    graph = stages.run("load", lambda: load(path))
    program = stages.run("plan", lambda: Program(graph))
    logits = stages.run("first run", lambda: program(image["x"]))
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        program(image["x"])
        times.append(time.process_time() - start)
    spikes = program.spikes(image["x"])
    rate = sum(int(s.sum()) for s in spikes.values()) / sum(s.size for s in spikes.values())  # counts, up to D
    return {
        "bytes": path.stat().st_size,
        "milliseconds": round(1e3 * float(np.median(times)), 2),
        "arena": program.plan(still=True).arena_bytes,
        "fallbacks": list(program.fallbacks),
        "spikes": round(rate, 4),
        "mismatches": int((logits != image["logits"]).sum()),
        "imports_torch": "torch" in sys.modules,
        "stages": stages.taken,
    }


def _apart(*words: str) -> dict[str, Any]:
    """What a process of its own measures."""
    return json.loads(apart("benchmarks.large_models", *words))


def measured(name: str, images: int) -> dict[str, Any]:
    """Everything about one model.

    Raises:
        SystemExit: a stage fails, or a logit differs.
    """
    with tempfile.TemporaryDirectory() as folder:
        first = _apart(name, "--images", str(images), "--make", folder)
        second = _apart(name, "--run", folder)
    if second["mismatches"]:
        raise SystemExit(f"{name}: {second['mismatches']} logits differ between PyTorch and the native program")
    return {"model": name, **first, **second, "stages": first["stages"] | second["stages"]}


def _row(result: dict[str, Any]) -> str:
    stages = result["stages"]
    cells = [result["model"], f"{result['parameters'] / 1e6:.2f} M", f"{result['bytes']:,}"]
    for stage in (stages[name] for name in ("lower", "save", "load", "plan")):
        cells += [f"{stage['seconds']:.1f} s, {stage['peak']:,.0f} MiB"]
    cells += [f"{result['milliseconds']:.1f} ms, {stages['first run']['peak']:,.0f} MiB", f"{result['spikes']:.2f}"]
    return "| " + " | ".join([*cells, str(result["mismatches"])]) + " |"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="model")
    parser.add_argument("--images", type=int, default=4, help="of the batch norms' statistics")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make is not None or options.run is not None:
        (name,) = options.models
        print(json.dumps(ran(options.run) if options.make is None else made(name, options.images, options.make)))
        return
    print("| model | parameters | file bytes | lower | save | load | plan | run, batch 1 | spikes each | mismatches |")
    print("| --- " * 10 + "|")
    results = []
    for name in options.models:
        results.append(measured(name, options.images))
        print(_row(results[-1]), flush=True)
    if options.out is not None:
        from benchmarks.end_to_end import machine

        options.out.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
