"""Every quantizer on every awkward weight: integers on their grid, a power-of-two scale, a finite gradient."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.lowering import lower, verify
from spikelet.neurons import LIF
from spikelet.nn import Encode, Linear
from spikelet.quant import EDE, Binary, Clip, Coded, FullPrecision, Quantizer, ReScaW, Straight, Uniform, quantizer_of
from spikelet.quant.binary import sign
from spikelet.quant.quantizer import power_of_two_above, power_of_two_near
from spikelet.runtime import Program
from tests.support.catalogue import QUANTIZERS


def weights() -> dict[str, Tensor]:
    """Ordinary and awkward weights, [O, ...]."""
    torch.manual_seed(1)
    zero_channel = torch.randn(4, 3, 3, 3)
    zero_channel[1] = 0
    constant_channel = torch.randn(4, 3, 3, 3)
    constant_channel[2] = 0.1
    return {
        "conv": torch.randn(5, 3, 3, 3) * 0.1,
        "linear": torch.randn(10, 40),
        "depthwise": torch.randn(6, 1, 3, 3),
        "one-weight-a-channel": torch.randn(7, 1),
        "one-weight": torch.tensor([[0.3]]),
        "zero": torch.zeros(3, 2, 3, 3),
        "zero-channel": zero_channel,
        "constant": torch.full((3, 8), -0.7),
        "constant-channel": constant_channel,
        "with-zeros": torch.tensor([[0.0, 1.0, -1.0, 0.0], [0.0, -2.0, 2.0, -0.0]]),
        "tiny": torch.randn(3, 9) * 1e-30,
        "huge": torch.randn(3, 9) * 1e18,
        "negative": -torch.rand(3, 9) - 0.5,
        "power-of-two-maximum": torch.tensor([[127.0, -127.0, 64.0], [1.0, -0.5, 0.25]]),
    }


WEIGHTS = weights()
every_quantizer = pytest.mark.parametrize("quantizer", QUANTIZERS.values(), ids=list(QUANTIZERS))


def is_power_of_two(x: Tensor) -> bool:
    return bool((torch.frexp(x)[0] == 0.5).all())


@every_quantizer
def test_codes_are_integers_of_their_bits(quantizer: Quantizer):
    for name, weight in WEIGHTS.items():
        coded = quantizer.encode(weight)
        assert coded.bits == quantizer.bits
        assert coded.codes.shape == weight.shape, name
        assert torch.equal(coded.codes, coded.codes.round()), name
        assert coded.codes.abs().max() <= coded.top, name
        if coded.bits == 1 or coded.grid == "odd":
            assert (coded.codes % 2 == 1).all(), name


@every_quantizer
def test_the_scale_is_a_power_of_two_a_channel(quantizer: Quantizer):
    for name, weight in WEIGHTS.items():
        scale = quantizer.encode(weight).scale
        assert scale.shape == (weight.shape[0], *(1,) * (weight.ndim - 1)), name
        assert is_power_of_two(scale), name
        if isinstance(quantizer, Uniform | ReScaW) and not quantizer.per_channel:
            assert len(scale.unique()) == 1, name


@every_quantizer
def test_forward_is_codes_times_scale_bit_for_bit(quantizer: Quantizer):
    for name, weight in WEIGHTS.items():
        coded = quantizer.encode(weight)
        with torch.no_grad():
            assert torch.equal(quantizer(weight), coded.codes * coded.scale), name
        trained = quantizer(weight.clone().requires_grad_())
        assert torch.equal(trained.detach(), coded.codes * coded.scale), name


@every_quantizer
def test_encoding_twice_gives_the_same_and_leaves_the_weight_alone(quantizer: Quantizer):
    for name, weight in WEIGHTS.items():
        before = weight.clone()
        parameter = torch.nn.Parameter(weight)
        first, second = quantizer.encode(parameter), quantizer.encode(parameter)
        assert torch.equal(first.codes, second.codes), name
        assert torch.equal(first.scale, second.scale), name
        assert not first.codes.requires_grad
        assert not first.scale.requires_grad
        assert torch.equal(weight, before), name


@every_quantizer
def test_the_gradient_is_finite(quantizer: Quantizer):
    for name, weight in WEIGHTS.items():
        w = weight.clone().requires_grad_()
        (quantizer(w) * torch.randn(weight.shape)).sum().backward()
        assert w.grad is not None
        assert torch.isfinite(w.grad).all(), name


PER_CHANNEL = {k: q for k, q in QUANTIZERS.items() if getattr(q, "per_channel", True)}


@pytest.mark.parametrize("quantizer", PER_CHANNEL.values(), ids=list(PER_CHANNEL))
def test_a_channel_does_not_depend_on_the_other_channels(quantizer: Quantizer):
    for name, weight in WEIGHTS.items():
        whole = quantizer(weight)
        for o in range(weight.shape[0]):
            assert torch.equal(quantizer(weight[o : o + 1]), whole[o : o + 1]), name


# --- 1 bit ------------------------------------------------------------------------------------------


def test_the_sign_of_zero_is_plus_one():
    assert sign(torch.tensor([0.0, -0.0, 1e-30, -1e-30])).tolist() == [1, 1, 1, -1]
    assert (Binary(standardize=False).encode(torch.zeros(2, 3)).codes == 1).all()


def test_a_constant_channel_becomes_plus_one_times_one():
    coded = Binary().encode(torch.full((2, 4), 0.5))
    assert (coded.codes == 1).all()
    assert (coded.scale == 1).all()


class BinaryOracle:
    """Q-SNN's binary weight in NumPy, float64, written from the equations."""

    def __init__(self, w: NDArray[np.float64]) -> None:
        flat = w.reshape(len(w), -1)
        self.std = flat.std(1, ddof=1, keepdims=True)
        self.z = (flat - flat.mean(1, keepdims=True)) / self.std
        self.alpha = 2.0 ** np.floor(np.log2(np.abs(self.z).mean(1, keepdims=True)) + 0.5)
        self.code = np.where(self.z >= 0, 1.0, -1.0)

    def gradient(self, upstream: NDArray[np.float64], slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """dL/dW through sign's pretended slope and the standardisation; alpha is a constant."""
        dz = upstream * self.alpha * slope
        n = dz.shape[1]
        through_std = self.z * (dz * self.z).sum(1, keepdims=True) / (n - 1)
        return (dz - dz.mean(1, keepdims=True) - through_std) / self.std


@pytest.mark.parametrize("seed", range(5))
def test_binary_weights_are_those_of_a_numpy_oracle(seed: int):
    rng = np.random.default_rng(seed)
    w = rng.normal(rng.normal(), 10.0 ** rng.uniform(-3, 1), (16, 4, 3, 3)).astype(np.float32)
    if seed % 2:  # far from normal: other scales than 1
        w = np.sign(w) * np.abs(w) ** 7
    oracle = BinaryOracle(w.astype(np.float64))
    coded = Binary().encode(torch.from_numpy(w))
    assert np.array_equal(coded.codes.numpy().reshape(16, -1), oracle.code)
    assert np.array_equal(coded.scale.numpy().reshape(16, 1), oracle.alpha)


def test_a_heavy_tail_has_a_scale_below_one():
    w = torch.zeros(1, 1000)
    w[0, 0], w[0, 1] = 1.0, -1.0
    assert Binary().encode(w).scale.item() == 2.0 ** math.floor(math.log2(2 * math.sqrt(999 / 2) / 1000) + 0.5)


@pytest.mark.parametrize("progress", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_the_gradient_of_ede_is_that_of_the_numpy_oracle(progress: float):
    rng = np.random.default_rng(0)
    w, upstream = rng.normal(0.1, 0.2, (6, 30)), rng.normal(size=(6, 30))
    oracle = BinaryOracle(w)
    t = 10.0 ** (-1 + 2 * progress)
    slope = max(1 / t, 1) * t * (1 - np.tanh(t * oracle.z) ** 2)
    weight = torch.tensor(w, requires_grad=True)
    Binary(estimator=EDE(progress))(weight).backward(torch.tensor(upstream))
    assert weight.grad is not None
    assert np.allclose(weight.grad.numpy(), oracle.gradient(upstream, slope), rtol=1e-9, atol=1e-12)


def test_the_gradient_of_clip_is_that_of_the_numpy_oracle():
    rng = np.random.default_rng(0)
    w, upstream = rng.normal(0.1, 0.2, (6, 30)), rng.normal(size=(6, 30))
    oracle = BinaryOracle(w)
    weight = torch.tensor(w, requires_grad=True)
    Binary(estimator=Clip())(weight).backward(torch.tensor(upstream))
    assert weight.grad is not None
    expected = oracle.gradient(upstream, (np.abs(oracle.z) <= 1).astype(float))
    assert np.allclose(weight.grad.numpy(), expected, rtol=1e-9, atol=1e-12)


def test_without_standardisation_the_gradient_is_the_slope_times_the_scale():
    w = torch.tensor([[0.5, -3.0, 1.0, -0.25]], requires_grad=True)  # mean |w| = 1.1875, scale 1
    Binary(standardize=False, estimator=Clip())(w * 2).sum().backward()  # scale 2: log2 2.375 = 1.25
    assert w.grad is not None
    assert w.grad.tolist() == [[4.0, 0.0, 0.0, 4.0]]


def test_ede_starts_wide_and_ends_steep():
    z = torch.tensor([0.0, 2.0])
    assert EDE(0.0).slope(z).tolist() == pytest.approx([1.0, 1 - math.tanh(0.2) ** 2])
    assert EDE(0.5).slope(z).tolist() == pytest.approx([1.0, 1 - math.tanh(2) ** 2])
    assert EDE(1.0).slope(z)[0].item() == pytest.approx(10.0)
    assert EDE(1.0).slope(z)[1].item() == pytest.approx(0.0, abs=1e-6)


def test_straight_passes_everything():
    assert Straight().slope(torch.tensor([-7.5, 0.0, 3.0])).tolist() == [1, 1, 1]


def test_clip_passes_up_to_one_and_that_included():
    assert Clip().slope(torch.tensor([-1.5, -1.0, 0.0, 1.0, 1.0001])).tolist() == [0, 1, 1, 1, 0]


def test_an_estimator_moves_with_the_progress_of_training():
    assert Binary().at(0.25).estimator == EDE(0.25)
    assert Binary(estimator=Clip()).at(0.25).estimator == Clip()
    assert Binary(estimator=Straight()).at(0.25).estimator == Straight()
    assert Binary(standardize=False).at(0.5).standardize is False


@pytest.mark.parametrize("progress", [-0.1, 1.1, math.nan])
def test_progress_outside_of_0_to_1_is_refused(progress: float):
    with pytest.raises(ValueError, match=rf"EDE\.progress must lie in \[0, 1\], got {progress}"):
        EDE(progress)


# --- 2 to 8 bits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("per_channel", [True, False])
def test_uniform_weights_lie_within_half_a_step_of_the_real_ones(bits: int, per_channel: bool):
    w = torch.randn(20, 5, 3, 3) * 10.0 ** torch.randint(-3, 3, (20, 1, 1, 1))
    coded = Uniform(bits, per_channel).encode(w)
    assert ((coded.codes * coded.scale - w).abs() <= coded.scale / 2).all()


@pytest.mark.parametrize("bits", range(2, 9))
def test_the_scale_is_the_smallest_power_of_two_that_reaches_the_largest_weight(bits: int):
    w = torch.randn(50, 7)
    scale, top = Uniform(bits).encode(w).scale[:, 0], 2 ** (bits - 1) - 1
    largest = w.abs().max(1).values
    assert (scale * top >= largest).all()
    assert (scale / 2 * top < largest).all()


def test_uniform_codes_by_hand():
    coded = Uniform(3).encode(torch.tensor([[3.0, -3.0, 0.5, -0.5, 1.49], [0.6, -0.74, 0.0, 0.1, 0.125]]))
    assert coded.scale[:, 0].tolist() == [1.0, 0.25]
    assert coded.codes.tolist() == [[3, -3, 1, 0, 1], [2, -3, 0, 0, 1]]


def test_the_largest_weight_may_be_the_negative_one():
    coded = Uniform(8, per_channel=False).encode(torch.tensor([[1.0, -100.0]]))
    assert coded.codes.tolist() == [[1, -100]]


def test_the_gradient_of_a_uniform_weight_passes_straight_through():
    w = torch.randn(3, 5, requires_grad=True)
    upstream = torch.randn(3, 5)
    Uniform(2)(w).backward(upstream)
    assert w.grad is not None
    assert torch.equal(w.grad, upstream)


@pytest.mark.parametrize("bits", [-1, 0, 1, 9, 16])
def test_uniform_refuses_other_bits_than_2_to_8(bits: int):
    with pytest.raises(ValueError, match=rf"Uniform\.bits must be 2 to 8, got {bits}"):
        Uniform(bits)


@pytest.mark.parametrize(
    ("bits", "grid", "top"),
    [(1, "symmetric", 1), (2, "symmetric", 1), (8, "symmetric", 127), (2, "odd", 3), (8, "odd", 255), (4, "full", 8)],
)
def test_a_grid_of_codes_knows_its_top(bits: int, grid: Literal["symmetric", "odd", "full"], top: int):
    assert Coded(torch.ones(1, 1), torch.ones(1, 1), bits, grid).top == top


@dataclasses.dataclass(frozen=True)
class TwosComplement(Quantizer):
    """-8 .. 7 in steps of 1/8: every code of 4 bits."""

    bits: int = 4

    def encode(self, weight: Tensor) -> Coded:
        codes = (weight.detach() * 8).round().clamp(-8, 7)
        return Coded(codes, torch.full((len(weight), *(1,) * (weight.dim() - 1)), 0.125), 4, "full")

    def __call__(self, weight: Tensor) -> Tensor:
        coded = self.encode(weight)
        return coded.codes * coded.scale


def test_codes_of_the_full_grid_run_as_they_evaluate():
    layer = Linear(16, 3, TwosComplement())
    with torch.no_grad():
        layer.weight.copy_(torch.arange(48).view(3, 16) % 16 / 8 - 1)
    assert layer.quantizer.encode(layer.weight).codes.unique().tolist() == list(range(-8, 8))
    model = nn.Sequential(Encode(), nn.Flatten(2), layer, LIF(2)).eval()
    x = torch.randint(0, 256, (5, 1, 4, 4), dtype=torch.uint8)
    graph = lower(model, x)
    assert verify(graph, model, [(x, torch.zeros(5, dtype=torch.long))], Program).mismatches == 0


# --- the rest ---------------------------------------------------------------------------------------


def test_powers_of_two_stay_themselves():
    powers = 2.0 ** torch.arange(-126.0, 127)
    assert torch.equal(power_of_two_near(powers), powers)
    assert torch.equal(power_of_two_above(powers), powers)
    assert power_of_two_near(torch.tensor([0.0, 1.4, 1.5, 2.9])).tolist() == [1, 1, 2, 4]
    assert power_of_two_above(torch.tensor([0.0, 1.0001, 1.5, 2.0])).tolist() == [1, 2, 2, 2]


def test_full_precision_passes_weights_through_and_has_no_codes():
    w = torch.randn(3, 4)
    assert FullPrecision()(w) is w
    with pytest.raises(ValueError, match="full-precision weights have no integer codes"):
        FullPrecision().encode(w)


def test_quantizer_of_names_every_number_of_bits():
    assert quantizer_of(1) == Binary()
    assert quantizer_of(32) == FullPrecision()
    assert [quantizer_of(bits) for bits in range(2, 9)] == [Uniform(bits) for bits in range(2, 9)]


@pytest.mark.parametrize("bits", [-1, 0, 9, 16, 31])
def test_quantizer_of_refuses_other_numbers_of_bits(bits: int):
    with pytest.raises(ValueError, match=f"weight_bits must be 1 to 8, or 32 for full precision, got {bits}"):
        quantizer_of(bits)
