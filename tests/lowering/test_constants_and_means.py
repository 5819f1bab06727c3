"""A constant may join a tensor at every time step, not a mean over time: both sides of the rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spikelet.lowering import LoweringError, lower
from tests.support.user_modules import assert_exact, images, user


@pytest.mark.parametrize("join", [torch.add, torch.mul])
def test_a_constant_that_meets_a_mean_over_time_is_refused_and_before_it_lowers(join: Callable[..., Tensor]):
    constant = torch.tensor([1.0, 2.0, -1.0, 0.5, 4.0])
    late = user(lambda m, x: join(m.fc(m.lif(m.conv(x)).flatten(2)).mean(0), constant))
    with pytest.raises(LoweringError, match=r"joins a mean over time and a constant\. Join them before the mean"):
        lower(late, images())
    assert_exact(user(lambda m, x: join(m.fc(m.lif(m.conv(x)).flatten(2)), constant).mean(0)))
