"""The memory that a tensor and its views share."""

from __future__ import annotations

import torch
from torch import Tensor


def storage(tensor: Tensor) -> int:
    """The address of the memory of a tensor and its views; 0 of one that has none, such as a sparse tensor."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0
