"""The layers between neurons: torch's own in training, exact on the grid in evaluation, loud about wrong shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.nn import (
    BatchNorm1d,
    BatchNorm2d,
    ChannelMap,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Encode,
    Linear,
    MaxPool2d,
    SumPool2d,
)
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.fold_time import fold_time
from spikelet.nn.norm import MAX_GAIN, gain_and_offset
from spikelet.quant import Binary, FullPrecision, Uniform

STEP = 2.0**-12


def on_grid(x: Tensor) -> bool:
    return bool((x.double() / STEP % 1 == 0).all())


# --- batch norm -------------------------------------------------------------------------------------


def random_norm(channels: int) -> BatchNorm2d:
    """Statistics and parameters of all sorts: negative and zero gamma, next to no variance."""
    norm = BatchNorm2d(channels)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(channels))
        norm.weight[0] = 0
        norm.bias.copy_(torch.randn(channels))
        norm.running_mean.copy_(torch.randn(channels))  # pyright: ignore[reportOptionalMemberAccess]
        norm.running_var.copy_(torch.rand(channels) * 3 + 0.3)  # pyright: ignore[reportOptionalMemberAccess]
    return norm


def copied(norm: BatchNorm2d) -> nn.BatchNorm2d:
    """torch's own with the same state."""
    twin = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    twin.load_state_dict(norm.state_dict())
    return twin


def test_training_is_torch_s_batch_norm_over_time_and_batch_bit_for_bit():
    norm = random_norm(7)
    twin = copied(norm)
    x = torch.randn(3, 4, 7, 5, 2, requires_grad=True)
    z = x.detach().flatten(0, 1).requires_grad_()
    y, expected = norm(x), twin(z)
    assert torch.equal(y.flatten(0, 1), expected)
    upstream = torch.randn_like(y)
    y.backward(upstream)
    expected.backward(upstream.flatten(0, 1))
    assert x.grad is not None
    assert z.grad is not None
    assert torch.equal(x.grad.flatten(0, 1), z.grad)
    for (name, ours), theirs in zip(norm.state_dict().items(), twin.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


def test_evaluation_is_torch_s_batch_norm_within_its_rounding():
    norm = random_norm(40).eval()
    twin = copied(norm).double().eval()
    x = torch.randn(2, 3, 40, 4, 4) * 3
    y, expected = norm(x).flatten(0, 1), twin(x.double().flatten(0, 1))
    gain, _ = gain_and_offset(norm)
    mean = norm.running_mean
    assert mean is not None
    distance = gain.abs().view(-1, 1, 1) * (x.flatten(0, 1) - mean.view(-1, 1, 1)).abs()
    assert ((y - expected).abs() <= STEP + distance * 2.0**-15 + 1e-9).all()  # two halves of a step, and the gain's
    assert on_grid(y)


def test_evaluation_does_not_depend_on_the_rest_of_the_batch():
    norm, x = random_norm(5).eval(), torch.randn(2, 6, 5, 3, 3)
    assert torch.equal(norm(x)[:, 2:3], norm(x[:, 2:3]))


def test_a_channel_without_variance_has_its_gain_capped():
    norm = BatchNorm2d(3, eps=1e-12).eval()
    with torch.no_grad():
        norm.running_var.copy_(torch.tensor([0.0, 1e-9, 1.0]))  # pyright: ignore[reportOptionalMemberAccess]
        norm.weight.copy_(torch.tensor([1.0, -1.0, 1000.0]))
        norm.bias.fill_(0.25)
    gain, offset = gain_and_offset(norm)
    assert gain.tolist() == [MAX_GAIN, -MAX_GAIN, MAX_GAIN]
    assert offset.tolist() == [0.25] * 3
    assert norm(torch.zeros(1, 1, 3, 1, 1)).flatten().tolist() == [0.25] * 3


def test_a_gamma_of_zero_gives_beta_whatever_comes():
    norm = random_norm(2).eval()
    with torch.no_grad():
        norm.bias.fill_(0.5)
    assert (norm(torch.randn(1, 2, 2, 3, 3) * 100)[:, :, 0] == 0.5).all()


def test_batch_norm_without_parameters_of_its_own_is_evaluated():
    norm = BatchNorm2d(2, affine=False).eval()
    gain, offset = gain_and_offset(norm)
    assert gain.tolist() == pytest.approx([1, 1], rel=1e-4)
    assert offset.tolist() == [0, 0]


def test_batch_norm_without_running_statistics_is_refused_in_evaluation():
    norm = BatchNorm2d(2, track_running_stats=False).eval()
    with pytest.raises(ValueError, match="batch norm without running statistics can't be evaluated"):
        norm(torch.zeros(1, 1, 2, 3, 3))


@pytest.mark.parametrize("field", ["weight", "bias", "running_mean", "running_var"])
def test_a_diverged_batch_norm_is_refused_in_evaluation(field: str):
    norm = BatchNorm2d(2).eval()
    with torch.no_grad():
        getattr(norm, field)[1] = math.nan
    with pytest.raises(ValueError, match=r"must be finite, got nan\. \(Look for a diverged BatchNorm"):
        norm(torch.zeros(1, 1, 2, 3, 3))


# --- convolution and linear -------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"groups": 2}, {"padding": (2, 0)}, {"dilation": 2, "padding": 2}]
)
def test_conv_is_torch_s_with_the_quantized_weight(options: dict, bias: bool):
    conv = Conv2d(4, 6, 3, Uniform(4), bias=bias, **options)
    x = torch.randn(2, 3, 4, 7, 6)
    kept = torch.floor(conv.bias * 4096 + 0.5) / 4096 if conv.bias is not None else None
    expected = F.conv2d(x.flatten(0, 1), Uniform(4)(conv.weight), kept, **options)
    assert torch.allclose(conv(x).flatten(0, 1), expected, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_linear_is_torch_s_with_the_quantized_weight(bias: bool):
    linear = Linear(5, 3, Binary(), bias=bias)
    x = torch.randn(2, 4, 5)
    kept = torch.floor(linear.bias * 4096 + 0.5) / 4096 if bias else None
    assert torch.allclose(linear(x), F.linear(x, Binary()(linear.weight), kept), atol=1e-6)


def test_evaluation_rounds_to_the_grid_before_it_adds_the_bias():
    linear = Linear(1, 1, Uniform(8), bias=True).eval()
    with torch.no_grad():
        linear.weight.fill_(1.0)
        linear.bias.fill_(0.3)
    kept = math.floor(0.3 * 4096 + 0.5) / 4096
    assert linear(torch.tensor([[[STEP / 2]]])).item() == STEP + kept
    assert linear.train()(torch.tensor([[[STEP / 2]]])).item() == pytest.approx(STEP / 2 + kept)


def test_the_gradient_of_a_bias_passes_the_rounding():
    linear = Linear(2, 3, Uniform(8), bias=True)
    linear(torch.ones(2, 5, 2)).sum().backward()
    assert linear.bias.grad is not None
    assert linear.bias.grad.tolist() == [10, 10, 10]


def test_layers_are_torch_s_own_kind():
    assert isinstance(Conv2d(1, 1, 3, Binary()), nn.Conv2d)
    assert isinstance(Linear(1, 1, Binary()), nn.Linear)
    assert isinstance(BatchNorm2d(1), nn.BatchNorm2d)
    assert isinstance(MaxPool2d(2), nn.MaxPool2d)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "same"}, "padding='same'"),
        ({"padding": 1, "padding_mode": "reflect"}, "padding_mode='reflect'"),
    ],
)
def test_convolutions_without_an_integer_form_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=f"Conv2d supports .*{message}"):
        Conv2d(2, 2, 3, Binary(), **options)


