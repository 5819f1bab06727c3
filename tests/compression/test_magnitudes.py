"""One bit where no batch norm follows: weights keep their size, and every pass says what it costs in accuracy.

The network of the first tests tells four intensities apart. Its hidden neuron j fires from intensity 32 * 2^j on,
because its 16 weights are 1/2, 1/4, 1/8: all weights as large as 1 make all three fire for every image.
"""

from __future__ import annotations

import copy
import re
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import AccuracyWarning, TimeAxisError
from spikelet.compression import (
    CompressionError,
    Finetune,
    Prune,
    Quantize,
    Recalibrate,
    WeightL1,
    by_name,
    compress,
    first,
    last,
)
from spikelet.compression.scales import readers_of_scale
from spikelet.data.samples import DataSplits, Samples
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, MaxPool2d
from spikelet.quant import Binary, FullPrecision, Quantizer, Uniform
from spikelet.runtime import Program
from tests.compression.networks import NETWORKS
from tests.support.user_modules import User

LEVELS = (16, 32, 64, 128)


class Intensity(nn.Module):
    """uint8 [B, 1, 4, 4] of one intensity -> logits [T, B, 4], 100 % right with float weights."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = Encode()
        self.hidden = Linear(16, 3, FullPrecision())
        self.lif = LIF(1)
        self.out = Linear(3, 4, FullPrecision())
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor([[0.5], [0.25], [0.125]]).expand(3, 16))
            self.out.weight.copy_(torch.tensor([[1.0 if j < k else -1.0 for j in range(3)] for k in range(4)]))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lif(self.hidden(self.encode(x).flatten(2))))


def images() -> Tensor:
    return torch.tensor(LEVELS, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 4, 4).contiguous()


def pairs() -> list[tuple[Tensor, Tensor]]:
    return [(images(), torch.arange(4))]


def samples() -> Samples:
    return Samples(images(), torch.arange(4), ("a", "b", "c", "d"), "intensities")


# --- one bit keeps the weights' size where it matters -----------------------------------------------


def test_weights_keep_their_size_before_a_neuron_and_the_network_its_accuracy():
    small, report = compress(Intensity(), [Quantize(1)], pairs())
    coded = small.hidden.quantizer.encode(small.hidden.weight)  # type: ignore[union-attr]
    assert coded.codes.unique().tolist() == [1]
    assert coded.scale.flatten().tolist() == [0.5, 0.25, 0.125]
    assert small.hidden.quantizer == Binary(standardize=False)  # type: ignore[union-attr]
    assert small.out.quantizer == Binary(standardize=False, per_channel=False)  # type: ignore[union-attr]
    assert report.accuracies == (1.0, 1.0)
    assert "accuracy by Quantize: 100.00 % -> 100.00 % on 4 calibration samples" in report.notes
    assert "hidden: weights keep their size, no batch norm stands before lif (LIF)" in report.notes
    assert "out: weights keep their size, no batch norm stands before the output" in report.notes


def test_a_quantizer_that_is_given_is_taken_as_it_is_and_its_cost_is_said():
    with pytest.warns(AccuracyWarning, match=r"Quantize costs 75\.0 points of accuracy \(100\.00 % -> 25\.00 % on 4 c"):
        small, report = compress(Intensity(), [Quantize(Binary(), where=first())], pairs())
    assert small.hidden.quantizer == Binary()  # type: ignore[union-attr]
    assert report.accuracies == (1.0, 0.25)


def test_the_network_of_one_bit_runs_as_it_evaluates():
    small, _ = compress(Intensity(), [Quantize(1)], images())
    graph = lower(small, images())
    found = verify(graph, small, pairs(), Program)
    assert found.mismatches == 0
    assert found.integer_accuracy == 1.0


def test_ordinary_weights_of_mean_seven_hundredths_keep_a_sixteenth():
    model = User(lambda m, x: m.lif(m.one(x)).flatten(2), one=Conv2d(1, 2, 1, FullPrecision()), lif=LIF(1))
    with torch.no_grad():
        model.one.weight.copy_(torch.tensor([0.07, -0.07]).view(2, 1, 1, 1))  # type: ignore[union-attr]
    small, _ = compress(model, [Quantize(1)], images())
    assert small.one.quantizer(small.one.weight).flatten().tolist() == [0.0625, -0.0625]  # type: ignore[union-attr]


def one_and(*behind: nn.Module, one: nn.Module | None = None) -> nn.Module:
    parts = {f"part{i}": part for i, part in enumerate(behind)}

    def body(m: Any, x: Tensor) -> Tensor:
        x = m.one(x)
        for name in parts:
            x = getattr(m, name)(x)
        return x.flatten(2)

    return User(body, one=one or Conv2d(1, 4, 3, FullPrecision(), padding=1), **parts)


ABSORBED: dict[str, nn.Module] = {
    "a batch norm": one_and(BatchNorm2d(4), LIF(1)),
    "a batch norm behind pooling": one_and(MaxPool2d(2), nn.Dropout(0.1), BatchNorm2d(4), LIF(1)),
    "a batch norm behind its own bias": one_and(
        BatchNorm2d(4), LIF(1), one=Conv2d(1, 4, 3, FullPrecision(), padding=1, bias=True)
    ),
}
READ: dict[str, tuple[nn.Module, Quantizer]] = {
    "a neuron": (one_and(LIF(1)), Binary(standardize=False)),
    "a neuron behind pooling": (one_and(MaxPool2d(2), LIF(1)), Binary(standardize=False)),
    "a convolution": (
        one_and(Conv2d(4, 4, 1, Uniform(8)), BatchNorm2d(4), LIF(1)), Binary(standardize=False, per_channel=False)
    ),
    "the output": (one_and(nn.Identity()), Binary(standardize=False, per_channel=False)),
    "a batch norm and a sum": (
        User(
            lambda m, x: m.lif(m.norm(m.one(x)) + m.one(x)).flatten(2),
            one=Conv2d(1, 4, 3, FullPrecision(), padding=1), norm=BatchNorm2d(4), lif=LIF(1),
        ),
        Binary(standardize=False, per_channel=False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ABSORBED)
def test_a_batch_norm_takes_any_size_out_again(name: str):
    assert readers_of_scale(ABSORBED[name], images(), None)["one"] == []
    small, _ = compress(ABSORBED[name], [Quantize(1, where=by_name("one"))], images())
    assert small.get_submodule("one").quantizer == Binary()


@pytest.mark.parametrize("name", READ)
def test_everything_else_reads_it(name: str):
    model, quantizer = READ[name]
    assert readers_of_scale(model, images(), None)["one"] != []
    small, _ = compress(model, [Quantize(1, where=by_name("one"))], images())
    assert small.get_submodule("one").quantizer == quantizer


def test_without_data_every_layer_keeps_its_weights_size():
    small, report = compress(ABSORBED["a batch norm"], [Quantize(1)])
    assert small.get_submodule("one").quantizer == Binary(standardize=False, per_channel=False)
    assert "one: weights keep their size, no run could show whether a batch norm follows" in report.notes


def test_more_bits_are_as_they_were():
    small, report = compress(Intensity(), [Quantize(4)], images())
    assert small.hidden.quantizer == Uniform(4)  # type: ignore[union-attr]
    assert not [row for row in report.rows if row.what == "weights keep their size,"]


# --- accuracy before and after every pass -----------------------------------------------------------


def test_accuracy_is_measured_before_and_after_every_pass():
    passes = [Quantize(1), Quantize(Binary(), where=first()), Quantize(Binary(standardize=False), where=first())]
    with pytest.warns(AccuracyWarning):
        _, report = compress(Intensity(), passes, images(), validation=samples())
    assert report.accuracies == (1.0, 1.0, 0.25, 1.0)
    assert [row.after for row in report.rows if row.what.startswith("accuracy")] == [
        "100.00 % on 4 validation samples", "25.00 % on 4 validation samples", "100.00 % on 4 validation samples",
    ]  # fmt: skip


@pytest.mark.parametrize("data", [None, images(), [images()]], ids=["nothing", "a tensor", "inputs"])
def test_without_labels_the_report_says_that_nothing_was_measured(data: Any):
    _, report = compress(Intensity(), [Quantize(1)], data)
    assert report.accuracies == (None, None)
    assert report.notes[-1].startswith("accuracy: not measured: give compress labelled samples (validation=, ")


def test_the_validation_part_of_a_data_set_judges():
    empty = samples().subset(torch.arange(0))
    _, report = compress(Intensity(), [Quantize(1)], DataSplits(samples(), samples(), empty))
    assert report.accuracies == (1.0, 1.0)
    assert "on 4 validation samples" in report.notes[-1]
    _, report = compress(Intensity(), [Quantize(1)], DataSplits(samples(), empty, empty))
    assert report.accuracies == (None, None)


@pytest.mark.parametrize("lost", [10, 11])
def test_only_more_than_ten_points_are_warned_of(lost: int):
    x, y = images()[:1].expand(100, 1, 4, 4).contiguous(), torch.zeros(100, dtype=torch.long)
    x[:lost] = 32  # class 1, which one neuron more tells from class 0
    y[:lost] = 1
    broken = torch.tensor([[0.25], [0.125], [0.125]]).expand(3, 16)

    class Break:
        def apply(self, model: nn.Module, context: Any) -> tuple[nn.Module, list[Any]]:
            model.hidden.weight.data.copy_(broken)  # type: ignore[union-attr]
            return model, []

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, report = compress(Intensity(), [Break()], [(x, y)])
    assert report.accuracies == (1.0, (100 - lost) / 100)
    assert len(caught) == (lost > 10)
    if caught:
        assert caught[0].category is AccuracyWarning
        assert caught[0].filename == __file__, "the warning points at the caller's line"


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ([], "validation must be Samples or batches"),
        ([images()], "validation must be Samples or batches"),
        ([(images(), torch.ones(4))], "validation must be Samples or batches"),
        (samples().subset(torch.arange(0)), "validation holds no sample"),
    ],
)
def test_validation_that_can_t_judge_is_refused(validation: Any, message: str):
    with pytest.raises(CompressionError, match=message):
        compress(Intensity(), [Quantize(1)], images(), validation=validation)


# --- batch norms measure again ----------------------------------------------------------------------


def test_batch_norms_measure_again():
    model = one_and(BatchNorm2d(4), LIF(1))
    norm = model.get_submodule("part0")
    before = copy.deepcopy(norm.state_dict())
    small, report = compress(model, [Quantize(1), Recalibrate()], images())
    measured = small.get_submodule("part0")
    with torch.no_grad():
        sums = small.one(Encode()(images()))  # type: ignore[operator]
    assert torch.allclose(measured.running_mean, sums.mean((0, 1, 3, 4)))
    assert all(torch.equal(value, before[key]) for key, value in norm.state_dict().items())
    assert "batch norms measured again: 1" in report.notes
    assert norm.momentum == measured.momentum == 0.1
    with pytest.raises(CompressionError, match="Recalibrate needs to see the model at work"):
        compress(model, [Recalibrate()])


# --- the time axis ----------------------------------------------------------------------------------


class BatchFirst(nn.Module):
    """uint8 [B, T, 3, 6, 6] -> [B, T, 5]: a network whose code is batch first."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.transpose(0, 1).contiguous()).transpose(0, 1)


