"""Layers from spikes to spikes by cuts: every spike is the reference's, whatever the size; and only where they may."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.runtime import load_plan, plan_of, save_plan, tune
from spikelet.runtime.plan.kinds import Kind
from tests.nodes import conv, linear
from tests.small_edges import graph_of
from tests.support.kernel_sets import SETS

FAST = [name for name in SETS if name != "scalar"]
SIZES = (1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 129, 511, 513, 1023)
NEURONS = {
    "one step": ir.Lif("l", ("a",), 0, 1, 0, 90, "hard", None),
    "2 bits": ir.Lif("l", ("a",), 1, 2, 1, 90, "hard", ir.Membrane(2, 6)),
    "2 bits, soft": ir.Lif("l", ("a",), 3, 4, 2, 90, "soft", ir.Membrane(2, 5)),
    "3 bits": ir.Lif("l", ("a",), 1, 2, 1, 90, "hard", ir.Membrane(3, 5)),
    "3 bits, soft": ir.Lif("l", ("a",), 7, 5, 3, 70, 40, ir.Membrane(3, 5), rounding="half"),
    "sums": ir.Lif("l", ("a",), 1, 2, 1, 90, "hard", None),
    "sums of halves": ir.Lif("l", ("a",), 1, 1, 1, 40, "hard", None),
}


def layer(
    outputs: int, time_steps: int, lif: ir.Lif, *, inputs: int = 9, levels: int = 1, taps: int = 3
) -> ir.IntGraph:
    """Bytes to spikes or counts, a 1-bit convolution, an affine step of either sign, `lif`, counts of its spikes."""
    rng = np.random.default_rng([outputs, time_steps, inputs])
    shift = 0 if lif.membrane is None else 2
    m = rng.integers(-40 >> 2 - shift, (100 >> 2 - shift) + 1, outputs).astype(np.int32)
    d = rng.integers(-20, 60, outputs).astype(np.int32)
    first = ir.Lif("s", ("x",), 0, 1, 0, 128, "hard", None, levels=levels, step=None if levels == 1 else 127 // levels)
    return graph_of(
        ir.Input("x", (), (inputs, 3, 5)), first,
        conv("c", ("s",), rng.choice([-1, 1], (outputs, inputs, taps, taps)), 1, (1, 1), (1, 1), 1),
        ir.Affine("a", ("c",), m, np.full(outputs, shift, np.uint8), d), lif,
        ir.Flatten("f", ("l",)), ir.SumTime("logits", ("f",)), time_steps=time_steps,
    )  # fmt: skip


def images(graph: ir.IntGraph, rate: float, batch: int = 2) -> NDArray[np.uint8]:
    """Frames of 0 and 255."""
    rng = np.random.default_rng(5)
    return (255 * (rng.random((graph.time_steps, batch, *graph.input.shape)) < rate)).astype(np.uint8)


def kinds(graph: ir.IntGraph, kernels: str = "portable", **more: object) -> set[Kind]:
    return {op.kind for op in plan_of(graph, kernels, **more).operations}  # type: ignore[arg-type]


def assert_cut(graph: ir.IntGraph, x: NDArray[np.uint8], sets: list[str] = FAST) -> None:
    """Layer c runs by cuts, and every logit is the reference's."""
    expected = Reference(graph)(x)
    for kernels in sets:
        program = Program(graph, kernels=kernels, choices={"c": "CONV_CUTS"})
        assert program.plan(still=x.ndim - 1 == len(graph.input.shape)).choices["c"] is Kind.CONV_CUTS
        np.testing.assert_array_equal(program(x), expected, err_msg=kernels)


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("outputs", SIZES)
def test_layers_of_every_width_fire_as_the_reference(outputs: int, name: str) -> None:
    for time_steps in (1, 3) if outputs > 100 else (1, 2, 4, 6):
        graph = layer(outputs, time_steps, NEURONS[name])
        assert_cut(graph, np.concatenate([images(graph, rate, 1) for rate in (0.0, 0.2, 1.0)], 1))


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("inputs", [1, 2, 7, 28, 111, 455])
def test_sums_of_every_width_fire_as_the_reference(inputs: int, name: str) -> None:
    """9 to 4095 events, so that every width of the cuts but the last is used, at both ends of the interval."""
    for outputs in (40, 140):
        graph = layer(outputs, 4, NEURONS[name], inputs=inputs)
        rates = np.linspace(0, 1, 4)
        assert_cut(graph, np.concatenate([images(graph, rate, 1) for rate in rates], 1), FAST[-1:])


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("levels", [2, 4, 16])
def test_counts_are_as_many_events(levels: int, name: str) -> None:
    graph = layer(70, 4, NEURONS[name], inputs=30, levels=levels)
    x = np.random.default_rng(0).integers(0, 256, (4, 2, 30, 3, 5)).astype(np.uint8)
    x[:, 1] = 255
    assert_cut(graph, x)


def test_pooled_spikes_are_as_many_events() -> None:
    rng = np.random.default_rng(1)
    graph = graph_of(
        ir.Input("x", (), (5, 8, 8)), ir.Lif("s", ("x",), 0, 1, 0, 128, "hard", None), ir.SumPool("p", ("s",), (2, 2)),
        conv("c", ("p",), rng.choice([-1, 1], (67, 5, 3, 3)), 1, (2, 1), (1, 0), 1),
        ir.Lif("l", ("c",), 1, 2, 1, 9, "hard", None), ir.Flatten("f", ("l",)), ir.SumTime("logits", ("f",)),
        time_steps=4,
    )  # fmt: skip
    assert_cut(graph, images(graph, 0.4))


