"""From a trained network to one within a budget, on digits."""

from __future__ import annotations

import copy
import dataclasses
import re

import pytest
import torch

from spikelet.base.errors import SpikeletError
from spikelet.base.page import WIDTH
from spikelet.compression.criteria import WeightL1
from spikelet.compression.passes import recalibrate
from spikelet.data import DataSplits, load
from spikelet.fitting import Budget, BudgetError, Choices, Fitted, Settings, fit
from spikelet.fitting.cost import CostModel
from spikelet.fitting.fitted import Measured
from spikelet.fitting.job import Job, subject_of
from spikelet.fitting.plan import Plan
from spikelet.fitting.progress import Quiet
from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.nn import Encode, Linear
from spikelet.profiling import profile
from spikelet.quant import FullPrecision
from spikelet.runtime import Program
from spikelet.train import Optimizer, Phase, Training, train_further
from tests.fitting.subjects import random_plan, small_subject
from tests.support.catalogue import model_input, small_model
from tests.support.user_modules import conv, images, neuron, user

pytest.importorskip("optuna")
pytest.importorskip("sklearn")
pytest.importorskip("accelerate")

TRAINING = Training(phases=(Phase(4, 2),), batch_size=64, optimizer=Optimizer(lr=8e-3))
SETTINGS = Settings(
    criterion=WeightL1(), choices=Choices(bits=(1, 2, 8), first_last_bits=(4, 8), ratios=(0.0, 0.25, 0.5)),
    samples=128, trials=400, probes=2, epochs=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def digits() -> DataSplits:
    return load("digits", validation=0.1)


@pytest.fixture(scope="module")
def model(digits: DataSplits) -> torch.nn.Module:
    torch.manual_seed(0)
    model = create_model("qsnn_vgg_s", weight_bits=8, image_size=8, in_channels=1, widths=(16, 32))
    train_further(model, digits, TRAINING)
    return model


@pytest.fixture(scope="module")
def before(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What the model holds before it is fitted."""
    return copy.deepcopy(model.state_dict())


@pytest.fixture(scope="module")
def fitted(model: torch.nn.Module, before: dict[str, torch.Tensor], digits: DataSplits) -> Fitted:
    return fit(model, digits, Budget(max_bytes=9_000, max_accuracy_drop=8), training=TRAINING, settings=SETTINGS)


def test_the_file_is_within_the_budget_and_the_accuracy_within_the_drop(fitted: Fitted):
    assert len(dumps(fitted.graph)) == fitted.result.size <= 9_000 < fitted.start.size
    assert fitted.accuracy_drop <= 8
    assert fitted.is_within_budget


def test_what_was_found_prints_as_the_command_prints_it(fitted: Fitted):
    text = str(fitted)
    for words in ("The front: ", "The chosen plan", "Measured on digits", f"{fitted.result.size:,}", fitted.verdict):
        assert words in text
    assert all(layer in text for layer in fitted.plan.bits)
    assert max(map(len, text.splitlines())) <= WIDTH
    short = repr(fitted)
    assert short.startswith(f"Fitted({fitted.start.size:,} -> {fitted.result.size:,} bytes, accuracy ")
    assert "within the budget" in fitted._repr_html_()
    missed = dataclasses.replace(fitted, budget=Budget(1))
    assert str(missed).splitlines()[-2].startswith("NOT within the budget: ")
    assert str(missed).splitlines()[-1] == f"  {fitted.result.size:,} bytes, at most 1 asked"


def test_a_drop_of_exactly_the_limit_is_within_it(fitted: Fitted):
    start, result = (dataclasses.replace(fitted.result, accuracy=a) for a in (0.93, 0.91))
    judged = dataclasses.replace(fitted, start=start, result=result, budget=Budget(9_000, max_accuracy_drop=2))
    assert judged.accuracy_drop > 2, "as floats it is"
    assert judged.is_within_budget
    assert not dataclasses.replace(judged, budget=Budget(9_000, max_accuracy_drop=1.99)).is_within_budget


def test_a_plan_that_measured_within_the_budget_wins_over_a_better_one(fitted: Fitted, digits: DataSplits):
    heavy = dataclasses.replace(fitted.probes[0], measured=Measured(0.91, 8_000, 1.3e6))
    light = dataclasses.replace(fitted.probes[0], measured=Measured(0.90, 8_000, 0.8e6))
    job = Job(fitted.model, digits, Budget(max_sops=1e6))
    assert job.best([heavy, light]) is light
    assert job.best([heavy]) is heavy, "fit says afterwards that it missed"


@pytest.mark.parametrize("weight_bits", [1, 8])
@pytest.mark.parametrize("seed", range(6))
def test_no_file_is_larger_than_its_plan_was_predicted_to_be(weight_bits: int, seed: int, digits: DataSplits):
    subject = small_subject(seed, weight_bits)
    samples = [(torch.randint(0, 256, (16, 1, 12, 12), dtype=torch.uint8), torch.zeros(16, dtype=torch.int64))]
    job = Job(subject.model, digits, Budget(1), labels=tuple("0123456789"), meta={"data": "noise"})
    costs = CostModel(subject, profile(subject.model, subject.example), job.fixed_bytes(subject, samples))
    plan = random_plan(subject, costs, seed)
    model = subject.build(plan)
    recalibrate(model, [x for x, _ in samples])
    size = len(dumps(lower(model, subject.example, labels=job.labels, meta=dict(job.meta))))
    assert size <= costs.of(plan).size <= 1.25 * size


@pytest.mark.parametrize("name", ["bestformer_2_128", "qsd_transformer_cifar"])
@pytest.mark.parametrize("seed", range(2))
def test_no_transformer_is_larger_than_predicted(name: str, seed: int, digits: DataSplits):
    """Its document is compressed, and takes more the less its nodes are alike."""
    torch.manual_seed(seed)
    model, x = small_model(name).eval(), model_input(name, 8)
    samples = [(x, torch.zeros(len(x), dtype=torch.int64))]
    recalibrate(model, [x])
    subject = subject_of(model, [x], WeightL1())
    job = Job(model, digits, Budget(1), labels=tuple("0123456789"), meta={"data": "noise"})
    costs = CostModel(subject, profile(model, x), job.fixed_bytes(subject, samples))
    plan = random_plan(subject, costs, seed)
    built = subject.build(plan)
    recalibrate(built, [x])
    size = len(dumps(lower(built, x, labels=job.labels, meta=dict(job.meta))))
    assert size <= costs.of(plan).size <= 1.5 * size


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_no_network_that_reads_half_of_its_channels_is_larger_than_predicted(bits: int, digits: DataSplits):
    torch.manual_seed(0)
    parts = {"conv": conv(3, 16), "wide": conv(16, 64), "fired": neuron(), "narrow": conv(32, 4), "last": neuron()}
    model = user(lambda m, x: m.fc(m.last(m.narrow(m.fired(m.wide(m.lif(m.conv(x))))[:, :, ::2])).flatten(2)), **parts)
    samples = [(images(), torch.zeros(4, dtype=torch.int64))]
    subject = subject_of(model, [samples[0][0]], WeightL1())
    job = Job(model, digits, Budget(1))
    costs = CostModel(subject, profile(model, samples[0][0]), job.fixed_bytes(subject, samples))
    plan = Plan(dict.fromkeys(("wide", "narrow"), bits))
    assert len(dumps(lower(subject.build(plan), samples[0][0]))) <= costs.of(plan).size


def test_the_integers_have_the_accuracy_that_is_reported(fitted: Fitted, digits: DataSplits):
    x, y = digits.test.batch(torch.arange(len(digits.test)))
    hits = Program(fitted.graph)(x.numpy()).argmax(1) == y.numpy()
    assert hits.mean() == pytest.approx(fitted.result.accuracy)
    assert fitted.judged_on == digits.test.name


def test_the_model_is_left_as_it_was(fitted: Fitted, model: torch.nn.Module, before: dict[str, torch.Tensor]):
    after = model.state_dict()
    assert fitted.model is not model
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_an_impossible_budget_says_what_the_smallest_plan_needs_before_anything_is_measured(
    model: torch.nn.Module, digits: DataSplits, fitted: Fitted
):
    with pytest.raises(BudgetError, match=r"no plan meets 100 bytes and 10 SOPs: the smallest has \d+ bytes") as error:
        fit(model, digits, Budget(100, 10.0), training=TRAINING, settings=SETTINGS, watcher=Begun())
    (least,) = re.findall(r"the smallest has (\d+) bytes", str(error.value))
    assert int(least) <= min(candidate.cost.size for candidate in fitted.front)
    with pytest.raises(StopIteration, match="sensitivity"):
        fit(model, digits, Budget(int(least)), training=TRAINING, settings=SETTINGS, watcher=Begun())


def test_data_without_validation_samples_is_refused(model: torch.nn.Module):
    with pytest.raises(ValueError, match="the data has no validation samples"):
        fit(model, load("digits", validation=0.0), Budget(9_000), training=TRAINING, settings=SETTINGS)


class Begun(Quiet):
    """A watcher that ends a fit when its measuring begins, which no refusal comes after."""

    def stage(self, name: str, steps: int) -> None:
        raise StopIteration(name)


def test_a_network_of_inverted_streams_is_fitted_without_settings(digits: DataSplits):
    model = small_model("bestformer_4_384", in_channels=1).eval()
    with pytest.raises(StopIteration, match="sensitivity"):
        fit(model, digits, Budget(1_000_000), settings=SETTINGS, watcher=Begun())
    words = (
        r"Reversible do not keep\. Use regulation=DualRegulation\(spike=0\), or Reversible\(\.\.\., recompute=False\)"
    )
    with pytest.raises(SpikeletError, match=words):
        fit(model, digits, Budget(4_000), training=TRAINING, settings=SETTINGS, watcher=Begun())


@pytest.mark.parametrize("name", ["samples", "trials", "probes", "probe_epochs", "epochs"])
def test_settings_below_one_are_refused(name: str):
    with pytest.raises(ValueError, match=rf"Settings\.{name} must be a whole number from 1 on, got 0"):
        Settings(**{name: 0})  # type: ignore[arg-type]


def test_a_network_without_layers_to_fit_is_refused():
    inputs = [torch.zeros(1, 1, 8, 8, dtype=torch.uint8)]
    model = torch.nn.Sequential(Encode(), torch.nn.Flatten(2), Linear(64, 10, FullPrecision()))
    with pytest.raises(BudgetError, match=r"at least two spikelet\.nn\.Conv2d or Linear layers, got 1"):
        subject_of(model, inputs, WeightL1())
