"""What `spikelet train` runs: the configuration that its words and its data make, the folder, and the data.

    RECIPE, --config FILE or neither    where one begins; neither: a small network for the data (recipes/own_data.py)
    --model .. --weight-bits            each changes what it says, and nothing else (recipes/changes.py)
    --data                              the network gets the data's classes, channels and size

Pictures are brought to the network's image size as `spikelet run` brings them: cut to the middle, resized. Known sets,
and idx files and recordings, have a size of their own, which the network gets.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePath

from spikelet.base.command import command_line
from spikelet.base.errors import SpikeletError
from spikelet.base.logmel import LogMel
from spikelet.base.meant import meant
from spikelet.base.strict_json import shown
from spikelet.cli.errors import naming
from spikelet.cli.options import TrainOptions
from spikelet.cli.outputs import require_folder
from spikelet.cli.sources import read_splits, splits_of
from spikelet.data import DataSplits, names
from spikelet.data.load import has_own_size
from spikelet.data.readers.folder import is_of_sound
from spikelet.data.readers.reader import file_at, folder_at
from spikelet.models import list_models
from spikelet.models.catalogue import builder_of
from spikelet.recipes import RECIPES
from spikelet.recipes.changes import (
    at_firing_rate,
    at_rate,
    at_time_steps,
    default_of,
    for_samples,
    of_length,
    with_model,
)
from spikelet.recipes.own_data import MODEL, own_data
from spikelet.train import TrainConfig
from spikelet.train.checkpoint import load_config, read_config

RUNS = Path("runs")
EVENT_STEPS = 5  # frames of a recording
SOUND_STEPS = 50  # frames of a sound: a second of 20 ms each
IMAGE_SIZE = 32  # of a network that does not say
OF_A_RUN = ("resume", "data_root", "threads", "tracker", "dry_run")  # what goes with --resume


@dataclasses.dataclass(frozen=True)
class Plan:
    """A training that can begin."""

    config: TrainConfig
    folder: Path
    data: DataSplits


def planned(options: TrainOptions) -> Plan:
    """What `options` ask for.

    Raises:
        ValueError: no recipe, no data and no folder, or words that exclude each other; or the data can't be read.
    """
    if options.resume is not None:
        return _resumed(options, options.resume)
    base = _beginning(options)
    if options.model is not None:
        builder_of(options.model)  # refuses an unknown name
    if options.image_size is not None and options.data is None:
        raise SpikeletError("--image-size goes with --data: a recipe's network has its own. Name the data too.")
    folder = options.out or RUNS / _name(options, base)
    if not options.dry_run:
        require_folder(folder)
    if options.data is not None:
        config, data = _on_own_data(options, base, options.data)
    elif base is not None:
        config = _changed(base, options)
        data = splits_of(config, options.data_root)
    else:
        raise SpikeletError(_lesson())
    return Plan(config, folder, data)


def _resumed(options: TrainOptions, folder: Path) -> Plan:
    fields = dataclasses.fields(options)
    if any(getattr(options, field.name) is not field.default for field in fields if field.name not in OF_A_RUN):
        raise SpikeletError(
            "--resume takes everything from the folder: give it no recipe, no --data and no setting. (Where the data "
            "lies now is said by --data-root.)"
        )
    require_folder(folder, "--resume")
    config = load_config(folder)
    return Plan(config, folder, splits_of(config, options.data_root))


def _beginning(options: TrainOptions) -> TrainConfig | None:
    if options.recipe is not None and options.config is not None:
        raise SpikeletError(f"give a recipe or --config, not both: got {options.recipe!r} and {options.config}.")
    if options.config is not None:
        return read_config(options.config, "Write one with: spikelet train ... --dry-run > my.json")
    if options.recipe is None:
        return None
    if options.recipe not in RECIPES:
        raise SpikeletError(_no_recipe(options.recipe))
    chosen = {"weight_bits": options.weight_bits, "membrane_bits": options.membrane_bits}
    return RECIPES[options.recipe](**{name: bits for name, bits in chosen.items() if bits is not None})


def _lesson() -> str:
    return (
        f"train needs data or a recipe. Your own pictures: {command_line('train', '--data', 'FOLDER')}, where they lie "
        f"as FOLDER/<class>/<picture>; a recipe: {command_line('train', next(iter(RECIPES)))}. There are: "
        f"{', '.join(RECIPES)}. (Or continue a run: --resume DIR.)"
    )


def _no_recipe(word: str) -> str:
    if folder_at(Path(word)) is not None:
        return f"there is no recipe {word!r}, but a folder: {command_line('train', '--data', Path(word))} trains on it."
    if word in list_models():
        return (
            f"there is no recipe {word!r}, but a network: {command_line('train', '--data', 'FOLDER', '--model', word)} "
            "trains it on your data."
        )
    return (
        f"there is no recipe {word!r}.{meant(word, RECIPES)} There are: {', '.join(RECIPES)}. "
        "(Your own pictures: --data FOLDER. A run to go on with: --resume DIR.)"
    )


def _name(options: TrainOptions, base: TrainConfig | None) -> str:
    """The run's folder in `RUNS`: by the recipe and by the data that were named."""
    data = options.data if options.data is not None or base is None else (None if options.recipe else base.data)
    parts = [options.recipe, None if data is None else PurePath(_source(data)).stem]
    return "-".join(part for part in parts if part) or "run"


