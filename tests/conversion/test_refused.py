"""What can't be converted is one sentence that names it and the way out, and leaves the model as it was."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

import spikelet
from spikelet.base.errors import SpikeletError
from spikelet.conversion import accuracy_over_steps
from spikelet.interop import ConversionError
from spikelet.neurons import LIF, QCFS
from spikelet.train import evaluate
from tests.conversion.networks import CNN

X = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)


class Odd(nn.Module):
    """A convolution, an activation, and `between` before a classifier."""

    def __init__(self, between: Any = None, layer: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.act, self.fc = nn.Conv2d(3, 4, 1), QCFS(8, 1.5), nn.Linear(256, 5)
        self.layer, self.between = layer or nn.Identity(), between or (lambda x: x)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.between(self.layer(self.act(self.conv(x)))).flatten(1))


def written(x: Tensor) -> Tensor:
    """`x` times 0.3, read from the tensor that it was written into."""
    made = torch.empty(x.shape)
    torch.mul(x, 0.3, out=made)
    return made


def by_index(x: Tensor) -> Tensor:
    """`x`, written into another tensor."""
    made = torch.zeros_like(x)
    made[:, 1:] = x[:, 1:]
    return made


def refused(model: Any, words: str, x: Any = X, **options: Any) -> None:
    """Converting raises one line with these words, and changes nothing."""
    state = copy.deepcopy(model.state_dict()) if isinstance(model, nn.Module) else {}
    modes = [m.training for m in model.modules()] if isinstance(model, nn.Module) else []
    with pytest.raises(SpikeletError, match=words) as error:
        spikelet.convert(model, x, **options)
    assert "\n" not in str(error.value)
    if isinstance(model, nn.Module):
        assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
        assert [m.training for m in model.modules()] == modes
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time_steps": 0}, r"time_steps must be a power of two from 1 to 128 with schedule='barrier', got 0"),
        ({"time_steps": 12}, r"time_steps must be a power of two from 1 to 128 .*, got 12"),
        ({"time_steps": 256}, r"from 1 to 128 .*, got 256"),
        ({"time_steps": 16.0}, r"from 1 to 128 .*, got 16\.0"),
        ({"time_steps": True}, r"from 1 to 128 .*, got True"),
        ({"time_steps": 1025, "schedule": "stream"}, r"time_steps must be a whole number from 1 to 1024 .*, got 1025"),
        ({"schedule": "rate"}, r"schedule must be 'barrier', 'stream' or Started\(images\), got 'rate'"),
        ({"schedule": None}, r"schedule must be 'barrier', 'stream' or Started\(images\), got None"),
        ({"weight_bits": 1}, r"weight_bits must be 2 to 8, or 32 for floats, got 1"),
        ({"weight_bits": 16}, r"weight_bits must be 2 to 8, or 32 for floats, got 16"),
        ({"scale": 0.0}, r"scale must be a positive number"),
        ({"std": 0.0}, r"mean and std must be finite, std above 0"),
        ({"mean": (0.5, 0.5)}, r"mean and std must have one number a channel of 3, got 2"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], words: str):
    refused(Odd(), words, **options)


@pytest.mark.parametrize("between", [F.dropout, lambda x: F.dropout(x, 0.3, True)])
def test_a_dropout_that_drops_in_evaluation(between: Any):
    refused(Odd(between), r"\(dropout\): drops in evaluation too\. Write F\.dropout\(x, p, training=self\.training\)")
    spikelet.convert(Odd(lambda x: F.dropout(x, 0.3, False)), X)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(2, 3, 8, 8), r"example must be a uint8 batch .*, got torch\.float32 of shape \(2, 3, 8, 8\)"),
        (torch.zeros(8, dtype=torch.uint8), r"example must be a uint8 batch .*, got torch\.uint8 of shape \(8,\)"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), r"example must be a uint8 batch"),
        (np.zeros((2, 3, 8, 8)), r"example must be a uint8 batch .*, got torch\.float64"),
        ("image.png", r"example must be a uint8 batch .*, got str"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), r"conv: .*expected input.* to have 3 channels, but got 1"),
    ],
)
def test_examples_of_another_kind(x: Any, words: str):
    refused(Odd(), words, x)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (3, r"model must be a torch\.nn\.Module, got int"),
        (CNN, r"model must be a torch\.nn\.Module, got the class CNN"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), r"Sequential has no activation that spikes .*calibrate"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), LIF(4)), r"1: LIF spikes already"),
        (Odd().double(), r"conv\.weight must be float32 to be converted, got torch\.float64\. Use model\.float\(\)"),
        (Odd(layer=nn.LayerNorm(8)), r"layer \(LayerNorm\): has no counterpart of spikes\. A layer norm .*repair\("),
        (Odd(layer=nn.GELU()), r"layer \(gelu\): has no counterpart of spikes\. An activation .*calibrate\("),
        (Odd(torch.relu), r"the model \(relu\): has no counterpart of spikes\. An activation .*calibrate\("),
        (Odd(by_index), r"the model \(__setitem__\): has no counterpart of spikes\. Put the parts together by"),
        (Odd(lambda x: x.softmax(-1)), r"the model \(softmax\): has no counterpart of spikes\. Softmax .*repair\("),
        (Odd(lambda x: x.sort(-1).values), r"the model \(sort\): has no counterpart of spikes"),
        (Odd(lambda x: x if x.sum() < 1e9 else -x), r"a branch depends on a tensor's value"),
        (Odd(layer=nn.Conv2d(4, 4, 1, padding_mode="circular")), r"layer: Conv2d supports zero padding"),
        (Odd(lambda x: torch.div(x, 0.1, rounding_mode="floor")), r"the model \(div\): has no counterpart"),
        (Odd(lambda x: torch.div(torch.ones(()), x + 1)), r"the model \(div\): has no counterpart"),
        (Odd(lambda x: written(x)), r"the model \(mul\): has no counterpart"),
        (Odd(layer=nn.BatchNorm2d(4, track_running_stats=False)), r"layer: a batch norm without running statistics"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("schedule", ["barrier", "stream"])
def test_networks_without_a_twin(model: Any, words: str, schedule: str):
    refused(model, words, schedule=schedule)


class Twice(nn.Module):
    """One convolution behind two activations of different thresholds."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(256, 5)
        self.one, self.two = QCFS(8, 0.5), QCFS(8, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(self.two(self.conv(self.one(self.first(x))))).flatten(1))


