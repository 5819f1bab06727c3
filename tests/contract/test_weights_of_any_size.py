"""Quantizers on weights from 1e-45 to 3e38: finite values and gradients, and the codes that the equations give."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spikelet.quant import Binary, Quantizer
from spikelet.quant.quantizer import power_of_two_above, power_of_two_near
from tests.support.catalogue import QUANTIZERS

SIZES = [1e-45, 1e-42, 1e-38, 1e-30, 1e-23, 1e-22, 1e-20, 1e-19, 1e-10, 1.0, 1e10, 1e18, 1e20, 1e30, 1e37, 1e38, 3e38]
every_quantizer = pytest.mark.parametrize("quantizer", QUANTIZERS.values(), ids=list(QUANTIZERS))


def shapes() -> dict[str, Tensor]:
    """Weights whose largest magnitude is 1."""
    torch.manual_seed(2)
    made = {
        "normal": torch.randn(4, 9),
        "one-weight": torch.tensor([[1.0], [-1.0]]),
        "constant": torch.ones(3, 5),
        "conv": torch.randn(3, 2, 3, 3),
        "sparse": torch.eye(4),
        "pairs": torch.tensor([[1.0, -1.0], [1.0, 0.5]]),
    }
    return {name: w / w.abs().max() for name, w in made.items()}


SHAPES = shapes()


def require_sound(quantizer: Quantizer, weight: Tensor, upstream: Tensor) -> None:
    coded = quantizer.encode(weight)
    assert torch.equal(coded.codes, coded.codes.round())
    assert coded.codes.abs().max() <= coded.top
    assert torch.isfinite(coded.scale).all()
    assert (torch.frexp(coded.scale)[0] == 0.5).all()
    assert (coded.scale >= torch.finfo(weight.dtype).tiny).all(), "a subnormal scale is 0 where those are flushed"
    trained = weight.clone().requires_grad_()
    value = quantizer(trained)
    assert torch.equal(value.detach(), coded.codes * coded.scale)
    assert torch.isfinite(value).all()
    value.backward(upstream)
    assert trained.grad is not None
    assert torch.isfinite(trained.grad).all()


@every_quantizer
def test_values_and_gradients_are_finite_at_every_size(quantizer: Quantizer):
    torch.manual_seed(3)
    for shape in SHAPES.values():
        for size in SIZES:
            weight = (shape.double() * size).float()
            mixed = torch.cat([weight, shape, torch.zeros_like(shape)])  # dead channels beside live ones
            for w in (weight, mixed):
                require_sound(quantizer, w, torch.randn(w.shape))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    data=st.lists(
        st.lists(st.floats(-1.75 * 2.0**127, 1.75 * 2.0**127, width=32), min_size=4, max_size=4),
        min_size=1, max_size=5,
    ),
    name=st.sampled_from(list(QUANTIZERS)),
)  # fmt: skip
def test_values_and_gradients_are_finite_whatever_the_weights(data: list[list[float]], name: str):
    weight = torch.tensor(data)
    require_sound(QUANTIZERS[name], weight, torch.linspace(-2, 2, weight.numel()).view_as(weight))


@pytest.mark.parametrize("exponent", [-90, -70, -66, -64, -40, 40, 63, 64, 90, 120])
@pytest.mark.parametrize("name", [n for n in QUANTIZERS if n.startswith("binary") and n != "binary-raw"])
def test_standardised_codes_do_not_depend_on_the_weights_size(name: str, exponent: int):
    torch.manual_seed(4)
    weight, quantizer = torch.randn(6, 20), QUANTIZERS[name]
    plain, moved = quantizer.encode(weight), quantizer.encode(weight * 2.0**exponent)
    assert torch.equal(plain.codes, moved.codes)
    assert torch.equal(plain.scale, moved.scale)


@pytest.mark.parametrize("exponent", [-100, -70, -20, 20, 90, 110])
@pytest.mark.parametrize("name", [n for n in QUANTIZERS if not n.startswith(("plain", "binary-"))] + ["binary-raw"])
def test_other_scales_grow_with_the_weights(name: str, exponent: int):
    torch.manual_seed(4)
    weight, quantizer = torch.randn(6, 20), QUANTIZERS[name]
    plain, moved = quantizer.encode(weight), quantizer.encode(weight * 2.0**exponent)
    assert torch.equal(plain.codes, moved.codes)
    assert torch.equal(plain.scale * 2.0**exponent, moved.scale)


@pytest.mark.parametrize("exponent", [-63, -30, 30, 60])
def test_the_gradient_of_standardised_weights_goes_with_the_inverse_of_their_size(exponent: int):
    torch.manual_seed(5)
    weight, upstream = torch.randn(6, 20), torch.randn(6, 20)

    def gradient(w: Tensor) -> Tensor:
        w = w.clone().requires_grad_()
        Binary()(w).backward(upstream)
        assert w.grad is not None
        return w.grad

    weight = weight / weight.abs().amax(1, keepdim=True) * 0.75
    assert torch.equal(gradient(weight), gradient(weight * 2.0**exponent) * 2.0**exponent)
    assert torch.equal(gradient(weight * 2.0**-100), gradient(weight * 2.0**-90)), "below 2^-64 it grows no more"


@pytest.mark.parametrize("size", [1e-44, 1e-39, 1e-20, 1.0, 1e20, 1e38, 2.5e38])
def test_the_mean_size_is_that_of_a_numpy_oracle(size: float):
    rng = np.random.default_rng(0)
    weight = (rng.uniform(0.1, 1, (5, 30)) * rng.choice([-1, 1], (5, 30)) * size).astype(np.float32)
    log2 = np.log2(np.abs(weight.astype(np.float64)).mean(1))
    expected = np.clip(np.floor(log2 + 0.5), -126, 127)
    assert np.log2(Binary(standardize=False).encode(torch.from_numpy(weight)).scale.double().numpy())[
        :, 0
    ].tolist() == (expected.tolist())


def test_a_gradient_passes_to_a_channel_of_equal_weights_as_to_one_of_size_one():
    upstream = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    for size in (2.0**-60, 0.5, 1.0, 2.0**60):
        weight = torch.full((1, 4), size, requires_grad=True)
        Binary()(weight).backward(upstream)
        assert weight.grad is not None
        assert weight.grad.tolist() == [pytest.approx([0.75, -0.25, -0.25, -0.25])]


def test_powers_of_two_stay_normal_numbers_and_leave_room_for_the_largest_code():
    x = torch.tensor([1e-45, 3e38])
    assert power_of_two_near(x).tolist() == [2.0**-126, 2.0**127]
    assert power_of_two_above(x, 7).tolist() == [2.0**-126, 2.0**125]
    assert power_of_two_near(x.double(), 255, torch.float32).tolist() == [2.0**-126, 2.0**120]
    assert math.isfinite(float(torch.tensor(255.0) * 2.0**120))
