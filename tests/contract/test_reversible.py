"""Training backwards through reversible streams: the values and gradients of plain training, without its memory."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.neurons import LIF
from spikelet.nn import Added, Averaged, BatchNorm2d, Conv2d, Reversible
from spikelet.nn.residual import Residual
from spikelet.nn.reversible import Coupling, _packed, _unpacked
from spikelet.quant import Binary, LearnedStep, Quantizer

COUPLINGS = {"averaged": Averaged(), "added": Added()}
every_coupling = pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=list(COUPLINGS))


def body(channels: int, quantizer: Quantizer) -> nn.Sequential:
    return nn.Sequential(
        *(LIF(2), Conv2d(channels, 2 * channels, 1, quantizer), BatchNorm2d(2 * channels), nn.Dropout(0.1)),
        *(LIF(2), Conv2d(2 * channels, channels, 1, quantizer), BatchNorm2d(channels)),
    )


def chain(depth: int, coupling: Coupling, quantizer: Quantizer | None = None) -> Reversible:
    torch.manual_seed(0)
    return Reversible([body(8, quantizer or Binary()) for _ in range(depth)], coupling)


def streams(seed: int = 1) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(2, 3, 8, 4, 4), torch.randn(2, 3, 8, 4, 4)


def trained(model: Reversible, autocast: bool = False) -> list[Tensor]:
    """Streams, gradients and statistics after one pass."""
    a, b = (x.requires_grad_() for x in streams())
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        u, v = model(a, b)
    weight = torch.linspace(-1, 1, u.numel()).view_as(u)
    ((u * weight).sum() + v.square().sum()).backward()
    return [u.detach(), v.detach(), a.grad, b.grad, *(p.grad for p in model.parameters()), *model.buffers()]


def largest_difference(first: list[Tensor], second: list[Tensor]) -> float:
    """The largest difference of two tensors, relative to the second's largest element."""
    pairs = zip(first, second, strict=True)
    return max(float((x.double() - y.double()).abs().max() / (y.abs().max() + 1e-12)) for x, y in pairs)


@every_coupling
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("quantizer", [Binary(), LearnedStep(4)], ids=["binary", "learned"])
def test_gradients_are_those_of_plain_training(coupling: Coupling, quantizer: Quantizer, autocast: bool):
    """To 1e-5 of the largest: only the order of two additions differs. Streams and statistics are equal bit for bit."""
    inverted = chain(6, coupling, quantizer)
    plain = copy.deepcopy(inverted)
    plain.recompute = False
    first, second = trained(inverted, autocast), trained(plain, autocast)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    for mine, theirs in zip(inverted.buffers(), plain.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    assert largest_difference(first, second) < 1e-5


@every_coupling
def test_sixteen_blocks_are_inverted_exactly(coupling: Coupling):
    """In plain floats the averaged wiring would lose 32 bits on the way."""
    inverted = chain(32, coupling)
    plain = copy.deepcopy(inverted)
    plain.recompute = False
    assert largest_difference(trained(inverted), trained(plain)) < 1e-5


class Kept:
    """Bytes that autograd keeps for a backward pass."""

    def __init__(self) -> None:
        self.storages: dict[int, int] = {}

    def keep(self, x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        self.storages[storage.data_ptr()] = storage.nbytes()
        return x

    @classmethod
    def by(cls, model: Reversible) -> int:
        kept = cls()
        a, b = (x.requires_grad_() for x in streams())
        with torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda x: x):
            model(a, b)
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        return sum(size for place, size in kept.storages.items() if place not in weights)


@every_coupling
def test_what_autograd_keeps_does_not_grow_with_depth(coupling: Coupling):
    shallow, deep = (Kept.by(chain(depth, coupling)) for depth in (4, 16))
    assert deep == shallow
    plain = chain(16, coupling)
    plain.recompute = False
    assert Kept.by(plain) > 20 * deep


def test_the_lost_bits_take_an_eighth_of_a_byte_each():
    for n in (1, 7, 8, 9, 100):
        bits = torch.rand(n) < 0.5
        packed = _packed(bits)
        assert packed.numel() == -(-n // 8)
        assert torch.equal(_unpacked(packed, bits), bits)


@every_coupling
def test_a_body_that_is_not_the_same_function_twice_is_an_error(coupling: Coupling):
    class Counting(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x * self.calls

    model = Reversible([Counting()], coupling)
    a, b = (x.requires_grad_() for x in streams())
    u, v = model(a, b)
    with pytest.raises(SpikeletError, match=r"not the same function twice .*recompute=False"):
        (u.sum() + v.sum()).backward()


def test_a_stream_that_left_the_exact_range_is_an_error():
    model = Reversible([nn.Identity()], Added())
    a, b = (40_000.0 * torch.ones(1, 1, 1, 1, 1).requires_grad_() for _ in range(2))
    with pytest.raises(SpikeletError, match=r"a stream of Reversible reached 80000 in training; .* below 32768"):
        model(a, b)


@every_coupling
def test_a_shared_body_adds_up_its_gradients(coupling: Coupling):
    torch.manual_seed(0)
    one = body(8, Binary())
    inverted = Reversible([one, one, one], coupling)
    plain = copy.deepcopy(inverted)
    plain.recompute = False
    assert largest_difference(trained(inverted), trained(plain)) < 1e-5


def test_frozen_parameters_stay_without_gradient():
    model = chain(3, Averaged())
    model.bodies[1].requires_grad_(False)
    a, b = (x.requires_grad_() for x in streams())
    u, v = model(a, b)
    (u.sum() + v.square().sum()).backward()
    assert all(p.grad is None for p in model.bodies[1].parameters())
    assert all(p.grad is not None for p in model.bodies[2].parameters())


@every_coupling
def test_evaluation_and_training_without_gradient_take_the_plain_way(coupling: Coupling):
    model = chain(4, coupling)
    with torch.no_grad():
        torch.manual_seed(2)
        first = model(*streams())
        torch.manual_seed(2)
        model.recompute = False
        assert all(torch.equal(x, y) for x, y in zip(first, model(*streams()), strict=True))
        model.eval()
        u, v = model(*streams())
    assert bool((u * 256 == (u * 256).round()).all())
    assert float(v.abs().max()) <= 128


@pytest.mark.filterwarnings("ignore")  # dynamo warns of its own tracing
def test_a_compiled_network_trains_the_same():
    torch.compiler.reset()
    model = nn.Sequential()
    model.chain = chain(3, Averaged())

    def loss(a: Tensor, b: Tensor) -> Tensor:
        u, v = model.chain(a * 2, b * 2)
        return (u.sum() + v.square().sum()) / 2

    a, b = streams()
    torch.manual_seed(2)
    loss(a, b).backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    torch.manual_seed(2)
    torch.compile(loss, backend="eager")(a, b).backward()
    assert all(torch.equal(p.grad, e) for p, e in zip(model.parameters(), expected, strict=True))


def test_streams_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"Reversible takes two streams of one shape, got \(1, 2\) and \(1, 3\)"):
        Reversible([nn.Identity()])(torch.zeros(1, 2), torch.zeros(1, 3))


def test_a_residual_stream_is_the_sum_of_its_bodies():
    model = Residual([nn.Identity(), nn.Identity()])
    x = torch.tensor([0.5, -1.25])
    assert torch.equal(model(x), 4 * x)
    assert float(model(torch.tensor([100.0]))) == 128 - 2**-8