@pytest.mark.parametrize("bias", [False, True])
def test_linear_over_tokens_is_linear_over_each(bias: bool):
    linear = Linear(5, 3, Uniform(4), bias=bias).eval()
    x = torch.randint(0, 2, (2, 4, 6, 5)).float()
    assert torch.equal(linear(x), torch.stack([linear(x[:, :, n]) for n in range(6)], 2))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"groups": 2}, {"dilation": 2}])
def test_conv1d_is_torch_s_with_the_quantized_weight(options: dict, bias: bool):
    conv = Conv1d(4, 6, 3, Uniform(4), bias=bias, **options)
    x = torch.randn(2, 3, 4, 9)
    kept = torch.floor(conv.bias * 4096 + 0.5) / 4096 if conv.bias is not None else None
    expected = F.conv1d(x.flatten(0, 1), Uniform(4)(conv.weight), kept, **options)
    assert torch.allclose(conv(x).flatten(0, 1), expected, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": 3, "padding": 2},
        {"padding": 1},
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_a_transposed_convolution_is_torch_s_with_its_kernel_turned(options: dict, bias: bool):
    layer = ConvTranspose2d(4, 6, 3, Uniform(4), bias=bias, **options)
    x = torch.randn(2, 3, 4, 5, 6)
    weight = Uniform(4)(layer.conv.weight).flip(2, 3).transpose(0, 1)
    kept = torch.floor(layer.conv.bias * 4096 + 0.5) / 4096 if layer.conv.bias is not None else None
    expected = F.conv_transpose2d(x.flatten(0, 1), weight, kept, **options)
    assert torch.allclose(layer(x).flatten(0, 1), expected, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"stride": 0}, {"padding": 3}, {"padding": -1}, {"output_padding": 2, "stride": 2}]
)
def test_a_transposed_convolution_out_of_range_is_refused(options: dict):
    with pytest.raises(ValueError, match="ConvTranspose2d takes a stride from 1 on"):
        ConvTranspose2d(4, 6, 3, Uniform(4), **options)


