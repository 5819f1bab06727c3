"""A quantizer that learns a step for each output channel: one a layer; saved, trained, cut, lowered and verified."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.codes import top_code
from spikelet.compression import Prune, Quantize, WeightL1, compress, find_channels, first, last, remove_channels
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, SumPool2d
from spikelet.quant import Binary, Coded, LayerQuantizer, QuantizerSpec, Uniform
from spikelet.quant.grid import round_half_up, straight_through
from spikelet.runtime import Program
from tests.compression.networks import image

CLASSES = 5


@dataclasses.dataclass(frozen=True)
class LearnedStep(QuantizerSpec):
    """code = clip(round(w / step), -L, L), step = 2^round(log2_step) learned per output channel (after LSQ)."""

    bits: int = 4

    def for_layer(self, weight: Tensor) -> LayerQuantizer:
        return LearnedStepOfLayer(self, weight)


class LearnedStepOfLayer(LayerQuantizer):
    """log2_step: [O], from twice the mean magnitude over the square root of L."""

    def __init__(self, spec: LearnedStep, weight: Tensor) -> None:
        super().__init__(spec)
        self.top = top_code(spec.bits, "symmetric")
        size = weight.detach().abs().flatten(1).mean(1)
        self.log2_step = nn.Parameter(torch.log2(2 * size / self.top**0.5))

    def _step(self, weight: Tensor) -> Tensor:
        rounded = straight_through(self.log2_step, round_half_up(self.log2_step.detach()))
        return torch.exp2(rounded).view(-1, *(1,) * (weight.dim() - 1))

    def encode(self, weight: Tensor) -> Coded:
        step = self._step(weight).detach()
        codes = round_half_up((weight.detach() / step).clamp(-self.top, self.top))
        return Coded(codes, step, self.bits)

    def forward(self, weight: Tensor) -> Tensor:
        step = self._step(weight)
        scaled = (weight / step).clamp(-self.top, self.top)
        return straight_through(scaled, round_half_up(scaled.detach())) * step


class PerWeight(LearnedStepOfLayer):
    """It also holds an offset for each weight, as adaptive rounding does."""

    def __init__(self, spec: LearnedStep, weight: Tensor) -> None:
        super().__init__(spec, weight)
        self.offset = nn.Parameter(torch.linspace(-0.5, 0.5, weight.numel()).view(weight.shape))

    def encode(self, weight: Tensor) -> Coded:
        return super().encode(weight + self.offset * self._step(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return super().forward(weight + self.offset * self._step(weight))


@dataclasses.dataclass(frozen=True)
class WithOffsets(LearnedStep):
    def for_layer(self, weight: Tensor) -> LayerQuantizer:
        return PerWeight(self, weight)


class Network(nn.Module):
    """uint8 [B, 3, 6, 6] -> [T, B, 5], with a grouped convolution and a residual sum."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encode = Encode()
        self.one = self._block(3, 8)
        self.two = self._block(8, 8, groups=2)
        self.three = self._block(8, 8)
        self.pool = SumPool2d(3)
        self.fc = Linear(8 * 4, CLASSES, Uniform(8, per_channel=False))

    def _block(self, inputs: int, outputs: int, groups: int = 1) -> nn.Sequential:
        conv = Conv2d(inputs, outputs, 3, Uniform(8), padding=1, groups=groups)
        norm = BatchNorm2d(outputs)
        nn.init.constant_(norm.bias, 0.75)  # most neurons fire now and then
        return nn.Sequential(conv, norm, LIF(3))

    def forward(self, x: Tensor) -> Tensor:
        s = self.one(self.encode(x))
        return self.fc(self.pool(self.three(s + self.two(s))).flatten(2))


