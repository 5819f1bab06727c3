"""No switch of torch changes what evaluation computes, and types that would are refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Encode, Linear, evaluation_mode
from spikelet.quant import Uniform


class Attention(nn.Module):
    """A small network whose products would not survive 8 bits: 8-bit weights on pixels, and counts of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Encode(), Conv2d(3, 32, 3, Uniform(8), padding=1), BatchNorm2d(32))
        self.neuron = LIF(3, LIFParams(0.5, 0.03125))
        self.mix = LIF(3, LIFParams(0.5, 500.0))
        self.head = Linear(32 * 64, 10, Uniform(8, per_channel=False), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        s = self.neuron(self.stem(x)).flatten(3)
        scores = s.transpose(2, 3) @ s  # [T, B, N, N]
        return self.head(self.mix(s @ scores).flatten(2))


def network() -> tuple[Attention, Tensor]:
    torch.manual_seed(5)
    model, x = Attention().eval(), torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    return model, x


def traced(model: Attention, x: Tensor) -> list[Tensor]:
    """Every neuron's spikes, and the logits."""
    made: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda m, a, y: made.append(y)) for m in (model.neuron, model.mix)]
    with torch.no_grad(), evaluation_mode(model):
        made.append(model(x))
    for hook in hooks:
        hook.remove()
    return made


@contextmanager
def autocast() -> Iterator[None]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        yield


@contextmanager
def medium_precision() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def other_default() -> Iterator[None]:
    torch.set_default_dtype(torch.bfloat16)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def any_algorithm() -> Iterator[None]:
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True)


SWITCHES = [autocast, medium_precision, other_default, any_algorithm]


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda f: f.__name__)
def test_no_switch_changes_a_spike_or_a_logit(switch: Callable):
    model, x = network()
    expected = traced(model, x)
    assert all(0.02 < spikes.mean() < 0.8 for spikes in expected[:2])
    with switch():
        made = traced(model, x)
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(made, expected, strict=True))


def test_autocast_would_change_the_same_network_outside():
    """Else the test above proves nothing."""
    model, x = network()
    s = traced(model, x)[0].flatten(3)
    with autocast():
        rounded = s @ (s.transpose(2, 3) @ s)
    assert not torch.equal(rounded.float(), s @ (s.transpose(2, 3) @ s))


def test_layers_alone_are_exact_under_autocast():
    torch.manual_seed(0)
    x = torch.randint(0, 256, (2, 3, 8, 9)).float() / 256
    for layer, z in (
        (Conv1d(8, 4, 3, Uniform(8)), x),
        (Conv2d(3, 4, 3, Uniform(8)), x.view(2, 1, 3, 8, 9)),
        (Linear(9, 4, Uniform(8)), x),
        (BatchNorm1d(8), x),
    ):
        expected = layer.eval()(z)
        with autocast():
            made = layer(z)
            assert layer.train()(z).dtype == (torch.float32 if isinstance(layer, BatchNorm1d) else torch.bfloat16)
        assert made.dtype == torch.float32
        assert torch.equal(made, expected)


def test_a_double_model_gives_the_same_spikes_in_float64():
    model, x = network()
    expected = traced(model, x)
    made = traced(model.double(), x)
    assert all(y.dtype == torch.float64 for y in made)
    assert all(torch.equal(a, b.double()) for a, b in zip(made, expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_in_half_precision_is_refused_by_name(dtype: torch.dtype):
    model, _ = network()
    model.head.to(dtype)
    message = rf"head\.weight is {dtype}, in which evaluation is not exact.*model\.double"
    with pytest.raises(SpikeletError, match=message), evaluation_mode(model):
        raise AssertionError
    model.head.float()
    model.neuron.register_buffer("kept", torch.zeros(2, dtype=dtype))
    with pytest.raises(SpikeletError, match=rf"neuron\.kept is {dtype}"), evaluation_mode(model):
        raise AssertionError


@pytest.mark.parametrize(
    "layer",
    [Conv1d(2, 2, 1, Uniform(8)), Conv2d(2, 2, 1, Uniform(8)), Linear(2, 2, Uniform(8)), BatchNorm1d(2), LIF(2)],
    ids=lambda m: type(m).__name__,
)
def test_currents_in_half_precision_are_refused_in_evaluation(layer: nn.Module):
    shape = {Conv1d: (2, 1, 2, 2), Conv2d: (2, 1, 2, 2, 2)}.get(type(layer), (2, 1, 2))
    with pytest.raises((SpikeletError, TypeError), match=rf"{type(layer).__name__} evaluates in float32 or float64"):
        layer.eval()(torch.zeros(shape, dtype=torch.bfloat16))


def test_switches_are_put_back_also_after_an_error():
    model, _ = network()
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(RuntimeError), autocast(), evaluation_mode(model):
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32 | torch.backends.cudnn.enabled
            assert not torch.is_autocast_enabled("cpu")
            raise RuntimeError
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32 & torch.backends.cudnn.enabled
    finally:
        torch.set_float32_matmul_precision("highest")
