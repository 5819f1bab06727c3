"""Every command with its options and its help. The work is done in the module each command imports.

An error that the library raises on purpose (ValueError, OSError, ImportError, FloatingPointError) becomes
one red line `error: ...` and exit code 2; `spikelet --debug COMMAND` shows its traceback instead.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spikelet.cli.options import with_options
from spikelet.cli.printing import print_error, say

EXPECTED = (ValueError, OSError, ImportError, FloatingPointError)
EXIT_ERROR = 2
EXIT_MISSED = 1

TARGET = "A run folder, a packed file, or the name of a shipped model (`spikelet models`)."
Target = Annotated[str, typer.Argument(metavar="TARGET", help=TARGET, show_default=False)]
Data = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Data set: a name, a folder, or a hub id. Default: the one it was trained on."),
]
DataRoot = Annotated[str | None, typer.Option(metavar="PATH", help="Folder in which a named data set lies.")]
Split = Annotated[str, typer.Option(help="'test', or 'validation', or 'train'.")]
Threads = Annotated[int, typer.Option(min=1, max=64, help="Of PyTorch and of the integer program.")]


class Commands(TyperGroup):
    """The group of commands; says what went wrong in one line."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command. Raises typer.Exit with code 2 after an expected error."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            if ctx.params["debug"]:
                raise
            print_error(error)
            raise typer.Exit(EXIT_ERROR) from None


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from spikelet import __version__

        say(f"spikelet {__version__}")
        raise typer.Exit


@app.callback()
def spikelet(
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Train, compress and deploy spiking networks; what you evaluate is what you deploy.

    A first tour, about a minute on a laptop; `spikelet COMMAND --help` explains each step:

    - `spikelet train qsnn-digits`
    - `spikelet eval runs/qsnn-digits`
    - `spikelet pack runs/qsnn-digits --out digits.safetensors`
    - `spikelet run digits.safetensors image.png`
    - `spikelet fit runs/qsnn-digits --max-bytes 8k`
    """


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What `spikelet train` is told; None where nothing was said."""

    recipe: Annotated[str | None, typer.Argument(help="Name of a recipe; `spikelet models` lists them.")] = None
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the run. Default: runs/RECIPE.")] = None
    resume: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Continue this run, bit for bit, with the configuration in DIR/config.json."),
    ] = None
    data_root: DataRoot = None
    seed: Annotated[
        int | None, typer.Option(help="Of the weights, the order and the augmentation. Default: the recipe's, 0.")
    ] = None
    weight_bits: Annotated[
        int | None, typer.Option(help="Bits of a hidden weight: 1 to 8, or 32 for floats. Default: the recipe's.")
    ] = None
    membrane_bits: Annotated[
        int | None, typer.Option(help="Bits of a membrane: 2 to 8, or 32. Default: the recipe's.")
    ] = None
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of PyTorch. Default: its own choice.")] = None
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write scalars to DIR/tensorboard.")] = False


@app.command("train")
@with_options(TrainOptions)
def train(options: TrainOptions) -> None:
    """Train a network by a recipe.

    A recipe is a function of spikelet.recipes that holds every setting of a training. The run folder gets
    config.json, one checkpoint that is replaced after each epoch, metrics.jsonl, and at the end weights.safetensors; a
    recipe with a teacher trains it first, in the folder teacher/. A killed run continues with `--resume DIR`. The test
    set is looked at once, after the last epoch.

    Example: `spikelet train qsnn-digits --out runs/digits --seed 1`
    """
    from spikelet.cli.training import train as work

    work(options)


@app.command("eval")
def evaluate(
    target: Target,
    data: Data = None,
    data_root: DataRoot = None,
    split: Split = "test",
    threads: Threads = 1,
) -> None:
    """Measure accuracy, and compare PyTorch with the integers.

    A run folder is evaluated in PyTorch *and* as the native integer program, and every spike and every logit of the two
    is compared; with float weights there is only PyTorch. Of a packed file there is only the integer program; it needs
    no model code.

    Example: `spikelet eval runs/digits`
    """
    from spikelet.cli.evaluation import evaluate as work
    from spikelet.cli.sources import Choice

    work(target, Choice(data, data_root, split), threads)


