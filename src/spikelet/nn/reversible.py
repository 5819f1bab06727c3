"""Residual streams that training can run backwards, so that it keeps no activation of any block.

Two streams (a, b) pass through bodies f_1, f_2, ... Each body reads the newer stream and gives the next:

    (a, b) -> (b, c),   c = f(b) + mix(a, b)

    Averaged    mix = (a + b) / 2     BESTformer (arXiv:2501.05904): attention and MLP in turn, the first with a = b
    Added       mix = a               channel split of RevNet (arXiv:1707.04585) and RevSNN; a and b half as wide

The backward pass goes from the last body to the first: it runs f(b) once more, takes a = inverse(c - f(b), b), and so
has the streams before the body. Memory for activations is that of one body, at any depth, where plain training keeps
every body's. The price is one more forward pass.

Streams are multiples of u = 2^-8, as `Saturate()` and `Average(8)` keep them on the device: f(b) is rounded to u, half
up, and so is the half. Their sums are exact, and the inverse is too. Averaged loses the lowest bit of a + b: it is
kept, one bit an element and body, an eighth of a byte beside the hundreds of bytes that plain training keeps. (In plain
floats each inverse doubles the error of the one before: 16 blocks lose 32 of float32's 24 bits, and a spike that flips
makes a gradient of another network.) Gradients pass the roundings straight.

    training      c = r(f(b)) + r(mix)         r rounds to u, half up
    evaluation    c = clip of the same to 16 bits, -128 .. 128 - u

A body must be a function of its stream and its parameters alone: it is run twice, with the same random numbers,
autocast and statistics (batch norms count a batch once; hooks are called twice, the first time without gradient). The
backward pass adds up the streams that it arrives at and compares: a body that gave something else the second time is an
error, never a wrong gradient. Another tensor that a body reads gets no gradient. Differences from the authors' code:
theirs never inverts and has no grid.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import flag
from spikelet.nn.average import Average
from spikelet.nn.requantize import Saturate
from spikelet.quant.grid import round_half_up, straight_through

STREAM_BITS = 8
LIMIT = 2.0 ** (24 - STREAM_BITS - 1)  # below it float32 holds the sum of two streams exactly


class Coupling(abc.ABC):
    """How the streams before a body and its answer make the next stream.

    Attributes:
        share_of_a, share_of_b: d mix / d a and d mix / d b.
    """

    share_of_a: float
    share_of_b: float

    @abc.abstractmethod
    def mix(self, a: Tensor, b: Tensor) -> Tensor:
        """What is added to the body's answer, on the grid, with its gradient."""

    @abc.abstractmethod
    def lost(self, a: Tensor, b: Tensor) -> Tensor | None:
        """The bit of each element that `mix` loses, bool; None where nothing is lost."""

    @abc.abstractmethod
    def inverse(self, mixed: Tensor, b: Tensor, lost: Tensor | None) -> Tensor:
        """The a of mix(a, b) = mixed."""


class Averaged(Coupling):
    """c = f(b) + (a + b) / 2."""

    share_of_a = share_of_b = 0.5

    def mix(self, a: Tensor, b: Tensor) -> Tensor:
        half = (a + b) / 2
        return straight_through(half, _on_grid(half.detach()))

    def lost(self, a: Tensor, b: Tensor) -> Tensor:
        return (a + b).mul(2**STREAM_BITS).remainder(2) == 1

    def inverse(self, mixed: Tensor, b: Tensor, lost: Tensor | None) -> Tensor:
        assert lost is not None
        return 2 * mixed - lost.to(mixed.dtype) * 2.0**-STREAM_BITS - b


class Added(Coupling):
    """c = f(b) + a."""

    share_of_a, share_of_b = 1.0, 0.0

    def mix(self, a: Tensor, b: Tensor) -> Tensor:
        return a

    def lost(self, a: Tensor, b: Tensor) -> None:
        return None

    def inverse(self, mixed: Tensor, b: Tensor, lost: Tensor | None) -> Tensor:
        return mixed


