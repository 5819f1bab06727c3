"""Prune removes what it was asked for: by ratio, by layer, by one threshold, by budget."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.compression import (
    SVS,
    CompressionError,
    MembraneL1,
    NormScale,
    Prune,
    Random,
    WeightL1,
    by_name,
    by_type,
    compress,
    find_channels,
    first,
    last,
)
from spikelet.compression.channels import kept_of
from spikelet.compression.layer_costs import cost_of
from spikelet.compression.passes.budget import first_true
from spikelet.lowering import lower
from spikelet.nn import Conv2d
from spikelet.runtime import Program
from tests.compression.networks import NETWORKS, image
from tests.equivalence.test_chain import assert_equal_to_torch, trained

CHAIN = ("features.0.0", "features.1.0", "features.3.0", "features.4.0")


def widths(model: nn.Module) -> list[int]:
    return [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]


def vggsnn() -> tuple[nn.Module, Tensor]:
    """Four convolutions in a row, 4, 8, 8, 8 channels wide."""
    return trained("qsnn_vggsnn", 1, 4, 2, 0)


def pruned(prune: Prune, made: tuple[nn.Module, Tensor] | None = None) -> nn.Module:
    model, x = made or vggsnn()
    return compress(model, [prune], x).model


# --- how many ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "ratio", "kept"),
    [(64, 0.45, 35), (64, 0.51, 31), (512, 0.8, 102), (128, 0.3, 89), (10, 0.9, 1), (8, 0, 8), (8, 1, 1), (3, 0.5, 1)],
)
def test_kept_channels_are_counted_as_in_the_authors_code(n: int, ratio: float, kept: int):
    assert kept_of(n, ratio) == kept


@pytest.mark.parametrize(
    ("ratio", "expected"), [(0, [4, 8, 8, 8]), (0.5, [2, 4, 4, 4]), (0.7, [1, 2, 2, 2]), (1, [1] * 4)]
)
def test_one_ratio_takes_the_same_share_of_every_layer(ratio: float, expected: list[int]):
    assert widths(pruned(Prune(ratio))) == expected


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ({CHAIN[0]: 0.5, CHAIN[2]: 0.25}, [2, 8, 6, 8]),
        ({"features.[13].*": 0.5, by_name(CHAIN[3]): 0.75}, [4, 4, 4, 2]),
        ({by_type(Conv2d) & ~first(): 0.5}, [4, 4, 4, 4]),
        ({"*": 0.5}, [2, 4, 4, 4]),  # the classifier is passed over
        ({CHAIN[0]: 0.5, "classifier": 0}, [2, 8, 8, 8]),
    ],
    ids=str,
)
def test_ratios_by_layer(ratio: dict[Any, float], expected: list[int]):
    assert widths(pruned(Prune(ratio))) == expected


def test_layers_that_are_left_out_keep_their_channels():
    assert widths(pruned(Prune(0.5, where=~first() & by_type(Conv2d)))) == [4, 4, 4, 4]
    model, x = trained("qsnn_resnet19", 1, 4, 2, 0)
    stem = find_channels(model, x).groups[0]
    small = pruned(Prune(0.5, where=~by_name(stem.layers[-1])), (model, x))
    assert [small.get_submodule(name).out_channels for name in stem.layers] == [4] * len(stem.layers)
    assert sum(widths(small)) < sum(widths(model))


def test_one_threshold_for_all_layers_takes_more_where_scores_are_low():
    model, x = vggsnn()
    with torch.no_grad():
        model.get_submodule(CHAIN[2]).weight[:6] *= 1e-3  # type: ignore[operator, index]
    small = pruned(Prune(0.5, WeightL1(), sparsity="global"), (model, x))
    assert sum(widths(small)) == kept_of(28, 0.5)
    assert widths(small)[2] == 2


def test_a_global_ratio_leaves_every_layer_a_channel():
    assert widths(pruned(Prune(1, sparsity="global"))) == [1, 1, 1, 1]


# --- which ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "criterion", [SVS(), MembraneL1(), WeightL1(), NormScale(), Random(1)], ids=lambda c: type(c).__name__
)
@pytest.mark.parametrize("name", ["qsnn_vgg_s", "qsnn_resnet19"])
def test_every_criterion_prunes_and_what_is_left_runs_natively(criterion: Any, name: str):
    model, x = trained(name, 1, 4, 2, 0)
    small = pruned(Prune(0.4, criterion), (model, x))
    assert sum(widths(small)) < 0.7 * sum(widths(model))
    graph = lower(small, x)
    assert_equal_to_torch([Program(graph)], graph, small, x)


def test_the_lowest_scores_leave():
    model, x = vggsnn()
    conv = model.get_submodule(CHAIN[1])
    assert isinstance(conv, Conv2d)
    order = conv.weight.detach().abs().sum((1, 2, 3)).argsort(descending=True)
    kept = order[:6].sort().values
    small = pruned(Prune({CHAIN[1]: 0.25}, WeightL1()), (model, x)).get_submodule(CHAIN[1])
    assert isinstance(small, Conv2d)
    assert torch.equal(small.weight, conv.weight[kept])


def test_equal_scores_leave_in_the_order_of_channels():
    model, x = vggsnn()
    conv = model.get_submodule(CHAIN[1])
    assert isinstance(conv, Conv2d)
    with torch.no_grad():
        conv.weight.copy_(torch.randn_like(conv.weight).sign())
    small = pruned(Prune({CHAIN[1]: 0.25}, WeightL1()), (model, x)).get_submodule(CHAIN[1])
    assert isinstance(small, Conv2d)
    assert torch.equal(small.weight, conv.weight[2:])


# --- budgets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", [WeightL1(), SVS()], ids=lambda c: type(c).__name__)
def test_a_budget_of_bytes_is_met_and_not_undercut_by_more_than_a_unit(criterion: Any):
    model, x = trained("qsnn_resnet19", 1, 4, 2, 0)
    whole, _ = cost_of(model, x, None)
    budget = round(0.6 * whole)
    small = pruned(Prune(criterion=criterion, max_bytes=budget), (model, x))
    size, _ = cost_of(small, x, None)
    assert size <= budget
    assert size > 0.85 * budget  # a unit of the last stage is some 8 % of this little network


def test_a_budget_of_operations_is_met():
    model, x = vggsnn()
    _, whole = cost_of(model, x, None)
    small = pruned(Prune(criterion=WeightL1(), max_sops=0.5 * whole), (model, x))
    assert cost_of(small, x, None)[1] <= 0.5 * whole
    assert sum(widths(small)) > 8


def test_both_budgets_hold_at_once():
    model, x = vggsnn()
    size, sops = cost_of(model, x, None)
    small = pruned(Prune(criterion=WeightL1(), max_bytes=0.7 * size, max_sops=0.5 * sops), (model, x))
    after = cost_of(small, x, None)
    assert after[0] <= 0.7 * size
    assert after[1] <= 0.5 * sops


def test_numbers_of_numpy_are_the_numbers_that_they_are():
    assert Prune(np.float32(0.5)) == Prune(0.5)
    assert Prune({"features.*": np.float64(0.5)}) == Prune({"features.*": 0.5})
    assert Prune(max_bytes=np.int64(5000), max_sops=np.float32(0.5)) == Prune(max_bytes=5000, max_sops=0.5)


def test_a_budget_that_is_met_already_removes_nothing():
    model, x = vggsnn()
    assert widths(pruned(Prune(max_bytes=10**9, criterion=WeightL1()), (model, x))) == widths(model)


@pytest.mark.parametrize("first_fitting", range(8))
def test_bisection_finds_the_smallest_that_fits(first_fitting: int):
    asked: list[int] = []

    def fits(m: int) -> bool:
        asked.append(m)
        return m >= first_fitting

    assert first_true(7, fits) == first_fitting
    assert len(asked) <= 4


def test_a_budget_that_can_t_be_met_names_the_smallest_size():
    model, x = vggsnn()
    smallest = pruned(Prune(1, WeightL1()), (model, x))
    size, sops = cost_of(smallest, x, None)
    with pytest.raises(
        CompressionError,
        match=rf"can't meet max_bytes=10 and max_sops=5: .* needs {size:,} bytes and {sops:,.0f} SOPs\. Fewer bits",
    ):
        pruned(Prune(criterion=WeightL1(), max_bytes=10, max_sops=5), (model, x))


# --- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 1.5}, r"Prune\.ratio must lie in \[0, 1\], got 1\.5\. \(It is the share of channels that leave\.\)"),
        ({"ratio": -0.1}, r"Prune\.ratio must lie in \[0, 1\], got -0\.1"),
        ({"ratio": float("nan")}, r"must lie in \[0, 1\], got nan"),
        ({"ratio": True}, r"must lie in \[0, 1\], got True"),
        ({"ratio": {"features.0": 2}}, r"must lie in \[0, 1\], got 2 for 'features\.0'"),
        ({"ratio": {last(): 2}}, r"must lie in \[0, 1\], got 2 for 'last\(\)'"),
        ({"ratio": {}}, "must name at least one layer, got an empty mapping"),
        ({}, "takes either a ratio or a budget .* got neither"),
        ({"ratio": 0.5, "max_bytes": 100}, "takes either a ratio or a budget .* got both"),
        ({"max_bytes": 0}, r"Prune\.max_bytes must be a number above 0, got 0"),
        ({"max_bytes": "5k"}, r"Prune\.max_bytes must be a number above 0, got '5k'"),
        ({"max_sops": True}, r"Prune\.max_sops must be a number above 0, got True"),
        ({"max_sops": float("nan")}, r"Prune\.max_sops must be a number above 0, got nan"),
        ({"ratio": 0.5, "sparsity": "even"}, r"Prune\.sparsity must be one of \('layerwise', 'global'\), got 'even'"),
        ({"ratio": {"a": 0.5}, "where": first()}, "by layer says where and how much"),
        ({"ratio": {"a": 0.5}, "sparsity": "global"}, "by layer says where and how much"),
    ],
)
def test_arguments_out_of_range_are_refused_at_once(arguments: dict[str, Any], message: str):
    with pytest.raises(CompressionError, match=message):
        Prune(**arguments)


@pytest.mark.parametrize(
    ("name", "prune", "message"),
    [
        ("chain", Prune({"fc": 0.5}), r"no channel of fc can leave: fc: they are the network's outputs"),
        (
            "chain",
            Prune({"two": 0.5}),
            r"the filter by_name\('two'\) matches no layer\. The model's layers are: one, fc",
        ),
        (
            "chain",
            Prune(0.5, where=by_type(nn.BatchNorm2d)),
            r"Prune\.where: the filter by_type\(BatchNorm2d\) matches no",
        ),
        ("chain", Prune(0.5, where=last()), "no channel of fc can leave: fc: they are the network's outputs"),
        ("unknown function", Prune(0.5), r"no channel of fc, one can leave: one: the model \(cumprod\) is not known"),
        ("unknown function", Prune({"one": 0.5}), r"one: the model \(cumprod\) is not known to keep them apart"),
        ("residual", Prune({"o*": 0.5, "one": 0.25}), r"two keys match one, one with 0\.5, one with 0\.25"),
        ("residual", Prune({"one": 0.5, "two": 0.25}), r"one and two share their channels .* got 0\.5 and 0\.25"),
        ("residual", Prune(0.5, where=first()), r"no channel of one can leave: one \+ two leave together"),
        ("stack", Prune(0.5), r"one \+ two: SVS gives its channels no score .* Use WeightL1"),
        ("chain", Prune(0.5, NormScale()), "one: NormScale gives its channels no score"),
    ],
)
def test_what_can_t_be_pruned_is_refused_by_name(name: str, prune: Prune, message: str):
    model = NETWORKS[name][0]()
    with pytest.raises(CompressionError, match=message):
        compress(model, [prune], image())


def test_a_layer_that_stays_is_passed_over_and_reported_where_others_were_meant_too():
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = NETWORKS["chain"][0](), NETWORKS["unknown function"][0]()

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) + self.b(x)

    small, report = compress(Half(), [Prune(0.5)], image())
    assert widths(small) == [2, 4]
    assert any("b.one: kept" in note and "cumprod" in note for note in report.notes)


def test_a_score_that_is_missing_is_reported_where_others_are_there():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = NETWORKS["chain"][0](), NETWORKS["stack"][0]()

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x).mean(0) + self.b(x).mean(0)

    small, report = compress(Two(), [Prune(0.5)], image())
    assert widths(small) == [2, 4, 4]
    assert "b.one + b.two: kept SVS gives no score" in report.notes


def test_a_pass_is_a_value():
    prune = Prune(0.5, SVS(), where=~last())
    assert prune == Prune(0.5, SVS(), where=~last()) != Prune(0.4)
    assert dataclasses.replace(prune, ratio=0.25).ratio == 0.25
