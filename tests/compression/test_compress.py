"""One call: passes in order over a copy; a report of what changed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.compression import (
    CompressionError,
    Context,
    Prune,
    Quantize,
    QuantizeMembranes,
    Row,
    WeightL1,
    by_name,
    by_type,
    compress,
    first,
    last,
)
from spikelet.data.samples import DataSplits, Samples
from spikelet.lowering import lower
from spikelet.neurons import LIF, FullMembrane, QuantizedMembrane
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Binary, Clip, Quantizer, Uniform
from spikelet.quant.quantizer import Coded
from spikelet.runtime import Program
from tests.compression.networks import NETWORKS, image
from tests.equivalence.test_chain import assert_equal_to_torch, trained
from tests.support.catalogue import DISTINCT, model_input

PASSES: dict[str, Any] = {
    "prune": Prune(0.5, WeightL1()),
    "quantize": Quantize(4),
    "membranes": QuantizeMembranes(2),
    "all": [Quantize(2, where=~first() & ~last()), QuantizeMembranes(4), Prune(0.4)],
}


def passes(name: str) -> list[Any]:
    return PASSES[name] if isinstance(PASSES[name], list) else [PASSES[name]]


def vgg() -> tuple[nn.Module, Tensor]:
    return trained("qsnn_vgg_s", 1, 4, 3, 0)


@dataclasses.dataclass(frozen=True)
class Fails:
    """A pass that spoils the model before it fails."""

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        for parameter in model.parameters():
            parameter.data.zero_()
        raise CompressionError("out of luck")


class Snapshot:
    """Everything of a model that somebody could hold on to."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.state = copy.deepcopy(model.state_dict())
        self.modules = list(model.modules())
        self.parameters = list(model.parameters())
        self.text = repr(model)
        self.modes = [m.training for m in self.modules]
        self.quantizers = [m.quantizer for m in self.modules if isinstance(m, Conv2d | Linear)]

    def assert_unchanged(self) -> None:
        state = self.model.state_dict()
        assert state.keys() == self.state.keys()
        assert all(torch.equal(value, self.state[name]) for name, value in state.items())
        assert all(a is b for a, b in zip(self.model.modules(), self.modules, strict=True))
        assert all(a is b for a, b in zip(self.model.parameters(), self.parameters, strict=True))
        assert repr(self.model) == self.text
        assert [m.training for m in self.modules] == self.modes
        assert all(not m._forward_hooks and not m._forward_pre_hooks for m in self.modules)
        quantizers = [m.quantizer for m in self.modules if isinstance(m, Conv2d | Linear)]
        assert all(a is b for a, b in zip(quantizers, self.quantizers, strict=True))


# --- the argument is left alone ---------------------------------------------------------------------


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("training", [False, True])
def test_the_argument_is_left_alone(name: str, training: bool):
    model, x = vgg()
    model.train(training)
    model.get_submodule("features.0").eval()  # somebody froze a norm
    before = Snapshot(model)
    small, _ = compress(model, passes(name), x)
    before.assert_unchanged()
    assert not set(small.parameters()) & set(model.parameters())
    assert [m.training for m in small.modules()] == [m.training for m in model.modules()]


def failing(kind: str) -> tuple[list[Any], Any]:
    """Passes and data that fail somehow, after others that succeed."""
    x = model_input("qsnn_vgg_s", 2)
    return {
        "late failure": ([Prune(0.5, WeightL1()), Quantize(4), Fails()], x),
        "budget": ([Quantize(4), Prune(criterion=WeightL1(), max_bytes=1)], x),
        "filter": ([Prune(0.5, WeightL1()), Quantize(4, where=by_name("nowhere"))], x),
        "no data": ([Quantize(4), Prune(0.5)], None),
        "no batch": ([Prune(0.5)], []),
        "wrong data": ([Prune(0.5)], torch.zeros(2, 7, 11, 11, dtype=torch.uint8)),
        "floats": ([Prune(0.5)], torch.zeros(2, 3, 11, 11)),
        "no tensors": ([Prune(0.5)], [("x", "y")]),
        "no passes": ([], x),
        "no pass": ([Prune(0.5, WeightL1()), "quantize"], x),
    }[kind]


