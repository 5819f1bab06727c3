"""Spoken digits: the spiking network on the official split and without each speaker, beside its int8 twin.

    python -m benchmarks.speech runs/speech --data-root data/fsdd [--seeds 0 1 2] [--digits 5]

Trains what runs/speech lacks (the recipe speech-fsdd, and the same shape with ReLUs and float weights), takes the last
epoch of each, and prints one table: accuracy of the integers, bytes, and instructions a digit on an emulated Cortex-M4
at -Os, of the network and of the front end; and another of the accuracy without each speaker. The twin is that of
stream_twin.py; its C and NumPy must agree.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import stream_twin
from benchmarks.record import portable, record
from benchmarks.verified import verified
from spikelet import lower
from spikelet.cli.lowered import origin
from spikelet.cli.result import result_of
from spikelet.data import DataSplits, Samples, load
from spikelet.export import to_c
from spikelet.export.c.ecosystems.plain import BARE
from spikelet.graph.file.artifact import dumps
from spikelet.graph.ir import IntGraph
from spikelet.recipes.speech import fsdd
from spikelet.train import Run, TrainConfig, load_run
from tests.export.emulated import semihosted, zig

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
FLAGS = ("-std=c99", "-Os", "-ffunction-sections", "-fdata-sections", "-fno-sanitize=undefined", "-Wl,--gc-sections")
MAIN = """#include <stdint.h>
#include "{header}"
{extra}
static const {kind} given[] = {{{values}}};
{found}
static volatile uint32_t count = {count}; /* which no compiler looks into */

int main(void) {{
    uint32_t i;
    for (i = 0; i < count; i++) {{
        if (i % {steps} == 0) {begin};
        {step};
    }}
    return {end};
}}
"""


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network in integers, its test set and its accuracy."""

    graph: IntGraph
    test: Samples
    accuracy: float


def main() -> None:
    """Trains, verifies, counts, records, prints: the official split, then the speakers."""
    options = _options()
    torch.set_num_threads(1)
    if options.seeds:
        _official(options)
    if options.speakers:
        alone = {who: spiking(options, fsdd(0, held_out=who)).accuracy for who in options.speakers}
        print("\n| without | % |\n| --- | --- |")
        for who, accuracy in alone.items():
            print(f"| {who} | {_mean([accuracy])} |")
        print(f"| mean | {_mean([*alone.values()])} |")


def _official(options: argparse.Namespace) -> None:
    ours = [spiking(options, fsdd(seed)) for seed in options.seeds]
    theirs = [twin(options, fsdd(seed)) for seed in options.seeds]
    layers = theirs[0][0]
    counts = instructions(ours[0], layers, options.digits)
    columns = _mean([found.accuracy for found in ours]), _mean([accuracy for _, accuracy in theirs])
    print("\n| | spiking network | int8 twin | front end |\n| --- | --- | --- | --- |")
    print(f"| official split, %, seeds {options.seeds} | {columns[0]} | {columns[1]} | |")
    print(f"| bytes | {len(dumps(ours[0].graph)):,} packed | {stream_twin.bytes_of(layers):,} of constants | |")
    print("| instructions a digit | " + " | ".join(f"{count:,}" for count in counts) + " |")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="where the run folders lie, or will")
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="none: no official split")
    parser.add_argument("--speakers", nargs="*", default=list(SPEAKERS))
    parser.add_argument("--digits", type=int, default=5, help="recordings over which instructions are averaged")
    parser.add_argument("--no-record", action="store_true", help="append nothing to results/results.csv")
    return parser.parse_args()


def trained(options: argparse.Namespace, config: TrainConfig, name: str) -> tuple[Any, DataSplits]:
    """The model and the data of a run folder; what is not there yet is trained."""
    data = load(config.data, root=options.data_root, **config.data_options)
    folder = options.runs / name
    if not (folder / "weights.safetensors").exists():
        Run(config, data, folder).train()
    model, found = load_run(folder)
    if found != config:
        raise SystemExit(f"{folder} was trained with other settings. Name another folder.")
    return model, data


def spiking(options: argparse.Namespace, config: TrainConfig) -> Trained:
    """The spiking network, verified and recorded."""
    who = config.data_options.get("held_out")
    model, data = trained(options, config, f"run_{who or 'official'}_{config.seed}")
    example = data.test.batch(torch.arange(1))[0]
    graph = lower(model, example, time_axis=0, labels=data.test.labels)
    result = verified(graph, model, data.test)
    graph = dataclasses.replace(graph, meta=origin(config, result_of(data, result.float_accuracy)))
    _record(
        options, config, "stream_lif" + (f", without {who}" if who else ""), result.integer_accuracy, len(dumps(graph))
    )
    return Trained(graph, data.test, result.integer_accuracy)


