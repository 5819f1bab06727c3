"""Whole numbers of any kind are taken and truth values are not; inputs are uint8 of any layout; a graph is a graph."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.runtime import Stream
from tests.random_graphs import random_graph, random_input
from tests.runtime.test_stream import frames, loop, neurons

Backend = type[Program] | type[Reference]
backends = pytest.mark.parametrize("backend", [Program, Reference])


@pytest.mark.parametrize("two", [2, np.int64(2), np.uint8(2), np.array(2), torch.tensor(2)])
def test_a_whole_number_is_one_in_numpy_and_torch_too(two: Any) -> None:
    program = Program(random_graph(0), threads=two, max_bytes=np.int64(2**31))
    assert (program.threads, program.max_bytes) == (2, 2**31)
    assert type(program.threads) is type(program.max_bytes) is int
    for stream in (program.stream(), Reference(random_graph(0)).stream()):
        assert stream.start(two).batch == 2


NOT_WHOLE = [None, "1", 1.0, math.nan, math.inf, True, np.True_, np.float64(2), np.array([1, 2]), 0, -1]


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
@pytest.mark.parametrize("name", ["threads", "max_bytes"])
def test_anything_else_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(GraphError, match=rf"^{name} must be a whole number from 1.*, got {re.escape(repr(value))}\.$"):
        Program(random_graph(0), **{name: value})


@backends
@pytest.mark.parametrize("value", [*NOT_WHOLE[:-2], -1, 2**31, torch.tensor(True)], ids=repr)
def test_a_batch_of_anything_else_is_refused(backend: Backend, value: Any) -> None:
    with pytest.raises(GraphError, match=r"^batch must be a whole number from 0 to 2147483647, got "):
        backend(random_graph(0)).stream().start(value)


def layouts(x: NDArray[np.uint8]) -> dict[str, Any]:
    """The same values, laid out otherwise."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), np.uint8)
    wide[..., ::2] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    return {
        "Fortran": np.asfortranarray(x),
        "every other value": wide[..., ::2],
        "backwards": np.ascontiguousarray(x[::-1])[::-1],
        "read-only": read_only,
        "big-endian": x.astype(">u1"),
        "unaligned": np.frombuffer(b"\0" + x.tobytes(), np.uint8, offset=1).reshape(x.shape),
        "torch": torch.from_numpy(x.copy()),
        "torch, transposed": torch.from_numpy(np.ascontiguousarray(x.swapaxes(0, 1))).transpose(0, 1),
        "subclass": x.view(np.recarray),
    }


@backends
def test_an_input_may_lie_in_memory_as_it_likes(backend: Backend) -> None:
    graph = neurons(4)
    for x in (frames(graph), frames(graph)[0]):
        expected, spikes = Reference(graph)(x), Reference(graph).spikes(x)
        program = backend(graph)
        for name, laid in layouts(x).items():
            np.testing.assert_array_equal(program(laid), expected, err_msg=name)
            np.testing.assert_array_equal(program.spikes(laid)["a"], spikes["a"], err_msg=name)
    for name, laid in layouts(frames(graph)).items():
        stream: Any = backend(graph).stream()
        np.testing.assert_array_equal(stream(laid, stream.start(3))[0], Reference(graph)(frames(graph)), err_msg=name)


@backends
@pytest.mark.parametrize("kind", ["bool", "int64", "float32", ">u2", "list", "ragged list", "text", "nothing"])
def test_no_other_type_becomes_bytes(backend: Backend, kind: str) -> None:
    graph = random_graph(0)
    x = random_input(graph, 1, 0)
    others = {"list": x.tolist(), "ragged list": [[1], [1, 2]], "text": "x", "nothing": None}
    wrong: Any = others[kind] if kind in others else x.astype(kind)
    program: Any = backend(graph)
    for call in (program, program.spikes, program.outputs, lambda x: program.stream()(x, program.stream().start(1))):
        with pytest.raises(GraphError, match=r"^x must be (uint8, got|an array or a CPU tensor of uint8, got a) "):
            call(wrong)


@backends
def test_a_tensor_that_numpy_can_t_see_is_refused(backend: Backend) -> None:
    with pytest.raises(GraphError, match=r"^x must be an array or a CPU tensor of uint8, got a torch\.Tensor: "):
        backend(random_graph(0))(torch.zeros((1, 2), dtype=torch.uint8, device="meta"))  # type: ignore[arg-type]


@backends
@pytest.mark.parametrize("make", [neurons, loop])
def test_an_empty_batch_gives_empty_results(backend: Backend, make: Any) -> None:
    graph = make(3)
    some: Any = Reference(graph)
    one, empty = np.zeros((1, *graph.input.shape), np.uint8), np.zeros((0, *graph.input.shape), np.uint8)
    for x, more in ((empty, one), (np.stack([empty] * 3), np.stack([one] * 3))):
        program: Any = backend(graph)
        assert program(x).shape == (0, *some(more).shape[1:]) and program(x).dtype == np.int32
        for ours, theirs in ((program.spikes(x), some.spikes(more)), (program.outputs(x), some.outputs(more))):
            assert {n: (v.shape, v.dtype) for n, v in ours.items()} == {
                n: (tuple(0 if i == (n != "logits") else d for i, d in enumerate(v.shape)), v.dtype)
                for n, v in theirs.items()
            }
    stream: Any = backend(graph).stream()
    state = stream.start(0)
    for _ in range(3):
        y, state = stream(empty[None], state)
    assert y.shape == (0, len(some(one)[0])) and state.batch == 0


@backends
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("m.safetensors", r"got str\. Pass spikelet\.load\(path\)\."),
        (Path("m.safetensors"), r"got \w+Path\. Pass spikelet\.load\(path\)\."),
        (Path(__file__).parent, r"got \w+Path\. A run's folder becomes a file by spikelet pack DIR --out FILE; pass "),
        (nn.Linear(1, 1), r"got Linear\. Pass spikelet\.lower\(model, example\)\."),
        (nn.Linear(1, 1).state_dict(), r"got OrderedDict\. Load the weights into their model, and pass spikelet\.low"),
        (Program(random_graph(0)), r"got Program\. Pass its graph\."),
        (Reference(random_graph(0)), r"got Reference\. Pass its graph\."),
        (None, r"got NoneType\.$"),
        (b"bytes", r"got bytes\.$"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_graph_is_refused_with_the_way_to_one(backend: Backend, given: Any, sentence: str) -> None:
    graph = "graph must be an IntGraph, as spikelet.lower and spikelet.load give it, "
    with pytest.raises(GraphError, match=f"^{re.escape(graph)}{sentence}"):
        backend(given)


def test_a_stream_is_made_of_a_program() -> None:
    with pytest.raises(GraphError, match=r"^program must be a Program, as in Program\(graph\)\.stream\(\), got "):
        Stream(random_graph(0))  # type: ignore[arg-type]
