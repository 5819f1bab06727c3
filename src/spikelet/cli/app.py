"""Every command with its options and its help. The work is done in the module each command imports.

Any exception becomes one red line `error: ...` and exit code 2 (commands.py); `--debug` shows its traceback too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spikelet import __version__
from spikelet.cli.answers import give, json_option
from spikelet.cli.commands import Commands, TorchCommand
from spikelet.cli.completion import completion_options
from spikelet.cli.export_command import export
from spikelet.cli.inspect_command import inspect
from spikelet.cli.limits import limits
from spikelet.cli.offered import data_sets, networks, recipes, shipped
from spikelet.cli.options import (
    AXES,
    COUNT,
    LEVELS,
    RATE,
    SEED,
    STEPS,
    THREADS,
    Above0,
    BenchOptions,
    Bits,
    ConvertOptions,
    FitOptions,
    Name,
    PathName,
    RunOptions,
    Share,
    TrainOptions,
)
from spikelet.cli.quiet import answer_programs

EXIT_MISSED = 1
NAME, PATH, DATA = Name(), PathName(), Name(data_sets)

target = click.argument("target", type=Name(shipped))
model = click.argument("model", type=Name(shipped))
data = click.option(
    "--data",
    type=DATA,
    metavar="NAME",
    help="Data set: a name, a folder, or a hub id. Default: the one it was trained on.",
)
data_root = click.option("--data-root", type=NAME, metavar="PATH", help="Folder that holds the data set.")
split = click.option(
    "--split", help="'test', 'validation' or 'train'. Default: test, or validation where there is no test set."
)
threads = click.option("--threads", default=1, show_default=True, type=THREADS, help="Threads of the computation.")
torch_threads = click.option("--threads", type=THREADS, help="Threads of PyTorch. Default: its own choice.")


@click.group(cls=Commands, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, envvar="SPIKELET_DEBUG", help="Show the whole traceback of an error.")
@click.version_option(__version__, message="spikelet %(version)s")
@completion_options
def app(debug: bool) -> None:
    """Train, compress and deploy spiking networks; what you evaluate is what you deploy.

    A first tour takes about a minute on a laptop; `spikelet COMMAND --help` explains each step.

    \b
      spikelet train qsnn-digits                (your own pictures: spikelet train --data FOLDER)
      spikelet eval runs/qsnn-digits
      spikelet pack runs/qsnn-digits --out digits.safetensors
      spikelet inspect digits.safetensors
      spikelet verify digits.safetensors
      spikelet run digits.safetensors image.png
      spikelet bench digits.safetensors
      spikelet fit runs/qsnn-digits --max-bytes 8k
      spikelet export digits.safetensors --out digits-c
    """


@app.command(cls=TorchCommand)
@click.argument("recipe", required=False, type=Name(recipes))
@click.option(
    "--data",
    type=DATA,
    metavar="NAME",
    help="Train on this data set: a folder of pictures, tables or idx files, a table or a zip, a hub id, or a name. "
    "Classes, channels and size are taken from it.",
)
@click.option(
    "--model", type=Name(networks), metavar="NAME", help="A network of `spikelet models`. Default: the recipe's."
)
@click.option("--epochs", type=COUNT, help="Epochs in all; phases keep their proportions. Default: the recipe's.")
@click.option("--batch-size", type=COUNT, help="Samples a step. Default: the recipe's, or by the number of samples.")
@click.option("--lr", type=Above0(), help="Peak of the learning rate. Default: the recipe's.")
@click.option("--image-size", type=COUNT, help="Side that pictures are cut and resized to. Default: the network's.")
@click.option("--time-steps", type=STEPS, help="Time steps T of the network. Default: the recipe's.")
@click.option(
    "--weight-bits", type=Bits(1), help="Bits of a hidden weight: 1 to 8, or 32 for floats. Default: the recipe's."
)
@click.option("--membrane-bits", type=Bits(2), help="Bits of a membrane: 2 to 8, or 32. Default: the recipe's.")
@click.option(
    "--firing-rate",
    type=RATE,
    metavar="SHARE",
    help="Draw the firing rate of every layer to this, such as 0.05: fewer spikes, fewer operations.",
)
@click.option("--seed", type=SEED, help="Seed of the weights, the order and the augmentation. Default: the recipe's.")
@click.option(
    "--config", type=PATH, metavar="FILE", help="A configuration in place of a recipe, such as a config.json."
)
@click.option("--dry-run", is_flag=True, help="Print the configuration that would run, for --config, and stop.")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the run. Default: runs/, the recipe, the data's name.")
@click.option("--resume", type=PATH, metavar="DIR", help="Continue this run, bit for bit, as DIR/config.json says.")
@data_root
@torch_threads
@click.option(
    "--tracker",
    multiple=True,
    metavar="NAME",
    help="Also tell this tracker of Accelerate, such as tensorboard (in DIR/logs), wandb or mlflow. May be repeated.",
)
def train(**options: Any) -> None:
    """Train a network, on your own data or by a recipe.

    With --data alone a small network is trained, short enough for a laptop. Pictures lie as FOLDER/<class>/<picture>,
    or FOLDER/<split>/<class>/<picture>; they are cut to the middle and resized as `spikelet run` does it. A RECIPE
    (`spikelet models` lists them) or --config holds every setting of a training; each option changes its own.

    The run folder gets config.json, one checkpoint that is replaced after each epoch, metrics.jsonl, and at the end
    weights.safetensors. A recipe with a teacher trains it first, in the folder teacher/; one that prunes trains the
    larger network first, in unpruned/. A killed run continues with --resume DIR. The test set is used once, after the
    last epoch.

    \b
    Example:
      spikelet train --data shapes --epochs 8
      spikelet train --data shapes --model qsnn_vgg_s_max --dry-run > my.json
      spikelet train --config my.json --out runs/mine
      spikelet train qsnn-digits --out runs/digits --seed 1
    """
    from spikelet.cli.training import train as work

    work(TrainOptions(**options))


@app.command("eval", cls=TorchCommand)
@target
@data
@data_root
@split
@click.option("--by-class", is_flag=True, help="Also accuracy by class, top-5, and which classes are mistaken.")
@threads
@json_option
@limits
def evaluate(target: str, data: str | None, data_root: str | None, split: str | None, **how: Any) -> None:
    """Measure accuracy, and compare PyTorch with the integers.

    TARGET is a run folder, a packed file, or the name of a shipped model (`spikelet models`). A run folder is
    evaluated in PyTorch and as the native integer program, and every spike and every logit of the two is compared; a
    run with float weights has no integer program. A packed file is evaluated as the integer program; it needs no
    model code. Data must have the network's size and channels, and classes that it knows by name. The exit code is 1
    where integers and PyTorch differ.

    \b
    Example:
      spikelet eval runs/digits
      spikelet eval qsnn-vgg-s-cifar10 --data my_pictures --by-class --json | jq .accuracy_integers
    """
    from spikelet.cli.evaluation import evaluate as work
    from spikelet.cli.sources import Choice

    found = work(target, Choice(data, data_root, split), how["threads"], how["by_class"])
    give(found, how["as_json"])
    if not found.is_exact:
        raise click.exceptions.Exit(EXIT_MISSED)


@app.command()
@target
@click.argument("images", metavar="[INPUT]...", nargs=-1, type=NAME)
@data
@data_root
@split
@click.option("--samples", type=COUNT, help="Samples to run. Default: 100 of a run folder, 16 of a packed file.")
@click.option("--part", multiple=True, help="'size', 'operations' or 'energy'; may be repeated. Default: all.")
@click.option("--out", type=PATH, metavar="FILE", help="Save the whole profile as JSON.")
@threads
@json_option
@limits
def profile(target: str, images: tuple[str, ...], **how: Any) -> None:
    """Count bytes, spikes, operations and energy by layer.

    TARGET is a run folder, a packed file, or the name of a shipped model (`spikelet models`). The tables show
    parameters, bits, packed bytes, firing rates, synaptic operations by the papers' rule and by NeuroBench's, and
    energy under each named table. All are means per sample. A run folder is counted as a PyTorch module, a packed file
    as integers. A packed file is run on the INPUTs, if any are given, and needs no PyTorch then: pictures, sounds,
    .npy or .npz files, folders of them, or - for the standard input, as `spikelet run` takes them.

    \b
    Example:
      spikelet profile runs/digits --part size --out profile.json
    """
    from spikelet.cli.profiling import Work, of_images, of_samples, print_report

    read = (Path(target), *map(Path, images))
    work = Work(how["samples"], how["part"], how["threads"], how["out"], read, how["as_json"])
    if images and (how["data"] or how["data_root"] or how["samples"]):
        raise click.UsageError("Give INPUTs or a data set's --data, --data-root and --samples, not both.")
    if images:
        report = of_images(target, images)
    else:
        report = of_samples(target, how["data"], how["data_root"], how["split"], work)
    print_report(report, work)


@app.command(cls=TorchCommand)
@click.argument("model", metavar="DIR", type=PATH)
@click.option("--max-bytes", metavar="SIZE", help="Limit of the packed file: 100000, 100k, 1.5M or 96Ki.")
@click.option(
    "--max-sops",
    metavar="N",
    type=float,
    help="Limit of accumulates per sample. Layers that read pixels or averages multiply, and do not count.",
)
@click.option(
    "--max-accuracy-drop", metavar="POINTS", type=float, help="Percentage points of test accuracy that may be lost."
)
@click.option("--out", metavar="DIR", type=PATH, help="Folder of the answer. Default: DIR-fit.")
@click.option("--epochs", default=20, show_default=True, type=COUNT, help="Epochs of the chosen plan's training.")
@click.option("--probes", default=4, show_default=True, type=COUNT, help="Plans to train briefly before the choice.")
@click.option("--probe-epochs", default=1, show_default=True, type=COUNT, help="Epochs of each brief training.")
@click.option(
    "--validation",
    metavar="SHARE",
    type=Share(),
    help="Share of the training images to judge by. Default: the images held out in training.",
)
@click.option(
    "--seed", default=0, show_default=True, type=SEED, help="Seed of the search, the order and the augmentation."
)
@data_root
@torch_threads
def fit(**options: Any) -> None:
    """Make a trained network fit a budget of bytes and operations.

    DIR is the folder of a finished run. Each layer's bits and each group's channels are chosen by what they cost in
    loss, measured on training images. A search finds the plans that no other beats; a few are trained briefly and
    judged on validation images; one is trained in full and packed. The training is the run's, on labels alone. The
    new folder gets model.safetensors, fit.json and fit.png, the whole front of accuracy, bytes and operations. Bytes
    are those of the packed files, their words about the origin included. The exit code is 1 where a limit was missed.

    \b
    Example:
      spikelet fit runs/qsnn-digits --max-bytes 8k --max-accuracy-drop 2
    """
    from spikelet.cli.fitting import fit as work

    if not work(FitOptions(**options)):
        raise click.exceptions.Exit(EXIT_MISSED)


@app.command(cls=TorchCommand)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--out", metavar="FILE", type=PATH, required=True, help="The file to write, such as model.safetensors.")
@json_option
def pack(folder: Path, out: Path, as_json: bool) -> None:
    """Make one small integer file of a finished run.

    DIR is the folder of a finished run. The network is lowered to integers; every sum is proved to fit its integers
    for every input, or the layer where it does not is named. The file also holds the class names and the model's
    origin. It is described as `spikelet inspect` describes it.

    \b
    Example:
      spikelet pack runs/digits --out digits.safetensors
    """
    from spikelet.cli.packing import pack as work

    work(folder, out, as_json)


@app.command(cls=TorchCommand)
@click.argument("target", metavar="DIR", type=NAME)
@click.option(
    "--levels", default=16, show_default=True, type=LEVELS, help="Steps T of the spiking network: counts 0..T."
)
@click.option("--steps", default=16, show_default=True, type=STEPS, help="Most steps of the table.")
@click.option(
    "--schedule", default="barrier", show_default=True, type=click.Choice(["barrier", "stream", "started"]),
    help="Of the file; started also adds its column to the table.",
)  # fmt: skip
@click.option("--out", metavar="FILE", type=PATH, help="Save the spiking network as a packed file.")
@click.option("--picture", metavar="FILE", type=PATH, help="Draw accuracy against steps as PNG.")
@data
@data_root
@split
@torch_threads
def convert(target: str, data: str | None, data_root: str | None, split: str, **options: Any) -> None:
    """Convert a trained network with levels into a spiking one.

    DIR is the folder of a finished run, of a network whose activations have levels. The table shows its accuracy
    after 1, 2, 4 and more steps. With the barrier schedule every neuron counts for T steps and then emits, without
    loss where T is the network's levels. With the stream schedule all layers work at every step. The started schedule
    is a stream whose neurons begin as training images ask for, so that few steps say more.

    \b
    Example:
      spikelet convert runs/est-digits --levels 16 --out spiking.safetensors
    """
    from spikelet.cli.converting import convert_run as work
    from spikelet.cli.sources import Choice

    work(target, Choice(data, data_root, split), ConvertOptions(**options))


@app.command()
@model
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=NAME)
@click.option("--top", type=COUNT, help="How many classes to show of each. Default: 5, and of many samples 2; CSV: 1.")
@click.option(
    "--ground", metavar="COLOUR", help="What transparency is laid on: white, black or #rrggbb. Default: the training's."
)
@click.option(
    "--invert",
    is_flag=True,
    help="Turn dark into light and back: for black on white, where MODEL learned from white on black.",
)
@click.option("--axes", type=click.Choice(AXES), help="What the axes of arrays are. Default: by their shape.")
@click.option(
    "--json", "as_json", is_flag=True, callback=answer_programs, help="Print one JSON object a sample and line."
)
@click.option(
    "--csv", metavar="FILE", type=NAME, help="Also write a row a sample into FILE; - prints the rows instead."
)
@threads
@limits
def run(model: str, inputs: tuple[str, ...], **options: Any) -> None:
    """Classify pictures, sounds and arrays with the native integer program.

    MODEL is a packed file, the name of a shipped model, or a run folder, which is lowered first. An INPUT is a
    picture, a sound, an array, a folder of them, a quoted pattern such as 'scans/*.png', or - for the standard
    input. A picture is cut to the middle and resized to what the network takes, in grey or in colour. A sound is a
    WAV file, for a network that was trained on sounds, such as stream-lif-fsdd: it is cut to its middle or laid
    into silence, and heard through the front end of the training. One line says what was done. Arrays are .npy or
    .npz files of uint8: [C, H, W]; [T, C, H, W] for one frame a time step; or N samples at once, [N, C, H, W] or
    [T, N, C, H, W]. A few samples get a table each, with the integer logits and the scores, the softmax of the real
    logits; more get a row each.

    \b
    Example:
      spikelet run qsnn-vgg-s-fashion-mnist shirt.png --top 3
      spikelet run runs/digits scans --invert --csv scans.csv
      spikelet run stream-lif-fsdd seven.wav
      spikelet run digits.safetensors 'scans/*.png' --json | jq -r .class | sort | uniq -c
    """
    from spikelet.cli.running import run as work

    work(model, inputs, RunOptions(**options))


@app.command()
@model
@click.argument("inputs", metavar="[INPUT]...", nargs=-1, type=NAME)
@click.option("--batch", default=32, show_default=True, type=COUNT, help="Samples at once, for the throughput.")
@click.option("--seconds", default=2.0, show_default=True, type=Above0(), help="Time for latency, and for throughput.")
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed of the random inputs.")
@click.option(
    "--tune",
    type=PATH,
    metavar="FILE",
    help="Time every kernel that can run a layer, take the fastest, and write their plan to FILE (load_plan reads it).",
)
@threads
@json_option
@limits
def bench(model: str, inputs: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Measure latency, throughput and memory on this machine.

    MODEL is a packed file, the name of a shipped model, or a run folder. One sample's latency is the median of many
    runs after one that is not counted, with the fastest and the slowest tenth, by the clock and in processor time,
    which alone means something on a busy machine. How many neurons fire decides about speed: each row says its rate.
    INPUTs are what `spikelet run` takes; without any, zeros, blocks of noise and random bytes are run. Below stand
    the throughput of a batch, the memory by the plan and as measured here, and the machine.

    \b
    Example:
      spikelet bench qsnn-vgg-s-cifar10 --threads 2
      spikelet bench digits.safetensors scans --json > bench.json
      spikelet bench digits.safetensors scans --tune digits.plan.json
    """
    from spikelet.cli.benching import bench as work

    give(work(model, inputs, BenchOptions(**options)), as_json)


