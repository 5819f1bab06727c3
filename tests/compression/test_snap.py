"""Snap: every layer that it names has cuts, nothing else changes, and what is evaluated still runs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.compression import CompressionError, Context, Row, Snap, by_name
from spikelet.lowering import lower
from spikelet.neurons import LIF, LIFParams, QuantizedMembrane
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.nn.norm import gain_and_offset
from spikelet.quant import Binary, Uniform
from spikelet.runtime import plan_of
from spikelet.runtime.plan.kinds import Kind
from tests.equivalence.test_chain import assert_equal_to_torch, backends_of

T, WIDTH = 4, 72


class Body(nn.Module):
    """Two layers of 1 bit behind one of 8, whose gains are some hundred grid steps a count."""

    def __init__(self, membrane: nn.Module | None = None, *, affine: bool = True, scale_input: bool = True) -> None:
        super().__init__()
        params = LIFParams(leak=0.5, threshold=0.5, scale_input=scale_input)
        norms = [BatchNorm2d(WIDTH, affine=affine) for _ in range(3)]
        self.first = nn.Sequential(Encode(), Conv2d(3, WIDTH, 3, Uniform(8), padding=1), norms[0], LIF(T, params))
        self.one = nn.Sequential(Conv2d(WIDTH, WIDTH, 3, Binary(), padding=1), norms[1], LIF(T, params, membrane))
        self.two = nn.Sequential(Conv2d(WIDTH, WIDTH, 1, Binary()), norms[2], LIF(T, params, copy.deepcopy(membrane)))
        self.head = Linear(WIDTH * 16, 5, Uniform(8), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.two(self.one(self.first(x))).flatten(2))


def network(seed: int = 0, body: type[Body] = Body, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    model = body(**options).eval()
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.5)
            nn.init.uniform_(module.running_var, 0.1, 1)
            if module.affine:
                nn.init.normal_(module.bias, 0, 0.3)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                with torch.no_grad():
                    module.weight[::3] *= -1
    for name in ("one", "two"):
        model.get_submodule(f"{name}.1").running_var *= 100  # type: ignore[operator]
    return model


def image() -> Tensor:
    return torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def context() -> Context:
    return Context(None, (image(),))


def kernels(model: nn.Module) -> dict[str, Kind]:
    return {op.node: op.kind for op in plan_of(lower(model, image())).operations if op.node in ("one.0", "two.0")}


@pytest.mark.parametrize("scale_input", [False, True])
def test_every_layer_has_cuts_and_runs_as_it_evaluates(scale_input: bool) -> None:
    model = network(scale_input=scale_input)
    assert Kind.CONV_CUTS not in kernels(model).values()
    before = copy.deepcopy(model.state_dict())
    snapped, report = spikelet.compress(model, [Snap(T)], image())
    assert kernels(snapped) == {"one.0": Kind.CONV_CUTS, "two.0": Kind.CONV_CUTS}
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    changed = {name for name, value in snapped.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"one.1.bias", "two.1.bias"}
    graph = lower(snapped, image())
    for x in (image(), torch.zeros_like(image()), torch.full_like(image(), 255)):
        assert_equal_to_torch(backends_of(graph), graph, snapped, x)
    rows = report.rows
    assert [row.layer for row in rows[:3]] == ["one.1", "two.1", ""] and rows[2].after == "2, 2 of them moved"


def test_offsets_move_by_as_few_grid_steps_as_are_said() -> None:
    model = network()
    snapped, rows = Snap(T).apply(copy.deepcopy(model), context())
    for row in rows[:-1]:
        norms = [m.get_submodule(row.layer) for m in (model, snapped)]
        (gain, offset), (same, moved) = (gain_and_offset(norm) for norm in norms if isinstance(norm, BatchNorm2d))
        steps = ((moved - offset) * 4096).abs()
        assert torch.equal(gain, same) and torch.equal(steps, steps.round())
        words = f"{int((steps > 0).sum())} of {WIDTH}, by {int(steps.max())} / 4096 at most"
        assert row == Row(row.layer, "biases moved", "", words)
        assert 0 < steps.max() <= 4


def test_a_second_time_changes_nothing() -> None:
    once, _ = Snap(T).apply(network(), context())
    before = copy.deepcopy(once.state_dict())
    twice, rows = Snap(T).apply(once, context())
    assert all(torch.equal(twice.state_dict()[name], value) for name, value in before.items())
    assert rows == [Row("", "layers with cuts", "", "2, 0 of them moved")]


def test_channels_that_nothing_reads_are_certified_too() -> None:
    class Half(Body):
        """Reads every other channel of its second layer, twice."""

        def forward(self, x: Tensor) -> Tensor:
            y = self.one(self.first(x))[:, :, ::2]
            return self.head(self.two(torch.cat([y, y], 2)).flatten(2))

    snapped, rows = Snap(T).apply(network(body=Half), context())
    assert [row.layer for row in rows] == ["one.1", "two.1", ""]
    assert rows[0].after.partition(",")[0].endswith(f"of {WIDTH}")
    assert kernels(snapped)["two.0"] is Kind.CONV_CUTS


def test_layers_may_be_left_out() -> None:
    snapped, _ = spikelet.compress(network(), [Snap(T, where=by_name("two.*"))], image())
    assert kernels(snapped) == {"one.0": Kind.CONV_SLICED, "two.0": Kind.CONV_CUTS}


@pytest.mark.parametrize(
    ("time_steps", "most", "words"),
    [
        (1, 16, r"Snap\.time_steps must be a whole number from 2 to 8, got 1\. One step needs no Snap\."),
        (9, 16, r"Snap\.time_steps must be a whole number from 2 to 8, got 9\."),
        (2.5, 16, r"Snap\.time_steps must be a whole number from 2 to 8, got 2\.5\."),
        (4, 0, r"Snap\.most must be a whole number above 0, got 0\."),
    ],
)
def test_arguments_out_of_range_are_refused(time_steps: Any, most: int, words: str) -> None:
    with pytest.raises(CompressionError, match=words):
        Snap(time_steps, most)


def test_what_can_not_be_snapped_is_refused_and_nothing_changes() -> None:
    for model, snap, words in (
        (network(membrane=QuantizedMembrane(4)), Snap(T), "Snap finds no batch norm behind 1-bit weights"),
        (
            network(affine=False),
            Snap(T),
            r"(one|two)\.1: has no bias that Snap could move\. Build it with affine=True\.",
        ),
        (
            network(),
            Snap(8, most=1),
            r"one\.1: \d+ of 72 channels have no cuts within 1 grid steps at T = 8\. Take fewer",
        ),
    ):
        before = copy.deepcopy(model.state_dict())
        with pytest.raises(CompressionError, match=words):
            snap.apply(model, context())
        assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    with pytest.raises(CompressionError, match="Snap needs to see the model at work"):
        spikelet.compress(network(), [Snap(T)])
