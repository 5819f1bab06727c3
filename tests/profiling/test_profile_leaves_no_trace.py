"""A profile changes nothing, whatever happens, and refuses what it can't count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import TimeAxisError
from spikelet.neurons import LIF
from spikelet.nn import Linear
from spikelet.profiling import profile
from spikelet.quant import Binary
from tests.profiling.networks import TwoLayers, images, small_model, two_steps_of_spikes


def snapshot(model: nn.Module) -> tuple:
    """Everything that a profile could have changed, in comparable form."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    grads = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    modes = {name: module.training for name, module in model.named_modules()}
    hooks = {name: len(m._forward_hooks) + len(m._forward_pre_hooks) for name, m in model.named_modules()}
    return state, grads, modes, hooks


def assert_unchanged(model: nn.Module, before: tuple) -> None:
    state, grads, modes, hooks = snapshot(model)
    assert (modes, hooks) == before[2:]
    for new, old in ((state, before[0]), (grads, before[1])):
        assert new.keys() == old.keys()
        assert all(torch.equal(new[k], old[k]) if old[k] is not None else new[k] is None for k in old)


def half_trained() -> tuple[nn.Module, Tensor]:
    """A model with gradients, in training mode but for one frozen batch norm, with a hook of somebody else's."""
    model, x = small_model("qsnn_resnet19")
    model.train()
    model(x).sum().backward()
    model.features[0][1].eval()
    model.classifier.register_forward_hook(lambda *_: None)
    return model, x


def test_the_model_is_what_it_was():
    model, x = half_trained()
    before = snapshot(model)
    profile(model, x)
    assert_unchanged(model, before)


def test_the_model_is_what_it_was_after_an_error_inside_it():
    model, x = half_trained()
    before = snapshot(model)
    with pytest.raises(TypeError, match=r"Encode takes uint8 pixels"):
        profile(model, [x, x.float()])
    assert_unchanged(model, before)


def test_the_model_is_what_it_was_after_an_error_of_the_loader():
    model, x = half_trained()
    before = snapshot(model)

    def loader() -> Iterator[Tensor]:
        yield x
        raise OSError("disk gone")

    with pytest.raises(OSError, match=r"disk gone"):
        profile(model, loader())
    assert_unchanged(model, before)


def test_a_loader_can_be_a_one_time_iterator():
    model, x = small_model("qsnn_vgg_s")
    assert profile(model, iter([(x, torch.zeros(4))])) == profile(model, x)