FAILURES = {
    "late failure": "out of luck",
    "budget": r"Prune can't meet max_bytes=1: .* needs [\d,]+ bytes",
    "filter": r"Quantize\.where: the filter by_name\('nowhere'\) matches no layer\. .* are: features\.0\.0, ",
    "no data": "Prune needs to see the model at work: give compress some data",
    "no batch": "data holds no batch",
    "wrong data": r"samples of shape \[7, 11, 11\] .* the model takes \[3, 11, 11\]",
    "floats": "does not run on an input of shape .*: Encode takes uint8",
    "no tensors": "batch 0 must be a tensor or an array, or start with one, got str",
    "no passes": r"passes must be a list of passes such as \[Prune\(0\.5\)\], got \[\]",
    "no pass": "passes must be a list of passes",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_one_error_and_leaves_the_model_as_it_was(kind: str):
    model, _ = vgg()
    before = Snapshot(model.train())
    run, data = failing(kind)
    with pytest.raises((CompressionError, TypeError), match=FAILURES[kind]):
        compress(model, run, data)
    before.assert_unchanged()


def test_one_pass_instead_of_a_list_is_refused():
    model, x = vgg()
    with pytest.raises(
        CompressionError, match=r"passes must be a list of passes such as \[Prune\(0\.5\)\], got Prune\("
    ):
        compress(model, Prune(0.5), x)  # type: ignore[arg-type]
    with pytest.raises(CompressionError, match="calibration_batches must be a whole number from 1, got 0"):
        compress(model, [Prune(0.5)], x, calibration_batches=0)


def test_a_model_that_can_t_be_copied_is_refused():
    model, x = vgg()
    model.handle = iter(())  # type: ignore[assignment]
    model.cache = torch.ones(2, requires_grad=True) * 2  # type: ignore[assignment]
    with pytest.raises(CompressionError, match=r"the model can't be copied \("):
        compress(model, [Quantize(4)], x)


# --- the copy ---------------------------------------------------------------------------------------


class Own(Quantizer):
    """A quantizer that is no frozen dataclass."""

    bits = 4

    def encode(self, weight: Tensor) -> Coded:
        return Uniform(4).encode(weight)

    def __call__(self, weight: Tensor) -> Tensor:
        return Uniform(4)(weight)


class OwnModule(nn.Module, Own):
    """One that is a module."""

    def forward(self, weight: Tensor) -> Tensor:
        return Uniform(4)(weight)

    __call__ = nn.Module.__call__


@pytest.mark.parametrize("kinds", [(Own,), (OwnModule,), (Own, OwnModule)])
def test_quantizers_of_ones_own_are_set(kinds: tuple[type[Quantizer], ...]):
    model, _ = vgg()
    for kind in kinds:
        model, _ = compress(model, [Quantize(kind())])
        assert all(type(m.quantizer) is kind for m in model.modules() if isinstance(m, Conv2d | Linear))


def test_a_compressed_network_trains():
    model, x = vgg()
    model(x).sum().backward()
    small, _ = compress(model.train(), passes("all"), x)
    optimizer = torch.optim.SGD(small.parameters(), lr=0.1)
    optimizer.zero_grad()
    small(x).sum().backward()
    optimizer.step()


def test_tied_weights_stay_tied():
    small, _ = compress(NETWORKS["tied weights"][0](), [Prune(0.5)], image())
    assert small.a.weight is small.b.weight  # type: ignore[union-attr]
    assert small.a.weight.shape == (2, 2, 3, 3)  # type: ignore[union-attr]


# --- data -------------------------------------------------------------------------------------------


def samples(count: int = 300) -> DataSplits:
    x = torch.randint(0, 256, (count, 3, 11, 11), dtype=torch.uint8)
    made = Samples(x, torch.zeros(count, dtype=torch.long), ("a",), "noise")
    return DataSplits(made, made, made)


def test_data_may_be_splits_batches_with_or_without_labels_or_one_tensor():
    model, x = vgg()
    y = torch.zeros(len(x), dtype=torch.long)
    sizes = [str(compress(model, [Prune(0.5)], d).report.size) for d in (x, [x], [(x, y)], iter([[x, y]]), samples())]
    assert len(set(sizes)) == 1


@pytest.mark.parametrize(("batches", "count"), [(1, 128), (2, 256), (5, 300)])
def test_a_few_batches_are_looked_at_and_no_more(batches: int, count: int):
    model, _ = vgg()
    _, report = compress(model, [Prune(0.5)], samples(), calibration_batches=batches)
    assert any(f"on {count} samples" in note for note in report.notes)

    def endless() -> Iterator[Tensor]:
        while True:
            yield model_input("qsnn_vgg_s", 2)

    _, report = compress(model, [Prune(0.5)], endless(), calibration_batches=batches)
    assert any(f"on {2 * batches} samples" in note for note in report.notes)


def test_passes_that_need_no_data_get_by_without():
    model, x = vgg()
    small, report = compress(model, [Quantize(4), QuantizeMembranes(8)])
    assert {m.quantizer.bits for m in small.modules() if isinstance(m, Conv2d | Linear)} == {4}
    assert report.sops == (0, 0)
    assert report.size[0] < report.size[1]
    with torch.no_grad():
        assert small(x).shape == model(x).shape


# --- the passes -------------------------------------------------------------------------------------


def bits(model: nn.Module) -> list[int]:
    return [m.quantizer.bits for m in model.modules() if isinstance(m, Conv2d | Linear)]


def test_weights_are_quantized_where_the_filter_says():
    model, x = vgg()
    assert bits(model) == [8, 1, 1, 1, 8]
    assert bits(compress(model, [Quantize(4)], x).model) == [4, 4, 4, 4, 4]
    assert bits(compress(model, [Quantize(4, where=~first() & ~last())], x).model) == [8, 4, 4, 4, 8]
    assert bits(compress(model, [Quantize(2, where=by_type(Linear))], x).model) == [8, 1, 1, 1, 2]
    assert bits(compress(model, [Quantize(32)], x).model) == [32] * 5
    small = compress(model, [Quantize(Binary(estimator=Clip()), where=first())], x).model
    assert small.get_submodule("features.0.0").quantizer == Binary(estimator=Clip())


def test_the_first_layer_is_the_one_that_runs_first():
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = Linear(3, 3, Uniform(8))
            self.fc, self.net = Linear(5, 5, Uniform(8)), NETWORKS["quantized"][0]()

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.net(x))

    small = compress(Backwards(), [Quantize(2, where=first() | last())], image()).model
    assert bits(small) == [8, 2, 2, 8]  # unused, fc, net.one, net.fc


