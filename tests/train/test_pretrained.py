"""Float weights come back as they were: from files, folders, runs and the hub, or are refused in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

import spikelet
from spikelet.base.errors import CheckpointError, SpikeletError
from spikelet.models.catalogue import MODELS as REGISTERED
from spikelet.neurons.neuron import neurons_of
from spikelet.nn import Encode, Linear
from spikelet.quant import Binary, Uniform
from spikelet.train import Phase, Run, load_run
from spikelet.train.progress import Silent
from tests.support.catalogue import MODELS, model_input, small_model
from tests.support.training_runs import digits, small_config

OPTIONS: dict[str, Any] = {"in_channels": 1, "image_size": 8, "widths": (4, 8), "time_steps": 2}


ONE_OF_EACH = ("qsnn_vgg_s_max", "qpsnn_vggsnn", "bestformer_2_128", "qsd_transformer_cifar", "est_cifar")
every_network = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ONE_OF_EACH else pytest.mark.slow) for name in MODELS]
)


def model_of(seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return spikelet.create_model("qsnn_vgg_s", **{**OPTIONS, **options}).eval()


def assert_same(a: nn.Module, b: nn.Module, x: torch.Tensor) -> None:
    assert str(a) == str(b)
    assert a.state_dict().keys() == b.state_dict().keys()
    assert all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())
    with torch.no_grad():
        assert torch.equal(a.eval()(x), b.eval()(x))


X = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@every_network
def test_every_network_comes_back_as_it_was(name: str, tmp_path: Path):
    torch.manual_seed(3)
    model, x = small_model(name, time_steps=2), model_input(name, 2)
    with torch.no_grad():
        model.train()(x)  # moves the statistics
    spikelet.save_pretrained(model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    again = spikelet.from_pretrained(tmp_path)
    assert not again.training
    assert_same(again, model, x)


def test_what_training_changes_comes_back_too(tmp_path: Path):
    model = model_of()
    for neuron in neurons_of(model).values():
        neuron.time_steps = 5
    for module in model.modules():
        if isinstance(getattr(module, "quantizer", None), Binary):
            module.quantizer = Binary(standardize=False)
    model.class_names = ("ant", "bee")  # type: ignore[assignment]
    spikelet.save_pretrained(model, tmp_path)
    again = spikelet.from_pretrained(tmp_path)
    assert again.class_names == ("ant", "bee")
    assert_same(again, model, X)


def test_saving_and_loading_draw_no_random_numbers(tmp_path: Path):
    model, before = model_of(), torch.get_rng_state()
    spikelet.save_pretrained(model, tmp_path)
    spikelet.from_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


# --- create_model -----------------------------------------------------------------------------------


def test_a_file_gives_the_weights_of_a_model_with_its_options(tmp_path: Path):
    model, file = model_of(1), tmp_path / "w.safetensors"
    safetensors.torch.save_model(model, str(file))
    assert_same(spikelet.create_model("qsnn_vgg_s", pretrained=file, **OPTIONS), model, X)
    with pytest.raises(CheckpointError, match=r"w\.safetensors can't be read .*'classifier\.weight' has shape"):
        spikelet.create_model("qsnn_vgg_s", pretrained=str(file), **OPTIONS, num_classes=3)


def test_a_folder_gives_its_options_and_others_are_taken_where_its_weights_fit(tmp_path: Path):
    model = model_of(2)
    spikelet.save_pretrained(model, tmp_path)
    made = spikelet.create_model("qsnn_vgg_s", pretrained=tmp_path)
    assert made.training
    assert_same(made, model, X)
    longer = spikelet.create_model("qsnn_vgg_s", pretrained=tmp_path, time_steps=4)
    assert longer(X).shape == (4, 2, 10)
    with pytest.raises(CheckpointError, match="can't be read into this configuration's model"):
        spikelet.create_model("qsnn_vgg_s", pretrained=tmp_path, widths=(4, 9))
    with pytest.raises(CheckpointError, match="holds a qsnn_vgg_s, not a qsnn_vgg_s_max"):
        spikelet.create_model("qsnn_vgg_s_max", pretrained=tmp_path)


def test_another_number_of_classes_gives_a_new_classifier_and_keeps_the_rest(tmp_path: Path):
    model = model_of(2)
    model.class_names = tuple("0123456789")  # type: ignore[assignment]
    spikelet.save_pretrained(model, tmp_path)
    made = spikelet.create_model("qsnn_vgg_s", pretrained=tmp_path, num_classes=3)
    assert made.eval()(X).shape == (2, 2, 3)
    assert not hasattr(made, "class_names")
    kept = {name for name, value in model.state_dict().items() if value.shape == made.state_dict()[name].shape}
    assert made.state_dict().keys() - kept == {"classifier.weight"}
    assert all(torch.equal(made.state_dict()[name], model.state_dict()[name]) for name in kept)


def test_a_run_folder_gives_its_network(tmp_path: Path):
    Run(small_config(phases=(Phase(1, 1),)), digits(), tmp_path, Silent()).train()
    trained = load_run(tmp_path)[0]
    assert_same(spikelet.from_pretrained(tmp_path), trained, X)
    assert_same(spikelet.create_model("qsnn_vgg_s", pretrained=tmp_path), trained, X)
    spikelet.save_pretrained(trained, tmp_path / "kept")
    assert_same(spikelet.from_pretrained(tmp_path / "kept"), trained, X)


def test_models_that_ship_have_no_float_weights():
    with pytest.raises(
        SpikeletError, match=r"^qsnn_vgg_s has no float weights .* integers .*pretrained= a file, a run"
    ):
        spikelet.create_model("qsnn_vgg_s", pretrained=True)
    with pytest.raises(SpikeletError, match="no model named 'qsnn_vgg'"):
        spikelet.create_model("qsnn_vgg", pretrained=True)


# --- what can't be saved ----------------------------------------------------------------------------


def test_a_module_that_create_model_did_not_make_is_refused(tmp_path: Path):
    with pytest.raises(SpikeletError, match=r"^Sequential was not made by create_model.*register_model.*save_model"):
        spikelet.save_pretrained(nn.Sequential(Encode()), tmp_path / "never")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("change", ["layer", "shape", "quantizer"])
def test_a_model_that_was_changed_is_refused(change: str, tmp_path: Path):
    model: Any = model_of()
    if change == "layer":
        model.pool = nn.Sequential(model.pool, nn.Identity())
    elif change == "shape":
        model.classifier = Linear(8, 9, Uniform(8))
    else:
        model.classifier.weight.data.uniform_(-1, 1)
        model.classifier.quantizer = Uniform(2)
    with pytest.raises(SpikeletError, match=r"^the model is not what its options make: .*Keep the run folder"):
        spikelet.save_pretrained(model, tmp_path / "never")
    assert not (tmp_path / "never").exists()


@pytest.fixture
def own() -> Iterator[str]:
    """The name of a registered builder whose module says nothing of its samples."""

    def my_own_net(width: int = 4, note: object = None) -> nn.Module:
        return nn.Sequential(Encode(1), Linear(6, width, Uniform(8)))

    spikelet.register_model(my_own_net)
    yield "my_own_net"
    del REGISTERED["my_own_net"]


def test_a_registered_builder_s_model_comes_back(own: str, tmp_path: Path):
    model = spikelet.create_model(own, width=3)
    spikelet.save_pretrained(model, tmp_path)
    x = torch.arange(12, dtype=torch.uint8).view(2, 6)
    assert_same(spikelet.from_pretrained(tmp_path), model, x)
    with pytest.raises(SpikeletError, match=r"^the options of my_own_net must be numbers.*config\.json can keep"):
        spikelet.save_pretrained(spikelet.create_model(own, note=object()), tmp_path)


# --- what can't be loaded ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"config\.json can't be read"),
        ("[]", "must hold an object, got"),
        ("{}", "must hold classes, model, options"),
        ('{"model": "qsnn_vgg_s", "options": {}, "more": 1}', "must hold classes, model, options"),
        ('{"model": 3, "options": {}}', "must hold a name, a dict of options"),
        ('{"model": "qsnn_vgg_s", "options": []}', "must hold a name, a dict of options"),
        ('{"model": "os.system", "options": {}}', "makes no network here .*no model named 'os.system'"),
        ('{"model": "qsnn_vgg_s", "options": {"depth": 3}}', "makes no network here .*has no option 'depth'"),
        ('{"model": "qsnn_vgg_s", "options": {"width": 1e99}}', "makes no network here"),
        ('{"model": "qsnn_vgg_s", "options": {}, "time_steps": "x"}', "makes no network here"),
        ('{"model": "qsnn_vgg_s", "options": {}}', "can't be read into this configuration's model"),
    ],
)
def test_a_configuration_that_makes_no_network_is_one_sentence(text: str, message: str, tmp_path: Path):
    spikelet.save_pretrained(model_of(), tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        spikelet.from_pretrained(tmp_path)


def test_a_changed_byte_of_the_weights_is_found(tmp_path: Path):
    spikelet.save_pretrained(model_of(), tmp_path)
    data = bytearray((tmp_path / "model.safetensors").read_bytes())
    data[-5] ^= 1
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.safetensors can't be read as weights .*checksum differs"):
        spikelet.from_pretrained(tmp_path)


def test_pickled_weights_are_not_looked_at(tmp_path: Path):
    model = model_of()
    spikelet.save_pretrained(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"model\.safetensors can't be read as weights"):
        spikelet.from_pretrained(tmp_path)


@pytest.mark.parametrize("source", ["no-such-folder", "a/b/c", Path("owner/name"), "", "../x"])
def test_a_place_without_weights_is_named(source: str | Path):
    with pytest.raises(CheckpointError, match=r"^there are no weights at .* folder of save_pretrained or of a run"):
        spikelet.from_pretrained(source)


# --- the hub, without a network ---------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the hub."""
    library, shelf = pytest.importorskip("huggingface_hub"), tmp_path / "hub"

    class Api:
        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
            (shelf / repo_id).mkdir(parents=True, exist_ok=exist_ok)

        def upload_folder(self, *, repo_id: str, folder_path: str, **said: Any) -> Any:
            shutil.copytree(folder_path, shelf / repo_id, dirs_exist_ok=True)
            return SimpleNamespace(commit_url=f"{repo_id}/commit/1 {said['commit_message']}")

    def fetched(repo_id: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        if not (shelf / repo_id).exists():
            raise library.errors.LocalEntryNotFoundError("Cannot reach the hub.")
        assert {"config.json", "model.safetensors"} <= set(allow_patterns)
        assert not any(name.endswith((".bin", ".pt", ".py", "*")) for name in allow_patterns)
        return str(shelf / repo_id)

    monkeypatch.setattr(library, "HfApi", Api)
    monkeypatch.setattr(library, "snapshot_download", fetched)
    return shelf


def test_a_pushed_model_comes_back_from_the_hub(hub: Path):
    model = model_of(4)
    assert spikelet.push_to_hub(model, "me/mine") == "me/mine/commit/1 Upload qsnn_vgg_s"
    assert_same(spikelet.from_pretrained("me/mine"), model, X)
    assert_same(spikelet.create_model("qsnn_vgg_s", pretrained="me/mine"), model, X)
    assert 'spikelet.from_pretrained("me/mine")' in (hub / "me" / "mine" / "README.md").read_text()
    assert json.loads((hub / "me" / "mine" / "config.json").read_text())["options"]["widths"] == [4, 8]


def test_a_hub_that_cannot_be_reached_is_one_sentence(hub: Path):
    with pytest.raises(
        CheckpointError, match=r"^no weights could be fetched from 'me/none' \(Cannot reach the hub\.\)"
    ):
        spikelet.from_pretrained("me/none")


def test_an_id_of_another_form_is_refused_before_any_work(hub: Path):
    with pytest.raises(SpikeletError, match=r"^repo_id must be owner/name, got 'mine'"):
        spikelet.push_to_hub(model_of(), "mine")
    assert not hub.exists()
