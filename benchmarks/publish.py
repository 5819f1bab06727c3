"""Takes a finished run to its published form: verified, recorded, and (with --ship) put into the package.

    python -m benchmarks.publish runs/fm --recipe qsnn-fashion-mnist --ship qsnn-vgg-s-fashion-mnist

Evaluates the last epoch's weights on the whole test set in PyTorch and as the integer program (native runtime),
compares every spike and logit, appends a row to results/results.csv, and writes the packed file and its card
to src/spikelet/zoo/models/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.record import ROOT, commit, device, record
from benchmarks.verified import verified
from spikelet import lower
from spikelet.data import load
from spikelet.graph.ir import IntGraph
from spikelet.graph.verify import Verification
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

Trained by `{command}`; run by `spikelet run {name} IMAGE`, or
`spikelet.Program(spikelet.load("{name}"))(images)` with uint8 images {shape}.
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
    graph = lower(
        model,
        data.test.batch(torch.arange(2))[0],
        labels=data.test.labels,
        meta={"recipe": options.recipe, "seed": str(config.seed), "data": _about(data.test.name, data.test.note)},
    )
    result = verified(graph, model, data.test)
    other = verified(graph, model, load(options.also, validation=0.0).test) if options.also else None
    packed = options.run / "model.safetensors"
    graph.save(packed)
    print(result)
    _record(options, config, result, other, packed.stat().st_size, _about(data.test.name, data.test.note))
    if options.ship:
        _ship(options, config, graph, result, other)


def _about(name: str, note: str) -> str:
    return f"{name} ({note})" if note else name


def _record(
    options: argparse.Namespace,
    config: TrainConfig,
    result: Verification,
    other: Verification | None,
    size: int,
    data: str,
) -> None:
    history, teacher = load_history(options.run), load_history(options.run / TEACHER)
    record(
        table=options.table, recipe=options.recipe, variant=config.model, data=data, seed=config.seed,
        time_steps=config.time_steps(config.epochs - 1), weight_bits=config.model_options.get("weight_bits", 1),
        membrane_bits=config.model_options.get("membrane_bits", 2),
        epochs=f"{config.epochs} + {config.teacher.epochs} of its teacher" if config.teacher else config.epochs,
        test_accuracy=f"{result.float_accuracy:.4f}", integer_accuracy=f"{result.integer_accuracy:.4f}",
        other_accuracy="" if other is None else f"{other.integer_accuracy:.4f}",
        firing_rate=f"{history[-1]['firing_rate']:.4f}", packed_bytes=size,
        train_seconds=round(sum(h["seconds"] for h in [*teacher, *history])),
        command=f"{_command(options, config)}; python -m benchmarks.publish",
        commit=options.trained_at or commit(), device=options.trained_on or device(),
    )  # fmt: skip


def _epochs(config: TrainConfig) -> str:
    own = " + ".join(map(str, config.phases))
    if config.teacher is None:
        return own
    return (
        f"{own}, taught from epoch {config.teacher.after + 1} on by its analog twin, of {config.teacher.epochs} epochs"
    )


def _command(options: argparse.Namespace, config: TrainConfig) -> str:
    root = f" --data-root {options.data_root}" if options.data_root else ""
    return f"spikelet train {options.recipe} --seed {config.seed}{root}"


def _ship(
    options: argparse.Namespace, config: TrainConfig, graph: IntGraph, result: Verification, other: Verification | None
) -> None:
    ZOO.mkdir(parents=True, exist_ok=True)
    path = ZOO / f"{options.ship}.safetensors"
    graph.save(path)
    extra = (
        ""
        if other is None
        else f"| accuracy on {Path(options.also).name} | {other.integer_accuracy:.2%} ({other.samples} images) |\n"
    )
    card = CARD.format(
        name=options.ship, model=config.model, options=config.model_options, data=graph.meta["data"],
        integer=result.integer_accuracy, real=result.float_accuracy, samples=result.samples, spikes=result.spikes,
        mismatches=result.mismatches, other=extra, size=path.stat().st_size, recipe=options.recipe, seed=config.seed,
        epochs=_epochs(config), commit=options.trained_at or commit(),
        command=_command(options, config),
        shape=f"[{'T, ' * ('time_steps' in config.data_options)}B, {', '.join(map(str, graph.input.shape))}]",
    )  # fmt: skip
    path.with_suffix(".md").write_text(card)


if __name__ == "__main__":
    main()
