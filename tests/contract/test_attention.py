"""Every form of spiking attention equals its definition, token by token and head by head."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.neurons import LIF, LIFParams, Soft
from spikelet.nn import ContextMap, Product, ScoreMap, SelfAttention, SumPool2d
from spikelet.nn.attention import Mix, heads_of, map_of

T, B, H, D = 2, 3, 2, 5


def counts(tokens: int, top: int = 1, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    return tuple(torch.randint(0, top + 1, (T, B, H, D, tokens)).float() for _ in range(3))  # type: ignore[return-value]


def fire() -> LIF:
    return LIF(T, LIFParams(0.5, 1.0, scale_input=True, reset=Soft())).eval()


def test_a_map_of_scores_fires_for_pairs_of_tokens():
    q, k, v = counts(7)
    neuron = fire()
    scores = torch.zeros(T, B, H, 7, 7)
    for t, b, h, i, j in itertools.product(range(T), range(B), range(H), range(7), range(7)):
        scores[t, b, h, i, j] = (q[t, b, h, :, i] * k[t, b, h, :, j]).sum()
    fired = neuron(scores)
    assert 0 < fired.mean() < 1
    expected = torch.einsum("tbhij,tbhdj->tbhdi", fired, v)
    assert torch.equal(ScoreMap(fire())(q, k, v), expected)


def test_a_map_of_contexts_fires_for_pairs_of_channels():
    q, k, v = counts(7)
    contexts = torch.einsum("tbhcn,tbhdn->tbhcd", k, v)
    fired = fire()(contexts)
    assert 0 < fired.mean() < 1
    expected = torch.einsum("tbhcn,tbhcd->tbhdn", q, fired)
    assert torch.equal(ContextMap(fire())(q, k, v), expected)


@pytest.mark.parametrize("tokens", [3, 5, 9])
@pytest.mark.parametrize("top", [1, 4])
def test_the_product_is_the_same_in_both_orders(tokens: int, top: int):
    q, k, v = counts(tokens, top)
    made = Product()(q, k, v)
    assert torch.equal(made, (v @ k.transpose(-2, -1)) @ q)
    assert torch.equal(made, v @ (k.transpose(-2, -1) @ q))


def test_heads_are_blocks_of_channels_and_tokens_are_positions():
    x = torch.arange(2 * 6 * 2 * 3).view(1, 2, 6, 2, 3)
    heads = heads_of(x, 3)
    assert heads.shape == (1, 2, 2, 3, 6)
    assert torch.equal(heads[0, 1, 1, 2], x[0, 1, 5].flatten())
    assert torch.equal(map_of(heads, x), x)
    assert torch.equal(map_of(heads_of(x.flatten(3), 3), x.flatten(3)), x.flatten(3))


def attention(width: int) -> SelfAttention:
    return SelfAttention(width, nn.Identity(), *(nn.Identity() for _ in range(3)), mix=Product(), behind=nn.Identity())


def test_attention_reads_maps_and_sequences_alike():
    x = torch.randint(0, 2, (T, B, 6, 2, 3)).float()
    made = attention(3)(x)
    assert made.shape == x.shape
    assert torch.equal(attention(3)(x.flatten(3)), made.flatten(3))


def test_permuting_tokens_permutes_the_answer():
    x = torch.randint(0, 2, (T, B, 6, 8)).float()
    order = torch.randperm(8)
    assert torch.equal(attention(3)(x[..., order]), attention(3)(x)[..., order])


@pytest.mark.parametrize("width", [0, -1, 2.0, True, None])
def test_a_head_without_channels_is_refused(width: object):
    with pytest.raises(ValueError, match=r"SelfAttention\.head_width must be a whole number from 1, got "):
        attention(width)  # type: ignore[arg-type]


@pytest.mark.parametrize("mix", [Product(), ScoreMap(fire()), ContextMap(fire())], ids=lambda mix: type(mix).__name__)
def test_evaluation_is_exact_under_autocast(mix: Mix):
    """Sums of 301 products of counts are beyond 256, where bfloat16 has no odd numbers."""
    q, k, v = counts(301, 4)
    expected = mix.eval()(q, k, v)
    with torch.autocast("cpu", torch.bfloat16):
        made = mix(q, k, v)
    assert made.dtype == torch.float32
    assert torch.equal(made, expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert Product().train()(q, k, v).dtype == torch.bfloat16


def test_another_mix_is_refused():
    with pytest.raises(SpikeletError, match=r"SelfAttention\.mix must be ScoreMap\(neuron\), .* got <class"):
        SelfAttention(3, *(nn.Identity() for _ in range(4)), mix=Product, behind=nn.Identity())  # type: ignore[arg-type]


@pytest.mark.parametrize("mix", [ScoreMap, ContextMap])
def test_a_map_without_a_neuron_is_refused(mix: type):
    with pytest.raises(SpikeletError, match=rf"{mix.__name__}\.neuron must be a Module, got None"):
        mix(None)


def test_queries_may_be_of_other_positions_than_keys_and_values():
    fewer = SelfAttention(
        *(3, nn.Identity(), nn.Identity(), SumPool2d(2), SumPool2d(2)), mix=Product(), behind=nn.Identity()
    )
    x = torch.randint(0, 2, (T, B, 6, 4, 4)).float()
    q, k = heads_of(x, 3), heads_of(SumPool2d(2)(x), 3)
    assert torch.equal(fewer(x), map_of(k @ k.transpose(-2, -1) @ q, x))


@pytest.mark.parametrize("value", [nn.Flatten(2), SumPool2d(2), nn.Upsample(scale_factor=(2, 1, 1))], ids=range(3))
def test_values_that_do_not_fit_the_keys_are_refused(value: nn.Module):
    unequal = SelfAttention(3, *(nn.Identity() for _ in range(3)), value, mix=Product(), behind=nn.Identity())
    with pytest.raises(SpikeletError, match=r"SelfAttention's query, key and value must give spikes .* got \("):
        unequal(torch.zeros(T, B, 6, 4, 4))


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match=r"SelfAttention\.head_width = 4 must divide the channels .* got 6"):
        attention(4)(torch.zeros(T, B, 6, 2, 2))
