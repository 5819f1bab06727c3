"""A run folder holds what was written to it, or is refused by one sentence; a failed load changes nothing."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.train import CheckpointError, Phase, Run, load_run
from spikelet.train.checkpoint import build, load_checkpoint, load_config, load_history
from spikelet.train.weights import read_weights, save_weights
from tests.support.training_runs import digits, small_config

pytest.importorskip("accelerate")
CONFIG = small_config(phases=(Phase(1, 1),))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("whole")
    Run(CONFIG, digits(), folder).train()
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to damage."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


# --- weights ----------------------------------------------------------------------------------------


def test_weights_are_read_as_they_were_written(folder: Path):
    state = load_run(folder)[0].state_dict()
    written = read_weights(folder)
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], tensor) for name, tensor in state.items())
    library = safetensors.torch.load_file(folder / "weights.safetensors")
    assert all(torch.equal(library[name], tensor) for name, tensor in state.items())


def test_every_changed_byte_of_the_weights_is_found(tmp_path: Path):
    model = nn.Linear(3, 2)
    save_weights(tmp_path, model)
    path = tmp_path / "weights.safetensors"
    good = path.read_bytes()
    for at in range(len(good)):
        for flip in (1, 128):
            path.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
            with pytest.raises(CheckpointError, match=r"weights\.safetensors can't be read as weights \("):
                read_weights(tmp_path)
    for bad in (good[:-1], good + b"\0", good[: len(good) // 2], b""):
        path.write_bytes(bad)
        with pytest.raises(CheckpointError, match=r"can't be read as weights"):
            read_weights(tmp_path)


def test_weights_from_before_there_was_a_checksum_load(folder: Path):
    path = folder / "weights.safetensors"
    path.write_bytes(safetensors.torch.save(safetensors.torch.load_file(path)))
    load_run(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda state: state.pop("classifier.weight"),
            r"it lacks 'classifier\.weight'\. Was config\.json, or the model's",
        ),
        (lambda state: state.update(more=torch.zeros(2)), "it has 'more', which the model lacks"),
        (
            lambda state: state.update({"classifier.weight": torch.zeros(3)}),
            r"has shape \(3,\), and the model's \(10, 8\)",
        ),
    ],
)
def test_weights_of_another_model_are_refused_by_what_differs(folder: Path, change: Any, words: str):
    path = folder / "weights.safetensors"
    state = safetensors.torch.load_file(path)
    change(state)
    path.write_bytes(safetensors.torch.save(state))
    with pytest.raises(CheckpointError, match=words) as caught:
        load_run(folder)
    assert "\n" not in str(caught.value)


# --- checkpoint -------------------------------------------------------------------------------------


def trained_state() -> dict[str, Any]:
    model = build(CONFIG)
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {"model": model, "optimizer": optimizer}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize(
    "damage", ["optimizer", "groups", "moments", "history", "epochs", "a changed byte", "one tensor"]
)
def test_a_failed_load_leaves_model_and_optimizer_as_they_were(folder: Path, damage: str):
    path = folder / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    for tensor in state["model"].values():
        tensor.mul_(2)
    match damage:
        case "optimizer":
            del state["optimizer"]
        case "groups":
            state["optimizer"]["param_groups"].pop()
        case "moments":
            state["optimizer"]["state"][0]["exp_avg"] = torch.zeros(1, 2, 3)
        case "history":
            state["history"] = [3]
        case "epochs":
            state["history"][0]["epoch"] = 1
        case "one tensor":
            state["model"][list(state["model"])[-1]] = torch.zeros(99)
    torch.save(state, path)
    if damage == "a changed byte":
        data = path.read_bytes()
        at = data.index(next(iter(state["model"].values())).numpy().tobytes())
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    run = Run(CONFIG, digits(), folder)
    training = {"model": run.model, "optimizer": run.loop.optimizer}
    before = {name: copy.deepcopy(part.state_dict()) for name, part in training.items()}
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt can't be re.*") as caught:
        load_checkpoint(folder, training)
    assert "\n" not in str(caught.value)
    assert all(same(part.state_dict(), before[name]) for name, part in training.items())


def test_a_checkpoint_restores_all_that_it_was_given(tmp_path: Path):
    from spikelet.train.checkpoint import save_checkpoint

    class Scaler:
        def __init__(self, scale: float) -> None:
            self.scale = scale

        def state_dict(self) -> dict[str, float]:
            return {"scale": self.scale}

        def load_state_dict(self, state: dict[str, float]) -> None:
            self.scale = state["scale"]

    saved = {**trained_state(), "scaler": Scaler(7.0)}
    save_checkpoint(tmp_path, saved, [])
    loaded = {**trained_state(), "scaler": Scaler(1.0)}
    with torch.no_grad():
        for parameter in loaded["model"].parameters():
            parameter.zero_()
    assert load_checkpoint(tmp_path, loaded) == []
    assert all(same(part.state_dict(), saved[name].state_dict()) for name, part in loaded.items())


@pytest.mark.parametrize("text", ["{", "3\n", '{"epoch": 1}\n', '{"epoch": 0}\n', "[" * 100_000, "\udcff"])
def test_a_damaged_history_is_refused_by_name(tmp_path: Path, text: str):
    (tmp_path / "metrics.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is damaged \(.*Resuming the run writes it again"):
        load_history(tmp_path)


# --- configuration ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": ["x"]}, r"TrainConfig\.model must be a str, got \['x'\]"),
        ({"model_options": [1]}, r"TrainConfig\.model_options must be a dict"),
        ({"data_options": "x"}, r"TrainConfig\.data_options must be a dict"),
        ({"zzz": 1}, r"the configuration has no field 'zzz'; known are"),
        ({"optimizer": {"lr": "fast"}}, r"Optimizer\.lr must be a number above 0, got 'fast'"),
        ({"optimizer": {"rate": 1}}, r"optimizer has no field 'rate'"),
        ({"optimizer": 3}, "optimizer must be an object, got 3"),
        ({"phases": [{"epochs": 1}]}, r"phases\[0\] lacks the field 'time_steps'"),
        ({"phases": [[1, 2]]}, r"phases\[0\] must be an object"),
        ({"phases": {}}, "phases must be a list"),
        ({"seed": -1}, r"TrainConfig\.seed must be a whole number from 0 on, got -1"),
        ({"seed": True}, r"TrainConfig\.seed must be a whole number from 0 on, got True"),
    ],
)
def test_a_configuration_of_other_form_is_refused_by_its_field(folder: Path, changes: dict[str, Any], words: str):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointError, match=rf"config\.json is not a run's configuration \({words}"):
        load_config(folder)


def test_a_configuration_nested_deep_is_refused(folder: Path):
    (folder / "config.json").write_text('{"model": ' + "[" * 100_000)
    with pytest.raises(CheckpointError, match=r"config\.json is not a run's configuration"):
        load_run(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"zzz": 1}, {"widths": "ab"}, {"widths": [10**6, 10**6]}, {"widths": [10**18, 8]}, {"widths": []},
        {"widths": 5}, {"widths": [[4], 8]}, {"num_classes": 10**12}, {"in_channels": "1"}, {"time_steps": 2.5},
    ],
)  # fmt: skip
def test_options_that_make_no_model_are_refused_before_memory_is_asked_for(folder: Path, options: dict[str, Any]):
    changed = small_config(phases=CONFIG.phases, model_options={**CONFIG.model_options, **options})
    with pytest.raises(SpikeletError) as caught:
        build(changed)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
    (folder / "config.json").write_text(changed.to_json())
    with pytest.raises(CheckpointError, match=r"config\.json makes no model: "):
        load_run(folder)


STRANGE = (None, -1, 10**30, "x", [], {}, True, [[1]], 1e300)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a JSON document, its own first."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copied = copy.copy(document)
    copied[path[0]] = replaced(document[path[0]], path[1:], value)
    return copied


@pytest.mark.parametrize("name", ["config.json", "run.json"])
def test_a_strange_value_anywhere_is_loaded_or_refused_by_one_sentence(folder: Path, name: str):
    path = folder / name
    document = json.loads(path.read_text())
    for number, place in enumerate(places(document)):
        path.write_text(json.dumps(replaced(document, place, STRANGE[number % len(STRANGE)])))
        try:
            load_run(folder)
        except CheckpointError as error:
            assert str(folder) in str(error)
            assert "\n" not in str(error)
            assert len(str(error)) < 700
