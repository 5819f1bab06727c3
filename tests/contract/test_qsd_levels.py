"""Levels of a QSD-Transformer: as many as lower in one precision or another; more are refused when it is made."""

from __future__ import annotations

import pytest
import torch

from spikelet.base.errors import OverflowRefused, SpikeletError
from spikelet.lowering import lower
from spikelet.models import create_model
from tests.support.catalogue import model_input, small_model


def test_levels_beyond_float32_lower_from_float64():
    model, example = small_model("qsd_transformer_cifar", levels=128).eval(), model_input("qsd_transformer_cifar", 1)
    with pytest.raises(OverflowRefused, match=r"2\^24 only\. Try float64, model\.double\(\)"):
        lower(model, example)
    assert lower(model.double(), example).nodes


@pytest.mark.parametrize(("size", "levels", "kept"), [(32, 128, True), (72, 128, False), (72, 64, True)])
def test_levels_that_no_integer_holds_are_refused_when_the_network_is_made(size: int, levels: int, kept: bool):
    sizes = {"widths": (8, 8, 16, 64), "heads": 2, "image_size": size, "levels": levels}
    tokens, channels = (size // 8) ** 2, 32
    assert (levels**3 * tokens * channels < 2**31) == kept
    with torch.device("meta"):
        if kept:
            create_model("qsd_transformer_cifar", **sizes)
            return
        words = rf"qsd_transformer\.levels={levels} lets attention over {tokens} tokens and {channels} channels a head"
        with pytest.raises(SpikeletError, match=words):
            create_model("qsd_transformer_cifar", **sizes)
