"""What a loop's code computes elementwise, operation by operation: sums, products, comparisons and choices.

Every tensor function that the code calls has a number, its place in the order of calls; layers and what they call have
none. A `Node` is a number, the result of an elementwise function, or something else, such as what a layer gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.interop.steps import tensors_in
from spikelet.interop.writes import FRESH, extent, memory, overlap, written
from spikelet.nn.storage import storage

ADD = {"add", "__add__", "__radd__", "__iadd__", "add_"}
SUB = {"sub", "subtract", "__sub__", "__isub__", "sub_"}
MUL = {"mul", "multiply", "__mul__", "__rmul__", "__imul__", "mul_"}
DIV = {"div", "divide", "true_divide", "__truediv__", "__itruediv__", "div_"}
ABOVE = {"gt", "__gt__", "greater", "gt_"}
AT_LEAST = {"ge", "__ge__", "greater_equal", "ge_"}
BELOW = {"lt", "__lt__", "less", "lt_"}
AT_MOST = {"le", "__le__", "less_equal", "le_"}
NOT = {"logical_not", "bitwise_not", "__invert__"}
CUTS = {"__getitem__", "select"}
SAME = {
    "detach", "clone", "contiguous", "float", "double", "half", "bfloat16", "int", "long", "bool", "to", "type",
    "type_as", "requires_grad_",
}  # fmt: skip
OPERATIONS = {
    **dict.fromkeys(ADD, "add"), **dict.fromkeys(SUB, "sub"), **dict.fromkeys(MUL, "mul"), **dict.fromkeys(DIV, "div"),
    **dict.fromkeys(("neg", "negative", "__neg__", "neg_"), "neg"), "__rsub__": "rsub", "rsub": "rsub",
    **dict.fromkeys(ABOVE, "above"), **dict.fromkeys(AT_LEAST, "at least"),
    **dict.fromkeys(BELOW, "below"), **dict.fromkeys(AT_MOST, "at most"), **dict.fromkeys(NOT, "not"),
    "heaviside": "heaviside", "where": "where", "masked_fill": "fill", "masked_fill_": "fill",
}  # fmt: skip


Sign = tuple[str, tuple[float, ...]]  # a function's name, and the numbers that it is given


@dataclasses.dataclass(eq=False)
class Node:
    """One of them.

    operation: "" of a number and of what else.
    operands: what it reads.
    value: of a number.
    index: the number of the call that made it; -1 for none.
    made_by: numbers of the calls that gave a tensor of it, copies among them.
    tensor: what the code had then; None for a Python number.
    """

    operation: str = ""
    operands: tuple[Node, ...] = ()
    value: float | None = None
    index: int = -1
    made_by: list[int] = dataclasses.field(default_factory=list)
    tensor: Tensor | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """A call: its function, what it read and gave, and the operands' nodes in the order of its tensors."""

    function: Callable[..., Any]
    args: Any
    kwargs: Any
    output: Any
    read: tuple[Node, ...]


