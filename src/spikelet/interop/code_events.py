"""Neurons in a loop's code: where a state is compared with a threshold, and how the next state comes from it.

    u[t] > 0, or u[t] >= 0                    a comparison; u is what the code compares, less its threshold
    u[t] = polynomial(u[t-1], s[t-1]) + x[t]  s the truth of the comparison, x what comes from elsewhere

The polynomials of all comparisons are found in one pass over the record of the code (code_record.py).
"""

from __future__ import annotations

import dataclasses

from spikelet.interop.code_record import CodeRecord, Node
from spikelet.interop.polynomials import (
    TINY,
    Monomial,
    Polynomial,
    TooLong,
    constant_of,
    names_in,
    number,
    plus,
    times,
)  # fmt: skip

COMPARES = {"above": 1, "at least": 1, "below": -1, "at most": -1, "heaviside": 1}


@dataclasses.dataclass(eq=False)
class Event:
    """A comparison of a state.

    index: of its call.
    u: the polynomial of what is compared with zero.
    strictly: whether zero itself is no spike.
    current: the node that u comes from by a factor and a summand alone, u = factor * current + u's number.
    states: numbers of the events whose u or s stand in u.
    """

    index: int
    u: Polynomial
    strictly: bool
    current: Node
    factor: float
    states: list[int]


class Events:
    """The comparisons in a record.

    all: in their order; the quantities of the i-th are named u<i> and s<i>.
    spikes: for each call that gave a tensor of spikes, the event.
    membranes: for each call that gave a tensor from which a spike of an event was told, the event, and p and q of
        u = p * tensor + q.
    others: nodes by the names x<i> under which they stand in polynomials.

    Args:
        record: of the calls.
        to_the_end: whether the last node of a chain that leads down from a comparison is a state too. True where sums
            add to a state of zeros, False where it may be a current that the code computes once and adds at every step.
    """

    def __init__(self, record: CodeRecord, *, to_the_end: bool) -> None:
        self.to_the_end = to_the_end
        self.all: list[Event] = []
        self.spikes: dict[int, int] = {}
        self.membranes: dict[int, tuple[int, float, float]] = {}
        self.others: dict[str, Node] = {}
        self._known: dict[int, Polynomial | None] = {}
        self._names: dict[int, str] = {}
        nodes = list(dict.fromkeys(record.nodes))
        for node in sorted(nodes, key=lambda node: node.index):
            self._polynomial(node)
        for node in nodes:
            found = self._known.get(id(node)) or {}
            if not self._is_count(node) and len(found) == 1 and (name := _spike(found)):
                self.spikes.update(dict.fromkeys(node.made_by, int(name[1:])))

    def _is_count(self, node: Node) -> bool:
        """Whether a node is a sum that begins with spikes, and not (spikes - x) + x, whose gradient is that of x."""
        if node.operation not in ("add", "sub"):
            return False
        return not any(name[0] == "x" for x in node.operands for name in names_in(self._polynomial(x) or {}))

    def _polynomial(self, node: Node) -> Polynomial | None:
        """What a node is; None where that is not told."""
        if id(node) not in self._known:
            try:
                self._known[id(node)] = self._found(node)
            except TooLong:
                self._known[id(node)] = None
        return self._known[id(node)]

    def _found(self, node: Node) -> Polynomial | None:
        if node.value is not None:
            return number(node.value)
        if node.operation in COMPARES:
            return self._compared(node)
        parts = [self._polynomial(x) for x in node.operands]
        known = [p for p in parts if p is not None]
        if not node.operation or len(known) < len(parts):
            return self._other(node)
        combined = _combined(node.operation, known)
        return self._other(node) if combined is None else combined

    def _other(self, node: Node) -> Polynomial:
        name = self._names.setdefault(id(node), f"x{len(self._names)}")
        self.others[name] = node
        return {(name,): 1.0}

    def _compared(self, node: Node) -> Polynomial | None:
        sign = COMPARES[node.operation]
        left = node.operands[0]
        right = Node(value=0.0) if node.operation == "heaviside" else node.operands[1]
        a, b = self._polynomial(left), self._polynomial(right)
        if a is None or b is None:
            return self._other(node)
        u = plus(number(0.0), plus(a, b, -1.0), float(sign))
        if (value := constant_of(u)) is not None:
            strictly = self._strictly(node)
            return number(float(value > 0 if strictly else value >= 0))
        if (told := self._of_spikes(u, self._strictly(node))) is not None:
            return told
        operand, factor, summand = (left, sign, -sign * b.get((), 0.0)) if constant_of(b) is not None else (
            right, -sign, sign * a.get((), 0.0))  # fmt: skip
        if constant_of(a) is None and constant_of(b) is None:
            return self._other(node)
        again = self._again(u, self._strictly(node))
        return {(f"s{again}",): 1.0} if again is not None else self._event(node, u, operand, factor, summand)

    def _of_spikes(self, u: Polynomial, strictly: bool) -> Polynomial | None:
        """What u > 0, or u >= 0, is where u holds spikes of one event alone; None where it holds more."""
        if set(u) - {()} != {(name := max(names_in(u), default=""),)} or name[0] != "s":
            return None
        off, on = u.get((), 0.0), u.get((), 0.0) + u[(name,)]
        zero, one = (float(value > 0 if strictly else value >= 0) for value in (off, on))
        return plus(number(zero), {(name,): 1.0}, one - zero)

    def _strictly(self, node: Node) -> bool:
        if node.operation == "heaviside":
            return not node.operands[1].value
        return node.operation in ("above", "below")

    def _again(self, u: Polynomial, strictly: bool) -> int | None:
        """The event whose comparison this one repeats."""
        if len(u) != 1 or len(next(iter(u))) != 1:
            return None
        (name,), factor = next(iter(u.items()))
        found = int(name[1:]) if name.startswith("u") and factor > 0 else None
        return found if found is not None and self.all[found].strictly is strictly else None

    def _event(self, node: Node, u: Polynomial, operand: Node, factor: float, summand: float) -> Polynomial | None:
        number_of = len(self.all)
        chain, current, p, q = self._chain(operand, factor, summand)
        if p <= 0:
            return self._other(node)  # what is below its threshold is no spike
        states = sorted({int(name[1:]) for name in names_in(u) if name[0] in "us"})
        self.all.append(Event(node.index, u, self._strictly(node), current, p, states))
        for part, p, q in chain:
            if not part.operation and not self.to_the_end:
                continue  # a current that is the first membrane too
            self._known[id(part)] = plus(number(-q / p), {(f"u{number_of}",): 1 / p})
            self.membranes.update(dict.fromkeys(part.made_by, (number_of, p, q)))
        return {(f"s{number_of}",): 1.0}

    def _chain(self, node: Node, p: float, q: float) -> tuple[list[tuple[Node, float, float]], Node, float, float]:
        """The nodes from what is compared down to the last that u is a multiple of, but for numbers: each with p and q
        of u = p * node + q; and that last one."""
        chain = [(node, p, q)]
        while (found := self._one_unknown(node)) is not None:
            step = _inverse(node.operation, *found)
            if step is None:
                break
            p, q = p * step[0], q + p * step[1]
            node = node.operands[found[0]]
            if not node.operation or (not self.to_the_end and self._is_current(node)):
                break
            chain.append((node, p, q))
        return chain, node, p, q

    def _one_unknown(self, node: Node) -> tuple[int, float] | None:
        """Which operand of a sum or product holds a quantity, and the number that the other is; None unless it is one
        of them alone."""
        if node.operation not in ("add", "sub", "rsub", "mul", "div", "neg"):
            return None
        parts = [self._known.get(id(x)) if x.value is None else number(x.value) for x in node.operands]
        numbers = [None if part is None else constant_of(part) for part in parts]
        unknown = [i for i, value in enumerate(numbers) if value is None]
        if len(unknown) != 1:
            return None
        return unknown[0], next((value for value in numbers if value is not None), 0.0)

    def _is_current(self, node: Node) -> bool:
        """Whether a node is made of several others, none of which is a state."""
        names = names_in(self._known.get(id(node)) or {})
        return self._one_unknown(node) is None and not any(name[0] in "us" for name in names)


