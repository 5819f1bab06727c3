"""The analog twin: of every model, nothing of it spikes, and nothing of it can be deployed by mistake."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikelet.lowering import LoweringError, lower
from spikelet.models import list_models
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv2d, Linear, Scale
from spikelet.quant import FullPrecision
from spikelet.train.analog import AnalogNorm2d, analog_norm, analog_scale, to_analog
from tests.support.catalogue import model_input, small_model

OF_NEURONS = ("log2_step", "threshold")  # parameters of what becomes a ReLU


@pytest.mark.parametrize("name", list_models())
def test_every_model_has_a_twin_of_as_many_weights_that_does_not_lower(name: str):
    spiking = small_model(name)
    shapes = {n: p.shape for n, p in spiking.named_parameters() if not n.endswith(OF_NEURONS)}
    twin = to_analog(spiking)
    assert twin is spiking
    assert {n: p.shape for n, p in twin.named_parameters()} == shapes
    assert not any(isinstance(m, LIF) for m in twin.modules())
    assert all(type(m) is AnalogNorm2d for m in twin.modules() if isinstance(m, BatchNorm2d))
    assert all(m.quantizer == FullPrecision() for m in twin.modules() if isinstance(m, Conv2d | Linear))
    x = model_input(name, 2)
    logits = twin(x)
    logits.square().mean().backward()
    learning = [p for p in twin.parameters() if p.requires_grad]  # all but the biases of Gain2d
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in learning)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):  # as a teacher of a training in bfloat16
        assert torch.isfinite(twin.eval()(x)).all()
    with pytest.raises(LoweringError, match="the model has no spiking neurons"):
        lower(twin, x)


def test_a_small_twin_by_hand():
    conv = Conv2d(1, 1, 1, FullPrecision())
    twin = to_analog(nn.Sequential(conv, LIF(2))).eval()
    with torch.no_grad():
        conv.weight.fill_(-2.0)
    x = torch.tensor([-1.0, 0.25, 3.0]).view(1, 1, 1, 1, 3)
    assert twin(x).flatten().tolist() == [2.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("norm", "torch_norm", "sample"),
    [
        (BatchNorm2d(3), nn.BatchNorm2d(3), (3, 5, 5)),
        (BatchNorm1d(3), nn.BatchNorm1d(3), (3,)),
        (BatchNorm1d(3), nn.BatchNorm1d(3), (3, 5)),
    ],
    ids=["maps", "vectors", "sequences"],
)
def test_its_batch_norm_is_that_of_pytorch_in_training_and_in_evaluation(
    norm: BatchNorm1d | BatchNorm2d, torch_norm: nn.Module, sample: tuple[int, ...]
):
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    torch_norm.load_state_dict(norm.state_dict())
    analog = analog_norm(norm)
    x = torch.randn(2, 4, *sample)
    for mode in (True, False):
        expected = torch_norm.train(mode)(x.flatten(0, 1)).unflatten(0, (2, 4))
        assert torch.equal(analog.train(mode)(x), expected)
    assert analog.weight is norm.weight
    assert analog.running_mean is norm.running_mean
    assert not torch.equal(norm.eval()(x), expected), "the grid would have gone unnoticed"


@pytest.mark.parametrize("name", ["bestformer_4_384", "bestformer_8_512", "bestformer_2_256"])
@pytest.mark.parametrize("wiring", ["averaged", "split", "plain"])
def test_a_twin_of_reversible_streams_learns_from_a_still_image(name: str, wiring: str):
    """Its lambda has a step for each of T = 3, and it reads one."""
    torch.manual_seed(0)
    twin = to_analog(small_model(name, num_classes=10, wiring=wiring)).train()
    x, y = model_input(name, 8), torch.arange(8)
    optimizer = torch.optim.AdamW(twin.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(twin(x).mean(0), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    assert losses[-1] < 0.9 * losses[0]


def test_a_scale_by_step_is_the_mean_over_steps():
    scale = Scale(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    analog = analog_scale(scale)
    assert analog.gain is scale.gain
    assert torch.equal(analog(torch.ones(1, 1, 4)), torch.tensor([[[2.0, 2.0, 4.0, 4.0]]]))
    constant = Scale(torch.ones(3))
    assert analog_scale(constant) is constant


def test_what_stands_at_several_places_has_one_twin():
    lif, norm, conv = LIF(2), BatchNorm2d(1), Conv2d(1, 1, 1, FullPrecision())
    inner = nn.Sequential(norm, lif)
    twin = to_analog(nn.Sequential(conv, norm, lif, inner, lif, norm))
    assert type(twin[2]) is nn.ReLU
    assert twin[2] is twin[3][1] is twin[4]
    assert type(twin[1]) is AnalogNorm2d
    assert twin[1] is twin[3][0] is twin[5]


@pytest.mark.parametrize("model", [LIF(2), nn.Sequential(nn.Flatten())])
def test_a_network_without_neurons_inside_has_no_twin(model: nn.Module):
    with pytest.raises(ValueError, match=f"neurons inside to have an analog twin, got {type(model).__name__}"):
        to_analog(model)
