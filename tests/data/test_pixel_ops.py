"""The operations of augmentation policies against Pillow, and the policies against their definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikelet.data import AutoAugment, TrivialAugment
from spikelet.data.augment.pixel_ops import OPS, apply_ops
from spikelet.data.augment.policies import CIFAR10_POLICY, SCALES
from tests.data.catalogue import images, seeded

PHOTOMETRIC = (
    "autocontrast",
    "equalize",
    "invert",
    "solarize",
    "posterize",
    "brightness",
    "contrast",
    "colour",
    "sharpness",
)
MAGNITUDES = {"solarize": (0.0, 31.5, 128.0, 255.0, 256.0), "posterize": (1.0, 3.0, 4.6, 8.0)}
FACTORS = (0.0, 0.1, 0.37, 0.5, 1.0, 1.3, 1.9)


def _with_pillow(name: str, image, m: float):
    from PIL import ImageEnhance, ImageOps

    simple = {"autocontrast": ImageOps.autocontrast, "equalize": ImageOps.equalize, "invert": ImageOps.invert}
    enhance = {"brightness": "Brightness", "contrast": "Contrast", "colour": "Color", "sharpness": "Sharpness"}
    if name in simple:
        return simple[name](image)
    if name == "solarize":
        return ImageOps.solarize(image, m)
    if name == "posterize":
        return ImageOps.posterize(image, int(m + 0.5))
    return getattr(ImageEnhance, enhance[name])(image).enhance(m)


def _pictures(channels: int) -> torch.Tensor:
    """Noise, a ramp, two flat images, few values, a dark and a bright one: [8, channels, 32, 31]."""
    ramp = (torch.arange(992) // 4).view(1, 32, 31).expand(channels, -1, -1)
    noise = images(4, channels, 32, 31).int()
    flat = torch.full_like(ramp, 77), torch.full_like(ramp, 255)
    stack = [
        noise[0],
        noise[1] // 9,
        200 + noise[2] // 5,
        noise[3] // 64 * 64,
        ramp,
        *flat,
        noise[0] * (noise[1] > 128),
    ]
    return torch.stack([picture.to(torch.uint8) for picture in stack])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PHOTOMETRIC)
def test_photometric_operations_equal_pillow_byte_for_byte(name, channels):
    Image = pytest.importorskip("PIL.Image")
    x = _pictures(channels)
    for m in MAGNITUDES.get(name, FACTORS):
        y = apply_ops(x, torch.full((len(x),), OPS.index(name)), torch.full((len(x),), m))
        for before, after in zip(x, y, strict=True):
            image = Image.fromarray(
                before[0].numpy() if channels == 1 else before.permute(1, 2, 0).contiguous().numpy()
            )
            expected = torch.from_numpy(np.array(_with_pillow(name, image, m)))
            expected = expected.unsqueeze(0) if channels == 1 else expected.permute(2, 0, 1)
            assert torch.equal(after, expected), (name, m)


def test_a_mixed_batch_is_each_sample_by_itself():
    x = images(60, height=12, width=12)
    choice = torch.arange(60) % len(OPS)
    magnitude = torch.linspace(0.1, 1.9, 60)
    together = apply_ops(x, choice, magnitude)
    for b in range(60):
        assert torch.equal(together[b : b + 1], apply_ops(x[b : b + 1], choice[b : b + 1], magnitude[b : b + 1]))


def test_translations_are_in_shares_of_the_side():
    x = images(1, height=8, width=20)
    right = apply_ops(x, torch.tensor([OPS.index("translate_x")]), torch.tensor([0.25]))
    down = apply_ops(x, torch.tensor([OPS.index("translate_y")]), torch.tensor([0.25]))
    assert torch.equal(right[..., 5:], x[..., :-5])
    assert torch.equal(down[..., 2:, :], x[..., :-2, :])


def test_images_too_small_to_smooth_are_left_as_they_are():
    x = images(2, height=2, width=9)
    assert torch.equal(apply_ops(x, torch.full((2,), OPS.index("sharpness")), torch.zeros(2)), x)


def test_colour_of_two_channels_is_refused():
    with pytest.raises(ValueError, match=r"images of 1 or 3 channels, got shape \(2, 2, 17, 14\)"):
        apply_ops(images(2, channels=2), torch.full((2,), OPS.index("colour")), torch.ones(2))


def test_the_policy_is_25_pairs_of_known_operations():
    assert len(CIFAR10_POLICY) == 25
    for name, p, level in (step for pair in CIFAR10_POLICY for step in pair):
        assert name in OPS
        assert 0 <= p <= 1
        assert 0 <= level <= 9


def test_every_operation_has_a_scale():
    assert set(SCALES) == set(OPS)


def test_autoaugment_leaves_as_many_images_alone_as_its_probabilities_say():
    muted = 15 + images(1, height=32, width=32) // 8 * 7  # not the full range, so that every operation shows
    x = muted.expand(1500, -1, -1, -1)
    untouched = (AutoAugment()(x, seeded()) == x).flatten(1).all(1).float().mean()
    expected = sum((1 - first[1]) * (1 - second[1]) for first, second in CIFAR10_POLICY) / 25
    assert abs(untouched - expected) < 0.04  # four standard deviations


def test_trivial_augment_applies_one_operation():
    x = images(1, height=12, width=12).expand(500, -1, -1, -1)
    y = TrivialAugment(0)(x, seeded())
    changed = (y != x).flatten(1).any(1)
    inverted_or_stretched = changed.sum()
    assert (
        inverted_or_stretched < 500 * 4 / 14
    )  # at strength 0 only solarize (white), equalize, autocontrast do something