def twin(options: argparse.Namespace, config: TrainConfig) -> tuple[list[stream_twin.Layer], float]:
    """The int8 twin's layers and its accuracy."""
    config = dataclasses.replace(config, analog=True)
    model, data = trained(options, config, f"twin_official_{config.seed}")
    frames = data.train.spread(500).x[..., 0, 0].transpose(0, 1).numpy()
    layers = stream_twin.twin_of(model, frames)
    found = stream_twin.run(layers, data.test.x[..., 0, 0].transpose(0, 1).numpy()).argmax(axis=1)
    accuracy = float((found == data.test.y.numpy()).mean())
    _record(options, config, "int8 twin", accuracy, stream_twin.bytes_of(layers))
    return layers, accuracy


def _record(options: argparse.Namespace, config: TrainConfig, variant: str, accuracy: float, size: int) -> None:
    words = f"{portable(str(options.runs))} --data-root {portable(options.data_root)}"
    if not options.no_record:
        record(
            table="spoken digits", recipe="speech-fsdd", variant=variant, data="fsdd", seed=config.seed,
            time_steps=config.model_options["time_steps"], epochs=config.epochs,
            integer_accuracy=f"{accuracy:.4f}", packed_bytes=size, command=f"python -m benchmarks.speech {words}",
        )  # fmt: skip


def instructions(network: Trained, layers: list[stream_twin.Layer], digits: int) -> tuple[int, int, int]:
    """Instructions a digit of the network, of the twin and of the front end, without what a program costs anyway."""
    frames = network.test.spread(digits).x[..., 0, 0].numpy()
    digits, steps = frames.shape[:2]
    hop = fsdd().data_options["sound"]["hop"]
    sound = np.random.default_rng(0).integers(-3000, 3000, steps * hop)
    with tempfile.TemporaryDirectory() as place:
        to_c(network.graph, Path(place) / "net", name="net")
        folder = Path(place) / "net" / "src"
        listens = _counted(folder, "net_sound.h", "int16_t", sound, steps, "net_silence()",
                           f"net_hear(given + i * {hop}, frame)", found="static uint8_t frame[64];")  # fmt: skip
        counts = _counted(folder, "net.h", "uint8_t", frames, steps, "net_init()", "net_step(given + i * NET_INPUT)")
        other = Path(place) / "twin"
        other.mkdir()
        for name, text in stream_twin.program(layers).items():
            (other / name).write_text(text)
        extra = "void twin_init(void); void twin_step(const uint8_t *); extern int32_t twin_sums[];"
        step = f"twin_step(given + i * {frames.shape[2]})"
        expected = int(stream_twin.run(layers, frames.transpose(1, 0, 2))[-1].sum())
        theirs = _counted(other, "stream_twin.h", "uint8_t", frames, steps, "twin_init()", step, extra=extra,
                          end=" + ".join(f"twin_sums[{k}]" for k in range(10)) + f" != {expected}")  # fmt: skip
    return counts // digits, theirs // digits, listens


def _counted(
    folder: Path, header: str, kind: str, given: np.ndarray, steps: int, begin: str, step: str, **more: str
) -> int:
    """Instructions of a program that takes all of `given`, less those of one that takes nothing."""
    words = {
        "header": header,
        "kind": kind,
        "steps": steps,
        "begin": begin,
        "step": step,
        "end": "0",
        "extra": "",
        "found": "",
        **more,
    }
    count = steps * given.shape[0] if given.ndim == 3 else steps
    values, found = ",".join(map(str, given.reshape(-1).tolist())), []
    for times in (count, 0):
        end = words["end"] if times else "0"
        (folder / "main.c").write_text(MAIN.format(**{**words, "end": end}, values=values, count=times))
        found.append(_run(folder))
    return found[0] - found[1]


def _run(folder: Path) -> int:
    """Instructions of the program in `folder` on a Cortex-M4, from its reset on."""
    for path in BARE.iterdir():
        text = path.read_text()
        for word, size in (
            ("FLASH_ORIGIN", "0x0"),
            ("FLASH_LENGTH", "4M"),
            ("RAM_ORIGIN", "0x20000000"),
            ("RAM_LENGTH", "4M"),
        ):
            text = text.replace(word, size) if path.suffix == ".ld" else text
        (folder / path.name).write_text(text)
    command = [*zig(), "cc", "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4", *FLAGS, "-Wl,-e,reset", "-T"]
    sources = sorted(str(path.name) for path in folder.glob("*.c"))
    subprocess.run([*command, "cortex-m.ld", *sources, "-o", "a.elf"], cwd=folder, check=True)
    ended = semihosted(folder / "a.elf", "CORTEX_M4")
    if ended.reason != 0x20026:
        raise SystemExit("the program's sums are not those of NumPy")
    return ended.instructions


def _mean(values: list[float]) -> str:
    """Shares as a mean in per cent, with the standard deviation of several."""
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{spread}"


if __name__ == "__main__":
    main()