def test_membranes_get_fewer_bits_and_keep_the_step_they_learned_where_they_have_them():
    model, x = vgg()
    step = model.get_parameter("features.2.0.membrane.log2_step")
    same = compress(model, [QuantizeMembranes(4)], x)
    assert torch.equal(same.model.get_parameter("features.2.0.membrane.log2_step"), step)
    assert [row for row in same.report.rows if row.layer] == []
    small = compress(model, [QuantizeMembranes(2, where=~first())], x).model
    membranes = [m.membrane.bits for m in small.modules() if isinstance(m, LIF)]
    assert membranes == [4, 2, 2, 2]
    full = compress(small, [QuantizeMembranes(32)], x).model
    assert all(isinstance(m.membrane, FullMembrane) for m in full.modules() if isinstance(m, LIF))


def test_a_new_membrane_s_step_spans_the_threshold():
    model = NETWORKS["chain"][0]()  # threshold 1/8
    small = compress(model, [QuantizeMembranes(4)], image()).model
    membrane = small.get_submodule("lif").membrane
    assert isinstance(membrane, QuantizedMembrane)
    assert float(torch.exp2(membrane.log2_step.detach())) == pytest.approx(0.125 / 7)


def test_plain_layers_of_torch_are_refused_by_name():
    model = NETWORKS["layers of torch"][0]()
    with pytest.raises(
        CompressionError, match=r"two: Conv2d of torch keeps its weights as floats .* leave it out with"
    ):
        compress(model, [Quantize(4)], image())
    compress(NETWORKS["tokens"][0](), [Quantize(4, where=by_type(Conv2d))], image())


@pytest.mark.parametrize(("make", "message"), [(lambda: Quantize(9), "got 9"), (lambda: QuantizeMembranes(1), "got 1")])
def test_bits_that_there_are_not_are_refused_at_once(make: Any, message: str):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_filter_of_neurons_that_matches_none_is_refused():
    model, x = vgg()
    message = r"QuantizeMembranes\.where: .* The model's layers are: features\.1\.body\.0"
    with pytest.raises(CompressionError, match=message):
        compress(model, [QuantizeMembranes(2, where=by_type(nn.Conv2d))], x)


