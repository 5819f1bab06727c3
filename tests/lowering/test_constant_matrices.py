"""Products of maps with constant matrices, over rows and over columns, and sums over time written as products."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.lowering import lower
from tests.support.user_modules import T, assert_exact, classifier, images, user

ROWS = torch.tensor([[0.5, -1.0, 0.0, 2.0, 0.25, 1.0], [1.0, 0.0, 0.0, 0.0, 0.0, -3.0]])
GOES: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "rows": (lambda s: ROWS @ s, 48),
    "columns": (lambda s: s @ ROWS.T, 48),
    "both": (lambda s: ROWS @ s @ ROWS.T, 16),
    "folded": (lambda s: torch.matmul(ROWS, s.flatten(0, 1)).unflatten(0, (T, -1)), 48),
    "step by step": (lambda s: torch.stack([one @ ROWS.T for one in s]), 48),
}


@pytest.mark.parametrize(("function", "features"), GOES.values(), ids=list(GOES))
def test_of_maps_they_are_exact(function: Callable[[Tensor], Tensor], features: int) -> None:
    torch.manual_seed(0)
    assert_exact(user(lambda m, x: m.fc(function(m.lif(m.conv(x))).flatten(2)), fc=classifier(features)))


@pytest.mark.parametrize("numbers", [(1.0, 2.0), (0.1, 0.3)])
@pytest.mark.parametrize("equation", ["tbk,t->bk", "tbk,t->kb"])
def test_over_time_they_are_refused_with_the_way_out(numbers: tuple[float, float], equation: str) -> None:
    weights = torch.tensor(numbers)
    model = user(lambda m, x: torch.einsum(equation, m.fc(m.lif(m.conv(x)).flatten(2)), weights))
    with pytest.raises(LoweringError, match=r"\(einsum\): einsum 'tbk,t->\w+' sums over time .* w\.view\(-1, 1, 1\)\)"):
        lower(model, images())


def test_the_way_out_of_a_sum_over_time_goes() -> None:
    weights = torch.tensor([1.0, 2.0]).view(-1, 1, 1)
    assert_exact(user(lambda m, x: (m.fc(m.lif(m.conv(x)).flatten(2)) * weights).sum(0)))