def test_a_linear_layer_of_many_inputs() -> None:
    """65527 events, the most that planes can count."""
    graph = graph_of(
        ir.Input("x", (), (65527,)), ir.Lif("s", ("x",), 0, 1, 0, 128, "hard", None),
        linear("c", ("s",), np.random.default_rng(0).choice([-1, 1], (3, 65527)), 1),
        ir.Lif("l", ("c",), 1, 2, 1, 200, "hard", None), ir.SumTime("logits", ("l",)), time_steps=3,
    )  # fmt: skip
    for rate in (0.3, 1.0):
        assert_cut(graph, images(graph, rate))


def test_more_than_a_block_of_steps() -> None:
    graph = layer(33, 40, NEURONS["2 bits"])
    assert_cut(graph, images(graph, 0.2))


def read_by(graph: ir.IntGraph, *names: str) -> ir.IntGraph:
    return dataclasses.replace(graph, outputs=(*graph.outputs, *(ir.Output(name, 1.0) for name in names)))


def test_currents_that_others_read_are_sums() -> None:
    graph = layer(70, 3, NEURONS["2 bits"])
    x = images(graph, 0.3)
    for name in ("c", "a"):
        shown = read_by(graph, name)
        assert Kind.CONV_CUTS in kinds(shown)
        assert Kind.CONV_CUTS not in kinds(shown, result="outputs")
        found = Program(shown, choices={"c": "CONV_CUTS"}).outputs(x)
        for output, values in Reference(shown).outputs(x).items():
            np.testing.assert_array_equal(found[output], values)
    added = [ir.Add("more", ("l", "a")) if n.name == "f" else n for n in graph.nodes]
    added[-1:] = [ir.Flatten("f", ("more",)), graph.nodes[-1]]
    assert Kind.CONV_CUTS not in kinds(dataclasses.replace(graph, nodes=tuple(added)))


def test_a_stream_keeps_membranes_by_sums() -> None:
    """The same program, its choice of cuts included, goes step by step as well."""
    graph = layer(70, 3, NEURONS["2 bits"])
    x = images(graph, 0.3)
    program = Program(graph, choices={"c": "CONV_CUTS"})
    stream = program.stream()
    state = stream.start(x.shape[1])
    for t in range(3):
        y, state = stream(x[t : t + 1], state)
    np.testing.assert_array_equal(y, program(x))


@pytest.mark.parametrize(
    "change",
    [
        lambda n: dataclasses.replace(n, weight=np.repeat(n.weight[:, :3], 1, 1), groups=3) if n.name == "c" else n,
        lambda n: dataclasses.replace(n, bits=2) if n.name == "c" else n,
        lambda n: dataclasses.replace(n, dilation=(2, 1), padding=(2, 1)) if n.name == "c" else n,
        lambda n: dataclasses.replace(n, levels=2) if n.name == "l" else n,
        lambda n: dataclasses.replace(n, membrane=ir.Membrane(4, 4)) if n.name == "l" else n,
    ],
)  # fmt: skip
def test_other_layers_are_refused_by_name(change: object) -> None:
    graph = layer(66, 3, NEURONS["2 bits"])
    graph = dataclasses.replace(graph, nodes=tuple(change(n) for n in graph.nodes))  # type: ignore[operator]
    assert Kind.CONV_CUTS not in kinds(graph)
    with pytest.raises(GraphError, match=r"choices: CONV_CUTS can't run c on the kernel set 'portable'; choose CONV_"):
        plan_of(graph, choices={"c": "CONV_CUTS"})


def test_a_set_without_the_kernel_plans_without_it() -> None:
    graph = layer(70, 3, NEURONS["2 bits"])
    assert Kind.CONV_CUTS in kinds(graph) and Kind.CONV_CUTS not in kinds(graph, "scalar")
    with pytest.raises(GraphError, match="CONV_CUTS can't run c on the kernel set 'scalar'"):
        plan_of(graph, "scalar", choices={"c": "CONV_CUTS"})


@pytest.mark.parametrize(("outputs", "taps"), [(40, 2), (40, 3), (200, 2), (200, 3)])
def test_cuts_are_taken_where_they_are_fastest(outputs: int, taps: int) -> None:
    """By measurement (results/LOG.md): where a step is one cut, else where states are few, of many outputs or of pixels
    that share rows."""
    taken = {name: Kind.CONV_CUTS in kinds(layer(outputs, 3, lif, taps=taps)) for name, lif in NEURONS.items()}
    fast = outputs > 64 or taps == 3
    assert taken == {
        "one step": True, "2 bits": fast, "2 bits, soft": fast, "3 bits": False, "3 bits, soft": False, "sums": fast,
        "sums of halves": fast,
    }  # fmt: skip
    for lif in NEURONS.values():
        op = next(op for op in plan_of(layer(outputs, 3, lif)).operations if op.node == "c")
        assert {Kind.CONV_CUTS, Kind.CONV_SLICED} <= set(op.candidates)


def test_a_saved_plan_and_a_tuned_one_hold_cuts(tmp_path) -> None:  # type: ignore[no-untyped-def]
    graph = layer(70, 3, NEURONS["sums"])
    plan = plan_of(graph, FAST[-1], still=False)
    assert plan.choices["c"] is Kind.CONV_CUTS
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json", graph).to_json() == plan.to_json()
    found = tune(graph, images(graph, 0.1), seconds=0.1)
    assert Kind.CONV_CUTS in next(contest for contest in found.contests if contest.node == "c").microseconds