def _inverse(operation: str, at: int, c: float) -> tuple[float, float] | None:
    """(p, q) of node = p * operand + q, where the operand stands at `at` and the other is the number c."""
    if operation == "add":
        return 1.0, c
    if operation == "sub":
        return (1.0, -c) if at == 0 else (-1.0, c)
    if operation == "rsub":
        return (-1.0, c) if at == 0 else (1.0, -c)
    if operation == "neg":
        return -1.0, 0.0
    if operation == "mul":
        return (c, 0.0) if c else None
    return (1 / c, 0.0) if at == 0 and c else None


def _combined(operation: str, parts: list[Polynomial]) -> Polynomial | None:
    """The polynomial that an operation makes of others; None where it makes none."""
    one = number(1.0)
    if operation == "neg":
        return plus({}, parts[0], -1.0)
    if operation == "truth":
        return parts[0] if _is_truth(parts[0]) else None
    if operation == "not":
        return plus(one, parts[0], -1.0) if _is_truth(parts[0]) else None
    if operation in ("where", "fill"):
        condition, yes, no = parts if operation == "where" else (parts[1], parts[2], parts[0])
        if not _is_truth(condition):
            return None
        return plus(times(condition, yes), times(plus(one, condition, -1.0), no))
    if len(parts) != 2:
        return None
    a, b = parts
    if operation == "add":
        return plus(a, b)
    if operation in ("sub", "rsub"):
        return plus(a, b, -1.0) if operation == "sub" else plus(b, a, -1.0)
    if operation == "mul":
        return times(a, b)
    divisor = constant_of(b)
    return times(a, number(1 / divisor)) if divisor and abs(divisor) > TINY else None


def _is_truth(a: Polynomial) -> bool:
    """Whether `a` is 0 or 1: spikes, or 1 less spikes."""
    return bool(_spike(a) or _spike(plus(number(1.0), a, -1.0)))


def _spike(a: Polynomial) -> str:
    """The name of the spikes that `a` is; "" for anything else."""
    monomial: Monomial = next(iter(a), ())
    return monomial[0] if len(a) == 1 and len(monomial) == 1 and monomial[0][0] == "s" and a[monomial] == 1 else ""
