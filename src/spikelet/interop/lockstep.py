"""A network's own loop over time, every layer of which still runs once, on all time steps.

The network's code sees what it was written for, one step's tensors [B, ...], real ones, in its own order. Each of them
is known as step t of a *sequence* [T, B, ...], or as *still*, the same at every step:

    step 0   a layer, a neuron or a tensor function reads step 0 of sequences: it is done to all steps
    step t   the same is done to step t of the same sequences: the answer is there, and is step t of it
    else     (the steps are mixed, as in a sum so far; other numbers; after the loop) plain PyTorch on these tensors

Whichever of the three it is, a tensor holds what the loop would have computed. Only neurons can't do without the first
two, as they keep a membrane from one step to the next: a neuron whose n-th call does not read step n of the sequence
that its first call read, or that is handed another membrane than its own of step n - 1, is refused by name.

The frames are a sequence, wherever the code takes step t of them. So is every other tensor of T steps that the code
takes one by one, such as the image repeated in time, where the loop is told on which axis they lie (`cut`).

A tensor that the code writes into, and whatever shares memory with it, is plain PyTorch's from then on. A write into
what a step makes twice is refused by name, and so are random numbers that every step draws from a still tensor.

While the network runs its layers are of a class of their own, a subclass whose call does this: so hooks, names and
types outside of the run are those of the plain layers. What is drawn at random from a still tensor (dropout before the
loop) is drawn once for all steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikelet.base.errors import ConversionError
from spikelet.interop.calls import called_through
from spikelet.interop.membranes import Membrane, computed, is_initial
from spikelet.interop.never_fires import NeverFires
from spikelet.interop.refused_currents import carried, drawn_anew, in_two_places, more_than_one_input, written_in_place
from spikelet.interop.repeats import Repeats
from spikelet.interop.steps import Steps, joined, replaced, sequences_in, tensors_in
from spikelet.interop.writes import DRAWS, FRESH, RESHAPES, TWINS, Zeros, extent, memory, version_of, written
from spikelet.neurons import OVER_TIME
from spikelet.nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Linear,
    MaxPool2d,
    Recurrent,
    SumPool2d,
)
from spikelet.nn.storage import storage

Call = Callable[..., Any]
LAYERS = (
    Conv1d, Conv2d, ConvTranspose2d, Linear, BatchNorm1d, BatchNorm2d, MaxPool2d, SumPool2d, Recurrent, *OVER_TIME,
)  # fmt: skip
STATEFUL = (Recurrent, *OVER_TIME)  # neurons of a Recurrent are not called themselves
CUTS = {"__getitem__", "__iter__", "select", "unbind"}  # functions that take steps of a tensor


class LoopRefused(ConversionError):
    """Raised where neurons can't run in a network's loop; `has_no_loop` where they ran once, as they do without one."""

    def __init__(self, message: str, *, has_no_loop: bool = False) -> None:
        super().__init__(message)
        self.has_no_loop = has_no_loop


class _Ran:
    """What a neuron does in the loop: the sequence that it reads, its spikes, and how many steps it has taken."""

    def __init__(self, reads: Steps, spikes: Steps, membranes: tuple[Membrane, ...]) -> None:
        self.reads, self.spikes, self.membranes = reads, spikes, membranes
        self.computed: dict[int, Steps] = {}  # the numbers of membranes that the code looked at, by `which`
        self.taken = 0


Place = tuple[Steps, int | None]
"""A sequence, and which step of it; None for a still one."""


class Lockstep(TorchFunctionMode):
    """One run of a network's loop of T = `time_steps` steps. Enter it by `in_lockstep`.

    Args:
        cut: the axis from which the code takes steps of tensors that are no sequences yet; None where it takes none.
    """

    def __init__(self, time_steps: int, cut: int | None = None) -> None:
        super().__init__()
        self.time_steps, self.cut = time_steps, cut
        self.places: dict[int, Place] = {}  # by the tensor's id
        self.extents: dict[int, dict[int, tuple[int, int]]] = {}  # where they lie in memory, by storage and id
        self.handed: dict[int, int] = {}  # how many neurons had run when they were handed out, by id
        self.twice: set[int] = set()  # ids of those that stand for two tensors of one step
        self.views: dict[Any, Place] = {}  # steps of frames, by where they lie in memory
        self.frames: Steps | None = None
        self.made: dict[Any, Any] = {}  # by what was done to which sequences
        self.ran: dict[nn.Module, _Ran] = {}
        self.names: dict[nn.Module, str] = {}
        self.whole: dict[nn.Module, str] = {}  # names of layers that take all steps at once
        self.repeats = Repeats()
        self.inputs: set[int] = set()  # ids of the image, or of its steps
        self.kept: list[Any] = []  # ids are those of living tensors
        self.inside = 0
        self.zeros = Zeros()

    def given(self, output: Any) -> Any:
        """What the code returns, where something of it stands for something else."""
        return output

    # --- what is known of a tensor ---

    def still(self, x: Tensor) -> Tensor:
        """One step [B, ...] of `x` [1, B, ...], known as still."""
        image = self._step_of(Steps(whole=x, still=True), None)
        self.inputs.add(id(image))
        return image

    def constant(self, x: Tensor) -> None:
        """Makes a parameter or buffer known as still, so that what the code computes of it alone is one tensor."""
        self._known(x, Steps((x,), still=True), None)

    def watch(self, frames: Tensor) -> None:
        """Makes the steps of `frames` [T, B, ...] known wherever the code takes them."""
        self.frames = Steps(whole=frames, still=False)
        self._watched(self.frames)

    def _watched(self, frames: Steps) -> None:
        for t in range(self.time_steps):
            step = frames.at(t)
            self.views[memory(step)] = frames, t
            self._known(step, frames, t)

    def steps_of(self, frames: Tensor) -> Iterator[Tensor]:
        """Each step of `frames` [T, B, ...]."""
        sequence = Steps(whole=frames, still=False)
        for t in range(self.time_steps):
            step = self._step_of(sequence, t)
            self.inputs.add(id(step))
            yield step

    def _step_of(self, sequence: Steps, step: int | None) -> Tensor:
        tensor = sequence.at(step)
        neurons_run = sum(ran.taken for ran in self.ran.values())
        if id(tensor) in self.places and (not sequence.still or self.handed.get(id(tensor)) == neurons_run):
            self.twice.add(id(tensor))
        self.handed[id(tensor)] = neurons_run
        return self._known(tensor, sequence, step)

    def _known(self, tensor: Tensor, sequence: Steps, step: int | None) -> Tensor:
        self.places[id(tensor)] = sequence, None if sequence.still else step
        self.extents.setdefault(storage(tensor), {})[id(tensor)] = extent(tensor)
        self.kept.append(tensor)
        return tensor

    def _place(self, tensor: Tensor) -> Place | None:
        found = self.places.get(id(tensor))
        return self.views.get(memory(tensor)) if found is None and self.views else found

    # --- tensor functions ---

    def __torch_function__(
        self, func: Call, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._done(func, computed(args), computed(kwargs or {}))

    def _done(self, func: Call, args: Any, kwargs: Any) -> Any:
        if self.inside:
            return func(*args, **kwargs)
        if targets := written(func, args, kwargs):
            return self._write(func, args, kwargs, targets)
        if (func.__name__ == "detach" or func.__name__ in RESHAPES) and self._place(args[0]) is not None:
            return self._reshape(func, args, kwargs)
        if func.__name__ in CUTS and self._is_cut(args):
            self._take_steps_of(args[0])
            return self._plain(func, args, kwargs)
        places = self._places((args, kwargs))
        steps = {step for _, step in places if step is not None}
        step = next(iter(steps), None)
        key = (func, self._key(args), self._key(kwargs)) if places and len(steps) < 2 else None
        if key is None or (key not in self.made and step not in (None, 0)):
            return self._plain(func, args, kwargs)
        if key not in self.made:
            first = self._plain(func, args, kwargs)
            if not tensors_in(first) or any(
                made is read for made in tensors_in(first) for read in tensors_in((args, kwargs))
            ):
                return first
            later = range(1, self.time_steps) if step == 0 else ()
            every = [first, *(func(*self._moved(args, t), **self._moved(kwargs, t)) for t in later)]
            self.made[key] = joined(every, still=step is None)
        elif func.__name__ in FRESH:
            return self._known(func(*args, **kwargs), self.made[key], step)
        elif func.__name__ in DRAWS and step is None:
            raise LoopRefused(drawn_anew(func.__name__))
        return replaced(self.made[key], Steps, lambda sequence: self._step_of(sequence, step))

    def _is_cut(self, args: Any) -> bool:
        """Whether the code may be taking steps of its first argument."""
        if self.cut is None or not isinstance(args[0], Tensor) or args[0].dim() < self.cut + 2:
            return False
        place = self._place(args[0])
        return args[0].shape[self.cut] == self.time_steps and (place is None or place[0].still)

    def _take_steps_of(self, x: Tensor) -> None:
        """Makes the steps of `x` known, whose axis `cut` has T."""
        frames = Steps(whole=x.movedim(self.cut or 0, 0), still=False)
        if memory(frames.at(0)) not in self.views:
            self._watched(frames)

    def _plain(self, func: Call, args: Any, kwargs: Any) -> Any:
        """What `func` gives, which must leave what it reads as it is."""
        read = tensors_in((args, kwargs))
        before = [version_of(tensor) for tensor in read]
        output = func(*args, **kwargs)
        for tensor, version in zip(read, before, strict=True):
            if version_of(tensor) != version and self._sharing(tensor):
                raise LoopRefused(written_in_place(func.__name__, "a tensor"))
        self.zeros.made(func, read, output)
        return output

    def _places(self, tree: Any) -> list[Place]:
        return [place for tensor in tensors_in(tree) if (place := self._place(tensor)) is not None]

    def _moved(self, tree: Any, step: int) -> Any:
        """`tree` with step `step` of each sequence for the step that it holds."""

        def moved(tensor: Tensor) -> Tensor:
            place = self._place(tensor)
            return tensor if place is None else place[0].at(step)

        return replaced(tree, Tensor, moved)

    def _key(self, tree: Any) -> Any:
        """`tree` with its sequences for its tensors: the same for the same thing done at another step."""
        if isinstance(tree, Tensor):
            place = self._place(tree)
            self.kept.append(tree)
            return ("sequence", id(place[0])) if place else ("tensor", id(tree), version_of(tree))
        if isinstance(tree, tuple | list):
            return (type(tree), *map(self._key, tree))
        if isinstance(tree, dict):
            return tuple((name, self._key(value)) for name, value in tree.items())
        return type(tree), repr(tree)

    # --- tensors that the code writes into ---

    def _write(self, func: Call, args: Any, kwargs: Any, targets: list[Tensor]) -> Any:
        """What `func` gives, which writes into `targets`."""
        place = self._place_after(func, args, kwargs, targets)
        for target in targets:
            self._release(func, target)
        output = func(*args, **kwargs)
        if place is not None:
            self._known(targets[0], *place)
        return output

    def _place_after(self, func: Call, args: Any, kwargs: Any, targets: list[Tensor]) -> Place | None:
        """The step that a tensor becomes, such as `out` by `out += x`; None where nobody but it may be known."""
        twin, target = TWINS.get(func.__name__), targets[0]
        before = self._place(target)
        if twin is None or before is None or target is not args[0] or set(self._sharing(target)) != {id(target)}:
            return None
        new = self._done(twin, args, kwargs)
        after = self._place(new)
        alike = after is not None and new.shape == target.shape and new.dtype == target.dtype
        return (after[0], before[1]) if alike and after is not None and after[1] == before[1] else None

    def _reshape(self, func: Call, args: Any, kwargs: Any) -> Tensor:
        """The tensor that `func` gives another shape in place, or cuts off from its past, as a known step."""
        (sequence, step), target = self._place(args[0]), args[0]  # type: ignore[misc]
        if func.__name__ not in RESHAPES:
            return self._known(func(*args, **kwargs), sequence, step)
        new = self._place(self._done(RESHAPES[func.__name__], args, kwargs))
        sequence.lend()
        func(*args, **kwargs)
        return target if new is None else self._known(target, *new)

    def _release(self, func: Call, tensor: Tensor) -> None:
        """Forgets what shares memory with a tensor that the code writes into: it holds numbers of its own from now on.

        Views are taken anew at every later step, so that they share memory there too.
        """
        shared = self._sharing(tensor)
        if any(sequence is self.frames for sequence, _ in shared.values()) or not self.inputs.isdisjoint(shared):
            raise LoopRefused(written_in_place(func.__name__, "its input"))
        if not self.twice.isdisjoint(shared):
            raise LoopRefused(written_in_place(func.__name__, "a tensor that it makes twice in a step"))
        sequences = {id(sequence): sequence for sequence, _ in shared.values()}
        views = set(list(sequences)[1:])
        self.made = {key: made for key, made in self.made.items() if views.isdisjoint(map(id, sequences_in(made)))}
        for sequence in sequences.values():
            sequence.leave()
        self.views = {where: place for where, place in self.views.items() if id(place[0]) not in sequences}
        for known in shared:
            self.places.pop(known, None)
            self.extents[storage(tensor)].pop(known, None)

    def _sharing(self, tensor: Tensor) -> dict[int, Place]:
        """The places, by id, of the known tensors that share memory with `tensor`."""
        first, last = extent(tensor)
        known = self.extents.get(storage(tensor), {})
        found = {one: self.places[one] for one, other in known.items() if other[0] < last and first < other[1]}
        place = self._place(tensor)
        return found if place is None else {**found, id(tensor): place}

    # --- layers and neurons ---

    def called(self, unit: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a layer or neuron gives where it is called in the loop; `call` is its plain call."""
        x, *others = (*args, *kwargs.values())
        x = computed(x) if not self.inside else x  # a layer may read a membrane
        if self.inside or not isinstance(x, Tensor):
            return call(*args, **kwargs)
        whole = functools.partial(self._whole, call)
        if any(isinstance(m, OVER_TIME) for m in unit.modules()):
            return self._neuron(unit, whole, x, others)
        if any(other is not None for other in others):
            raise LoopRefused(more_than_one_input(self.names[unit], kwargs))
        return self._layer(unit, whole, x)

    def _whole(self, call: Call, *whole: Any) -> Any:
        self.inside += 1
        try:
            return call(*whole)
        finally:
            self.inside -= 1

    def in_one(self, unit: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a layer gives that takes all time steps, whose own code is no part of the loop."""
        if not self.inside and isinstance(unit, STATEFUL) and self.repeats.goes_on(unit):
            raise LoopRefused(in_two_places(self.whole[unit]))
        return call(*args, **kwargs) if self.inside else self._whole(functools.partial(call, **kwargs), *args)

    def _layer(self, unit: nn.Module, call: Call, x: Tensor) -> Tensor:
        place = self._place(x)
        key = None if place is None else (unit, id(place[0]))
        if place is None or (key not in self.made and place[1] not in (None, 0)):
            return call(x) if isinstance(unit, Linear) else call(x.unsqueeze(0)).squeeze(0)
        sequence, step = place
        if key not in self.made:
            self.made[key] = Steps(whole=call(sequence.whole), still=sequence.still)
            self.kept.append(sequence)
        return self._step_of(self.made[key], step)

    def _neuron(self, unit: nn.Module, call: Call, x: Tensor, state: list[Any]) -> Any:
        place, ran = self._place(x), self.ran.get(unit)
        taken = 0 if ran is None else ran.taken
        if taken == self.time_steps:
            raise LoopRefused(
                f"{self.names[unit]}: ran more than T = {self.time_steps} times in one forward pass, so its loop takes "
                f"other steps than time_steps={self.time_steps} says, or two places share its membrane and need a "
                "neuron each."
            )
        if place is None or (ran is not None and place[0] is not ran.reads) or place[1] not in (None, taken):
            raise self._refused_current(unit, x, taken)
        self._require_own(unit, state, taken)
        if ran is None:
            made = call(place[0].whole)
            spikes, *membranes = made if isinstance(made, tuple) else (made,)
            self._require_steps(unit, spikes)
            still = spikes.shape[0] == 1 and self.time_steps > 1  # rates of one pass, as one_pass.py trains
            ran = self.ran[unit] = _Ran(place[0], Steps(whole=spikes, still=still), tuple(membranes))
        if isinstance(unit, NeverFires):
            unit.at = taken
        ran.taken += 1
        spikes = self._step_of(ran.spikes, taken)
        if not ran.membranes:
            return spikes
        return spikes, *(
            Membrane(unit, functools.partial(self._membrane, ran, m, taken), taken, which=m.which)
            for m in ran.membranes
        )

    def _refused_current(self, unit: nn.Module, x: Tensor, taken: int) -> LoopRefused:
        """Why neurons can't read `x`."""
        return LoopRefused(carried(self.names[unit], taken))

    def _membrane(self, ran: _Ran, membrane: Membrane, step: int) -> Tensor:
        if membrane.which not in ran.computed:
            numbers = self._whole(membrane.tensor)
            ran.computed[membrane.which] = Steps(whole=numbers, still=numbers.shape[0] == 1 and self.time_steps > 1)
        return self._step_of(ran.computed[membrane.which], step)

    def _require_steps(self, unit: nn.Module, spikes: Tensor) -> None:
        if spikes.shape[0] not in (1, self.time_steps):
            raise LoopRefused(
                f"{self.names[unit]}: takes {spikes.shape[0]} time steps now, and the network's own loop takes "
                f"{self.time_steps}. Train it with as many: Phase(epochs, {self.time_steps})."
            )

    def _require_own(self, unit: nn.Module, state: list[Any], taken: int) -> None:
        """Raises LoopRefused unless a neuron is handed its own state of the step before, each in its place."""
        membranes = [given.which for given in state if isinstance(given, Membrane)]
        if membranes == list(range(len(membranes))) and all(self._is_own(unit, given, taken) for given in state):
            return
        raise LoopRefused(
            f"{self.names[unit]}: at step {taken} of the loop is given another state than "
            f"{'zeros' if taken == 0 else f'its own of step {taken - 1}'}. A converted neuron starts from a "
            "membrane of zero, and hands it from step to step unchanged."
        )

    def _is_own(self, unit: nn.Module, given: Any, taken: int) -> bool:
        if given is None or (taken == 0 and self._is_initial(given)):
            return True
        if isinstance(given, Membrane):
            return given.unit is unit and given.step == taken - 1
        # a layer with feedback is handed its spikes too
        return taken > 0 and isinstance(given, Tensor) and self._place(given) == (self.ran[unit].spikes, taken - 1)

    def _is_initial(self, given: Any) -> bool:
        return given in self.zeros or is_initial(given)

    def require_all_steps(self) -> None:
        """Raises ConversionError where a neuron took fewer steps than T."""
        for unit, ran in self.ran.items():
            if ran.taken != self.time_steps:
                raise LoopRefused(
                    f"{self.names[unit]}: ran {ran.taken} times in one forward pass, and the conversion was told of "
                    f"time_steps={self.time_steps}. Convert it with as many time steps as its own loop takes; one "
                    "that ends where an answer is certain needs forward=, a loop that goes on to the last step.",
                    has_no_loop=ran.taken == 1,
                )


@contextmanager
def in_lockstep(net: nn.Module, names: Sequence[str], loop: Lockstep) -> Iterator[None]:
    """Inside, the layers of `net` called `names` may be called one step at a time, through `loop`.

    Raises:
        ConversionError: when the block ends, where a neuron took another number of steps than T.
    """
    units = {net.get_submodule(name): name for name in reversed(names)}
    loop.names = {unit: f"net.{name}".rstrip(".") for unit, name in units.items()}
    loop.whole = {m: f"net.{name}".rstrip(".") for name, m in net.named_modules() if isinstance(m, LAYERS)}
    for tensor in (*net.parameters(), *net.buffers()):
        loop.constant(tensor)
    with called_through(dict.fromkeys(loop.whole, loop.in_one) | dict.fromkeys(units, loop.called)), loop:
        yield
    loop.require_all_steps()
