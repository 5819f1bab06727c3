"""What stands in a module's or a tensor's place: NumPy's arrays are taken, everything else is told what to pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError, LoweringError, SpikeletError
from spikelet.compression import Prune, compress
from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.profiling import profile
from spikelet.quant import Uniform
from spikelet.runtime import Program


def network() -> nn.Sequential:
    torch.manual_seed(0)
    stem = Conv2d(1, 4, 3, Uniform(8)), BatchNorm2d(4), LIF(2)
    return nn.Sequential(Encode(), *stem, nn.Flatten(2), Linear(144, 3, Uniform(8, per_channel=False)))


def batch() -> tuple[Tensor, Tensor]:
    x = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(4) % 3


def arrays(x: Tensor) -> dict[str, Any]:
    """The same bytes in every layout that NumPy has."""
    array = x.numpy()
    locked = array.copy()
    locked.setflags(write=False)
    return {
        "plain": array,
        "read only": locked,
        "Fortran order": np.asfortranarray(array),
        "turned round": np.ascontiguousarray(array[::-1])[::-1],
        "every second": np.repeat(array, 2, 0)[::2],
    }


@pytest.mark.parametrize("layout", list(arrays(batch()[0])))
def test_arrays_of_every_layout_are_taken_for_tensors(layout: str):
    model, (x, y) = network(), batch()
    graph, array = lower(model, x), arrays(x)[layout]
    assert dumps(lower(model, array)) == dumps(graph)
    assert str(verify(graph, model, [(array, y.numpy())])) == str(verify(graph, model, [(x, y)]))
    for given in (array, [array], [(array, y.numpy())]):
        assert profile(model, given).to_json() == profile(model, x).to_json()
    small, report = compress(model, [Prune(0.5)], [(array, y.numpy())])
    expected, other = compress(model, [Prune(0.5)], [(x, y)])
    assert torch.equal(small(x), expected(x))
    assert report.accuracies == other.accuracies
    assert compress(model, [Prune(0.5)], x, validation=[(array, y.numpy())])[1].accuracies[0] is not None


WRONG_MODELS: dict[str, tuple[Callable[[], object], str]] = {
    "a path": (lambda: "model.safetensors", r"got str\. Build the model, such as by spikelet\.create_model"),
    "a Path": (lambda: Path("model.pt"), r"got PosixPath\. Build the model"),
    "weights": (lambda: network().state_dict(), r"got OrderedDict\. Load these weights into their model"),
    "a graph": (lambda: lower(network(), batch()[0]), r"got IntGraph\. It is an integer graph already.*profile_graph"),
    "a program": (lambda: Program(lower(network(), batch()[0])), r"got Program\. Pass the module that its graph"),
    "a class": (lambda: LIF, r"got the class LIF\. Make one of it: LIF\(\.\.\.\)"),
    "nothing": (lambda: None, r"got NoneType\.$"),
    "a function": (lambda: network().forward, r"got method\.$"),
}


@pytest.mark.parametrize("wrong", list(WRONG_MODELS))
def test_what_is_no_module_is_told_what_to_pass(wrong: str):
    make, words = WRONG_MODELS[wrong]
    model: Any = make()
    x, y = batch()
    graph = lower(network(), x)
    match = rf"^model must be a torch\.nn\.Module, {words}"
    with pytest.raises(LoweringError, match=match):
        lower(model, x)
    with pytest.raises(CompressionError, match=match):
        compress(model, [Prune(0.5)], x)
    with pytest.raises(SpikeletError, match=match):
        profile(model, x)
    with pytest.raises(SpikeletError, match=match):
        verify(graph, model, [(x, y)])


@pytest.mark.parametrize(
    ("example", "got"),
    [
        (np.ma.masked_array(np.zeros((2, 1, 8, 8), np.uint8)), "MaskedArray"),
        (np.array(["a"]), "ndarray"),
        ([[1]], "list"),
        ("a.png", "str"),
        (None, "NoneType"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.bool), r"torch\.bool"),
        (np.zeros((2, 1, 8, 8), ">u2"), r"torch\.uint16"),
    ],
    ids=["masked", "words", "list", "path", "nothing", "truth values", "big endian"],
)
def test_an_example_of_another_type_is_refused_by_its_name(example: Any, got: str):
    with pytest.raises(LoweringError, match=rf"^example must be a uint8 batch, a tensor or an array, got {got}\.$"):
        lower(network(), example)


@pytest.mark.parametrize(
    "wrong", ["portable", lambda: Program(lower(network(), batch()[0])), None], ids=["a name", "a maker", "nothing"]
)
def test_a_backend_that_makes_no_program_is_refused(wrong: Any):
    x, y = batch()
    graph = lower(network(), x)
    backend = wrong() if callable(wrong) else wrong
    with pytest.raises(
        SpikeletError, match=r"backend must make a program of a graph, as spikelet\.Program itself does"
    ):
        verify(graph, network(), [(x, y)], backend)


def test_labels_and_meta_must_be_words():
    x, _ = batch()
    for labels in ("abc", [1, 2, 3], [None] * 3):
        with pytest.raises(LoweringError, match="labels must be a list of the classes' names, got"):
            lower(network(), x, labels=labels)
    for meta in ({"a": 1}, {1: "a"}, ["a"]):
        with pytest.raises(LoweringError, match="meta must be a dictionary from strings to strings, got"):
            lower(network(), x, meta=meta)  # type: ignore[arg-type]


def test_a_forward_that_fails_names_the_layer():
    small = torch.zeros(4, 1, 7, 7, dtype=torch.uint8)
    words = r"5: mat1 and mat2 shapes cannot be multiplied"
    with pytest.raises(LoweringError, match=rf"^{words}"):
        lower(network(), small)
    with pytest.raises(SpikeletError, match=rf"^{words}"):
        profile(network(), small)
    with pytest.raises(CompressionError, match=words):
        compress(network(), [Prune(0.5)], small)
