"""ReScaW is the paper's formula but for the power-of-two scale, forwards and backwards."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spikelet.quant import (
    Binary,
    Gamma,
    MaskedGradient,
    MaxAbs,
    MeanAbs,
    Percentile,
    ReScaW,
    Unit,
    WideMeanAbs,
)
from tests.contract.test_quantizers import WEIGHTS

every_width = pytest.mark.parametrize("bits", range(1, 9))
GAMMAS = {
    "mean": MeanAbs(),
    "wide": WideMeanAbs(),
    "max": MaxAbs(),
    "percentile": Percentile(0.05),
    "unit": Unit(),
}
every_gamma = pytest.mark.parametrize("gamma", GAMMAS.values(), ids=list(GAMMAS))


def exact_codes(weight: list[float], gamma: float, bits: int) -> list[int]:
    """2 W_int - s by the paper's own formula in fractions, halves up."""
    s = 2**bits - 1
    codes = []
    for w in weight:
        clipped = min(max(Fraction(w) / Fraction(gamma), Fraction(-1)), Fraction(1))
        codes.append(2 * math.floor(Fraction(s, 2) * (clipped + 1) + Fraction(1, 2)) - s)
    return codes


# --- levels -----------------------------------------------------------------------------------------


@every_width
def test_levels_are_all_odd_integers_up_to_2_to_the_bits_less_one(bits: int):
    coded = ReScaW(bits, gamma=MaxAbs()).encode(torch.linspace(-1, 1, 4001)[None])
    s = 2**bits - 1
    assert coded.codes.unique().tolist() == list(range(-s, s + 1, 2))
    assert coded.top == s
    assert coded.grid == ("symmetric" if bits == 1 else "odd")


@every_width
def test_codes_are_those_of_the_papers_formula_in_fractions(bits: int):
    s = 2**bits - 1
    w = [*torch.linspace(-1.25, 1.25, 81).mul(s).tolist(), *map(float, range(-s, s + 1))]  # integers are the ties
    w += [0.0, -0.0, 1e-30, -1e-30, 0.5, -0.5]
    layer = torch.tensor([w])
    assert ReScaW(bits, gamma=Unit()).encode(layer).codes[0].tolist() == exact_codes(w, 1.0, bits)
    inside = torch.tensor([[x for x in w if abs(x) <= s]])
    assert ReScaW(bits, gamma=MaxAbs()).encode(inside).codes[0].tolist() == exact_codes(inside[0].tolist(), s, bits)


def test_two_bits_by_hand():
    w = torch.tensor([[0.0, -0.0, 0.66, 0.67, 1.0, 5.0, -0.01, -0.66, -0.67, -2.0]])
    coded = ReScaW(2, gamma=Unit()).encode(w)  # levels -1, -1/3, 1/3, 1; boundaries at -2/3, 0, 2/3
    assert coded.codes.tolist() == [[1, 1, 1, 3, 3, 3, -1, -1, -3, -3]]
    assert coded.scale.tolist() == [[0.25]]  # the power of two nearest to 1/3 by its logarithm


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20),
    st.sampled_from(list(GAMMAS.values())),
    st.booleans(),
)
def test_one_bit_codes_are_the_sign(values: list[float], gamma: Gamma, per_channel: bool):
    weight = torch.tensor([values])
    expected = [1 if v >= 0 else -1 for v in values]
    assert ReScaW(1, gamma=gamma, per_channel=per_channel).encode(weight).codes[0].tolist() == expected


@pytest.mark.parametrize("name", WEIGHTS)
def test_one_bit_is_the_binary_quantizer_without_standardisation(name: str):
    ours, theirs = ReScaW(1).encode(WEIGHTS[name]), Binary(standardize=False).encode(WEIGHTS[name])
    assert torch.equal(ours.codes, theirs.codes)
    assert torch.equal(ours.scale, theirs.scale)
    assert (ours.bits, ours.grid) == (theirs.bits, theirs.grid)


# --- gamma and scale --------------------------------------------------------------------------------


def gamma_of(gamma: Gamma, weight: Tensor, bits: int, per_channel: bool = True) -> Tensor:
    rows = weight.double()
    return gamma.of(rows.flatten(1) if per_channel else rows.reshape(1, -1), bits)


def test_the_three_published_gammas_and_the_supplements_by_hand():
    w = torch.tensor([[1.0, -2.0, 3.0, -6.0], [0.5, 0.5, 0.5, 0.5]])
    assert gamma_of(MeanAbs(), w, 2).tolist() == [3.0, 0.5]
    assert gamma_of(MaxAbs(), w, 2).tolist() == [6.0, 0.5]
    assert gamma_of(Percentile(0.0), w, 2).tolist() == [6.0, 0.5]
    assert gamma_of(Percentile(1 / 3), w, 2).tolist() == pytest.approx([2.0, 0.5])  # -2 and 1 are the thirds
    assert [gamma_of(WideMeanAbs(), w, bits)[0].item() for bits in (1, 2, 4, 8)] == [3, 4.5, 3 * 1.875, 3 * 255 / 128]
    assert gamma_of(Unit(), w, 2).tolist() == [1.0, 1.0]
    assert gamma_of(MeanAbs(), w, 2, per_channel=False).tolist() == [1.75]