def trained_steps(model: nn.Module) -> nn.Module:
    """`model` after some steps of gradient descent on noise, in evaluation mode."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(10):
        x = torch.randint(0, 256, (8, 3, 6, 6), dtype=torch.uint8)
        optimizer.zero_grad()
        F.cross_entropy(model.train()(x).mean(0), torch.randint(0, CLASSES, (8,))).backward()
        optimizer.step()
    return model.eval()


def quantized(spec: LearnedStep = LearnedStep()) -> nn.Module:
    return compress(Network(), [Quantize(spec, where=~last())], image()).model


def quantizers(model: nn.Module) -> dict[str, LearnedStepOfLayer]:
    return {name: m for name, m in model.named_modules() if isinstance(m, LearnedStepOfLayer)}


def test_every_layer_gets_its_own_from_one_spec():
    model = quantized()
    found = quantizers(model)
    assert list(found) == ["one.0.quantizer", "two.0.quantizer", "three.0.quantizer"]
    assert len({id(q.log2_step) for q in found.values()}) == 3
    for name, quantizer in found.items():
        weight = model.get_parameter(name.replace("quantizer", "weight"))
        assert torch.equal(quantizer.log2_step, LearnedStepOfLayer(LearnedStep(), weight).log2_step)


def test_the_same_spec_again_changes_nothing_and_another_one_does():
    model = trained_steps(quantized())
    again, report = compress(model, [Quantize(LearnedStep(), where=~last())], image())
    assert not [row for row in report.rows if row.layer]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    other, report = compress(model, [Quantize(LearnedStep(2), where=first())], image())
    assert [(row.layer, row.before, row.after) for row in report.rows if row.layer] == [("one.0", "4", "2")]
    assert other.get_submodule("one.0").quantizer.spec == LearnedStep(2)


def test_a_value_takes_the_place_of_a_module_and_back():
    layer = Conv2d(2, 3, 3, LearnedStep())
    assert [name for name, _ in layer.named_parameters()] == ["weight", "quantizer.log2_step"]
    layer.quantizer = Binary()
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    layer.quantizer = LearnedStep(2)
    assert layer.quantizer.bits == 2
    assert layer.quantizer is not LearnedStep(2).for_layer(layer.weight)


def test_a_spec_alone_does_what_a_new_layer_does():
    weight = torch.randn(4, 3, 3, 3)
    new = LearnedStep().for_layer(weight)
    assert torch.equal(LearnedStep()(weight), new(weight))
    assert torch.equal(LearnedStep().encode(weight).codes, new.encode(weight).codes)


def test_steps_are_saved_with_the_model():
    model = trained_steps(quantized())
    fresh = quantized()
    before = quantizers(fresh)["two.0.quantizer"].log2_step.detach().clone()
    fresh.load_state_dict(model.state_dict())
    after = quantizers(fresh)["two.0.quantizer"].log2_step
    assert not torch.equal(after, before)
    with torch.no_grad():
        assert torch.equal(fresh.eval()(image()), model(image()))


def test_training_moves_every_step():
    before, after = quantizers(quantized()), quantizers(trained_steps(quantized()))
    assert all(bool((before[name].log2_step != after[name].log2_step).any()) for name in before)


@pytest.mark.parametrize("spec", [LearnedStep(), WithOffsets(3)])
def test_surgery_cuts_what_belongs_to_the_channels_that_leave(spec: LearnedStep):
    model = trained_steps(quantized(spec))
    channels = find_channels(model, image())
    assert {name for group in channels.groups for name in group.layers} == {"one.0", "two.0", "three.0"}
    units = torch.cat([group.units[::3] for group in channels.groups])
    small = copy.deepcopy(model)
    remove_channels(small, channels, units, image())
    for name, quantizer in quantizers(small).items():
        old = quantizers(model)[name]
        makes = channels.layers[name.removesuffix(".quantizer")].makes
        assert makes is not None
        stay = ~torch.isin(makes, units)
        assert torch.equal(quantizer.log2_step, old.log2_step[stay])
        assert isinstance(quantizer.log2_step, nn.Parameter)
        if isinstance(quantizer, PerWeight):
            assert quantizer.offset.shape == small.get_parameter(name.replace("quantizer", "weight")).shape
    for name in ("one.0", "three.0"):  # weights that stay keep their codes
        layer, old = small.get_submodule(name), model.get_submodule(name)
        makes, reads = channels.layers[name].makes, channels.layers[name].reads
        kept = old.quantizer.encode(old.weight).codes[~torch.isin(makes, units)][:, ~torch.isin(reads, units)]
        assert torch.equal(layer.quantizer.encode(layer.weight).codes, kept)


@pytest.mark.parametrize("spec", [LearnedStep(), LearnedStep(2), WithOffsets(3)])
def test_created_trained_pruned_trained_lowered_it_runs_as_it_evaluates(spec: LearnedStep):
    model = trained_steps(quantized(spec))
    small = trained_steps(compress(model, [Prune(0.5, WeightL1())], image()).model)
    graph = lower(small, image())
    x = torch.randint(0, 256, (16, 3, 6, 6), dtype=torch.uint8)
    with torch.no_grad():
        assert int(small(x).argmax(-1).unique().numel()) > 1
    found = verify(graph, small, [(x, torch.zeros(16, dtype=torch.long))], Program)
    assert found.mismatches == 0, found


def test_channels_of_a_layer_with_state_that_is_not_understood_stay():
    model = quantized()
    quantizer = quantizers(model)["three.0.quantizer"]
    quantizer.register_buffer("table", torch.zeros(3))
    kept = find_channels(model, image()).kept
    assert kept["three.0"] == (
        "three.0 (Conv2d) has LearnedStepOfLayer.table of shape (3,), neither one per output channel nor one per weight"
    )
