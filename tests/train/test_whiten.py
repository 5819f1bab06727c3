"""A whitened first layer: principal components with both signs, and nothing else is touched."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from spikelet.data.samples import DataSplits, Samples
from spikelet.models import create_model
from spikelet.nn import Conv2d
from spikelet.train import Run, TrainConfig
from spikelet.train.whiten import whiten

D = 3 * 3 * 3


def images(frames: int = 0) -> Samples:
    """Sixty pictures whose neighbouring pixels and colours are alike, as in photographs."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 200, (60 * max(frames, 1), 1, 4, 4), generator=generator)
    fine = torch.randint(0, 56, (60 * max(frames, 1), 3, 16, 16), generator=generator)
    x = (coarse.repeat_interleave(4, 2).repeat_interleave(4, 3) + fine).to(torch.uint8)
    x = x.unflatten(0, (60, frames)) if frames else x
    return Samples(x, torch.zeros(60, dtype=torch.int64), ("one",), "made up")


def network(c_out: int, c_in: int = 3) -> nn.Module:
    """A network whose first layer has `c_out` channels."""
    return create_model("qsnn_vgg_s", in_channels=c_in, image_size=16, widths=(c_out, 8), time_steps=1)


def stem(model: nn.Module) -> Conv2d:
    """Its first layer."""
    return next(module for module in model.modules() if isinstance(module, Conv2d))


@pytest.mark.parametrize("frames", [0, 3])
def test_what_the_channels_see_is_not_correlated(frames: int):
    model, data = network(2 * D), images(frames)
    whiten(model, data)
    conv = stem(model)
    x = data.x.flatten(0, -4).float() / 256
    seen = nn.functional.conv2d(x, conv.weight.detach().double().to(x), None, conv.stride, conv.padding)
    correlation = seen[:, ::2].transpose(0, 1).flatten(1).double().corrcoef()
    assert (correlation - torch.eye(D)).abs().max() < 0.02  # exact but for float32 in the smallest components
    assert torch.equal(conv.weight[1::2], -conv.weight[::2])
    variance = seen[:, ::2].transpose(0, 1).flatten(1).var(dim=1)
    assert (variance.diff() < 1e-4 * variance[0]).all(), "the largest component comes first"


@pytest.mark.parametrize("c_out", [5, 16, 2 * D, 70])
def test_rows_keep_their_length_and_those_beyond_the_components_their_weights(c_out: int):
    model = network(c_out)
    before = copy.deepcopy(model.state_dict())
    whiten(model, images())
    name = next(key for key, value in before.items() if value.shape == stem(model).weight.shape)
    rows = min(c_out, 2 * D)
    length = before[name].flatten(1).norm(dim=1).mean()
    torch.testing.assert_close(stem(model).weight[:rows].flatten(1).norm(dim=1), length.expand(rows))
    assert torch.equal(stem(model).weight[rows:], before[name][rows:])
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before if key != name)


def test_the_layout_in_memory_does_not_matter():
    """The training loop has channels-last weights, of which `flatten` is a copy."""
    model = network(16)
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for one in (model, other):
        whiten(one, images())
    assert torch.equal(stem(model).weight, stem(other).weight)


@pytest.mark.parametrize("whitened", [False, True])
def test_a_run_starts_whitened_where_its_configuration_says_so(whitened: bool, tmp_path: Path):
    pytest.importorskip("accelerate")
    options = {"num_classes": 1, "in_channels": 3, "image_size": 16, "widths": [16, 8], "time_steps": 1}
    config = TrainConfig("qsnn_vgg_s", options, "made up", batch_size=16, whiten=whitened)
    data = DataSplits(images(), images().subset(torch.arange(0)), images())
    opposite = torch.equal(*(lambda w: (w[1::2], -w[::2]))(stem(Run(config, data, tmp_path).model).weight))
    assert opposite == whitened


def test_a_refused_run_leaves_nothing_behind(tmp_path: Path):
    pytest.importorskip("accelerate")
    options = {"in_channels": 1, "image_size": 16, "widths": [16, 8], "time_steps": 1}
    config = TrainConfig("qsnn_vgg_s", options, "made up", batch_size=16, whiten=True)
    with pytest.raises(ValueError, match=r"does not fit the model"):
        Run(config, DataSplits(images(), images(), images()), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_whiten_is_true_or_false():
    with pytest.raises(ValueError, match=r"TrainConfig.whiten must be True or False, got 'no'"):
        TrainConfig("qsnn_vgg_s", {}, "digits", whiten="no")  # type: ignore[arg-type]


def test_the_same_images_give_the_same_weights():
    model = network(16)
    models = [model, copy.deepcopy(model)]
    for model in models:
        whiten(model, images())
    assert torch.equal(*(stem(model).weight for model in models))


def test_a_model_whose_first_layer_reads_something_else_is_refused():
    with pytest.raises(ValueError, match=r"reads the 3 channels of made up, got 2 in 1 group.*whiten=False"):
        whiten(network(8, c_in=2), images())
    with pytest.raises(ValueError, match=r"got none"):
        whiten(nn.Linear(3, 3), images())
