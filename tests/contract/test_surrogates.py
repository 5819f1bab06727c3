"""Every surrogate: a step forwards, and backwards the derivative of a smooth step from 0 to 1."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from spikelet.neurons import ATan, Rectangle, Sigmoid, Surrogate, Triangle
from tests.support.catalogue import SURROGATES

every_surrogate = pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=list(SURROGATES))


def points(surrogate: Surrogate) -> Tensor:
    """A thousand points, away from the kinks of the piecewise ones."""
    x = torch.linspace(-4.001, 4.0003, 1001, dtype=torch.float64)
    width = getattr(surrogate, "width", 1.0)
    kinks = torch.tensor([-width, -width / 2, 0.0, width / 2, width])
    return x[(x[:, None] - kinks).abs().min(1).values > 1e-3]


@every_surrogate
def test_slope_is_the_derivative_of_the_primitive(surrogate: Surrogate):
    x, h = points(surrogate), 1e-6
    difference = (surrogate.primitive(x + h) - surrogate.primitive(x - h)) / (2 * h)
    assert torch.allclose(surrogate.slope(x), difference, rtol=1e-6, atol=1e-8)


@every_surrogate
def test_slope_integrates_to_one(surrogate: Surrogate):
    far = torch.tensor([-1e12, 1e12], dtype=torch.float64)
    low, high = surrogate.primitive(far).tolist()
    assert low == pytest.approx(0, abs=1e-9)
    assert high == pytest.approx(1, abs=1e-9)
    grid = torch.linspace(-200, 200, 200_001, dtype=torch.float64)
    assert torch.trapezoid(surrogate.slope(grid), grid).item() == pytest.approx(1, abs=1e-2)


@every_surrogate
def test_slope_is_even_and_highest_on_the_threshold(surrogate: Surrogate):
    x = points(surrogate)
    assert torch.allclose(surrogate.slope(x), surrogate.slope(-x), rtol=1e-9, atol=1e-12)
    assert (surrogate.slope(x) >= 0).all()
    assert (surrogate.slope(x) <= surrogate.slope(torch.zeros(1, dtype=torch.float64))).all()


@every_surrogate
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tie_fires_and_nothing_below_it_does(surrogate: Surrogate, dtype: torch.dtype):
    tiny = torch.finfo(dtype).tiny
    x = torch.tensor([-1.0, -tiny, -0.0, 0.0, tiny, 1.0], dtype=dtype)
    spikes = surrogate(x)
    assert spikes.tolist() == [0, 0, 1, 1, 1, 1]
    assert spikes.dtype == dtype


@every_surrogate
def test_the_backward_pass_multiplies_by_the_slope(surrogate: Surrogate):
    x = torch.randn(50, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(50, dtype=torch.float64)
    (surrogate(x) * weights).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weights * surrogate.slope(x.detach()))


def summed(surrogate: Surrogate, x: Tensor, step: float | Tensor, levels: int) -> Tensor:
    """The slopes of `levels` steps beside each other, in float64, where x - d step is exact."""
    x = x.double()
    return torch.stack([surrogate.slope(x - d * step) for d in range(levels)]).sum(0)


def borders_and_more(width: float, levels: int) -> Tensor:
    """Float32 points of the neurons' grid, and the borders of all windows with the numbers next to them."""
    grid = torch.arange(-3 * 2**11, (levels + 2) * int(width * 2**12) + 1, 3) / 2**12
    borders = (torch.arange(levels + 1) - 0.5) * width
    far = torch.tensor(math.inf)
    return torch.cat([grid, borders, torch.nextafter(borders, far), torch.nextafter(borders, -far)])


@pytest.mark.parametrize("top", [1.0, 4.0])
@pytest.mark.parametrize("levels", [1, 2, 4, 8])
def test_windows_side_by_side_are_one_window_ties_too(levels: int, top: float):
    width = top / levels
    surrogate, x = Rectangle(width), borders_and_more(width, levels)
    slopes = surrogate.slopes(x, width, levels)
    assert slopes.dtype == x.dtype
    assert torch.equal(slopes.double(), summed(surrogate, x, width, levels))
    assert set(slopes.unique().tolist()) == {0.0, 1 / width}


@pytest.mark.parametrize("ratio", [0.5, 0.75, 1.5, 2.0])
@pytest.mark.parametrize("levels", [1, 2, 4, 8])
def test_windows_that_overlap_or_leave_gaps_add_up(levels: int, ratio: float):
    surrogate, x = Rectangle(0.5), borders_and_more(0.5, levels).double()
    assert torch.equal(surrogate.slopes(x, 0.5 * ratio, levels), summed(surrogate, x, 0.5 * ratio, levels))


@every_surrogate
@pytest.mark.parametrize("step", [0.25, 1.0, torch.tensor([0.25, 1.0, 2.5])], ids=["quarter", "one", "by channel"])
def test_the_slopes_of_a_count_are_those_of_its_spikes_together(surrogate: Surrogate, step: float | Tensor):
    x = points(surrogate)[:990].view(-1, 3)
    for levels in (1, 3, 4):
        slopes = surrogate.slopes(x, step, levels)
        assert torch.equal(slopes, Surrogate.slopes(surrogate, x, step, levels))
        assert torch.allclose(slopes, summed(surrogate, x, step, levels), rtol=1e-12, atol=0)


@every_surrogate
def test_the_backward_pass_of_a_count_multiplies_by_its_slopes(surrogate: Surrogate):
    x = torch.randn(60, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(60, dtype=torch.float64)
    (surrogate.count(x, 0.75, 3) * weights).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, weights * surrogate.slopes(x.detach(), 0.75, 3))


def test_the_slopes_are_the_stated_formulas():
    x = torch.tensor([0.0, 0.25, -0.25, 3.0], dtype=torch.float64)
    assert Triangle(0.5).slope(x).tolist() == [2.0, 1.0, 1.0, 0.0]
    assert Rectangle(0.4).slope(x).tolist() == [2.5, 0.0, 0.0, 0.0]
    quarter = 1 / (1 + (math.pi / 4) ** 2)
    assert ATan(2.0).slope(x)[:3].tolist() == pytest.approx([1.0, quarter, quarter])
    s = 1 / (1 + math.exp(-1))
    assert Sigmoid(4.0).slope(x)[:2].tolist() == pytest.approx([1.0, 4 * s * (1 - s)])


@pytest.mark.parametrize(
    ("kind", "field"), [(Triangle, "width"), (Rectangle, "width"), (ATan, "alpha"), (Sigmoid, "alpha")]
)
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_size_that_is_no_positive_number_is_refused(kind: type, field: str, value: float):
    words = rf"{kind.__name__}\.{field} must be a number from 2\^-20 to 2\^20, got {value}"
    with pytest.raises(ValueError, match=words):
        kind(value)