def _source(data: str) -> str:
    """A data set as a configuration keeps it: a name, a hub id, or a whole path."""
    place = None if data in names() else folder_at(Path(data)) or file_at(Path(data))
    return data if place is None else str(place.resolve())


def _on_own_data(options: TrainOptions, base: TrainConfig | None, data: str) -> tuple[TrainConfig, DataSplits]:
    """The configuration on the data set `data`, and that data set."""
    source = _source(data)
    form = {} if base is None else {k: v for k, v in base.data_options.items() if k not in ("image_size", "columns")}
    if options.image_size is not None or not has_own_size(source):
        form["image_size"] = options.image_size or _image_size(options, base)
    is_sound = source not in names() and is_of_sound(source)
    if is_sound:
        form.setdefault("sound", dataclasses.asdict(LogMel()))
    steps = options.time_steps or form.get("time_steps", SOUND_STEPS if is_sound else EVENT_STEPS)
    splits = read_splits(source, options.data_root, {**form, "time_steps": steps})
    train = splits.train
    if train.has_time:
        form["time_steps"] = steps
    else:
        form.pop("time_steps", None)
    with naming(data):
        if len(train.labels) == 1:
            raise SpikeletError(
                f"{data} has one class, {shown(train.labels[0])}, and a network tells two or more apart. Give each a "
                "folder of its own: FOLDER/<class>/<picture>."
            )
        if base is None:
            config = own_data(train, source, form, options.model)
        else:
            config = dataclasses.replace(base, data=source, data_options=form)
        config = for_samples(_changed(config, options), train)
    return config, splits


def _image_size(options: TrainOptions, base: TrainConfig | None) -> int:
    """The side of the images that the network takes."""
    of_base = None if base is None else base.model_options.get("image_size")
    model = options.model or (MODEL if base is None else base.model)
    return of_base or default_of(model, "image_size", IMAGE_SIZE)


def _changed(config: TrainConfig, options: TrainOptions) -> TrainConfig:
    """`config` with what was asked for."""
    if options.model is not None:
        config = with_model(config, options.model)
    if options.epochs is not None:
        config = of_length(config, options.epochs)
    if options.time_steps is not None:
        config = at_time_steps(config, options.time_steps)
    if options.lr is not None:
        config = at_rate(config, options.lr)
    if options.firing_rate is not None:
        config = at_firing_rate(config, options.firing_rate)
    bits = {"weight_bits": options.weight_bits, "membrane_bits": options.membrane_bits}
    given = {name: value for name, value in bits.items() if value is not None}
    plain = {"seed": options.seed, "batch_size": options.batch_size}
    return dataclasses.replace(
        config,
        model_options={**config.model_options, **given},
        **{name: value for name, value in plain.items() if value is not None},
    )
