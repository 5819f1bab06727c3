"""Pruning sees what training runs too: a network smaller by it evaluates and trains, or is refused before the work."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.compression import Finetune, Prune, Quantize, QuantizeMembranes, compress
from spikelet.data.samples import DataSplits, Samples
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.quant import Uniform

T, CLASSES = 2, 4


class Net(nn.Module):
    """Two convolutions and a head; subclasses do something else in training."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Encode(), Conv2d(1, 8, 3, Uniform(8), padding=1), BatchNorm2d(8), LIF(T))
        self.conv, self.norm, self.neuron = Conv2d(8, 16, 3, Uniform(4), padding=1), BatchNorm2d(16), LIF(T)
        self.head = Linear(16, CLASSES, Uniform(8, per_channel=False))
        self.aux = Linear(16, CLASSES, Uniform(8, per_channel=False))
        self.skip = Conv2d(1, 16, 1, Uniform(8))
        self.other_norm = BatchNorm2d(16)
        self.mask = nn.Parameter(torch.ones(16))

    def current(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.stem(x)))

    def features(self, x: Tensor) -> Tensor:
        return self.neuron(self.current(x)).mean((3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Auxiliary(Net):
    def forward(self, x: Tensor) -> Tensor:
        z = self.features(x)
        return self.head(z) + self.aux(z) if self.training else self.head(z)


class AuxiliaryInATuple(Net):
    def forward(self, x: Tensor) -> Tensor:
        z = self.features(x)
        return (self.head(z), self.aux(z)) if self.training else self.head(z)  # type: ignore[return-value]


class AuxiliaryAtRandom(Net):
    def forward(self, x: Tensor) -> Tensor:
        z = self.features(x)
        return self.head(z) + self.aux(z) if self.training and torch.rand(()) < 0.5 else self.head(z)


class AuxiliaryInEvaluation(Net):
    def forward(self, x: Tensor) -> Tensor:
        z = self.features(x)
        return self.head(z) if self.training else self.head(z) + self.aux(z)


class SkipInTraining(Net):
    def current(self, x: Tensor) -> Tensor:
        current = super().current(x)
        return current + self.skip(self.stem[0](x)) if self.training else current


class OtherNorm(Net):
    def current(self, x: Tensor) -> Tensor:
        return (self.other_norm if self.training else self.norm)(self.conv(self.stem(x)))


class Folded(Net):
    """Two branches train, one layer evaluates."""

    def current(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().current(x)
        return self.norm(self.conv(self.stem(x))) + self.skip(self.stem[0](x))


class Masked(Net):
    def features(self, x: Tensor) -> Tensor:
        z = super().features(x)
        return z * self.mask if self.training else z


class DroppedOut(Net):
    def features(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().features(x), 0.5, self.training)


class BlockLeftOut(Net):
    def current(self, x: Tensor) -> Tensor:
        current = super().current(x)
        return current if self.training and torch.rand(()) < 0.5 else current + self.other_norm(current)


class SizeNamedInTraining(Net):
    def features(self, x: Tensor) -> Tensor:
        z = super().features(x)
        return z.view(T, -1, 16) if self.training else z


class EvaluatesOnly(Net):
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise RuntimeError("a network that came without its losses")
        return super().forward(x)


def samples(count: int = 8) -> Samples:
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, (count, 1, 6, 6), dtype=torch.uint8, generator=generator)
    return Samples(x, torch.arange(count) % CLASSES, tuple("abcd"), "made")


def batch(count: int = 8) -> tuple[Tensor, Tensor]:
    taken = samples(count)
    return taken.x, taken.y


def made(network: type[Net]) -> Net:
    torch.manual_seed(0)
    return network()


TRAINABLE = [
    Auxiliary, AuxiliaryInATuple, AuxiliaryAtRandom, AuxiliaryInEvaluation, SkipInTraining, OtherNorm, Folded, Masked,
    DroppedOut, BlockLeftOut,
]  # fmt: skip


@pytest.mark.parametrize("network", TRAINABLE)
@pytest.mark.parametrize("count", [1, 8])
def test_a_pruned_network_evaluates_and_trains(network: type[Net], count: int):
    small, _ = compress(made(network), [Prune(0.5)], batch(count)[0])
    x, _ = batch()
    assert small.eval()(x).shape == (T, 8, CLASSES)
    for seed in range(4):
        torch.manual_seed(seed)
        made_in_training = small.train()(x)
        logits = made_in_training[0] if isinstance(made_in_training, tuple) else made_in_training
        logits.sum().backward()
    assert small.conv.weight.grad is not None


def test_what_trains_alone_is_cut_with_what_evaluates():
    skipped, _ = compress(made(SkipInTraining), [Prune(0.5)], batch()[0])
    assert skipped.conv.out_channels == skipped.skip.out_channels == 8
    seen, _ = compress(made(Auxiliary), [Prune(0.5)], batch()[0])
    assert (seen.head.in_features, seen.aux.in_features) == (8, 8)


def test_channels_that_training_pairs_with_a_tensor_of_the_model_stay():
    small, report = compress(made(Masked), [Prune(0.5)], batch()[0])
    assert small.conv.out_channels == 16
    assert "conv: kept" in str(report)


def test_a_size_named_in_training_alone_is_refused():
    model = made(SizeNamedInTraining)
    with pytest.raises(CompressionError, match="does not run in training mode any more"):
        compress(model, [Prune(0.5)], batch()[0])


def test_a_network_that_only_evaluates_is_pruned():
    small, _ = compress(made(EvaluatesOnly), [Prune(0.5)], batch()[0])
    assert small.conv.out_channels == 8
    assert small.eval()(batch()[0]).shape == (T, 8, CLASSES)


def test_all_passes_run_one_after_the_other_on_a_network_with_an_auxiliary_head():
    data = DataSplits(samples(), samples(), samples())
    passes = [Prune(0.5), Quantize(2), QuantizeMembranes(2), Finetune(1, batch_size=4)]
    small, _ = compress(made(Auxiliary), passes, data)
    assert small.aux.weight.shape == (CLASSES, 8)


def test_looking_at_training_learns_nothing_and_draws_nothing():
    model = made(DroppedOut).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    compress(model, [Prune(0.5)], batch()[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    small, _ = compress(model, [Prune(0.0)], batch()[0])
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())


def test_a_network_that_gives_no_tensor_in_evaluation_is_told_what_to_give():
    class InADictionary(Net):
        def forward(self, x: Tensor) -> Tensor:
            return {"logits": super().forward(x)}  # type: ignore[return-value]

    with pytest.raises(ValueError, match="must give a tensor of logits in evaluation mode, got dict"):
        compress(InADictionary(), [Prune(0.5)], [batch()])
