"""A first layer that starts with the principal components of what it reads, so that its channels are not correlated.

    C = cov of the D = c_in * K * K pixels that each of its windows covers = V diag(e) V^T, e descending
    rows of W:  v_1, -v_1, v_2, -v_2, ...      for min(c_out, 2 D) rows; the others stay as they are

Both signs, because a spike tells positive from negative. Every row keeps the mean length of the rows before; batch norm
sets each channel's scale. Difference from the first layers of Page (2019) and Jordan (2024, arXiv:2404.00498): theirs
divide by sqrt(e) and are frozen; this one learns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.data.batches import batches
from spikelet.data.samples import Samples
from spikelet.nn import Conv2d

_SAMPLES = 4096  # enough: 256 windows each make a million vectors of 27 numbers


def whiten(model: nn.Module, data: Samples) -> None:
    """Sets the weights of the first Conv2d of `model`, which must read the pixels of `data` directly, in place.

    Raises:
        SpikeletError: `model` has no Conv2d, or its first does not read the channels of `data`.
    """
    conv = next((module for module in model.modules() if isinstance(module, Conv2d)), None)
    channels = data.sample_shape[-3]
    if conv is None or conv.groups != 1 or conv.in_channels != channels:
        found = "none" if conv is None else f"{conv.in_channels} in {conv.groups} group(s)"
        raise SpikeletError(
            f"TrainConfig.whiten needs a first Conv2d that reads the {channels} channels of {data.name}, got {found}. "
            "Set whiten=False for this model."
        )
    with torch.no_grad():
        weight = conv.weight.flatten(1).clone()  # a copy: channels-last weights have no flat view
        rows = _components(conv, data)[: len(weight)]
        weight[: len(rows)] = rows * weight.norm(dim=1).mean()
        conv.weight.copy_(weight.view_as(conv.weight))


def _components(conv: Conv2d, data: Samples) -> Tensor:
    """v_1, -v_1, v_2, -v_2, ... as [2 D, D]."""
    size = conv.weight[0].numel()
    total, outer, count = torch.zeros(size).double(), torch.zeros(size, size).double(), 0
    for images, _ in batches(data.spread(_SAMPLES), 64):  # a sample of events may have megabytes of windows
        pixels = images.flatten(0, -4).to(conv.weight) / 256
        windows = F.unfold(pixels, conv.kernel_size, padding=conv.padding, stride=conv.stride, dilation=conv.dilation)  # type: ignore[arg-type]
        rows = windows.transpose(1, 2).flatten(0, 1).double()
        total, outer, count = total + rows.sum(0), outer + rows.T @ rows, count + len(rows)
    mean = total / count
    vectors = torch.linalg.eigh(outer / count - torch.outer(mean, mean)).eigenvectors.flip(1).T
    return torch.stack([vectors, -vectors], dim=1).flatten(0, 1).to(conv.weight)
