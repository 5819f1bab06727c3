"""Partial information as a pass: every transformer's products get smaller, and what comes out runs as it evaluates."""

from __future__ import annotations

import pytest
import torch

from spikelet.base.errors import PartialWarning, SpikeletError
from spikelet.compression import CompressionError, Finetune, PartialAttention, by_name, compress
from spikelet.data import DataSplits, Samples
from spikelet.lowering import LoweringError, lower, verify
from spikelet.models import create_model
from spikelet.nn.partial import ReadsPartially, between_trainings
from spikelet.runtime import Program
from tests.compression.test_transformers import settled
from tests.contract.test_est import products
from tests.support.catalogue import model_input


def data_of(name: str) -> DataSplits:
    torch.manual_seed(1)
    samples = Samples(model_input(name, 12), torch.arange(12) % 10, tuple("abcdefghij"), "noise", "")
    return DataSplits(samples, samples.subset(torch.arange(0)), samples.subset(torch.arange(4)))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, "tokens") for name in ("bestformer_4_384", "spikformer_4_384", "est_cifar")],
        *[(name, "heads") for name in ("bestformer_8_512", "qsd_transformer_cifar", "spikingformer_4_384")],
    ],
)
def test_half_of_the_information_halves_every_transformers_products(name: str, kind: str):
    model, x = settled(name), model_input(name, 3)
    small, report = compress(model, [PartialAttention(0.5, kind)], x)
    with between_trainings():
        graph = lower(small, x[:1])
        before, after = products(lower(model, x[:1])), products(graph)
        assert 0.49 <= 1 - after / before <= 0.51
        result = verify(graph, small, [(x, torch.zeros(3, dtype=torch.long))], Program)
    assert result.mismatches == 0
    changed = [row for row in report.rows if row.what == "information"]
    assert len(changed) == sum(isinstance(m, ReadsPartially) for m in model.modules())
    assert {(row.before, row.after) for row in changed} == {("whole", f"Partial{kind.capitalize()} 0.5")}
    assert all(m.partial is None or m.partial.ratio == 0 for m in model.modules() if isinstance(m, ReadsPartially))


def test_evaluation_warns_until_it_is_trained_further():
    name = "spikformer_4_384"
    model, data = settled(name), data_of(name)
    small = compress(model, [PartialAttention(0.5)], data).model
    with torch.no_grad(), pytest.warns(PartialWarning, match=r"at ratio 0 is evaluated at 0\.5"):
        small(data.test.x)
    tuned = compress(small, [Finetune(1, batch_size=4)], data).model
    with torch.no_grad():
        tuned(data.test.x)


def test_random_masks_are_evaluated_and_not_lowered():
    name = "spikformer_4_384"
    small = compress(settled(name), [PartialAttention(0.5, "random")], model_input(name, 2)).model
    with between_trainings(), pytest.raises(LoweringError, match=r"RandomMask\): leaves elements out at random"):
        lower(small, model_input(name, 1))


def test_bad_settings_and_models_without_attention_are_refused():
    for ratio in (1.0, -0.1, "half"):
        with pytest.raises(SpikeletError, match=r"partial_information\.ratio must lie in \[0, 1\)"):
            PartialAttention(ratio)  # type: ignore[arg-type]
    with pytest.raises(SpikeletError, match=r"partial_information\.kind must be one of"):
        PartialAttention(0.5, "rows")
    with pytest.raises(CompressionError, match=r"PartialAttention found no attention"):
        compress(create_model("qsnn_vgg_s", widths=(4, 8), image_size=8), [PartialAttention(0.5)])
    with pytest.raises(CompressionError, match=r"PartialAttention\.where: the filter by_name\('x'\) matches no layer"):
        compress(settled("spikformer_4_384"), [PartialAttention(0.5, where=by_name("x"))])