def test_a_training_model_is_counted_in_evaluation():
    model, x = small_model("qsnn_vgg_s")
    evaluated = profile(model, x)
    assert profile(model.train(), x) == evaluated


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        (3, TypeError, "batches must be a tensor, an array or an iterable of them, got int."),
        (["image.png"], TypeError, "batch 0 must be a tensor or an array, or start with one, got str."),
        ([{"x": 1}], TypeError, "batch 0 must be a tensor or an array, or start with one, got dict."),
        ([()], TypeError, "batch 0 must be a tensor or an array, or start with one, got tuple."),
        ([], ValueError, "batches must hold at least one sample, got none."),
        (torch.zeros(3), TimeAxisError, r"batch 0 has shape \(3,\), .* must be \[F\], \[N, D\] or \[C, H, W\]\. Pass"),
        (torch.zeros(2, 2, 3, 4, 4), TimeAxisError, r"batch 0 has shape \(2, 2, 3, 4, 4\), .* Pass time_axis=0 for fr"),
        (torch.zeros(2, 0, 3), ValueError, r"batch 0 must not be empty, got shape \(2, 0, 3\)."),
    ],
)
def test_batches_that_mean_nothing_are_refused(batches: object, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        profile(TwoLayers(), batches)  # type: ignore[arg-type]


def test_a_later_batch_is_named():
    with pytest.raises(TypeError, match=r"batch 1 must be a tensor or an array, or start with one, got NoneType\."):
        profile(TwoLayers(), [two_steps_of_spikes(), None], time_axis=0)


def test_frames_that_are_not_declared_are_refused():
    with pytest.raises(TimeAxisError, match=r"with time_axis=None a batch holds 2 samples, and the model's output"):
        profile(TwoLayers(), two_steps_of_spikes())


def test_the_time_axis_is_one_of_three():
    with pytest.raises(TimeAxisError, match="time_axis must be None, 0 or 1, got 2"):
        profile(TwoLayers(), two_steps_of_spikes(), time_axis=2)


def test_a_model_that_takes_its_batch_first_is_counted_as_its_time_first_twin():
    class BatchFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = TwoLayers()

        def forward(self, x_BTF: Tensor) -> Tensor:
            return self.inner(x_BTF.transpose(0, 1)).transpose(0, 1)

    x = torch.randint(0, 2, (2, 2, 3)).float()  # T = B: no shape could tell
    ours, theirs = profile(TwoLayers(), x, time_axis=0), profile(BatchFirst(), x.transpose(0, 1), time_axis=1)
    assert theirs.samples == ours.samples == 2
    assert theirs.total == ours.total


def test_a_model_without_neurons_is_refused():
    with pytest.raises(ValueError, match=r"the model has no spiking neurons"):
        profile(nn.Sequential(Linear(3, 2, Binary())), torch.ones(1, 3))


def test_neurons_that_never_run_are_refused():
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.lif = Linear(3, 2, Binary()), LIF(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x)

    with pytest.raises(ValueError, match=r"no neuron ran; a profile needs a spiking model\."):
        profile(Idle(), torch.ones(1, 1, 3), time_axis=0)


def test_neurons_of_different_time_steps_are_refused():
    model = nn.Sequential(LIF(2), LIF(3))
    with pytest.raises(ValueError, match=r"all neurons must have the same time_steps, got {'0': 2, '1': 3}\."):
        profile(model, torch.ones(1, 1, 3), time_axis=0)


def test_constants_of_a_network_s_own_code_are_counted_with_nothing():
    class Gained(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain, self.unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(()))
            self.listed = nn.ParameterList([torch.ones(3)])

        def forward(self, x: Tensor) -> Tensor:
            return x * self.gain * self.listed[0]

    layers = Linear(3, 3, Binary()), LIF(1), Linear(3, 2, Binary())
    plain, gained = nn.Sequential(*layers), nn.Sequential(layers[0], Gained(), *layers[1:])
    x = torch.ones(1, 1, 3)
    layers_of_both = [profile(model, x, time_axis=0).layers for model in (gained, plain)]
    assert [layer.name for layer in layers_of_both[0]] == ["0", "2", "3"]
    sizes, expected = ([layer.packed_bytes for layer in of_one] for of_one in layers_of_both)
    assert sizes == expected


def test_a_layer_that_can_not_be_counted_is_named():
    model = nn.Sequential(Linear(3, 3, Binary()), nn.Sequential(LIF(1), nn.PReLU()))
    message = r"1\.1: PReLU has parameters that profile can't count\. Counted are convolutions"
    with pytest.raises(ValueError, match=message):
        profile(model, torch.ones(1, 1, 3), time_axis=0)


def test_a_membrane_that_does_not_say_its_bits_is_refused():
    with pytest.raises(ValueError, match=r"0: its membrane, Identity, must say how much it stores .* got None\."):
        profile(nn.Sequential(LIF(1, membrane=nn.Identity())), torch.ones(1, 1, 3), time_axis=0)


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}])
def test_a_convolution_that_can_not_be_counted_is_named(options: dict):
    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lif = nn.Conv2d(2, 2, 3, **options), LIF(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.lif(self.conv(x).unsqueeze(0))

    with pytest.raises(ValueError, match=r"conv: profile counts convolutions with zero padding given as"):
        profile(Folded(), images(2, 8, 1).float())


def test_one_layer_on_two_shapes_is_named():
    model, x = small_model("qsnn_vgg_s", image_size=16)
    first = profile(model, x).layers[0].name
    with pytest.raises(ValueError, match=rf"{first}: ran on inputs of shapes \(3, 16, 16\) and \(3, 15, 15\)"):
        profile(model, [x, x[:, :, :15, :15]])


def test_neurons_on_two_shapes_are_named():
    with pytest.raises(ValueError, match=r"0: ran on inputs of shapes \(3,\) and \(4,\); profile one shape at a time."):
        profile(nn.Sequential(LIF(1)), [torch.ones(1, 1, 3), torch.ones(1, 1, 4)])