class CodeRecord:
    """The calls of one pass, and the nodes that they made in order."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.nodes: list[Node] = []
        self.of: dict[int, Node] = {}  # by the tensor's id
        self.kept: dict[int, dict[int, Tensor]] = {}  # by storage and id; ids are those of living tensors
        self.parts: dict[Any, tuple[Tensor, Node]] = {}  # of tensors, what was written there, by where they lie

    def node(self, x: Any) -> Node:
        """What is known of an operand."""
        if not isinstance(x, Tensor):
            return Node(value=float(x)) if isinstance(x, int | float) else Node()
        if id(x) not in self.of:
            learned = isinstance(x, nn.Parameter) and x.numel() > 1
            self._keep(x, Node(value=None if learned else _one_number(x), tensor=x))
        return self.of[id(x)]

    def read_by(self, at: tuple[int, int]) -> Tensor:
        """A tensor that a call read, by the call and its place among those that it read."""
        step = self.steps[at[0]]
        return tensors_in((step.args, step.kwargs))[at[1]]

    def other(self, tree: Any) -> None:
        """Notes that the tensors of `tree` are something else, as what a layer gives."""
        for tensor in tensors_in(tree):
            if id(tensor) not in self.of:
                self._keep(tensor, Node(tensor=tensor))

    def note(self, function: Callable[..., Any], args: Any, kwargs: Any, output: Any) -> None:
        """Notes a call that was made."""
        index, name = len(self.steps), getattr(function, "__name__", "")
        read = tuple(map(self.node, tensors_in((args, kwargs))))
        self.steps.append(Step(function, args, kwargs, output, read))
        targets = written(function, args, kwargs)
        made = targets or [x for x in tensors_in(output) if id(x) not in map(id, tensors_in((args, kwargs)))]
        if not made:
            return  # a function such as dropout in evaluation gives what it reads
        if name in CUTS and memory(made[0]) in self.parts:  # what was written there is read back, and nothing made
            self._keep(made[0], self.parts[memory(made[0])][1])
            return
        node = self._made(name, args, kwargs, read, made[0]) if len(made) == 1 else None
        for tensor in made:
            new = node or Node(tensor=tensor)
            if new.index < 0:
                new.index = index
            new.made_by.append(index)
            self._keep(tensor, new)
        for target in targets:
            self._written(target, index)
            self._fill(target, args if name == "__setitem__" else ())

    def _fill(self, target: Tensor, args: Any) -> None:
        """Notes what `out[..., t] = spikes` wrote into a part of a tensor, and forgets the parts that a call wrote."""
        with torch._C.DisableTorchFunction():
            part = target if not args else args[0][args[1]]
            if storage(part) != storage(target):
                part = target  # a choice of elements, which is no view
            self.parts = {key: (x, node) for key, (x, node) in self.parts.items() if not overlap(x, part)}
        value = args[2] if part is not target else None
        if isinstance(value, Tensor) and value.shape == part.shape and _keeps(value.dtype, part.dtype):
            self.parts[memory(part)] = part, self.node(args[2])

    def _made(self, name: str, args: Any, kwargs: Any, read: tuple[Node, ...], made: Tensor) -> Node:
        """The node of the one tensor that a call gave."""
        if name in FRESH - {"clone"} or all(node.value is not None for node in read):
            return Node(value=_one_number(made), tensor=made)
        if (name in SAME or _is_data(name, args, made)) and args and isinstance(args[0], Tensor):
            read_first = self.node(args[0])
            keeps = _keeps(args[0].dtype, made.dtype)
            return read_first if keeps else Node("truth", (read_first,), tensor=made)
        if name == "__setitem__" and isinstance(args[1], Tensor) and args[1].dtype == torch.bool:
            return Node("fill", (self.node(args[0]), self.node(args[1]), self.node(args[2])), tensor=made)
        operation = OPERATIONS.get(name)
        if operation is None or kwargs or not all(isinstance(x, Tensor | int | float) for x in args):
            return Node(tensor=made)
        return Node(operation, tuple(map(self.node, args)), tensor=made)

    def _written(self, target: Tensor, index: int) -> None:
        """Other tensors of the memory that a call wrote into hold something else now, those of the same view the same
        as its target."""
        first, last = extent(target)
        for view in list(self.kept[storage(target)].values()):
            begin, end = extent(view)
            if view is target or begin >= last or first >= end:
                continue
            same = memory(view) == memory(target)
            self._keep(view, self.of[id(target)] if same else Node(index=index, made_by=[index], tensor=view))

    def _keep(self, tensor: Tensor, node: Node) -> None:
        self.of[id(tensor)] = node
        self.kept.setdefault(storage(tensor), {})[id(tensor)] = tensor
        if not self.nodes or self.nodes[-1] is not node:
            self.nodes.append(node)


def sign_of(function: Callable[..., Any], args: Any) -> Sign:
    """What tells a call from another in its place."""
    return getattr(function, "__name__", ""), tuple(float(x) for x in args if isinstance(x, int | float))


def _keeps(before: torch.dtype, after: torch.dtype) -> bool:
    """Whether a cast keeps every number, as those to half precision and of floats to integers don't: they keep 0 and 1,
    the operation "truth"."""
    return before in (after, torch.bool) or after in (torch.float32, torch.float64)


def _is_data(name: str, args: Any, made: Tensor) -> bool:
    """Whether a tensor is another's `.data`."""
    x = args[0] if name == "__get__" and args else None
    return isinstance(x, Tensor) and x.data_ptr() == made.data_ptr() and x.stride() == made.stride()


def _one_number(x: Tensor) -> float | None:
    """The number that all elements of a tensor are; None where they differ."""
    if not x.numel() or x.is_complex():
        return None
    first = x.detach().reshape(-1)[0]
    return float(first) if bool((x.detach() == first).all()) else None
