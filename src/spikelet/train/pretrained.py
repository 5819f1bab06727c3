"""Float weights to go on from: of a file, a folder, a run, or a model on the Hugging Face hub.

    save_pretrained(model, "mine")                     mine/config.json, mine/model.safetensors
    model = from_pretrained("mine")                    or a run folder, or "owner/name" on the hub
    push_to_hub(model, "owner/name")
    model = create_model("qsnn_vgg_s", pretrained="mine", num_classes=3)

config.json    the network's name and options, T, whether 1-bit weights are standardised, the names of its classes
*.safetensors  the state: float weights, statistics, learned steps. Nothing is ever unpickled, and no code is read:
               which network a name stands for is decided by what is installed or registered here

What is saved is rebuilt first, and must be the network that was given, its answer to a sample included. huggingface_hub
moves the files; its PyTorchModelHubMixin is for one class with its own arguments, and our networks are functions'.

The models that ship with spikelet are integers without floats.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import CheckpointError, SpikeletError
from spikelet.base.files import atomic_write
from spikelet.base.numbers import instance
from spikelet.base.optional import need
from spikelet.base.paths import path_of
from spikelet.base.regular import read_regular
from spikelet.base.strict_json import shown
from spikelet.data.classes import class_names_of
from spikelet.data.readers.hub import is_hub_id
from spikelet.models import catalogue
from spikelet.models.catalogue import Made
from spikelet.neurons.neuron import neurons_of, time_steps_of
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.taken import require_module
from spikelet.quant import Binary
from spikelet.train.checkpoint import MAX_CONFIG, load_run
from spikelet.train.config import Training
from spikelet.train.evaluate import name_classes
from spikelet.train.phases import set_binary, set_phase
from spikelet.train.settings import DualRegulation, Phase
from spikelet.train.weights import FILE as OF_A_RUN
from spikelet.train.weights import first_line, read_weights, require_state, save_weights

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FETCHED = (CONFIG, WEIGHTS, OF_A_RUN, "run.json")
CARD = """---
library_name: spikelet
tags:
- spiking-neural-network
---
# {name}

```python
import spikelet

model = spikelet.from_pretrained("{repo_id}")
```

