"""What the original network was fed is folded into its first layer, exactly, at every position."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from spikelet.interop import ConversionError
from spikelet.interop.image import Image
from spikelet.interop.layers import convolution, linear
from spikelet.interop.pixels import PixelConv, fold_pixels
from spikelet.interop.site import Site
from spikelet.nn import Encode

MEAN, STD = (0.49, 0.48, 0.45), (0.2, 0.19, 0.21)
SITE = Site("first", 1, False, True)


def image(channels: int = 3) -> Tensor:
    return torch.randint(0, 256, (2, channels, 6, 7), dtype=torch.uint8)


def normalised(x: Tensor, scale: float, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(scale * x - mean) / std, channel by channel."""
    mean_C11, std_C11 = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (mean, std))
    return (scale * x.double() - mean_C11) / std_C11


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("padding", [0, 1, (2, 0)])
@pytest.mark.parametrize(("groups", "stride", "dilation"), [(1, 1, 1), (3, 2, 1), (1, 1, 2)])
@pytest.mark.parametrize("scale", [1 / 255, 1.0])
def test_a_convolution_reads_bytes_as_it_read_the_normalised_image(
    bias: bool, padding: int | tuple[int, int], groups: int, stride: int, dilation: int, scale: float
) -> None:
    conv = nn.Conv2d(3, 6, 3, stride, padding, dilation, groups, bias).double()
    x = image()
    folded = fold_pixels(convolution(conv, SITE), "first", Image(scale, MEAN, STD)).train()
    made = folded(Encode()(x).double())[0]
    expected = conv(normalised(x, scale, MEAN, STD))
    on_grid = 2.0**-12 if bias or padding == 0 else 1e-9  # where a bias is rounded
    assert (made - expected).abs().max() < on_grid
    assert isinstance(folded, PixelConv) == (padding != 0)


def test_zero_padding_of_a_normalised_image_is_no_bias() -> None:
    """The border is where a bias would be wrong, and the second convolution isn't."""
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.ones_(conv.weight)
    folded = fold_pixels(convolution(conv, SITE), "first", Image(1 / 256, (0.5,), (0.25,)))
    assert isinstance(folded, PixelConv)
    grey = folded.eval()(Encode()(torch.full((1, 1, 3, 3), 128, dtype=torch.uint8)))  # 128/256 is the mean: all zeros
    assert grey.abs().max() == 0
    assert folded.border(torch.ones(1, 1, 1, 3, 3))[0, 0, 0].tolist() == [[-8, -12, -8], [-12, -18, -12], [-8, -12, -8]]


@pytest.mark.parametrize("values", [1, 3])
def test_a_linear_layer_reads_the_flattened_image(values: int) -> None:
    layer = nn.Linear(3 * 6 * 7, 5).double()
    x = image()
    folded = fold_pixels(linear(layer, SITE), "first", Image(1 / 255, MEAN[:values], STD[:values])).train()
    expected = layer(normalised(x, 1 / 255, MEAN[:values], STD[:values]).flatten(1))
    made = folded(Encode()(x).double().flatten(2))[0]
    assert (made - expected).abs().max() <= 2.0**-13 + 1e-9  # the bias, rounded to the grid


def test_a_scale_alone_changes_weights_and_nothing_else() -> None:
    conv = nn.Conv2d(3, 6, 3, padding=1)
    folded = fold_pixels(convolution(conv, SITE), "first", Image(1 / 255, (0.0,), (1.0,)))
    assert torch.equal(folded.weight, (conv.weight.double() * 256 / 255).float())
    assert torch.equal(folded.bias, conv.bias)


def test_the_ones_stay_ones_through_training() -> None:
    folded = fold_pixels(convolution(nn.Conv2d(3, 6, 3, padding=1), SITE), "first", Image(1 / 255, MEAN, STD)).train()
    optimizer = torch.optim.AdamW(folded.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(3):
        folded(Encode()(image())).square().sum().backward()
        optimizer.step()
    assert isinstance(folded, PixelConv)
    for mode in (True, False):
        assert torch.equal(folded.train(mode).ones(Encode()(image())), torch.ones(1, 2, 3, 6, 7))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scale": 0.0}, "scale must be a positive number, the value of one byte, got 0.0"),
        ({"scale": float("inf")}, "scale must be a positive number"),
        ({"mean": (0.5, 0.5)}, "mean must have one number a channel of first's 3 inputs, got 2"),
        ({"mean": (float("nan"),)}, "mean and std must be finite, std above 0, got mean="),
        ({"std": (0.1, 0.0, 0.1)}, "mean and std must be finite, std above 0, got mean="),
        ({"std": ()}, "mean and std must have one number a channel, or one for all, got mean="),
    ],
)
def test_numbers_that_do_not_fit_are_refused(change: dict, said: str) -> None:
    arguments = {"scale": 1 / 255, "mean": (0.0,), "std": (1.0,), **change}
    with pytest.raises(ConversionError, match=said):
        fold_pixels(convolution(nn.Conv2d(3, 6, 3), SITE), "first", Image(**arguments))


def test_a_linear_layer_needs_whole_channels() -> None:
    with pytest.raises(ConversionError, match="std must have one number a channel of first's 8 inputs, got 3"):
        fold_pixels(linear(nn.Linear(8, 2), SITE), "first", Image(1 / 255, (0.0,), STD))
