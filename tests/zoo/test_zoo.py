"""Shipped models: each loads, has a card that tells the truth, and runs the same in every backend."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from spikelet import Program, Reference, load, zoo
from spikelet.data import Samples
from spikelet.data import load as load_data


@pytest.mark.parametrize("name", zoo.names())
def test_a_shipped_model_has_a_card_with_its_true_size(name: str) -> None:
    size = re.search(r"packed file \| ([\d,]+) bytes", zoo.card(name))
    assert size and int(size[1].replace(",", "")) == (zoo._FOLDER / f"{name}.safetensors").stat().st_size


@pytest.mark.parametrize("name", zoo.names())
def test_a_shipped_model_says_itself_where_it_comes_from(name: str) -> None:
    meta, card = load(name).meta, zoo.card(name)
    origin = ("model", "recipe", "seed", "weight_bits", "membrane_bits", "data", "data_options", "commit")
    assert {*origin, "test_accuracy"} <= meta.keys()
    assert f"| data | {meta['data']} |" in card
    assert f"| commit | {meta['commit']} |" in card
    assert f"| recipe, seed | `{meta['recipe']}`, {meta['seed']} |" in card
    assert meta["test_accuracy"].split()[0] in card.replace("%", "")


@pytest.mark.parametrize("name", zoo.names())
def test_a_shipped_model_gives_the_same_logits_natively_and_by_the_reference(name: str) -> None:
    graph = load(name)
    x = np.random.default_rng(0).integers(0, 256, (2, *graph.input.shape), dtype=np.uint8)
    np.testing.assert_array_equal(Program(graph)(x), Reference(graph)(x))


def _accuracy_is_as_stated(name: str, test: Samples, row: str = "integer program") -> None:
    stated = re.search(rf"{row} \| ([\d.]+)%", zoo.card(name))
    x, y = test.batch(torch.arange(len(test)))
    hits = (Program(load(name))(x.numpy()).argmax(1) == y.numpy()).mean()
    assert stated and f"{100 * hits:.2f}" == stated[1]


def test_the_fashion_mnist_model_is_as_accurate_as_its_card_says() -> None:
    try:
        test = load_data("fashion-mnist", validation=0.0).test
    except FileNotFoundError as e:
        pytest.skip(str(e))
    _accuracy_is_as_stated("qsnn-vgg-s-fashion-mnist", test)


def test_the_nmnist_model_is_as_accurate_as_its_card_says(shared_data: Path) -> None:
    splits = load_data("nmnist", root=shared_data / "nmnist", time_steps=5, validation=0.0)
    _accuracy_is_as_stated("qsnn-vgg-s-nmnist", splits.test)


@pytest.mark.parametrize("data", ["fsdd", "hapt"])
def test_a_model_of_signals_is_as_accurate_as_its_card_says(data: str, shared_data: Path) -> None:
    name = f"stream-lif-{data}"
    options = json.loads(load(name).meta["data_options"])
    _accuracy_is_as_stated(name, load_data(data, root=shared_data / data, **options).test)


@pytest.mark.parametrize(
    "name",
    [
        *("qsnn-vgg-96k-cifar10", "qsnn-vgg-s-cifar10", "qsnn-vgg-xs-cifar10", "qsnn-vgg-xxs-cifar10"),
        *("bestformer-cifar10", "qsd-transformer-cifar10", "est-cifar10"),
    ],
)
def test_a_cifar10_model_is_as_accurate_on_original_pixels_as_its_card_says(name: str, shared_data: Path) -> None:
    pytest.importorskip("datasets")
    splits = load_data(str(shared_data / "cifar10-original-test1017"), validation=0.0)
    _accuracy_is_as_stated(name, splits.test, "cifar10-original-test1017")


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no file 'nothing', and no such model ships with spikelet\. There are: "
    ):
        load("nothing")
    with pytest.raises(FileNotFoundError, match="no model 'nothing' ships with spikelet"):
        zoo.card("nothing")
