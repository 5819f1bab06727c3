"""`levels=n` of `Encode` and of conversions: counts end at n, in PyTorch and in integers; weights get the range."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError, OverflowRefused
from spikelet.graph.analysis import analyse
from spikelet.lowering import lower, verify
from spikelet.nn import Conv1d, Conv2d, Encode, Linear
from spikelet.quant import Uniform
from tests.support.user_modules import assert_exact, plain


@pytest.mark.parametrize("levels", [1, 4, 254, 255])
def test_bytes_above_the_levels_count_as_the_levels(levels: int) -> None:
    model = plain()
    model.encode = Encode(levels=levels)
    x = torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8)
    x[0] = levels
    assert torch.equal(model(x), model(x.clamp(max=levels)))
    with torch.no_grad():
        model.conv.weight.mul_(255 / levels)
    graph = assert_exact(model, x)
    assert analyse(graph)["encode"].high.max() == levels


@pytest.mark.parametrize("levels", [0, 256, 2.5, True, "4"])
def test_levels_out_of_range_are_refused(levels: object) -> None:
    with pytest.raises(ValueError, match=r"levels must be the largest byte of the data, 1 to 255, or None"):
        Encode(levels=levels)  # type: ignore[arg-type]
    snn = pytest.importorskip("snntorch", reason="needs snnTorch")
    net = nn.Sequential(nn.Linear(4, 2), snn.Leaky(beta=0.5, init_hidden=True, output=True))
    with pytest.raises(ConversionError, match=r"levels must be the largest byte of the data, 1 to 255 \(1 for spikes"):
        spikelet.from_snntorch(net, time_steps=2, scale=1.0, levels=levels)  # type: ignore[arg-type]


def test_a_pass_over_vectors_and_sequences_has_levels_too() -> None:
    assert repr(Encode(1, levels=3)) == "Encode(sample_dims=1, levels=3)"
    assert Encode(2, levels=3)(torch.full((1, 2, 5), 9, dtype=torch.uint8)).unique().tolist() == [3 / 256]


def _counted(levels: int | None) -> tuple[nn.Module, Tensor]:
    """A convolutional network in the manner of snnTorch's on event counts of 0 to 6, beta 0.95, T = 20."""
    snn = pytest.importorskip("snntorch", reason="needs snnTorch")
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 16, 5), snn.Leaky(beta=0.95, init_hidden=True, threshold=20.0), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 25, 10), snn.Leaky(beta=0.95, init_hidden=True, output=True),
    )  # fmt: skip
    with torch.no_grad():
        net[0].weight.uniform_(0.3, 1.0)
    model = spikelet.from_snntorch(net, time_steps=20, time_axis=0, scale=1.0, round_leak=True, levels=levels)
    return model.eval(), torch.randint(0, 7, (20, 2, 2, 14, 14), dtype=torch.uint8)


def test_event_counts_with_a_long_leak_lower_by_levels_or_in_float64() -> None:
    """What bytes of up to 255 could do is refused in float32, and nothing else is: a leak costs no range."""
    model, x = _counted(None)
    model(x)
    found = spikelet.check(model, x)
    assert [refusal.module for refusal in found.refusals] == ["net.0.bias"]
    assert "float32" in found.refusals[0].reason
    for levels, dtype in ((6, torch.float32), (None, torch.float64)):
        model, x = _counted(levels)
        model = model.to(dtype)
        assert spikelet.check(model, x)
        for module in model.modules():
            if isinstance(module, Conv1d | Conv2d | Linear):
                module.quantizer = Uniform(8)
        graph = lower(model, x, time_axis=0)
        result = verify(graph, model, [(x, torch.tensor([0, 1]))], spikelet.Program, time_axis=0)
        assert result.mismatches == 0
        assert spikelet.Program(graph).spikes(x.numpy())["net.1"].any()


def test_levels_change_no_answer_of_bytes_within_them() -> None:
    with_levels, x = _counted(6)
    without, _ = _counted(None)
    assert torch.equal(with_levels(x), without(x))
    with pytest.raises(OverflowRefused):
        for module in without.modules():
            if isinstance(module, Conv2d | Linear):
                module.quantizer = Uniform(8)
        lower(without, x, time_axis=0)
