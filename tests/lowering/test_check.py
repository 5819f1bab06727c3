"""`check` finds everything for which `lower` would refuse a network, says the way out, and changes nothing."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import LoweringError, SpikeletError
from spikelet.graph import ir
from spikelet.lowering import Builder, Check, lower
from spikelet.lowering.stand_in import StandIn, stand_in
from spikelet.lowering.trace import Call
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Linear
from spikelet.quant import FullPrecision, Uniform
from tests.lowering.test_lower_refused import REFUSED
from tests.lowering.test_ranges import of_currents
from tests.support.user_modules import User, images, neuron, plain, user

OTHERS = {"full precision", "a weight in the old place"}  # check quantizes the first; torch warns once of the second


def floats() -> User:
    """A network of float weights."""
    model = user(
        lambda m, x: m.fc(m.two(m.norm(m.deep(m.lif(m.conv(x))))).flatten(2)), conv=Conv2d(3, 4, 3, FullPrecision()),
        deep=Conv2d(4, 4, 3, FullPrecision(), padding=1), norm=BatchNorm2d(4), two=neuron(),
        fc=Linear(64, 5, FullPrecision()),
    )  # fmt: skip
    return model.train()


def several() -> User:
    """Five modules that have no integer form, each behind the one before, and one that would be out of range."""

    def body(m: User, x: Tensor) -> Tensor:
        y = m.gelu(m.conv(x))
        y = m.raw(y.flatten(0, 1)).unflatten(0, (-1, x.shape[1]))
        s = m.lif(m.layer(F.silu(y)))
        s = m.two(s.square())
        return m.fc(m.wide(s.flatten(2)))

    model = user(
        body, gelu=nn.GELU(), raw=nn.Conv2d(4, 4, 3, padding=1), layer=nn.GroupNorm(1, 4), two=neuron(),
        wide=Linear(144, 64, FullPrecision()), fc=Linear(64, 5, FullPrecision()),
    )  # fmt: skip
    model.layer = nn.InstanceNorm3d(4)
    with torch.no_grad():
        model.wide.weight.fill_(3.0)
        model.fc.weight.fill_(3.0)
    return model


def test_a_network_that_lowers_is_true_and_left_as_it_is() -> None:
    model = floats()
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    found = spikelet.check(model, images())
    assert found
    assert found.refusals == ()
    assert str(found) == "nothing is refused: the network lowers with weights of 8 bits."
    assert [m.training for m in model.modules()] == modes
    assert isinstance(model.deep.quantizer, FullPrecision)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    for layer in (model.conv, model.deep, model.fc):
        layer.quantizer = Uniform(8)
    lower(model, images())


def test_all_refusals_are_in_one_table() -> None:
    found = spikelet.check(several(), images())
    assert not found
    modules = [refusal.module for refusal in found.refusals]
    assert modules == [
        "gelu (gelu)", "raw (Conv2d)", "the model (silu)", "layer (instance_norm)", "the model (square)", "fc",
    ]  # fmt: skip
    assert all(refusal.reason.endswith(".") and refusal.way_out.endswith(".") for refusal in found.refusals)
    text = str(found)
    assert all(module in text for module in modules)
    assert max(map(len, text.splitlines())) <= 100
    assert "-> Its weights are floats: use spikelet.nn.Conv2d with a quantizer." in text


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in OTHERS])
def test_what_lower_refuses_is_found_in_the_same_words(name: str) -> None:
    make, said = REFUSED[name]
    found = spikelet.check(make(), images())
    assert not found
    with pytest.raises(SpikeletError, match=said) as refused:
        lower(make(), images())
    assert found.refusals[0].reason.rstrip(".") in str(refused.value)


def test_a_forward_that_fails_still_names_the_layers_without_a_rule() -> None:
    model = user(lambda m, x: m.fc(m.act(m.lif(m.conv(x)))), act=nn.Softmax(dim=2))
    found = spikelet.check(model, images())
    assert [refusal.module for refusal in found.refusals] == ["fc", "act (Softmax)"]
    assert found.refusals[0].reason.startswith("Linear takes [T, B, I]")


def test_neurons_of_other_time_steps_are_one_refusal() -> None:
    (refusal,) = spikelet.check(user(plain().body, lif=LIF(2), two=LIF(3)), images()).refusals
    assert (refusal.module, refusal.reason[:42]) == ("the model", "all neurons must have the same time_steps,")


@pytest.mark.parametrize("bits", [1, 9, 32, "8"])
def test_weight_bits_out_of_range_are_refused(bits: object) -> None:
    with pytest.raises(LoweringError, match=r"weight_bits must be 2 to 8, got .*Quantize\(1\) first"):
        spikelet.check(plain(), images(), weight_bits=bits)  # type: ignore[arg-type]


def test_what_is_no_module_or_no_batch_is_refused() -> None:
    with pytest.raises(LoweringError, match="model must be a torch"):
        spikelet.check("net", images())  # type: ignore[arg-type]
    with pytest.raises(LoweringError, match="example must be a uint8 batch"):
        spikelet.check(plain(), images().float())


def test_quantized_layers_keep_their_quantizers() -> None:
    model = plain()
    bits: list[int] = []
    for layer in (model.conv, model.fc):
        layer.register_forward_hook(lambda module, args, output: bits.append(module.quantizer.bits))
    assert isinstance(spikelet.check(model, images(), weight_bits=3), Check)
    assert bits == [4, 8]
    assert isinstance(lower(model, images()), ir.IntGraph)


def test_refused_outputs_do_not_hide_what_is_out_of_range() -> None:
    model = of_currents()
    body = model.body
    model.body = lambda m, x: tuple(body(m, x) for _ in range(65))
    modules = [refusal.module.partition("#")[0] for refusal in spikelet.check(model, images()).refusals]
    assert modules[:2] == ["outputs", "second"]


@pytest.mark.parametrize("value", [5000.0, -5000.0, float("nan"), 0.3])
def test_what_stands_in_for_a_refused_call_is_an_interval_of_currents(value: float) -> None:
    b = Builder(3, 2, ())
    assert stand_in(b, Call("gelu", "net", (), (), {}, torch.full((3, 2, 5), value))) is not None
    (node,) = b.nodes
    assert isinstance(node, StandIn)
    assert -(2**23) <= node.low <= node.high < 2**23