class Reversible(nn.Module):
    """Bodies between two streams. See the module's equations.

    Args:
        bodies: modules from a stream [T, B, ...] to currents of the same shape, in order.
        coupling: Averaged() or Added().
        recompute: whether training inverts instead of keeping activations. False is plain training of the same
            network, with the same values and gradients.
    Raises:
        SpikeletError: coupling or recompute is something else.

    Shapes: a, b [T, B, ...] of one shape -> the last two streams, of the same.
    """

    def __init__(self, bodies: Iterable[nn.Module], coupling: Coupling | None = None, recompute: bool = True) -> None:
        super().__init__()
        coupling = Averaged() if coupling is None else coupling
        if not isinstance(coupling, Coupling):
            raise SpikeletError(f"Reversible.coupling must be Averaged() or Added(), got {coupling!r}.")
        flag("Reversible", recompute=recompute)
        self.bodies = nn.ModuleList(bodies)
        self.coupling = coupling
        self.recompute = recompute
        self.average = Average(STREAM_BITS)
        self.saturate = Saturate(16, STREAM_BITS)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """The streams before and behind the last body.

        Raises:
            SpikeletError: the streams differ in shape, or a body answers in another; where training inverts, a stream
                left -32768 .. 32768. The backward pass: a body was not the same function twice, or has other parameters
                now; or a gradient of the gradient is asked for.
        """
        if a.shape != b.shape:
            raise SpikeletError(
                f"Reversible takes two streams of one shape, got {tuple(a.shape)} and {tuple(b.shape)}."
            )
        if not self.training:
            return self._evaluated(a, b)
        a, b = _rounded(_float(a)), _rounded(_float(b))
        if self.recompute and torch.is_grad_enabled():
            return self._recomputed(a, b)
        for body in self.bodies:
            a, b = b, _rounded(_answer(body, b)) + self.coupling.mix(a, b)
        return a, b

    def _evaluated(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.saturate(a), self.saturate(b)
        for body in self.bodies:
            mixed = self.average(a, b) if isinstance(self.coupling, Averaged) else a
            a, b = b, self.saturate(_answer(body, b) + mixed)
        return a, b

    def _recomputed(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return _Chain.apply(a, b, self, *self.learning())

    def learning(self) -> list[nn.Parameter]:
        """The parameters of the bodies that get a gradient."""
        return [p for p in self.bodies.parameters() if p.requires_grad]

    def extra_repr(self) -> str:
        return f"coupling={type(self.coupling).__name__}, recompute={self.recompute}"


def inverts(model: nn.Module) -> bool:
    """Whether training runs streams of `model` backwards, so that what its blocks make is not kept."""
    return any(isinstance(m, Reversible) and m.recompute for m in model.modules())


def _on_grid(x: Tensor) -> Tensor:
    return round_half_up(x * 2**STREAM_BITS) * 2.0**-STREAM_BITS


def _rounded(x: Tensor) -> Tensor:
    return straight_through(x, _on_grid(x.detach()))


def _float(x: Tensor) -> Tensor:
    """Streams are never kept in half precision."""
    return x if x.dtype == torch.float64 else x.float()


def _answer(body: nn.Module, stream: Tensor) -> Tensor:
    """f(b), in the stream's precision: under autocast a body answers in half of it."""
    y = body(stream)
    if y.shape != stream.shape:
        raise SpikeletError(
            f"a body of Reversible, {type(body).__name__}, must answer in the shape of its stream, "
            f"{tuple(stream.shape)}, got {tuple(y.shape)}. (Expand a still image over the time steps first.)"
        )
    return y if y.dtype == stream.dtype else y.to(stream.dtype)


def _untouched(body: nn.Module, stream: Tensor) -> Tensor:
    """f(b), of a body that must leave b as it is."""
    before = stream._version
    y = _answer(body, stream)
    if stream._version != before:
        raise SpikeletError(
            f"a body of Reversible, {type(body).__name__}, changed its stream in place, which can't be run backwards. "
            "Use the layer's form that returns a new tensor (inplace=False), or Reversible(..., recompute=False)."
        )
    return y


def _within(x: Tensor) -> Tensor:
    largest = float(x.detach().abs().amax()) if x.numel() else 0.0
    if largest >= LIMIT:
        raise SpikeletError(
            f"a stream of Reversible reached {largest:.6g} in training; it must stay below {LIMIT:.0f} to be run "
            "backwards exactly. Put a batch norm behind each body, or lower the learning rate."
        )
    return x


class _Kept(NamedTuple):
    """What is kept of one body's forward pass."""

    lost: Tensor | None  # 8 bits a byte
    random: Tensor


class _Autocast(NamedTuple):
    """The autocast of a forward pass, to be had again backwards."""

    device: str
    enabled: bool
    dtype: torch.dtype

    @classmethod
    def now(cls, device: str) -> _Autocast:
        return cls(device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))

    def again(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device, self.dtype, self.enabled)


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, chain: Reversible, *own: Tensor) -> tuple[Tensor, Tensor]:
        ctx.chain, ctx.own = chain, own
        ctx.autocast = _Autocast.now(a.device.type)
        ctx.sums = _sums(_within(a), _within(b))
        ctx.kept = []
        for body in chain.bodies:
            lost = chain.coupling.lost(a, b)
            ctx.kept.append(_Kept(None if lost is None else _packed(lost), _random_state(a.device)))
            a, b = b, _within(_on_grid(_untouched(body, b)) + chain.coupling.mix(a, b))
        ctx.save_for_backward(a, b)
        return a, b

    @staticmethod
    def backward(ctx: Any, grad_a: Tensor, grad_b: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        chain: Reversible = ctx.chain
        _require_backwards(chain, ctx.own)
        a, b = ctx.saved_tensors
        coupling = chain.coupling
        own: dict[int, Tensor | None] = dict.fromkeys(map(id, ctx.own))
        for body, kept in zip(reversed(chain.bodies), reversed(ctx.kept), strict=True):
            stream = a.detach().requires_grad_()
            mine = [p for p in body.parameters() if id(p) in own]
            with _same_numbers(kept.random, a.device), _same_buffers(body):
                with torch.enable_grad(), ctx.autocast.again():
                    answer = _answer(body, stream)
                grads = _gradients(answer, [stream, *mine], grad_b)
            for p, grad in zip(mine, grads[1:], strict=True):
                seen = own[id(p)]
                own[id(p)] = grad if seen is None else seen if grad is None else seen + grad
            lost = None if kept.lost is None else _unpacked(kept.lost, b)
            older = coupling.inverse(b - _on_grid(answer.detach()), stream.detach(), lost)
            through = 0 if grads[0] is None else grads[0]
            grad_a, grad_b = coupling.share_of_a * grad_b, grad_a + through + coupling.share_of_b * grad_b
            a, b = older, stream.detach()
        _require_same(ctx.sums, _sums(a, b))
        return grad_a, grad_b, None, *own.values()


def _gradients(answer: Tensor, asked: list[Tensor], grad: Tensor) -> Sequence[Tensor | None]:
    """What `grad` of an answer is for each tensor; None where the answer does not depend on it."""
    if not answer.requires_grad:
        return [None] * len(asked)
    return torch.autograd.grad(answer, asked, grad, allow_unused=True)


def _require_backwards(chain: Reversible, own: Sequence[Tensor]) -> None:
    if torch.is_grad_enabled():
        raise SpikeletError(
            "the backward pass of Reversible has no gradient of its own, and create_graph=True asks for it. "
            "Use Reversible(..., recompute=False)."
        )
    if list(map(id, own)) != list(map(id, chain.learning())):
        raise SpikeletError(
            "the parameters of Reversible are others than in the forward pass: exchanged (torch.func.functional_call), "
            "frozen or unfrozen since. Run both passes with the same ones, or use Reversible(..., recompute=False)."
        )


def _sums(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Weighted sums of the streams in float64, equal where the streams are."""
    return _sum(a), _sum(b)


def _sum(x: Tensor) -> float:
    weights = torch.arange(1, x.numel() + 1, device=x.device).remainder(97)
    return float((x.double().flatten() * weights).sum())


def _require_same(before: tuple[float, float], after: tuple[float, float]) -> None:
    finite = all(x == x and abs(x) != float("inf") for x in before)
    if finite and before != after:
        raise SpikeletError(
            "the backward pass of Reversible did not arrive at the streams that it began with: a body is not the same "
            "function twice (random numbers of its own, a kernel that is not deterministic, a state between calls, a "
            "parameter changed since). Use torch.use_deterministic_algorithms(True), or "
            "Reversible(..., recompute=False)."
        )


def _packed(bits: Tensor) -> Tensor:
    """uint8 [ceil(n / 8)] of n bools, the lowest bit first."""
    flat = torch.nn.functional.pad(bits.flatten().to(torch.uint8), (0, -bits.numel() % 8)).view(-1, 8)
    return (flat << torch.arange(8, dtype=torch.uint8, device=flat.device)).sum(1, dtype=torch.uint8)


def _unpacked(packed: Tensor, like: Tensor) -> Tensor:
    """The bools of `_packed`, in the shape of `like`."""
    bits = (packed[:, None] >> torch.arange(8, dtype=torch.uint8, device=packed.device)) & 1
    return bits.flatten()[: like.numel()].view(like.shape).bool()


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


@contextmanager
def _same_numbers(state: Tensor, device: torch.device) -> Iterator[None]:
    """Random numbers go on from `state` inside, and as before after."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        set_state: Callable[[Tensor], None] = torch.set_rng_state
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            set_state(state)
        yield


@contextmanager
def _same_buffers(body: nn.Module) -> Iterator[None]:
    """Buffers, such as a batch norm's statistics, have their values again after."""
    before = [(buffer, buffer.clone()) for buffer in body.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)
