"""Products of two tensors of the network's own, as attention has them: q @ k^T, then @ v.

    a [..., H, N, D] @ b [..., H, D, M]

    channels along D       are summed over: those of a and b are the same and leave together, if a zeroed one adds
                           nothing (zeros.py); the product has none
    channels along H       heads: those of a and b are the same, and the product's
    along N of a or M of b are the product's

softmax leaves channels alone unless they lie along the axis that it normalises.
"""

from __future__ import annotations

from torch import Tensor

from spikelet.compression.channels.ids import ChannelIds, dim_of, leading, led, varying
from spikelet.lowering.trace import Call, tensors


def product(known: ChannelIds, call: Call) -> Tensor:
    """The id map of a product by matmul or bmm."""
    factors = list(tensors(call.args))
    if len(factors) != 2 or not all(known.has(t) for t in factors):  # or they have names, in any order
        return known.keep_all(call, f"{call.place} pairs them with a tensor of the model's own")
    if min(t.dim() for t in factors) < 2:
        return known.keep_all(call, f"{call.place} is not known to keep them apart in a vector")
    rank = call.output.dim()
    a, b = (led(known.id_map(t), rank) for t in factors)
    refusal = _sum_over(known, call, a, b)
    if refusal is not None:
        return known.keep_all(call, refusal)
    axes_a, axes_b = [x for x in _axes(a) if x != -1], [x for x in _axes(b) if x != -2]
    if axes_a == axes_b and len(axes_a) == 1 and axes_a[0] < -2:
        known.union.join(a, b)
        return a
    if not axes_b and _passes(axes_a, -2, factors[1]):
        return a
    if not axes_a and _passes(axes_b, -1, factors[0]):
        return b
    if axes_a or axes_b:
        return known.keep_all(call, _unequal(call))
    return known.union.frozen(f"{call.place} sums over them").view([1] * rank)


def _axes(id_map: Tensor) -> list[int]:
    return [axis - id_map.dim() for axis in varying(id_map)]


def _sum_over(known: ChannelIds, call: Call, a: Tensor, b: Tensor) -> str | None:
    """Joins the channels that are summed over, or keeps them where only one factor has them; why not, or None."""
    if max(len(_axes(a)), len(_axes(b))) > 1:
        return f"{call.place} reads them along more than one axis"
    summed_a, summed_b = _axes(a) == [-1], _axes(b) == [-2]
    if summed_a and summed_b:
        if not any(known.is_zeroed(t) for t in known.sources(call)):
            return f"{call.place} sums over them, and zeroed out they are not known to be 0"
        known.union.join(a.flatten(), b.flatten())
    elif summed_a or summed_b:
        known.union.freeze(a if summed_a else b, _unequal(call))
    return None


def _unequal(call: Call) -> str:
    return f"{call.place} pairs them with what has other channels or none"


def _passes(axes: list[int], own: int, other: Tensor) -> bool:
    """Whether channels along `axes` of one factor are those of the product: along its own axis, or along a leading one
    that the other factor does not have."""
    return len(axes) == 1 and (axes[0] == own or (axes[0] < -2 and leading(other.shape, -axes[0])[axes[0]] == 1))


def softmax(known: ChannelIds, call: Call) -> Tensor:
    """The id map of a softmax or log_softmax."""
    (x,) = known.sources(call)
    dim = dim_of(call)
    if not isinstance(dim, int) or dim % x.dim() in varying(known.id_map(x)):
        return known.keep_all(call, f"{call.place} mixes them")
    return known.id_map(x)
