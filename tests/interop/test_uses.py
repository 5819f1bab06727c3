"""Whatever a network does with its image, the converted network gives what it gave, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.interop import ConversionError
from spikelet.neurons import LIF

pytest.importorskip("snntorch", reason="needs snnTorch")
import snntorch as snn

T = 3
CHANNELS = 2
Use = Callable[[Any, Tensor], Tensor]


class Net(nn.Module):
    """`use` makes the current of one neuron layer from the image; what the layer gets is kept in `current`."""

    def __init__(self, use: Use) -> None:
        super().__init__()
        self.a = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.b = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.pool, self.up, self.drop = nn.AvgPool2d(2), nn.MaxPool2d(2), nn.Dropout(0.5)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.fc = nn.Linear(CHANNELS * 64, 5)
        self.lif = snn.Leaky(beta=0.5, threshold=0.5, init_hidden=True)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        return self.lif(self.use(self, x))


RIGHT: dict[str, tuple[tuple[str, ...], Use]] = {
    "one convolution": (("a",), lambda net, x: net.a(x)),
    "the second that is defined": (("b",), lambda net, x: net.b(x)),
    "two of the image": (("a", "b"), lambda net, x: net.a(x) + net.b(x)),
    "two scales": (("a", "b"), lambda net, x: net.pool(net.a(x)) + net.b(net.pool(x))),
    "a maximum": (("b",), lambda net, x: net.b(net.up(x))),
    "a flattened image": (("fc",), lambda net, x: net.fc(x.flatten(-3))),
    "a copy": (("a",), lambda net, x: net.a(x.clone().contiguous())),
    "a cast": (("a",), lambda net, x: net.a(x.float().detach())),
}
IMAGES = {
    "1/255": {"scale": 1 / 255},
    "counts": {"scale": 1.0},
    "normalised": {"mean": (0.5,), "std": (0.25,)},
    "channels": {"mean": (0.4, 0.6), "std": (0.2, 0.3)},
}
WRONG: dict[str, tuple[str, Use]] = {
    "a skip from the image": (r"the tensor function 'add'|'__add__'", lambda net, x: net.a(x) + x),
    "a product": ("'mul'|'__mul__'", lambda net, x: net.a(x) * x),
    "a skip of the pooled image": ("'add'|'__add__'", lambda net, x: net.pool(net.a(x)) + net.pool(x)),
    "a division in forward": ("'div'|'__truediv__'", lambda net, x: net.a(x / 255)),
    "a division in place": ("'div_'", lambda net, x: net.a(x.clone().div_(255))),
    "a normalisation in forward": ("'sub'|'__sub__'", lambda net, x: net.a((x - 0.5) / 0.25)),
    "a guess of the scale": ("'max'", lambda net, x: net.a(x / 255 if x.max() > 1 else x)),
    "a comparison": ("'gt'|'__gt__'", lambda net, x: net.a((x > 0.5).float())),
    "a batch norm of the image": (r"norm \(BatchNorm2d\)", lambda net, x: net.a(net.norm(x))),
    "a neuron of the image": (r"lif \(LIF\)", lambda net, x: x),
    "a copy into another tensor": ("'__setitem__'|'copy_'", lambda net, x: net.a(_written(x))),
    "padded with a number": ("'pad'", lambda net, x: net.a(F.pad(x, (1, 1, 1, 1), value=1.0))),
    "padded with a number by name": ("'pad'", lambda net, x: net.a(F.pad(x, (1, 1, 1, 1), "constant", 0.5))),
    "a number of the image": ("'item'|'mean'", lambda net, x: net.a(x) * x.mean().item()),
    "the image in NumPy": ("'numpy'", lambda net, x: net.a(x) + torch.from_numpy(x.numpy())),
    "joined with another tensor": ("'cat'", lambda net, x: net.a(torch.cat([x, torch.ones_like(x)], -1))),
    "joined with what happens to be 0": ("'cat'", lambda net, x: net.a(torch.cat([x, net.a(x)[..., :1] * 0], -1))),
    "joined with zeros that were written": ("'cat'", lambda net, x: net.a(torch.cat([x, _silent(net, x)], -1))),
}


def _written(x: Tensor) -> Tensor:
    made = torch.zeros(x.shape)
    made[:] = x
    return made


def _silent(net: Any, x: Tensor) -> Tensor:
    """Zeros, into which spikes are written that this image makes none of."""
    made = torch.zeros_like(x)
    made[:] = net.a(x) * 0
    return made


def image(batch: int = 6) -> Tensor:
    return torch.randint(0, 256, (batch, CHANNELS, 8, 8), dtype=torch.uint8)


def fed(x: Tensor, scale: float = 1 / 255, mean: tuple = (0.0,), std: tuple = (1.0,)) -> Tensor:
    """What the network was fed."""
    return (x.float() * scale - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)


def current_of(model: nn.Module, x: Tensor) -> Tensor:
    """What the one neuron layer of a converted network gets for images."""
    seen: list[Tensor] = []
    lif = next(m for m in model.modules() if isinstance(m, LIF))
    hook = lif.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    model(x)
    hook.remove()
    assert len(seen) == 1, "the trial of the first pass is not to be seen by hooks"
    return seen[0][0]


@pytest.mark.parametrize("numbers", IMAGES.values(), ids=list(IMAGES))
@pytest.mark.parametrize(("first", "use"), RIGHT.values(), ids=list(RIGHT))
def test_every_layer_that_reads_the_image_gets_its_scale(first: tuple[str, ...], use: Use, numbers: dict) -> None:
    net, x = Net(use).eval(), image()
    model = spikelet.from_snntorch(net, time_steps=T, first=first, **numbers)
    expected = use(net, fed(x, **numbers)).detach()
    made = current_of(model, x)
    size = expected.abs().max()
    assert torch.allclose(made, expected, atol=float(2.0**-12 + 1e-5 * size))
    assert size > 0.1


FOLDED = [name for name in IMAGES if name != "counts"]


@pytest.mark.parametrize("numbers", [IMAGES[name] for name in FOLDED], ids=FOLDED)
@pytest.mark.parametrize(("said", "use"), WRONG.values(), ids=list(WRONG))
def test_any_other_use_of_the_image_is_refused_by_name_with_the_way_out(said: str, use: Use, numbers: dict) -> None:
    model = spikelet.from_snntorch(Net(use).eval(), time_steps=T, first=("a",), **numbers)
    with pytest.raises(ConversionError, match=rf"Net uses the image in .*({said}).*Pass first=\(\) to have the image"):
        model(image())


@pytest.mark.parametrize("numbers", [IMAGES[name] for name in FOLDED], ids=FOLDED)
@pytest.mark.parametrize("name", [*WRONG])
def test_the_way_out_gives_what_the_network_gave(name: str, numbers: dict) -> None:
    use = WRONG[name][1]
    net, x = Net(use).eval(), image()
    model = spikelet.from_snntorch(net, time_steps=T, first=(), **numbers)
    expected = use(net, fed(x, **numbers))
    differs = (current_of(model, x) - expected).abs()
    assert torch.quantile(differs.flatten(), 0.95) < 2.0**-7  # on the grid 2^-12; comparisons may fall either way


@pytest.mark.parametrize("scale", [1.0, 1 / 256, 0.25])
@pytest.mark.parametrize("use", [use for _, use in WRONG.values()], ids=list(WRONG))
def test_any_code_may_use_an_image_whose_scale_is_a_power_of_two(use: Use, scale: float) -> None:
    """Event counts among them: lif(conv(x) + x) at scale 1 was the first silent wrong answer that was found."""
    net, x = Net(use).eval(), torch.randint(0, 4, (8, CHANNELS, 8, 8), dtype=torch.uint8)
    model = spikelet.from_snntorch(net, time_steps=T, scale=scale)
    differs = (current_of(model, x) - use(net, fed(x, scale))).abs()
    assert bool(differs.max() < 2.0**-9)  # a bias on the grid 2^-12, times up to 3 counts


def test_layers_that_read_the_image_are_named_by_the_error() -> None:
    """Where the image has a mean; without one they are found in the first pass."""
    model = spikelet.from_snntorch(Net(RIGHT["two of the image"][1]), time_steps=T, mean=0.5)
    with pytest.raises(ConversionError, match=r"read by a and b, .* into a\. Name .*: first=\('a', 'b'\)"):
        model(image())
    model = spikelet.from_snntorch(Net(RIGHT["one convolution"][1]), time_steps=T, first=("a", "b"))
    with pytest.raises(ConversionError, match=r"read by a, .* into a and b\. Name .*: first=\('a',\)"):
        model(image())


@pytest.mark.parametrize("std", [1.0, (0.25, 0.5)])
@pytest.mark.parametrize(("first", "use"), RIGHT.values(), ids=list(RIGHT))
def test_layers_that_read_the_image_are_found_in_the_first_pass(first: tuple[str, ...], use: Use, std: Any) -> None:
    numbers = {"std": std if isinstance(std, tuple) else (std,)}
    net, x = Net(use).eval(), image()
    model, copy = (spikelet.from_snntorch(net, time_steps=T, **numbers) for _ in range(2))
    made, expected = current_of(model, x), use(net, fed(x, **numbers)).detach()
    assert torch.allclose(made, expected, atol=float(2.0**-12 + 1e-5 * expected.abs().max()))
    assert set(model.first) == set(first)
    copy.load_state_dict(model.state_dict())
    assert torch.equal(current_of(copy, x), made), "weights that are loaded have the factor once"


def test_a_layer_that_reads_the_image_and_spikes_is_refused() -> None:
    model = spikelet.from_snntorch(Net(lambda net, x: net.a(net.norm(net.a(x)))), time_steps=T)
    with pytest.raises(ConversionError, match=r"a reads the image and other tensors.*Pass first=\(\)"):
        model(image())


def test_channels_of_their_own_mean_may_not_be_picked_or_turned() -> None:
    for use, name in (
        (lambda net, x: net.a(x[..., [1, 0], :, :]), "__getitem__"),
        (lambda net, x: net.fc(x.movedim(-3, -1).flatten(-3)), "movedim"),
    ):
        first = "a" if name == "__getitem__" else "fc"
        model = spikelet.from_snntorch(Net(use), time_steps=T, first=first, mean=(0.4, 0.6))
        with pytest.raises(ConversionError, match=f"the tensor function '{name}'"):
            model(image())
        assert spikelet.from_snntorch(Net(use), time_steps=T, first=first, mean=(0.5,))(image()).shape[:2] == (T, 6)


def test_zeros_around_an_image_with_a_mean_are_no_zeros_of_the_network() -> None:
    def padded(net: Any, x: Tensor) -> Tensor:
        return net.b(F.pad(x, (1, 1, 1, 1)))

    net, x = Net(padded).eval(), image()
    with pytest.raises(ConversionError, match="the tensor function 'pad'"):
        spikelet.from_snntorch(net, time_steps=T, first="b", mean=(0.5,))(x)
    model = spikelet.from_snntorch(net, time_steps=T, first="b")
    assert torch.allclose(current_of(model, x), padded(net, x / 255), atol=1e-5)


def test_first_none_needs_a_gain_below_512() -> None:
    net = Net(RIGHT["one convolution"][1])
    with pytest.raises(ConversionError, match=r"first=\(\) can scale an image by less than 2 a byte, got .* = 10"):
        spikelet.from_snntorch(net, time_steps=T, first=(), scale=1.0, std=(0.1,))
    with pytest.raises(ConversionError, match=r"one number a channel, or one for all, got mean="):
        spikelet.from_snntorch(net, time_steps=T, first=(), mean=(0.5,) * 3, std=(0.5, 0.4))


def test_first_none_scales_images_whose_channels_nobody_knows() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    model = spikelet.from_snntorch(flat, time_steps=T, first=(), mean=0.5, std=0.25).eval()
    assert model.scaled is not None
    x = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4) * 17
    seen = model.scaled(model.encode(x))
    assert torch.allclose(seen[0], (x / 255 - 0.5) / 0.25, atol=2.0**-12)
    assert torch.equal(seen * 2**12, (seen * 2**12).round())


@pytest.mark.parametrize("name", ["mean", "std"])
def test_one_number_for_all_channels_need_not_be_in_a_list(name: str) -> None:
    x = image()
    one, listed = (
        spikelet.from_snntorch(Net(lambda net, x: net.a(x)).eval(), time_steps=T, **{name: value})
        for value in (0.5, (0.5,))
    )
    listed.load_state_dict(one.state_dict())
    assert torch.equal(current_of(one, x), current_of(listed, x))