@pytest.mark.parametrize("batch", [1, 2, 3])  # T is 2: no shape could tell
def test_a_batch_first_network_is_cut_as_its_time_first_twin(batch: int):
    x = torch.randint(0, 256, (2, batch, 3, 6, 6), dtype=torch.uint8)
    y = torch.arange(batch)
    own = [Prune(0.5, WeightL1()), Quantize(4)]
    net = NETWORKS["quantized"][0]()
    judged = [(x, y)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        ours = compress(net, own, judged, time_axis=0)
        theirs = compress(BatchFirst(net), own, [(x.transpose(0, 1).contiguous(), y)], time_axis=1)
    assert ours.report.accuracies == theirs.report.accuracies
    assert ours.report.size == theirs.report.size
    assert ours.report.sops == theirs.report.sops
    with torch.no_grad():
        assert torch.equal(ours.model(x), theirs.model(x.transpose(0, 1)).transpose(0, 1))


def test_a_layout_that_is_not_declared_is_refused():
    x = torch.zeros(2, 3, 3, 6, 6, dtype=torch.uint8)
    with pytest.raises(TimeAxisError, match="Pass time_axis=0 for frames"):
        compress(NETWORKS["quantized"][0](), [Quantize(4)], x)
    with pytest.raises(TimeAxisError, match="time_axis must be None, 0 or 1, got -1"):
        compress(NETWORKS["quantized"][0](), [Quantize(4)], x, time_axis=-1)
    splits = DataSplits(samples(), samples(), samples())
    with pytest.raises(CompressionError, match="a DataSplits gives its batches with time_axis=None, got time_axis=0"):
        compress(Intensity(), [Quantize(4)], splits, time_axis=0)


# --- trained ----------------------------------------------------------------------------------------


def test_a_trained_network_without_norms_survives_one_bit():
    pytest.importorskip("accelerate")
    pytest.importorskip("sklearn")
    torch.manual_seed(0)
    data = spikelet.data.load("digits", validation=0.2)
    start = User(
        lambda m, x: m.out(m.lif(m.hidden(x.flatten(2)))),
        hidden=Linear(64, 128, FullPrecision()), lif=LIF(2), out=Linear(128, 10, Uniform(8, per_channel=False)),
    )  # fmt: skip
    trained, _ = compress(start, [Finetune(4, lr=1e-2, batch_size=64)], data)
    kept = compress(trained, [Quantize(1, where=~last())], data).report.accuracies
    with pytest.warns(AccuracyWarning, match=r"Quantize costs \d\d\.\d points of accuracy"):
        lost = compress(trained, [Quantize(Binary(), where=~last())], data).report.accuracies
    assert kept[0] == lost[0]
    assert kept[0] is not None and kept[1] is not None and lost[1] is not None
    assert kept[0] > 0.9
    assert kept[1] > kept[0] - 0.1
    assert lost[1] < kept[1] - 0.2


def test_warnings_name_the_pass_and_the_way_out():
    with pytest.warns(AccuracyWarning) as caught:
        compress(Intensity(), [Quantize(Binary(), where=first())], pairs())
    text = str(caught[0].message)
    assert re.search(r"^Quantize costs .* Fine-tune after it \(Finetune\) or let batch norms measure again", text)