@pytest.mark.parametrize("shape", [(2,), (1, 2, 3, 4, 2)])
def test_linear_refuses_maps(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"Linear takes \[T, B, I\], \[T, B, N, I\] or \[B, I\], got shape"):
        Linear(2, 3, FullPrecision(), bias=True)(torch.zeros(shape))


# --- channel map ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("c_in", "c_out", "source"),
    [
        (2, 2, [0, 1]),
        (2, 4, [-1, 0, 1, -1]),
        (2, 5, [-1, 0, 1, -1, -1]),
        (3, 4, [0, 1, 2, -1]),
        (5, 3, [1, 2, 3]),
        (4, 3, [0, 1, 2]),
        (5, 2, [1, 2]),
    ],
)
def test_a_padded_map_has_as_many_zeros_before_as_behind(c_in: int, c_out: int, source: list[int]):
    assert ChannelMap.padded(c_in, c_out, 2).source.tolist() == source


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_padded_map_is_torch_s_padding_of_strided_maps(stride: int):
    x = torch.randn(2, 3, 4, 7, 6)
    expected = F.pad(x[..., ::stride, ::stride], (0, 0, 0, 0, 2, 3))
    assert torch.equal(ChannelMap.padded(4, 9, stride)(x), expected)
    assert torch.equal(ChannelMap.padded(4, 1)(x), x[:, :, 1:2])


def test_a_channel_may_be_left_out_taken_twice_or_be_zero():
    x = torch.randn(2, 3, 4, 5, 5, requires_grad=True)
    y = ChannelMap([3, -1, 3, 0])(x)
    assert torch.equal(y, torch.stack([x[:, :, 3], torch.zeros_like(x[:, :, 0]), x[:, :, 3], x[:, :, 0]], dim=2))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0, :, 0, 0].tolist() == [1, 0, 0, 2]


def test_the_channels_of_a_map_are_saved_and_have_no_gradient():
    layer = ChannelMap([1, -1])
    assert not list(layer.parameters())
    assert layer.state_dict()["source"].tolist() == [1, -1]
    assert ChannelMap(layer.source).source.data_ptr() != layer.source.data_ptr()


@pytest.mark.parametrize("source", [[], [0, -2]])
def test_a_map_without_channels_or_of_channel_minus_2_is_refused(source: list[int]):
    with pytest.raises(ValueError, match=r"ChannelMap\.source must list channels from 0 on, or -1 for zeros, got \["):
        ChannelMap(source)


def test_a_map_of_stride_0_is_refused():
    with pytest.raises(ValueError, match=r"ChannelMap\.stride must be a whole number from 1 to 1048576, got 0"):
        ChannelMap([0], 0)


# --- pooling, encoding, time ------------------------------------------------------------------------


def test_max_pool_of_spikes_is_an_or():
    spikes = (torch.rand(3, 2, 4, 6, 6) < 0.2).float()
    windows = spikes.unfold(3, 2, 2).unfold(4, 2, 2).flatten(5)
    assert torch.equal(MaxPool2d(2)(spikes), windows.any(-1).float())


def test_max_pool_is_torch_s_with_stride_and_padding():
    x = torch.randn(2, 3, 4, 7, 7)
    assert torch.equal(MaxPool2d(3, 2, 1)(x).flatten(0, 1), F.max_pool2d(x.flatten(0, 1), 3, 2, 1))


def test_max_pool_refuses_to_return_indices():
    with pytest.raises(ValueError, match="MaxPool2d supports return_indices=False"):
        MaxPool2d(2, return_indices=True)


@pytest.mark.parametrize(("kernel", "divisor"), [(1, 1), (2, 4), (3, 16), (4, 16), (5, 32), (7, 64), (8, 64)])
def test_sum_pool_divides_by_the_power_of_two_at_or_above_its_window(kernel: int, divisor: int):
    pool = SumPool2d(kernel)
    x = torch.randint(-9, 9, (2, 3, 4, kernel * 2, kernel * 2 + kernel - 1)).float()
    windows = x[..., : kernel * 2].unfold(3, kernel, kernel).unfold(4, kernel, kernel).flatten(5)
    assert pool.divisor == divisor
    assert torch.equal(pool(x), windows.sum(-1) / divisor)