@every_width
@every_gamma
@pytest.mark.parametrize("per_channel", [True, False])
def test_a_level_is_the_papers_within_a_factor_of_the_square_root_of_two_a_channel(
    bits: int, gamma: Gamma, per_channel: bool
):
    w = torch.randn(6, 3, 3, 3) * 10.0 ** torch.randint(-3, 3, (6, 1, 1, 1))
    quantizer = ReScaW(bits, gamma=gamma, per_channel=per_channel)
    coded = quantizer.encode(w)
    g = gamma_of(gamma, w, bits, per_channel).view(-1, 1, 1, 1)
    paper = g * coded.codes.double() / (2**bits - 1)
    ratio = quantizer(w).double() / paper
    assert (ratio >= 2**-0.5 - 1e-9).all()
    assert (ratio <= 2**0.5 + 1e-9).all()
    assert torch.allclose(ratio, ratio[:, :1, :1, :1].expand_as(ratio))  # one factor a channel: batch norm's to absorb


def test_normal_weights_are_clipped_as_often_as_the_mean_says():
    w = torch.randn(4, 50_000)
    share = (w.abs() > gamma_of(MeanAbs(), w, 2)[:, None]).double().mean().item()
    assert share == pytest.approx(0.425, abs=0.005)


@pytest.mark.parametrize("x", [-0.1, 0.5, 1.0, math.nan])
def test_percentile_refuses_shares_that_cut_everything(x: float):
    with pytest.raises(ValueError, match=rf"Percentile\.x must lie in \[0, 0\.5\), got {x}\. \(It is the share"):
        Percentile(x)


@pytest.mark.parametrize("bits", [-1, 0, 9, 32])
def test_rescaw_refuses_other_bits_than_1_to_8(bits: int):
    with pytest.raises(ValueError, match=rf"ReScaW\.bits must be 1 to 8, got {bits}\. \(For float weights use Full"):
        ReScaW(bits)


# --- gradients --------------------------------------------------------------------------------------


def gradients(quantizer: ReScaW, weight: Tensor, upstream: Tensor) -> Tensor:
    w = weight.clone().requires_grad_()
    quantizer(w).backward(upstream)
    assert w.grad is not None
    return w.grad


@every_gamma
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_papers_gradient_is_cut_off_where_weights_are_clipped(bits: int, gamma: Gamma):
    w, upstream = torch.randn(5, 4, 3, 3), torch.randn(5, 4, 3, 3)
    g = gamma_of(gamma, w, bits).view(-1, 1, 1, 1)
    expected = torch.where(w.double().abs() <= g, upstream, torch.zeros(()))
    assert torch.equal(gradients(ReScaW(bits, gamma=gamma, gradient=MaskedGradient()), w, upstream), expected)


@every_gamma
def test_the_codes_gradient_is_amplified_by_one_over_gamma(gamma: Gamma):
    w, upstream = torch.randn(5, 4, 3, 3) * 0.1, torch.randn(5, 4, 3, 3)
    g = gamma_of(gamma, w, 4).view(-1, 1, 1, 1)
    got = gradients(ReScaW(4, gamma=gamma), w, upstream)
    assert torch.allclose(got, (upstream.double() / g).float(), rtol=1e-6)


def test_the_two_gradients_agree_inside_the_clip_but_for_the_factor():
    w, upstream = torch.randn(3, 40) * 0.05, torch.randn(3, 40)
    masked = gradients(ReScaW(2, gradient=MaskedGradient()), w, upstream)
    amplified = gradients(ReScaW(2), w, upstream)
    g = gamma_of(MeanAbs(), w, 2)[:, None].float()
    inside = w.abs() <= g
    assert torch.allclose((amplified * g)[inside], masked[inside])
    assert (masked[~inside] == 0).all()
    assert (amplified[~inside] != 0).all()


def test_a_weight_on_the_clip_still_has_its_gradient():
    got = gradients(
        ReScaW(2, gamma=Unit(), gradient=MaskedGradient()),
        torch.tensor([[1.0, -1.0, 1.0001, -1.0001]]),
        torch.ones(1, 4),
    )
    assert got.tolist() == [[1, 1, 0, 0]]


def test_training_forwards_gives_what_is_deployed_in_double_too():
    w = torch.randn(3, 7, dtype=torch.float64)
    coded = ReScaW(3).encode(w)
    assert coded.codes.dtype == torch.float64
    assert torch.equal(ReScaW(3)(w), coded.codes * coded.scale)