def test_a_layer_that_would_need_two_weights():
    refused(Twice(), r"conv: is used in several places, whose values are in units of 0\.5 and 1\.5\. Give each place")
    alike = Twice()
    alike.two = QCFS(8, 0.5)
    spikelet.convert(alike, X)


def test_a_stream_of_code_that_moves_the_batch():
    class Sequence(nn.Module):
        """It takes tokens first, as older attention does."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act, self.fc = nn.Conv2d(3, 4, 1), QCFS(8, 0.5), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.act(self.conv(x).flatten(2).permute(2, 0, 1))
            return self.fc(tokens).mean(0)

    spikelet.convert(Sequence(), X)
    refused(Sequence(), r"schedule='stream' holds time steps and samples on the first axis", schedule="stream")


def test_a_twin_is_not_converted_again():
    twin = spikelet.convert(Odd(), X)
    for model in (twin, nn.Sequential(twin)):
        refused(
            model, r"was converted already\. Convert the network that it came from", schedule="stream", time_steps=3
        )


def test_infinite_weights_are_named():
    model = Odd()
    with torch.no_grad():
        model.fc.weight[0, 0] = torch.inf
    refused(model, r"fc\.weight holds NaN or infinity")


@pytest.mark.parametrize("name", ["conv", "act", "fc"])
def test_a_hook_that_the_twin_would_lose_is_named(name: str):
    for register in ("register_forward_hook", "register_forward_pre_hook"):
        model = Odd()
        handle = getattr(model.get_submodule(name), register)(lambda *args: None)
        with pytest.raises(SpikeletError, match=rf"{name}: has forward hooks, and its counterpart would run without"):
            spikelet.convert(model, X)
        handle.remove()
        spikelet.convert(model, X)


def test_weights_that_torchs_own_hooks_make_are_taken():
    torch.manual_seed(0)
    model, plain = Odd().eval(), Odd().eval()
    plain.load_state_dict(model.state_dict())
    prune.random_unstructured(model.fc, "weight", 0.5)
    with torch.no_grad():
        plain.fc.weight.copy_(model.fc.weight)
        x = torch.arange(2 * 192).reshape(2, 3, 8, 8).to(torch.uint8)
        made = [spikelet.convert(net, X, time_steps=8)(x) for net in (model, plain)]
    assert torch.equal(*made)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (
            torch.zeros(2, 1, dtype=torch.long),
            r"labels must be whole numbers, one a sample .* shape \(2, 1\)",
        ),
        (
            torch.eye(5, dtype=torch.long)[:2],
            r"labels must be whole numbers, one a sample .* shape \(2, 5\)",
        ),
        (torch.tensor(1), r"labels must be whole numbers, one a sample .* shape \(\)"),
        (torch.tensor([0.5, 1.0]), r"labels must be whole numbers, one a sample \[B\], got torch\.float32"),
        (torch.zeros(1, dtype=torch.long), r"a model must give logits .* for its B = 1 samples"),
        (torch.tensor([0, 5]), r"the model tells 5 classes apart, and the data has class number 5"),
        (None, r"batches must be pairs \(x, y\) of a uint8 input and labels \[B\]"),
    ],
)
def test_labels_of_another_kind(y: Any, words: str):
    with pytest.raises(SpikeletError, match=words):
        accuracy_over_steps(Odd(), [(X, y)], (1,))
    if y is not None:
        with pytest.raises(SpikeletError, match=words):
            evaluate(spikelet.convert(Odd(), X), [(X, y)])


def test_accuracy_over_steps_needs_samples_and_ascending_steps():
    pairs = [(X, torch.zeros(2, dtype=torch.long))]
    with pytest.raises(ConversionError, match="needs at least one sample"):
        accuracy_over_steps(Odd(), [])
    for steps, words in (((0,), r"steps\[0\] must be a whole number from 1 to 1024, got 0"), ((2, 1), "must ascend")):
        with pytest.raises(ConversionError, match=words):
            accuracy_over_steps(Odd(), pairs, steps)


@pytest.mark.parametrize("net", [Odd(), CNN()], ids=["torch's layers", "another"])
def test_images_of_another_size_are_one_sentence(net: nn.Module) -> None:
    twin = spikelet.convert(net, X, time_steps=8, mean=0.5, std=0.25)
    said = r"the twin was converted for samples of shape \[3, 8, 8\] and does not run on \[3, 12, 12\]\. Resize the "
    with pytest.raises(ConversionError, match=said):
        twin(torch.zeros(2, 3, 12, 12, dtype=torch.uint8))
    assert twin(X).shape[1] == 2
