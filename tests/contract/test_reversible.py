"""Training backwards through reversible streams: the values and gradients of plain training, without its memory."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

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


@every_coupling
def test_a_weight_that_changes_before_the_backward_pass_is_an_error(coupling: Coupling):
    model = chain(2, coupling)
    a, b = (x.requires_grad_() for x in streams())
    u, v = model(a, b)
    with torch.no_grad():
        model.bodies[0][1].weight.mul_(-1)
    with pytest.raises(SpikeletError, match=r"a parameter changed since"):
        (u.sum() + v.sum()).backward()


def answered(model: Reversible) -> Tensor:
    a, b = (x.requires_grad_() for x in streams())
    u, v = model(a, b)
    return u.sum() + v.square().sum()


def test_other_parameters_than_forwards_are_an_error():
    """Or they would silently get no gradient."""
    model = chain(2, Averaged())
    others = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    a, b = streams()
    u, v = torch.func.functional_call(model, others, (a, b))
    with pytest.raises(SpikeletError, match=r"the parameters of Reversible are others than in the forward pass"):
        (u.sum() + v.sum()).backward()
    loss = answered(model)
    model.bodies[0].requires_grad_(False)
    with pytest.raises(SpikeletError, match=r"frozen or unfrozen since"):
        loss.backward()


def test_a_gradient_of_the_gradient_is_refused():
    model = chain(2, Averaged())
    with pytest.raises(SpikeletError, match=r"no gradient of its own, and create_graph=True asks for it"):
        torch.autograd.grad(answered(model), list(model.parameters()), create_graph=True)


def test_a_body_that_changes_its_stream_in_place_is_refused():
    model = Reversible([nn.Identity(), nn.ReLU(inplace=True)])
    with pytest.raises(SpikeletError, match=r"a body of Reversible, ReLU, changed its stream in place"):
        answered(model)


@pytest.mark.parametrize("recompute", [True, False], ids=["inverted", "plain"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@every_coupling
def test_a_body_that_answers_in_another_shape_is_refused(coupling: Coupling, training: bool, recompute: bool):
    """Such as a neuron that holds a still image for its time steps."""
    model = Reversible([LIF(2)], coupling, recompute).train(training)
    with pytest.raises(SpikeletError, match=r"LIF, must answer in the shape of its stream, \(1, 3\), got \(2, 3\)"):
        model(torch.zeros(1, 3), torch.zeros(1, 3))


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ones_like(x)


class Twice(nn.Module):
    """Streams within a stream."""

    def __init__(self, coupling: Coupling) -> None:
        super().__init__()
        self.inside = Reversible([body(8, Binary()), body(8, Binary())], coupling)

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x, x)[1]


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = body(8, Binary())

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.inside, x, use_reentrant=False)


ODD: dict[str, Callable[[Coupling], list[nn.Module]]] = {
    "none": lambda coupling: [],
    "identity": lambda coupling: [nn.Identity()],
    "constant": lambda coupling: [body(8, Binary()), Constant(), body(8, Binary())],
    "nested": lambda coupling: [Twice(coupling), body(8, Binary())],
    "checkpointed": lambda coupling: [Checkpointed(), body(8, Binary())],
}


def every_gradient(model: Reversible) -> list[Tensor | None]:
    torch.manual_seed(2)
    answered(model).backward()
    return [p.grad for p in model.parameters()]


@every_coupling
@pytest.mark.parametrize("bodies", ODD.values(), ids=list(ODD))
def test_odd_bodies_have_the_gradients_of_plain_training(
    coupling: Coupling, bodies: Callable[[Coupling], list[nn.Module]]
):
    torch.manual_seed(0)
    inverted = Reversible(bodies(coupling), coupling)
    plain = copy.deepcopy(inverted)
    for module in plain.modules():
        if isinstance(module, Reversible):
            module.recompute = False
    for mine, theirs in zip(every_gradient(inverted), every_gradient(plain), strict=True):
        assert mine is not None and theirs is not None
        assert float((mine - theirs).abs().max()) <= 1e-5 * float(theirs.abs().max())


def test_a_parameter_without_a_part_in_the_answer_has_no_gradient():
    """As in plain training; a gradient of 0 would let an optimizer's weight decay and momentum move it."""
    model = chain(2, Averaged())
    model.bodies[0].spare = nn.Parameter(torch.ones(3))
    answered(model).backward()
    assert model.bodies[0].spare.grad is None


def test_a_graph_that_is_retained_gives_the_same_gradients_again():
    model = chain(2, Averaged())
    loss = answered(model)
    first = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    second = torch.autograd.grad(loss, list(model.parameters()))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_statistics_are_kept_where_the_second_run_fails():
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise ZeroDivisionError
            return x

    model = Reversible([nn.Sequential(BatchNorm2d(8), Failing())])
    loss = answered(model)
    before = [buffer.clone() for buffer in model.buffers()]
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert all(torch.equal(x, y) for x, y in zip(before, model.buffers(), strict=True))


@pytest.mark.parametrize("coupling", ["averaged", Averaged, 0])
def test_another_coupling_is_refused(coupling: object):
    with pytest.raises(SpikeletError, match=r"Reversible\.coupling must be Averaged\(\) or Added\(\), got "):
        Reversible([nn.Identity()], coupling)  # type: ignore[arg-type]


def test_recompute_is_true_or_false():
    with pytest.raises(SpikeletError, match=r"Reversible\.recompute must be True or False, got 'no'"):
        Reversible([nn.Identity()], Added(), "no")  # type: ignore[arg-type]


def test_a_stream_that_left_the_exact_range_is_an_error():
    model = Reversible([nn.Identity()], Added())
    a, b = (40_000.0 * torch.ones(1, 1, 1, 1, 1).requires_grad_() for _ in range(2))
    with pytest.raises(SpikeletError, match=r"a stream of Reversible reached 40000 in training; .* below 32768"):
        model(a, b)
    with pytest.raises(SpikeletError, match=r"a stream of Reversible reached 60000 in training; .* below 32768"):
        model(a * 0.75, b * 0.75)


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