# --- all of it --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISTINCT)
def test_every_model_of_the_catalogue_is_compressed_packed_reloaded_and_runs_as_it_evaluates(name: str, tmp_path: Path):
    model, x = trained(name, 32, 32, 3, 0)
    run = [Quantize(2), Quantize(Uniform(8, per_channel=False), where=last()), QuantizeMembranes(4), Prune(0.5)]
    small, report = compress(model, run, x)
    graph = lower(small, x)
    spikelet.save(graph, tmp_path / "small.safetensors")
    loaded = spikelet.load(tmp_path / "small.safetensors")
    assert_equal_to_torch([Program(loaded)], loaded, small, x)
    # relative biases lose no bits, and half of a small stream is its 8-bit head
    less = 8 if name.startswith(("est_", "stream_")) else 16
    assert report.size[1] < report.size[0] / less


def test_compressing_again_changes_nothing_more():
    model, x = vgg()
    run = [Quantize(4), QuantizeMembranes(2)]
    small, _ = compress(model, run, x)
    again, report = compress(small, run, x)
    assert [row for row in report.rows if row.layer] == []
    with torch.no_grad():
        assert torch.equal(small(x), again(x))


# --- the report -------------------------------------------------------------------------------------


def test_the_report_says_what_changed():
    model, x = trained("qsnn_vggsnn", 1, 4, 2, 0)
    small, report = compress(model, [Quantize(4, where=~first() & ~last()), QuantizeMembranes(2), Prune(0.5)], x)
    changes = {(row.layer, row.what): (row.before, row.after) for row in report.rows if row.layer}
    convs = {n: m for n, m in small.named_modules() if isinstance(m, Conv2d)}
    before = {n: m for n, m in model.named_modules() if isinstance(m, Conv2d)}
    for name, conv in convs.items():
        assert changes[name, "channels"] == (str(before[name].out_channels), str(conv.out_channels))
    assert {name for name, what in changes if what == "weight bits"} == set(list(convs)[1:])
    assert {name for name, what in changes if what == "membrane bits"} == {
        n for n, m in small.named_modules() if isinstance(m, LIF)
    }
    said = [row.what for row in report.rows if not row.layer]
    assert said == ["Quantize", "QuantizeMembranes", "scoring by SVS", "Prune", "accuracy"]


def test_the_report_reads_as_a_table():
    model, x = trained("qsnn_vggsnn", 1, 4, 2, 0)
    _, report = compress(model, [Prune(0.5)], x)
    lines = str(report).splitlines()
    assert lines[0].split("  ")[0] == "layer"
    assert lines[0].endswith("SOPs")
    (first_line,) = [line for line in lines if line.startswith("features.0.0")]
    assert "4 → 2" in first_line
    assert any(line.startswith("total") and f"{report.size[0]:,} → {report.size[1]:,}" in line for line in lines)
    assert lines[-2].startswith("Prune: ")
    assert lines[-1].startswith("accuracy: not measured: give compress labelled samples")
    table = report.table()
    assert all(len(row) == len(table.columns) for row in (*table.rows, *table.footer))
    assert {row[0] for row in table.rows} >= {n for n, m in model.named_modules() if isinstance(m, Conv2d | Linear)}


def test_a_model_that_profile_can_t_count_still_gets_a_report():
    model = NETWORKS["concatenation over time"][0]()
    model.norm = nn.LayerNorm(3)  # type: ignore[assignment]
    _, report = compress(model, [Quantize(4)], image())
    assert report.size[1] < report.size[0]
    assert report.sops == (0, 0)


def test_data_of_another_shape_is_named_beside_what_the_network_takes():
    model = spikelet.create_model("qsnn_vgg_s", num_classes=4, in_channels=1, image_size=8, widths=[4])
    words = r"samples of shape \[3, 16, 16\] .* the model takes \[1, 8, 8\]\. Make the model with in_channels=3"
    with pytest.raises(CompressionError, match=words):
        compress(model, [Prune(0.5)], torch.zeros(2, 3, 16, 16, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: compress(nn.Identity(), 3, None), r"passes must be a list of passes such as \[Prune\(0\.5\)\], got 3"),
        (lambda: compress(nn.Identity(), [Prune(0.5, where=3)], None), r"Prune\.where must be a filter such as first"),
        (lambda: compress(nn.Identity(), [Prune(0.5)], None, validation=3), "validation must be Samples or batches"),
        (lambda: compress(nn.Identity(), [Prune(0.5)], None, calibration_batches="a"), "number from 1, got 'a'"),
        (lambda: Prune(0.5, criterion="l1"), r"Prune\.criterion must be a Criterion such as SVS\(\), got 'l1'"),
    ],
)
def test_an_argument_of_another_kind_is_refused_by_name(wrong: Any, said: str):
    with pytest.raises(CompressionError, match=said):
        wrong()
