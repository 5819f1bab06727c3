"""Comparisons and truth values lower exactly, in units of which their bounds are multiples and others, and of signs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.lowering import lower
from tests.support.user_modules import assert_exact, images, user

Body = Callable[[Tensor, Tensor], Tensor]
GOES: dict[str, Body] = {
    "above": lambda s, x: x > 0.3,
    "at or above a tie": lambda s, x: s >= 1,
    "below": lambda s, x: x < -0.1,
    "at or below": lambda s, x: torch.le(x, 0),
    "equal": lambda s, x: s == 1,
    "equal to what none is": lambda s, x: s == 0.5,
    "not equal": lambda s, x: x != 0,
    "a number first": lambda s, x: torch.tensor(0.5) > x,
    "of two tensors": lambda s, x: x > s,
    "equal tensors": lambda s, x: s == s.flip(2),
    "its bool": lambda s, x: x.bool(),
    "and": lambda s, x: (x > 0) & s.bool(),
    "and not": lambda s, x: (x > 0) & ~s.bool(),
    "or": lambda s, x: (x > 0.5) | (s > 0),
    "logical or of numbers": lambda s, x: torch.logical_or(s, x > 1),
    "xor": lambda s, x: (x > 0) ^ (s > 0),
    "not of numbers": lambda s, x: torch.logical_not(s),
    "a choice": lambda s, x: torch.where(x > 0, x, s),
    "a choice of numbers": lambda s, x: torch.where(s > 0, 2.0, -1.0),
    "a choice by a constant": lambda s, x: torch.where(torch.eye(6) > 0, x, s),
    "filled": lambda s, x: x.masked_fill(s == 1, 0.0),
    "filled where a constant holds": lambda s, x: x.masked_fill(torch.eye(6) > 0, -1.0),
    "a choice by a method": lambda s, x: x.where(s > 0, -1.0),
    "a choice by names": lambda s, x: torch.where(s > 0, input=x, other=s),
    "filled by names": lambda s, x: x.masked_fill(value=2.0, mask=s == 1),
    "whole numbers": lambda s, x: (x > 0).long() + s,
    "the same number": lambda s, x: s * torch.where(s > 0, 2.0, 2.0),
    "filled with what is there": lambda s, x: (s * 0 + 1).masked_fill(x > 0, 1.0),
    "half of nothing": lambda s, x: s + F.pad(s, (6, 0, 0, 0))[..., :6] * 0.5,
    "a slope below zero": lambda s, x: torch.where(x > 0, x, 0.25 * x),
    "between means": lambda s, x: F.avg_pool2d(s.flatten(0, 1), 6).unflatten(0, (2, -1)) > 0.5 / 36,
}


@pytest.mark.parametrize("body", GOES.values(), ids=list(GOES))
def test_it_is_exact(body: Body):
    def run(model: torch.nn.Module, pixels: Tensor) -> Tensor:
        current = model.conv(pixels)  # type: ignore[operator]
        spikes = model.lif(current)  # type: ignore[operator]
        return (spikes + body(spikes, current.expand_as(spikes)).to(spikes.dtype)).flatten(2)

    assert_exact(user(run))


REFUSED: dict[str, tuple[Body, str]] = {
    "bits of numbers": (
        lambda s, x: (s > 0).long().bitwise_and((s > 0).long()),
        r"joins the bits of numbers\. Compare first: \(x > 0\) & \(y > 0\)",
    ),
    "a sum of truth values": (lambda s, x: (s > 0) + (s > 0), r"adds truth values\. Use torch\.logical_or"),
    "places that depend on the input": (
        lambda s, x: s + torch.where(s > 0)[0][:1],
        r"gives places, which depend on the input\. Use torch\.where\(a, x, y\)",
    ),
    "whole numbers of few bits": (
        lambda s, x: (s > 2).byte() - (x > 0).byte(),
        r"turns truth values into torch\.uint8, whose .* wrap around\. Use \.float\(\) or \.long\(\)",
    ),
    "a tie with means": (
        lambda s, x: F.avg_pool2d(s.flatten(0, 1), 3).unflatten(0, (2, -1)) >= 5 / 9,
        r"compares with 0\.555556, which its values meet up to the rounding .* a number halfway",
    ),
    "means with means": (
        lambda s, x: (y := F.avg_pool2d(s.flatten(0, 1), 3).unflatten(0, (2, -1))) > y.flip(2),
        r"compares two tensors in units of 0\.111111, no power of two, .* Compare sums",
    ),
    "filled with minus infinity": (
        lambda s, x: x.masked_fill(s > 0, float("-inf")).clamp_min(-1),
        r"masked_fill\): chooses -inf, which integers don't have\. Use a number below, or above, .* such as -1000",
    ),
    "a choice of infinity": (lambda s, x: torch.where(s > 0, x, torch.inf), r"chooses inf, which integers don't have"),
    "infinity at one place": (
        lambda s, x: torch.where(s > 0, x, torch.tensor([1.0, 2, torch.inf, 4, 5, 6])),
        r"chooses inf, which integers don't have",
    ),
    "a comparison out of range": (lambda s, x: s > 1e30, r"compares with 1e\+30, which is out of the range"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_has_no_integer_form_is_refused_with_the_way_out(body: Body, message: str):
    def run(model: torch.nn.Module, pixels: Tensor) -> Tensor:
        current = model.conv(pixels)  # type: ignore[operator]
        spikes = model.lif(current)  # type: ignore[operator]
        return body(spikes, current).to(spikes.dtype).flatten(2)

    with pytest.raises(LoweringError, match=message):
        lower(user(run), images())