@app.command("profile")
def profile(
    target: Target,
    data: Data = None,
    data_root: DataRoot = None,
    split: Split = "test",
    samples: Annotated[
        int | None, typer.Option(min=1, help="Samples to run. Default: 100 of a run folder, 16 of a packed file.")
    ] = None,
    part: Annotated[
        list[str] | None, typer.Option(help="'size', 'operations' or 'energy'; may be repeated. Default: all.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Save the whole profile as JSON.")] = None,
    threads: Threads = 1,
) -> None:
    """Count bytes, spikes, operations and energy by layer.

    Parameters, bits, packed bytes, firing rates, synaptic operations by the papers' rule and by NeuroBench's, and
    energy under each named table; never one unlabelled "energy". All are means per sample. A run folder is counted as a
    PyTorch module, a packed file as integers.

    Example: `spikelet profile runs/digits --part size --out profile.json`
    """
    from spikelet.cli.profiling import Work
    from spikelet.cli.profiling import profile as work
    from spikelet.cli.sources import Choice

    work(target, Choice(data, data_root, split), Work(samples, tuple(part or ()), threads), out)


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """What `spikelet fit` is told."""

    model: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished run.", show_default=False)]
    max_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Limit of the packed file: 100000, 100k, 1.5M or 96Ki.")
    ] = None
    max_sops: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Limit of accumulates per sample. Layers that read pixels or averages multiply, and do not count.",
        ),
    ] = None
    max_accuracy_drop: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Percentage points of test accuracy that may be lost.")
    ] = None
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the answer. Default: MODEL-fit.")] = None
    epochs: Annotated[int, typer.Option(min=1, help="Training of the chosen plan.")] = 20
    probes: Annotated[int, typer.Option(min=1, help="Plans that are trained briefly before one is chosen.")] = 4
    probe_epochs: Annotated[int, typer.Option(min=1, help="Training of each of them.")] = 1
    validation: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Of the training images, to judge by. Default: those held out in training."),
    ] = None
    seed: Annotated[int, typer.Option(help="Of the search, the order and the augmentation.")] = 0
    data_root: DataRoot = None
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of PyTorch. Default: its own choice.")] = None


@app.command("fit")
@with_options(FitOptions)
def fit(options: FitOptions) -> None:
    """Make a trained network fit a budget of bytes and operations.

    Bits a layer and channels a group are chosen by what each costs in loss, measured on training images; a search finds
    the plans that no other beats; a few are trained briefly and judged on validation images, one is trained in full
    and packed. Training is that of the run, on labels alone. The folder gets model.safetensors, fit.json and fit.png,
    the whole front of accuracy, bytes and operations. Exit code 1 where a limit was not met.

    Example: `spikelet fit runs/qsnn-digits --max-bytes 8k --max-accuracy-drop 2`
    """
    from spikelet.cli.fitting import fit as work

    if not work(options):
        raise typer.Exit(EXIT_MISSED)


@app.command("pack")
def pack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished run.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, such as model.safetensors.")],
) -> None:
    """Make one small integer file of a finished run.

    The network is lowered to integers; overflow is proved impossible for every input, or refused by the layer's name.
    The file also holds the class names and where the model comes from. Its bytes are printed beside what theory asks
    for.

    Example: `spikelet pack runs/digits --out digits.safetensors`
    """
    from spikelet.cli.packing import pack as work

    work(folder, out)


@app.command("run")
def run(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A packed file, or the name of a shipped model.", show_default=False)
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE", help="Pictures, or .npy files of uint8 [C, H, W] or [T, C, H, W].", show_default=False
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.")] = 5,
    threads: Threads = 1,
) -> None:
    """Classify pictures with the native integer program.

    A picture is cut to the middle and resized to what the network takes, in grey or in colour; one line says what was
    done to it. The table shows the best classes with their scores, the softmax of the real logits.

    Example: `spikelet run digits.safetensors three.png four.png`
    """
    from spikelet.cli.running import run as work

    work(model, images, top, threads)


@app.command("models")
def models(
    pattern: Annotated[str, typer.Argument(help="A part of a name, or a shell pattern.")] = "*",
) -> None:
    """List networks, recipes and shipped models.

    Networks are what `spikelet.create_model` builds, recipes what `spikelet train` takes, shipped models what `spikelet
    run` and `spikelet.load` take by name; their bytes and accuracy are those of their model cards.

    Example: `spikelet models cifar10`
    """
    from spikelet.cli.catalogue import models as work

    work(pattern)