def test_sum_pool_refuses_an_empty_window():
    with pytest.raises(ValueError, match=r"SumPool2d\.kernel_size must be a whole number .*, each at least 1, got 0"):
        SumPool2d(0)


def test_every_byte_is_encoded_exactly():
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    encoded = Encode()(x)
    assert encoded.shape == (1, 1, 1, 16, 16)
    assert encoded.dtype == torch.float32
    assert (encoded.flatten() * 256).tolist() == list(range(256))


def test_frames_keep_their_time_axis():
    assert Encode()(torch.zeros(3, 2, 1, 4, 4, dtype=torch.uint8)).shape == (3, 2, 1, 4, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8, torch.bool])
def test_only_bytes_are_encoded(dtype: torch.dtype):
    with pytest.raises(TypeError, match=rf"Encode takes uint8 pixels or event counts, got {dtype}.*convert with"):
        Encode()(torch.zeros(1, 1, 2, 2, dtype=dtype))


@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 2), (1, 1, 1, 1, 2, 2)])
def test_only_images_and_frames_are_encoded(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"takes \[B, C, H, W\], or \[T, B, C, H, W\] with time first, got shape"):
        Encode()(torch.zeros(shape, dtype=torch.uint8))


def test_sequences_and_vectors_are_encoded_where_the_axes_of_a_sample_are_told():
    x = torch.zeros(5, 4, 3, dtype=torch.uint8)
    assert Encode(sample_dims=2)(x).shape == (1, 5, 4, 3)
    assert Encode(sample_dims=1)(x).shape == (5, 4, 3)
    assert Encode(sample_dims=1)(x[0]).shape == (1, 4, 3)
    with pytest.raises(ValueError, match=r"Encode\(sample_dims=1\) takes \[B, F\], or \[T, B, F\] with time first"):
        Encode(sample_dims=1)(x[None])
    with pytest.raises(ValueError, match=r"Encode\.sample_dims must be 1, 2 or 3, got 4"):
        Encode(sample_dims=4)


def test_a_rectangular_sum_pool_divides_by_the_power_of_two_at_or_above_it():
    x = torch.randint(0, 2, (2, 3, 4, 1, 6)).float()
    assert torch.equal(SumPool2d((1, 6))(x), x.sum((3, 4), keepdim=True) / 8)
    assert torch.equal(MaxPool2d((1, 3))(x), x.unflatten(4, (2, 3)).amax(5))


def test_batch_norm_of_vectors_and_tokens_is_that_of_maps():
    one, two = BatchNorm1d(5), random_norm(5)
    one.load_state_dict(two.state_dict())
    x = torch.randn(3, 2, 5, 4)
    assert torch.allclose(one(x), two(x[..., None])[..., 0], atol=1e-6)
    one.eval()
    two.load_state_dict(one.state_dict())
    two.eval()
    assert torch.equal(one(x), two(x[..., None])[..., 0])
    assert torch.equal(one(x[..., 0]), two(x[..., :1, None])[..., 0, 0])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Conv2d(3, 3, 1, Binary()), "Conv2d"),
        (lambda: BatchNorm2d(3), "BatchNorm2d"),
        (lambda: BatchNorm2d(3).eval(), "BatchNorm2d"),
        (lambda: MaxPool2d(2), "MaxPool2d"),
        (lambda: SumPool2d(2), "SumPool2d"),
        (lambda: ChannelMap([0]), "ChannelMap"),
    ],
)
def test_maps_without_a_time_axis_are_refused(make: Callable[[], nn.Module], name: str):
    with pytest.raises(ValueError, match=rf"{name} takes time-first tensors of 5 axes .* got shape \(2, 3, 4, 4\)"):
        make()(torch.zeros(2, 3, 4, 4))


def test_folding_time_applies_the_layer_to_every_step():
    layer, x = nn.Conv2d(2, 3, 3), torch.randn(4, 2, 2, 5, 5)
    folded = fold_time(layer, x, 3, "layer")
    assert torch.allclose(folded, torch.stack([layer(step) for step in x]), atol=1e-6)


def test_evaluation_mode_puts_every_module_s_own_mode_back():
    model = nn.Sequential(BatchNorm2d(1), nn.Sequential(nn.Dropout(), BatchNorm2d(1)))
    model[1].eval()
    modes = [m.training for m in model.modules()]
    with evaluation_mode(model):
        assert not any(m.training for m in model.modules())
    assert [m.training for m in model.modules()] == modes
    with pytest.raises(RuntimeError), evaluation_mode(model):
        raise RuntimeError
    assert [m.training for m in model.modules()] == modes
