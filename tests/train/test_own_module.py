"""A module of one's own trains through `Run`, resumes, loads, and by a registered name is found by the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import CheckpointError, SpikeletError
from spikelet.cli.app import app
from spikelet.data import batches
from spikelet.models import catalogue, create_model, list_models, register_model
from spikelet.neurons import LIF
from spikelet.nn import Conv2d, Encode, Linear
from spikelet.quant import Uniform
from spikelet.train import Phase, Run, Teacher, TrainConfig, evaluate, load_run
from tests.support.training_runs import Stop, assert_same_run, digits

pytest.importorskip("accelerate")
CONFIG = TrainConfig("mine", {}, "digits", phases=(Phase(2, 2),), batch_size=16)


class Mine(nn.Module):
    """A convolution, a neuron and a classifier, as a user writes them."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.encode, self.conv, self.lif = Encode(), Conv2d(1, 4, 3, Uniform(8), padding=1), LIF(2)
        self.head = Linear(4 * 8 * 8, num_classes, Uniform(8, per_channel=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lif(self.conv(self.encode(x))).flatten(2))


def mine() -> Mine:
    torch.manual_seed(3)
    return Mine()


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MODELS", dict(catalogue.MODELS))
    register_model(Mine, "mine")


class Shares(Mine):
    """A layer that is called by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.again = self.head


def test_a_layer_of_two_names_is_saved_and_read(tmp_path: Path):
    model = Run(CONFIG, digits(), tmp_path, model=Shares()).train()
    again, _ = load_run(tmp_path, Shares().requires_grad_(False))
    assert again.again is again.head
    x = digits().test.x[:5]
    assert torch.equal(again(x), model(x))


class Learnt(nn.Module):
    """Nothing that could be trained."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :10].float()


@pytest.mark.parametrize("make", [Learnt, lambda: Mine().requires_grad_(False)], ids=["none", "frozen"])
def test_a_module_without_parameters_to_train_is_refused(make: Callable[[], nn.Module], tmp_path: Path):
    with pytest.raises(SpikeletError, match=r"model has no parameter that .*requires_grad_"):
        Run(CONFIG, digits(), tmp_path, model=make())
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_registered")
def test_a_registered_function_must_make_a_module():
    register_model(lambda: 3, "three")  # type: ignore[arg-type,return-value]
    with pytest.raises(SpikeletError, match=r"three was registered to make a torch\.nn\.Module, and made 'int'"):
        create_model("three")


def test_a_module_is_trained_in_place_and_its_folder_is_read_into_another(tmp_path: Path):
    model, data = mine(), digits()
    before = model.conv.weight.detach().clone()
    assert Run(CONFIG, data, tmp_path, model=model).train() is model
    assert not torch.equal(model.conv.weight, before)
    again, config = load_run(tmp_path, Mine())
    assert config == CONFIG
    assert again.class_names == data.train.labels
    assert evaluate(again, batches(data.test, 5)) == evaluate(model, batches(data.test, 5))
    graph = spikelet.lower(again, data.test.x[:1])
    assert spikelet.verify(graph, model, batches(data.test, 5)).logit_mismatches == 0


def test_a_stopped_run_of_a_module_goes_on_bit_for_bit(tmp_path: Path):
    Run(CONFIG, digits(), tmp_path / "whole", model=mine()).train()
    with pytest.raises(KeyboardInterrupt):
        Run(CONFIG, digits(), tmp_path / "halves", Stop(1), model=mine()).train()
    Run(CONFIG, digits(), tmp_path / "halves", model=Mine()).train()
    assert_same_run(tmp_path / "whole", tmp_path / "halves")


def test_the_analog_twin_of_a_module_teaches_it(tmp_path: Path):
    config = TrainConfig("mine", {}, "digits", phases=(Phase(1, 2),), batch_size=16, teacher=Teacher(1))
    model = Run(config, digits(), tmp_path, model=mine()).train()
    assert isinstance(model.lif, LIF)
    twin, of_twin = load_run(tmp_path / "teacher", Mine())
    assert of_twin.analog
    assert isinstance(twin.lif, nn.ReLU)


@pytest.mark.parametrize(
    ("config", "model", "said"),
    [
        (CONFIG, "mine", r"Run\.model must be a Module, got 'mine'"),
        (TrainConfig("qsnn_vgg_s", {}, "digits"), Mine(), r"'qsnn_vgg_s', which already names a model, and another"),
        (
            TrainConfig("mine", {"width": 3}, "digits"),
            Mine(),
            r"model_options must be \{\} where the model itself",
        ),
        (CONFIG, Mine(3), r"tells 3 classes apart, and digits has 10: '0', .* Make the model with num_classes=10"),
        (CONFIG, None, r"no model named 'mine'\. There are: "),
    ],
)
def test_what_is_no_module_of_that_name_is_refused(tmp_path: Path, config: TrainConfig, model: nn.Module, said: str):
    with pytest.raises(SpikeletError, match=said):
        Run(config, digits(), tmp_path / "run", model=model)
    assert not (tmp_path / "run").exists()


def test_a_folder_whose_model_is_not_known_says_the_ways_out(tmp_path: Path):
    Run(CONFIG, digits(), tmp_path, model=mine()).train()
    with pytest.raises(CheckpointError, match=r"no model named 'mine'.*register_model\), or given: load_run\("):
        load_run(tmp_path)


@pytest.mark.usefixtures("_registered")
def test_a_registered_model_is_one_like_those_of_the_catalogue(tmp_path: Path):
    assert "mine" in list_models("mi*")
    assert isinstance(create_model("mine", num_classes=3), Mine)
    with pytest.raises(TypeError, match=r"mine has no option 'width'\. It takes: num_classes"):
        create_model("mine", width=3)
    config = TrainConfig("mine", {"num_classes": 10}, "digits", phases=(Phase(1, 2),), batch_size=16)
    Run(config, digits(), tmp_path).train()
    assert isinstance(load_run(tmp_path)[0], Mine)


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize(
    ("builder", "name", "said"),
    [
        (Mine, "qsnn_vgg_s", "is a network of the catalogue. Give yours another name"),
        (Mine, "my net", "a model's name must be an identifier, such as my_net, got 'my net'"),
        (Mine, "../mine", "a model's name must be an identifier, such as my_net"),
        (Mine(), "", "takes a function that makes a module, got "),
        ("mine", "mine", "takes a function that makes a module, got 'mine'"),
        (lambda: Mine(), "", "a model's name must be an identifier, such as my_net, got '<lambda>'"),
    ],
)
def test_what_is_no_builder_or_no_name_is_not_registered(builder: object, name: str, said: str):
    before = list_models()
    with pytest.raises(SpikeletError, match=said):
        register_model(builder, name)  # type: ignore[type-var]
    assert list_models() == before


PACKAGE = """
from torch import nn
from spikelet.neurons import LIF
from spikelet.nn import Conv2d, Encode, Linear
from spikelet.quant import Uniform

class Net(nn.Module):
    def __init__(self, num_classes, in_channels, image_size):
        super().__init__()
        self.encode, self.conv, self.lif = Encode(), Conv2d(in_channels, 4, 3, Uniform(8), padding=1), LIF(2)
        self.head = Linear(4 * image_size ** 2, num_classes, Uniform(8, per_channel=False))

    def forward(self, x):
        return self.head(self.lif(self.conv(self.encode(x))).flatten(2))

def their_net(num_classes=10, in_channels=1, image_size=8):
    return Net(num_classes, in_channels, image_size)
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a model, and one that must not be imported, are installed."""
    folder = tmp_path / "site"
    info = folder / "their_package-1.dist-info"
    info.mkdir(parents=True)
    (folder / "their_package.py").write_text(PACKAGE)
    (folder / "other_package.py").write_text("raise RuntimeError('another package was imported')")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[spikelet.models]\ntheir_net = their_package:their_net\nother = other_package:f\n"
    )
    monkeypatch.setattr(catalogue, "MODELS", dict(catalogue.MODELS))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_installed")
def test_an_installed_packages_model_is_trained_packed_and_evaluated_by_its_name(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("sklearn")
    for words in (
        "train --data digits --model their_net --epochs 1 --out run --threads 1",
        "eval run",
        "pack run --out m.safetensors",
        "eval m.safetensors",
    ):
        monkeypatch.setattr(catalogue, "MODELS", {b.__name__: b for b in catalogue.BUILDERS})  # as a new process has it
        done = CliRunner().invoke(app, words.split())
        assert done.exit_code == 0, done.output


def test_a_configuration_chooses_no_code_but_models_by_their_names(tmp_path: Path):
    (tmp_path / "evil.py").write_text("open('RAN', 'w')")
    for name in ("evil", "evil:f", "os:system", "os.system", "../evil", "evil.py", "x"):
        config = TrainConfig(name, {}, "digits")
        with pytest.raises(SpikeletError, match="no model named"):
            Run(config, digits(), tmp_path / "run")
    assert not (tmp_path / "RAN").exists()