@app.command()
@model
@click.argument("images", metavar="[INPUT]...", nargs=-1, type=NAME)
@click.option("--samples", default=4, show_default=True, type=COUNT, help="Random inputs, where none is given.")
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed of the random inputs.")
@threads
@json_option
@limits
def verify(model: str, images: tuple[str, ...], samples: int, seed: int, **how: Any) -> None:
    """Check that a packed file is whole and exact on this machine.

    MODEL is a packed file or the name of a shipped model. The file is whole if its checksum and every field are right
    and its bytes are those that its graph is written to. Then every kernel set of this machine runs the INPUTs, or
    random bytes, whole and in single steps. Every spike and output is compared with the reference in NumPy. The exit
    code is 1 where one differs.

    \b
    Example:
      spikelet verify digits.safetensors three.png four.png
    """
    from spikelet.cli.verifying import Inputs
    from spikelet.cli.verifying import verify as work

    found = work(model, Inputs(images, samples, seed), how["threads"])
    give(found, how["as_json"])
    if found.wrong:
        raise click.exceptions.Exit(EXIT_MISSED)


@app.command()
@click.argument("pattern", default="*", type=NAME)
@json_option
def models(pattern: str, as_json: bool) -> None:
    """List networks, recipes and shipped models.

    PATTERN is a part of a name, or a shell pattern. Networks are what `spikelet.create_model` builds, recipes what
    `spikelet train` takes, shipped models what `spikelet run` and `spikelet.load` take by name; their bytes and
    accuracy are those of their model cards. Networks and recipes need PyTorch.

    \b
    Example:
      spikelet models cifar10
    """
    from spikelet.cli.catalogue import models as work

    give(work(pattern), as_json)


app.add_command(inspect)
app.add_command(export)
