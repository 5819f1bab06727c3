"""Products of two tensors of the network's own, as attention has them: q @ k^T, then @ v.

    a [..., H, N, D] @ b [..., H, D, M]

    channels along D       are summed over: those of a and b are the same and leave together; the product has none
    channels along H       heads: those of a and b are the same, and the product's
    along N of a or M of b are the product's

softmax leaves channels alone unless they lie along the axis that it normalises.
"""

from __future__ import annotations

from torch import Tensor

from spikelet.compress.walk import Walk, leading, place, varying
from spikelet.lower.trace import Call, tensors


def product(walk: Walk, call: Call) -> Tensor:
    """The rule of matmul and bmm."""
    factors = list(tensors((call.args, call.kwargs)))
    if not all(walk.knows(t) for t in factors):
        return walk.keep_all(call, f"{place(call)} pairs them with a tensor of the model's own")
    if min(t.dim() for t in factors) < 2:
        return walk.keep_all(call, f"{place(call)} is not known to keep them apart in a vector")
    rank = call.output.dim()
    a, b = (walk.labels(t).view(leading(walk.labels(t).shape, rank)) for t in factors)
    axes_a, axes_b = ([axis - rank for axis in varying(labels)] for labels in (a, b))
    if (axes_a, axes_b) == ([-1], [-2]):
        walk.ids.join(a.flatten(), b.flatten())
        axes_a, axes_b = [], []
    if axes_a == [-1]:
        walk.ids.freeze(a, _unequal(call))
        axes_a = []
    if axes_b == [-2]:
        walk.ids.freeze(b, _unequal(call))
        axes_b = []
    if axes_a == axes_b and len(axes_a) == 1 and axes_a[0] < -2:
        walk.ids.join(a, b)
        return a
    if not axes_b and _passes(axes_a, -2, factors[1]):
        return a
    if not axes_a and _passes(axes_b, -1, factors[0]):
        return b
    if axes_a or axes_b:
        return walk.keep_all(call, _unequal(call))
    return walk.ids.frozen(f"{place(call)} sums over them").view([1] * rank)


def _unequal(call: Call) -> str:
    return f"{place(call)} pairs them with what has other channels or none"


def _passes(axes: list[int], own: int, other: Tensor) -> bool:
    """Whether channels along `axes` of one factor are those of the product: along its own axis, or along a leading one
    that the other factor does not have."""
    return len(axes) == 1 and (axes[0] == own or (axes[0] < -2 and leading(other.shape, -axes[0])[axes[0]] == 1))


def softmax(walk: Walk, call: Call) -> Tensor:
    """The rule of softmax and log_softmax."""
    (x,) = walk.sources(call)
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    if not isinstance(dim, int) or dim % x.dim() in varying(walk.labels(x)):
        return walk.keep_all(call, f"{place(call)} mixes them")
    return walk.labels(x)
