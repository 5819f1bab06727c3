"""Widths of QP-SNN's pruned networks (Wei et al., ICLR 2025, arXiv:2502.05905, the appendix's table of ratios).

    kept = int(n (1 - r))       of n channels at a pruning ratio r, as the authors' code counts

Order of the ratios, input to output; those left out at the end are 0:

    vgg16      its 13 convolutions          vggsnn     its 8 convolutions
    vgg_s      its convolutions, two a width
    resnet20   the stem; the outputs of the three stages; the first convolution of each of the nine blocks

The last convolution is never pruned. The table prints .60 (A) and .75 (B) for the outputs of ResNet20's second stage;
only .30 and .35 give the published sizes, and the released code has them so. One setting has other ratios for
other data sets: it is looked up by the number of classes.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown

Pruning = str | Sequence[float] | None

VGG16 = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGGSNN = (64, 128, 256, 256, 512, 512, 512, 512)
RESNET20 = (64, *(128, 256, 512), *(128,) * 3, *(256,) * 3, *(512,) * 3)

VGG16_RATIOS: dict[int, dict[str, tuple[float, ...]]] = {  # by classes: CIFAR-10, CIFAR-100, TinyImageNet
    10: {"A": (0.45,) * 7 + (0.51,) * 5, "B": (0.49,) * 7 + (0.80,) * 5},
    100: {"A": (0.45,) * 7 + (0.70,) * 5, "B": (0.45,) * 7 + (0.78,) * 5},
    200: {"A": (0.45,) * 7 + (0.51,) * 5, "B": (0.45,) * 7 + (0.62,) * 5},
}
VGGSNN_RATIOS = {
    "A": (0.5,) * 3 + (0.7,) * 4,
    "B": (0.5,) * 3 + (0.8,) * 4,
    "C": (0.82,) * 3 + (0.93,) * 4,
}
RESNET20_RATIOS = {
    "A": (0.10, 0.30, 0.30, 0.0, 0.30, *(0.60,) * 8),
    "B": (0.10, 0.35, 0.35, 0.0, 0.35, *(0.75,) * 8),
}


def kept_widths(widths: Sequence[int], ratios: Sequence[float]) -> tuple[int, ...]:
    """The number of channels that pruning leaves in each layer.

    Raises:
        SpikeletError: more ratios than layers, a ratio outside [0, 1), or one that leaves a layer without channels.
    """
    if len(ratios) > len(widths):
        raise SpikeletError(f"pruning must give at most {len(widths)} ratios, one a layer, got {len(ratios)}.")
    kept = []
    for i, n in enumerate(widths):
        ratio = ratios[i] if i < len(ratios) else 0.0
        if not 0 <= ratio < 1:
            raise SpikeletError(f"pruning: ratios must lie in [0, 1), got {ratio} for layer {i}.")
        kept.append(int(n * (1 - ratio)))
        if not kept[-1]:
            raise SpikeletError(f"pruning: a ratio of {ratio} leaves none of the {n} channels of layer {i}.")
    return tuple(kept)


def vgg16_widths(pruning: Pruning, classes: int) -> tuple[int, ...]:
    """Widths of the 13 convolutions.

    Raises:
        SpikeletError: as `kept_widths`, or the setting is unknown or unpublished for so many classes.
    """
    if isinstance(pruning, str) and classes not in VGG16_RATIOS:
        raise SpikeletError(
            f"pruning {pruning!r} is published for {', '.join(map(str, VGG16_RATIOS))} classes, got {classes}. "
            "Give a ratio for each layer instead."
        )
    return kept_widths(VGG16, _ratios(pruning, VGG16_RATIOS.get(classes, {})))


def vggsnn_widths(pruning: Pruning) -> tuple[int, ...]:
    """Widths of the 8 convolutions. Raises SpikeletError as `kept_widths`, or where the setting is unknown."""
    return kept_widths(VGGSNN, _ratios(pruning, VGGSNN_RATIOS))


def vgg_s_widths(widths: Sequence[int], pruning: Pruning) -> tuple[int, ...]:
    """Widths of the convolutions, two for each of `widths`. Raises SpikeletError as `kept_widths`, or for a letter."""
    return kept_widths([width for width in widths for _ in range(2)], _ratios(pruning, {}))


def resnet20_widths(pruning: Pruning) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Widths of the stem, of the stages' outputs, and inside the nine blocks. Raises SpikeletError as `kept_widths`."""
    widths = kept_widths(RESNET20, _ratios(pruning, RESNET20_RATIOS))
    return widths[0], widths[1:4], widths[4:]


def _ratios(pruning: Pruning, published: Mapping[str, Sequence[float]]) -> Sequence[float]:
    if pruning is None:
        return ()
    if isinstance(pruning, Sequence) and not isinstance(pruning, str):
        if any(isinstance(r, bool) or not isinstance(r, numbers.Real) for r in pruning):
            raise SpikeletError(f"pruning must list numbers in [0, 1), got {shown(pruning)}.")
        return pruning
    if not isinstance(pruning, str) or pruning not in published:
        words = ", ".join([*published, "a list of ratios"])
        raise SpikeletError(f"pruning must be {words} or None, got {shown(pruning)}.")
    return published[pruning]