A spiking network of {parameters:,} parameters: `spikelet.create_model("{name}", {options})`.
"""


def create_model(name: str, *, pretrained: bool | str | Path = False, **options: Any) -> nn.Module:
    """A new model by its name, with random weights or with those of `pretrained`.

        create_model("qsnn_vgg_s", num_classes=10, time_steps=2, weight_bits=1, membrane_bits=2)
        create_model("qsnn_vgg_s", pretrained="runs/digits")                     its own options
        create_model("qsnn_vgg_s", pretrained="owner/name", num_classes=3)       with a new classifier

    Example:
        >>> model = spikelet.create_model("qsnn_vgg_s", num_classes=3, time_steps=2, image_size=16)
        >>> model(torch.zeros((4, 3, 16, 16), dtype=torch.uint8)).shape  # two steps, four images, three classes
        torch.Size([2, 4, 3])

    Args:
        name: one of `list_models()`.
        pretrained: False; or where weights are: a file `*.safetensors` of a model with these options, or a folder or
            hub id as `from_pretrained` takes them, whose options hold unless others are given. With another
            num_classes the tensors that depend on it stay new.
        options: the builder's arguments: num_classes, time_steps, weight_bits, membrane_bits, in_channels, image_size
            and the model's own.
    Raises:
        SpikeletError: the name is unknown; lists those there are. Or a registered function made no module.
        CheckpointError: there are no such weights, or they are of another network.
        TypeError: the option is unknown; lists those there are.
    """
    if pretrained is False or pretrained is None:
        return catalogue.create_model(name, **options)
    if pretrained is True:
        catalogue.builder_of(name)
        raise SpikeletError(
            f"{name} has no float weights that come with spikelet: shipped models are integers (spikelet.zoo.names()). "
            "Say where weights are: pretrained= a file, a run folder, or the id owner/name of a model on the hub."
        )
    file = Path(pretrained)
    if file.is_file():
        model = catalogue.create_model(name, **options)
        _load(model, read_weights(file.parent, file.name), file)
        return model
    source = from_pretrained(pretrained)
    made = _made(source)
    if made.name != name:
        raise CheckpointError(f"{pretrained} holds a {made.name}, not a {name}. Ask for it by its name.")
    return _with_options(source, {**made.options, **options}, Path(pretrained)).train()


def from_pretrained(source: str | Path, *, revision: str | None = None) -> nn.Module:
    """The network of a folder or of the hub, with its float weights, in evaluation mode.

    Example:
        >>> spikelet.save_pretrained(spikelet.create_model("qsnn_vgg_s", num_classes=3, image_size=16), "mine")
        >>> model = spikelet.from_pretrained("mine")
        >>> model(torch.zeros((4, 3, 16, 16), dtype=torch.uint8)).shape
        torch.Size([2, 4, 3])

    Args:
        source: a folder that `save_pretrained` wrote, a run folder, or an id "owner/name" on Hugging Face's hub, which
            is fetched once and read from the local cache then.
        revision: branch, tag or commit on the hub.
    Raises:
        CheckpointError: there are no weights at `source`, a file of theirs is damaged, or config.json names a network
            that is unknown here.
        MissingLibrary: huggingface_hub is not installed.
    """
    folder = _folder(source, revision)
    config = _read_config(folder)
    if "model_options" in config:
        return load_run(folder)[0]
    described = _description(config, folder / CONFIG)
    try:
        model = described.build()
    except (SpikeletError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG} makes no network here ({first_line(error)}).") from error
    _load(model, read_weights(folder, WEIGHTS), folder / WEIGHTS)
    return model.eval()


def save_pretrained(model: nn.Module, folder: str | Path) -> None:
    """Writes a network of the catalogue, or of a registered builder, so that `from_pretrained` makes it again.

    Example:
        >>> spikelet.save_pretrained(spikelet.create_model("qsnn_vgg_s", num_classes=3, image_size=16), "mine")
        >>> import os
        >>> sorted(os.listdir("mine"))
        ['config.json', 'model.safetensors']

    Raises:
        SpikeletError: the model was not made by create_model, or was changed since in a way that its options do not
            say, as by pruning; says how else to keep it.
    """
    described = _described(model)
    try:
        text = json.dumps(dataclasses.asdict(described), indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise SpikeletError(
            f"the options of {described.model} must be numbers, strings, lists and dicts, which config.json can keep, "
            f"got {shown(described.options)} ({first_line(error)})."
        ) from error
    _require_same(described.build().to(device_of(model)), model)
    place = path_of(folder, "folder")
    place.mkdir(parents=True, exist_ok=True)
    save_weights(place, model, WEIGHTS)
    with atomic_write(place / CONFIG) as file:
        file.write(text.encode())


def push_to_hub(model: nn.Module, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Saves a model as `save_pretrained` does and uploads it with a card; returns the address of the commit.

    Example:
        >>> spikelet.push_to_hub(spikelet.create_model("qsnn_vgg_s"), "mine")  # "owner/mine" would be uploaded
        Traceback (most recent call last):
        spikelet.base.errors.SpikeletError: repo_id must be owner/name, got 'mine'.

    Args:
        repo_id: "owner/name" on Hugging Face's hub; made if there is none. Log in before, with `hf auth login`.
        private: whether a new one is private.
        revision: branch to commit to.
    Raises:
        SpikeletError: as `save_pretrained`; or repo_id has another form.
        MissingLibrary: huggingface_hub is not installed.
        OSError: what huggingface_hub raises, where it can't be reached or may not be written to.
    """
    instance("push_to_hub", str, repo_id=repo_id)
    if repo_id.count("/") != 1:
        raise SpikeletError(f"repo_id must be owner/name, got {shown(repo_id)}.")
    api = _hub().HfApi()
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(model, folder)
        made = _made(model)
        options = ", ".join(f"{option}={value!r}" for option, value in made.options.items())
        count = sum(parameter.numel() for parameter in model.parameters())
        card = CARD.format(name=made.name, repo_id=repo_id, parameters=count, options=options)
        (Path(folder) / "README.md").write_text(card)
        api.create_repo(repo_id, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo_id, folder_path=folder, revision=revision, commit_message=f"Upload {made.name}"
        )
    return str(done.commit_url)


# --- what config.json says --------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Description:
    """config.json: what a network is made from. `standardize` and `time_steps` are None where no layer has them."""

    model: str
    options: dict[str, Any]
    time_steps: int | None = None
    standardize: bool | None = None
    classes: tuple[str, ...] = ()

    def build(self) -> nn.Module:
        """The network with random weights; the caller's generator stays as it is."""
        with torch.random.fork_rng(devices=[]):
            model = catalogue.create_model(self.model, **self.options)
        if self.time_steps is not None:
            set_phase(model, Phase(1, self.time_steps))
        if self.standardize is not None and self.standardize not in _standardized(model):
            set_binary(model, Training(regulation=DualRegulation(weight=self.standardize)), 0)
        name_classes(model, self.classes)
        return model


def _described(model: nn.Module) -> Description:
    made = _made(model)
    binary = _standardized(model)
    return Description(
        made.name,
        made.options,
        time_steps_of(model) if neurons_of(model) else None,
        binary.pop() if len(binary) == 1 else None,
        class_names_of(model),
    )


