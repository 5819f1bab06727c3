"""Takes a finished run to its published form: verified, recorded, and (with --ship) put into the package.

    python -m benchmarks.publish runs/fm --recipe qsnn-fashion-mnist --ship qsnn-vgg-s-fashion-mnist

Evaluates the last epoch's weights on the whole test set in PyTorch and as the integer program (native runtime),
compares every spike and logit, appends a row to results/results.csv, and writes the packed file and its card
to src/spikelet/zoo/models/.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from benchmarks.record import ROOT, command, commit, device, portable, record
from benchmarks.verified import verified
from spikelet import lower, save
from spikelet.cli.lowered import origin
from spikelet.cli.result import result_of
from spikelet.data import load
from spikelet.graph.file.artifact import dumps
from spikelet.graph.ir import IntGraph
from spikelet.graph.trained_on import front_end_of
from spikelet.lowering.verify import Verification
from spikelet.train import TrainConfig, load_run
from spikelet.train.checkpoint import load_history
from spikelet.train.run import TEACHER

ZOO = ROOT / "src" / "spikelet" / "zoo" / "models"

CARD = """# {name}

| | |
| --- | --- |
| network | `{model}` {options} |
| data | {data} |
| test accuracy, integer program | {integer:.2%} ({samples} images, last epoch) |
| test accuracy, PyTorch evaluation | {real:.2%} |
| spikes and logits that differ | {mismatches} of {spikes:,} |
{other}| packed file | {size:,} bytes |
| recipe, seed | `{recipe}`, {seed} |
| epochs | {epochs} |
| commit | {commit} |
| licence | Apache-2.0 (weights); the data has its own |

Trained by `{command}`; run by{run}
`spikelet.Program(spikelet.load("{name}"))({what})` with uint8 {what} {shape}.
"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--also", default=None, help="a second test set (folder), such as original pixels")
    parser.add_argument(
        "--ship", default=None, metavar="NAME", help="put the packed file and its card into the package"
    )
    parser.add_argument("--table", default="results")
    parser.add_argument("--trained-at", default=None, metavar="COMMIT", help="where it is not this one")
    parser.add_argument("--trained-on", default=None, metavar="DEVICE", help="where it is not this one")
    return parser.parse_args()


def main() -> None:
    """Evaluates, verifies, records, ships."""
    options = _options()
    model, config = load_run(options.run)
    data = load(config.data, root=options.data_root, **config.data_options)
    example = data.test.batch(torch.arange(2))[0]
    graph = lower(model, example, time_axis=data.test.time_axis, labels=data.test.labels)
    result = verified(graph, model, data.test)
    other = verified(graph, model, load(options.also, validation=0.0).test) if options.also else None
    told = dataclasses.replace(result_of(data, result.float_accuracy), commit=_commit(options))
    graph = dataclasses.replace(graph, meta={**origin(config, told), "recipe": options.recipe})
    print(result)
    _record(options, config, result, other, graph)
    if options.ship:
        _ship(options, config, graph, result, other)


def _commit(options: argparse.Namespace) -> str:
    """Where it was trained, and where it was verified."""
    return f"{options.trained_at}, verified at {commit()}" if options.trained_at else commit()


def _record(
    options: argparse.Namespace, config: TrainConfig, result: Verification, other: Verification | None, graph: IntGraph
) -> None:
    history, teacher = load_history(options.run), load_history(options.run / TEACHER)
    record(
        table=options.table, recipe=options.recipe, variant=config.model, data=graph.meta["data"], seed=config.seed,
        time_steps=config.time_steps(config.epochs - 1), weight_bits=config.model_options.get("weight_bits", 1),
        membrane_bits=config.model_options.get("membrane_bits", 2),
        epochs=f"{config.epochs} + {config.teacher.epochs} of its teacher" if config.teacher else config.epochs,
        test_accuracy=f"{result.float_accuracy:.4f}", integer_accuracy=f"{result.integer_accuracy:.4f}",
        other_data="" if other is None else f"{Path(options.also).name} ({other.samples:,} images)",
        other_accuracy="" if other is None else f"{other.integer_accuracy:.4f}", ships_as=options.ship or "",
        firing_rate=f"{history[-1]['firing_rate']:.4f}", packed_bytes=len(dumps(graph)),
        train_seconds=round(sum(h["seconds"] for h in [*teacher, *history])),
        command=f"{_command(options, config)}; {command()}",
        commit=graph.meta["commit"], device=options.trained_on or device(),
    )  # fmt: skip


def _epochs(config: TrainConfig) -> str:
    own = " + ".join(map(str, config.phases))
    if config.teacher is None:
        return own
    return (
        f"{own}, taught from epoch {config.teacher.after + 1} on by its analog twin, of {config.teacher.epochs} epochs"
    )


def _command(options: argparse.Namespace, config: TrainConfig) -> str:
    root = f" --data-root {portable(options.data_root)}" if options.data_root else ""
    return f"spikelet train {options.recipe} --seed {config.seed}{root}"


def _ship(
    options: argparse.Namespace, config: TrainConfig, graph: IntGraph, result: Verification, other: Verification | None
) -> None:
    ZOO.mkdir(parents=True, exist_ok=True)
    path = ZOO / f"{options.ship}.safetensors"
    save(graph, path)
    extra = (
        ""
        if other is None
        else f"| accuracy on {Path(options.also).name} | {other.integer_accuracy:.2%} ({other.samples} images) |\n"
    )
    pictures = graph.input.shape[1:] != (1, 1)
    taken = "SOUND.wav" if front_end_of(graph) else "IMAGE" if pictures else None
    card = CARD.format(
        name=options.ship, model=config.model, options=config.model_options, data=graph.meta["data"],
        integer=result.integer_accuracy, real=result.float_accuracy, samples=result.samples, spikes=result.spikes,
        mismatches=result.mismatches, other=extra, size=path.stat().st_size, recipe=options.recipe, seed=config.seed,
        epochs=_epochs(config), commit=graph.meta["commit"],
        command=_command(options, config),
        what="images" if pictures else "signals", run=f" `spikelet run {options.ship} {taken}`, or" if taken else "",
        shape=f"[{'T, ' * ('time_steps' in config.data_options)}B, {', '.join(map(str, graph.input.shape))}]",
    )  # fmt: skip
    path.with_suffix(".md").write_text(card)


if __name__ == "__main__":
    main()
