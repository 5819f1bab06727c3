"""One tensor at all time steps of a loop, and trees of such tensors: tuples, lists and dictionaries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class Steps:
    """A sequence: one tensor of all time steps, or one a step; still where it is the same at every step."""

    def __init__(self, steps: Sequence[Tensor] = (), whole: Tensor | None = None, *, still: bool) -> None:
        self._steps, self._whole, self.still = list(steps), whole, still

    @property
    def whole(self) -> Tensor:
        """[T, B, ...], or [1, B, ...] of a still one."""
        if self._whole is None:
            self._whole = torch.stack(self._steps)
        return self._whole

    def at(self, step: int | None) -> Tensor:
        """[B, ...] of one step."""
        if not self._steps:
            whole = self.whole
            self._steps = [whole[t] for t in range(len(whole))]
        return self._steps[0 if self.still else step or 0]

    def lend(self) -> None:
        """Forgets its single steps: the code gives one of them another shape in place."""
        self._whole, self._steps = self.whole, []

    def leave(self) -> None:
        """Moves to memory of its own: the code is about to write into the tensors that it was given."""
        self._whole, self._steps = self.whole.clone(), []


def replaced(tree: Any, kind: type, new: Callable[[Any], Any]) -> Any:
    """`tree` with `new(x)` for every x of `kind` in its tuples, lists and dictionaries."""
    if isinstance(tree, kind):
        return new(tree)
    if isinstance(tree, tuple | list):
        items = [replaced(item, kind, new) for item in tree]
        if hasattr(tree, "_fields"):  # a named tuple
            return type(tree)(*items)  # type: ignore[call-arg]
        is_plain = type(tree) in (tuple, list) or type(tree).__module__ == "torch.return_types"
        return type(tree)(items) if is_plain else tuple(items)
    return {k: replaced(v, kind, new) for k, v in tree.items()} if isinstance(tree, dict) else tree


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors of a tree."""
    found: list[Tensor] = []
    replaced(tree, Tensor, found.append)
    return found


def sequences_in(tree: Any) -> list[Steps]:
    """The sequences of a tree."""
    found: list[Steps] = []
    replaced(tree, Steps, found.append)
    return found


def joined(every: list[Any], *, still: bool) -> Any:
    """One tree of sequences from the trees of all steps."""
    steps = iter(zip(*map(tensors_in, every), strict=True))
    return replaced(every[0], Tensor, lambda _: _sequence(next(steps), still))


def _sequence(steps: tuple[Tensor, ...], still: bool) -> Steps:
    return Steps(steps, steps[0].unsqueeze(0) if still else None, still=still)


def first_entry(output: Any) -> Any:
    """The first of what a network returns in a tuple, a dictionary or a dataclass."""
    while output is not None:
        if dataclasses.is_dataclass(output) and not isinstance(output, type):
            output = [getattr(output, field.name) for field in dataclasses.fields(output)][:1]
            output = output[0] if output else None
        elif isinstance(output, tuple | dict) and output:
            output = next(iter(output.values() if isinstance(output, dict) else output))
        else:
            break
    return output