def _standardized(model: nn.Module) -> set[bool]:
    """Whether the 1-bit weights of its layers are standardised: one of the two, both, or none."""
    quantizers = [getattr(module, "quantizer", None) for module in model.modules()]
    return {quantizer.standardize for quantizer in quantizers if isinstance(quantizer, Binary)}


def _made(model: nn.Module) -> Made:
    require_module(model)
    made = getattr(model, "made", None)
    if not isinstance(made, Made):
        raise SpikeletError(
            f"{type(model).__name__} was not made by create_model, whose name and options would be saved. Register its "
            "builder (spikelet.register_model) and create it by name; or save its weights alone: "
            "safetensors.torch.save_model(model, file)."
        )
    return made


def _description(config: Mapping[str, Any], path: Path) -> Description:
    names = {field.name for field in dataclasses.fields(Description)}
    if not {"model", "options"} <= config.keys() <= names:
        raise CheckpointError(
            f"{path} must hold {', '.join(sorted(names))}, as save_pretrained writes them, got {shown(sorted(config))}."
        )
    classes, options = config.get("classes", []), config["options"]
    if not isinstance(config["model"], str) or not isinstance(options, dict) or not isinstance(classes, list):
        raise CheckpointError(f"{path} must hold a name, a dict of options and a list of classes, got {shown(config)}.")
    return Description(**{**config, "classes": tuple(map(str, classes))})


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(read_regular(path, MAX_CONFIG))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} can't be read ({first_line(error)}). Give a folder of save_pretrained or of `spikelet train`."
        ) from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} must hold an object, got {shown(config)}.")
    return config


# --- weights ----------------------------------------------------------------------------------------


def _load(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    require_state(state, model, path)
    model.load_state_dict(state)


def _with_options(source: nn.Module, options: dict[str, Any], path: Path) -> nn.Module:
    """`source`, or a new network of other options with its weights."""
    made = _made(source)
    differing = {name for name in options if options[name] != made.options.get(name)}
    if not differing:
        return source
    described = dataclasses.replace(_described(source), options=options)
    if "num_classes" in differing:
        described = dataclasses.replace(described, classes=())
    if "time_steps" in differing:
        described = dataclasses.replace(described, time_steps=options["time_steps"])
    model, state = described.build(), source.state_dict()
    if "num_classes" in differing:
        own = model.state_dict()
        state = {**state, **{k: own[k] for k in own if k in state and own[k].shape[1:] == state[k].shape[1:]
                             and own[k].shape[:1] != state[k].shape[:1]}}  # fmt: skip
    _load(model, state, path)
    return model


def _require_same(again: nn.Module, model: nn.Module) -> None:
    """Raises SpikeletError unless `again`, given the state of `model`, is the same network."""
    way_out = (
        "It was changed since create_model made it. Keep the run folder it was trained in, or its weights alone: "
        "safetensors.torch.save_model(model, file)."
    )
    try:
        require_state(model.state_dict(), again, Path("the model"))
    except CheckpointError as error:
        raise SpikeletError(f"the model is not what its options make: {first_line(error)} {way_out}") from error
    again.load_state_dict(model.state_dict())
    if str(again) != str(model) or not _same_answer(again, model):
        raise SpikeletError(f"the model is not what its options make: its layers differ. {way_out}")


@torch.no_grad()
def _same_answer(a: nn.Module, b: nn.Module) -> bool:
    """Whether two networks say the same of a sample; True where the sample's shape is not known."""
    task = getattr(b, "task", None)
    if task is None:
        return True
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (1, *task.sample_shape), dtype=torch.uint8, generator=generator).to(device_of(b))
    with evaluation_mode(a), evaluation_mode(b):
        return torch.equal(a(x), b(x))


# --- places -----------------------------------------------------------------------------------------


def _hub() -> Any:
    return need("huggingface_hub", package="huggingface_hub", extra="train", what="the hub")


def _folder(source: str | Path, revision: str | None) -> Path:
    place = path_of(source, "source")
    if source != "" and place.is_dir():
        return place
    if not isinstance(source, str) or not is_hub_id(source):
        raise CheckpointError(
            f"there are no weights at {shown(str(source))}: it must be a folder of save_pretrained or of a run, or an "
            "id owner/name on the hub."
        )
    try:
        return Path(_hub().snapshot_download(source, revision=revision, allow_patterns=list(FETCHED)))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"no weights could be fetched from {source!r} ({first_line(error)}). The id must be reachable, or have "
            "been fetched before; a private one needs `hf auth login`."
        ) from error
