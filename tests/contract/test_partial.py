"""Partial information: what is left out, that it stays left out, and that the ratio goes with the network."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import PartialWarning, SpikeletError
from spikelet.nn import (
    PartialChannels,
    PartialHeads,
    PartialInformation,
    PartialRandom,
    PartialTokens,
    Product,
    ScoreMap,
    SelfAttention,
    WholeInformation,
    partial_information,
)
from spikelet.nn.partial import KINDS, STRUCTURED, RandomMask, evenly

T, B, H, D, N = 2, 3, 4, 6, 9
RATIOS = (0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9)


def triple(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    q, k, v = (torch.randint(0, 3, (T, B, H, D, N)).float() for _ in range(3))
    return q, k, v


def mix() -> ScoreMap:
    return ScoreMap(nn.Identity())  # type: ignore[arg-type]


# --- subsets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 7, 16, 49])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5])
def test_a_subset_has_its_share_and_is_spread_evenly(count: int, ratio: float, phase: float):
    kept = evenly(count, ratio, phase)
    assert len(kept) == max(1, math.floor(round(count * (1 - ratio) + phase, 9)))
    assert sorted(set(kept)) == kept
    assert set(kept) <= set(range(count))
    gaps = np.diff(kept)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1
    if len(kept) > 1:
        assert gaps.max() <= math.ceil(1 / (1 - ratio) - 1e-9)


@pytest.mark.parametrize("count", [3, 16, 49])
def test_layers_that_alternate_leave_out_one_half_of_any_number(count: int):
    first, second = evenly(count, 0.5), evenly(count, 0.5, 0.5)
    assert sorted(first + second) == list(range(count))


# --- what attention makes of the parts --------------------------------------------------------------


def test_tokens_are_keys_and_values_that_nobody_asks():
    q, k, v = triple()
    kept = evenly(N, 0.5)
    y = PartialTokens(0.5).eval().mixed(mix(), q, k, v)
    expected = torch.zeros_like(q)
    for h, i, j in itertools.product(range(H), range(N), kept):
        expected[:, :, h, :, i] += (q[:, :, h, :, i] * k[:, :, h, :, j]).sum(-1, keepdim=True) * v[:, :, h, :, j]
    assert torch.equal(y, expected)


def test_heads_that_leave_give_0_and_the_others_what_they_gave():
    q, k, v = triple()
    kept, whole = evenly(H, 0.5), mix()(q, k, v)
    y = PartialHeads(0.5).eval().mixed(mix(), q, k, v)
    for head in range(H):
        assert torch.equal(y[:, :, head], whole[:, :, head] * (head in kept))


def test_channels_leave_the_scores_alone_without_them():
    q, k, v = triple()
    kept = evenly(D, 0.5)
    y = PartialChannels(0.5).eval().mixed(mix(), q, k, v)
    assert torch.equal(y, v @ (q[..., kept, :].mT @ k[..., kept, :]).mT)


@pytest.mark.parametrize("kind", KINDS)
def test_constants_for_pairs_follow_and_ratio_0_is_the_whole(kind: str):
    q, k, v = triple()
    some, all_of_it = partial_information(kind, 0.5).eval(), partial_information(kind, 0.0).eval()
    assert isinstance(all_of_it, WholeInformation)
    assert torch.equal(all_of_it.mixed(mix(), q, k, v), mix()(q, k, v))
    seen_q, seen_k, _ = some(q, k, v)
    scores = seen_q.mT @ seen_k
    assert some.pairs(torch.zeros(H, N, N)).shape == scores.shape[2:]
    heads, width, tokens = some.kept(H, D, N)
    assert (heads, width, tokens) == (seen_q.shape[2], seen_q.shape[3], seen_k.shape[4])


@pytest.mark.parametrize("kind", STRUCTURED)
def test_gradients_reach_what_is_read_and_nothing_else(kind: str):
    q, k, v = (x.requires_grad_() for x in triple())
    partial_information(kind, 0.5).mixed(mix(), q, k, v).sum().backward()
    shares = [float((x.grad != 0).float().mean()) for x in (q, k, v) if x.grad is not None]
    assert min(shares) < 0.6


# --- random masks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("training", [True, False])
def test_a_mask_leaves_out_its_ratio(ratio: float, training: bool):
    torch.manual_seed(0)
    x = torch.ones(4, 1, 50, 50)
    masked = RandomMask(ratio).train(training)(x)
    deviation = math.sqrt(ratio * (1 - ratio) / x.numel())
    assert abs(float((masked == 0).float().mean()) - ratio) < 4 * deviation
    rescaled = RandomMask(ratio, rescale=True).train(training)(x)
    assert abs(float(rescaled.mean()) - 1) < 4 * deviation / (1 - ratio)


def test_masks_of_evaluation_are_the_same_at_every_evaluation_for_every_sample_and_any_number_of_steps():
    mask, x = RandomMask(0.5, seed=3).eval(), torch.ones(3, 2, 5, 7)
    made = mask(x)
    torch.rand(5)
    assert torch.equal(mask(x), made)
    assert torch.equal(made[:, 0], made[:, 1])
    assert torch.equal(mask(x[:2]), made[:2])
    assert not torch.equal(made[0], made[1])
    assert not torch.equal(RandomMask(0.5, seed=4).eval()(x), made)


def test_masks_of_training_are_drawn_anew_and_follow_the_seed():
    mask, x = RandomMask(0.5), torch.ones(1, 2, 5, 7)
    torch.manual_seed(0)
    first, second = mask(x), mask(x)
    torch.manual_seed(0)
    assert torch.equal(mask(x), first)
    assert not torch.equal(first, second)


def test_queries_keys_and_scores_have_masks_of_their_own_and_values_none():
    partial, x = PartialRandom(0.5).eval(), torch.ones(1, 1, 2, 8, 8)
    q, k, v = partial(x, x, x)
    scores = partial.scores(x)
    assert torch.equal(v, x)
    assert len({tuple(made.flatten().tolist()) for made in (q, k, scores)}) == 3


# --- the ratio goes with the network ----------------------------------------------------------------


def trained(partial: PartialInformation) -> PartialInformation:
    partial.train()(*triple())
    return partial


@pytest.mark.parametrize("kind", KINDS)
def test_the_ratio_of_training_is_in_the_checkpoint(kind: str):
    state = trained(partial_information(kind, 0.5)).state_dict()
    assert float(state["trained_at"]) == 0.5
    same, other = partial_information(kind, 0.5), partial_information(kind, 0.0)
    same.load_state_dict(state)
    same.eval()(*triple())
    other.load_state_dict(state)
    with pytest.warns(PartialWarning, match=r"trained with partial information at ratio 0\.5 is evaluated at 0: "):
        other.eval()(*triple())


def test_a_network_that_was_never_trained_is_evaluated_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PartialTokens(0.3).eval()(*triple())
        trained(PartialTokens(0.3)).eval()(*triple())


def test_measuring_statistics_is_no_training():
    partial = PartialTokens(0.5)
    with torch.no_grad():
        trained(partial)
    assert float(partial.trained_at) == -1


# --- self-attention and bad input -------------------------------------------------------------------


@pytest.mark.parametrize("kind", STRUCTURED)
def test_self_attention_reads_a_part(kind: str):
    partial, parts = partial_information(kind, 0.5), [nn.Identity() for _ in range(4)]
    x = torch.randint(0, 2, (T, B, H * D, 3, 3)).float()
    whole = SelfAttention(D, *parts, mix=Product(), behind=nn.Identity()).eval()
    some = SelfAttention(D, *parts, mix=Product(), behind=nn.Identity(), partial=partial).eval()
    heads = x.flatten(3).unflatten(2, (H, D))
    assert torch.equal(some(x), partial.mixed(Product(), heads, heads, heads).flatten(2, 3).unflatten(3, (3, 3)))
    assert not torch.equal(some(x), whole(x))
    assert "partial.trained_at" not in whole.state_dict()


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 1.5, math.nan, "0.5", None, True])
@pytest.mark.parametrize("make", [PartialTokens, PartialHeads, PartialChannels, PartialRandom])
def test_a_ratio_outside_0_to_1_is_refused(make: type, ratio: object):
    with pytest.raises(SpikeletError, match=rf"{make.__name__}\.ratio must lie in \[0, 1\), got"):
        make(ratio)


def test_numbers_of_numpy_are_ratios():
    assert PartialTokens(np.float32(0.5)).ratio == 0.5


def test_an_unknown_kind_and_a_rescaling_of_what_is_structured_are_refused():
    with pytest.raises(SpikeletError, match=r"partial_information\.kind must be one of .*tokens.*, got 'rows'"):
        partial_information("rows", 0.5)
    with pytest.raises(SpikeletError, match=r"partial_information\.rescale belongs to kind='random', got kind='heads'"):
        partial_information("heads", 0.5, rescale=True)
