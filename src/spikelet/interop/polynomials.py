"""Sums of products of named quantities, by which a loop's elementwise code is told apart (neurons_in_code.py).

    {("u0",): 0.5, ("s0", "u0"): -0.5, ("x3",): 1.0}        0.5 u0 - 0.5 s0 u0 + x3
    {(): 2.0}                                               the number 2

Quantities whose name begins with s are spikes, 0 or 1, so that s s = s.
"""

from __future__ import annotations

Monomial = tuple[str, ...]
Polynomial = dict[Monomial, float]

MOST = 64  # summands of one that is worth looking at
TINY = 1e-9


class TooLong(ValueError):
    """Raised for a polynomial of more than `MOST` summands."""


def number(value: float) -> Polynomial:
    """`value` as one."""
    return {(): value} if value else {}


def plus(a: Polynomial, b: Polynomial, factor: float = 1.0) -> Polynomial:
    """a + factor * b. Raises TooLong."""
    total = dict(a)
    for monomial, coefficient in b.items():
        total[monomial] = total.get(monomial, 0.0) + factor * coefficient
    return _short(total)


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """a * b. Raises TooLong."""
    total: Polynomial = {}
    for one, p in a.items():
        for other, q in b.items():
            monomial = _product(one, other)
            total[monomial] = total.get(monomial, 0.0) + p * q
    return _short(total)


def constant_of(a: Polynomial) -> float | None:
    """The number that `a` is; None where it holds a quantity."""
    return a.get((), 0.0) if set(a) <= {()} else None


def names_in(a: Polynomial) -> set[str]:
    """The quantities of `a`."""
    return {name for monomial in a for name in monomial}


def alike(a: Polynomial, b: Polynomial, within: float = 1e-6) -> bool:
    """Whether the coefficients of both are the same, but for rounding."""
    return all(abs(a.get(m, 0.0) - b.get(m, 0.0)) <= within * max(1.0, abs(a.get(m, 0.0))) for m in {*a, *b})


def _product(one: Monomial, other: Monomial) -> Monomial:
    spikes = {name for name in (*one, *other) if name.startswith("s")}
    rest = [name for name in (*one, *other) if not name.startswith("s")]
    return tuple(sorted([*spikes, *rest]))


def _short(a: Polynomial) -> Polynomial:
    kept = {monomial: value for monomial, value in a.items() if abs(value) > TINY**2}
    if len(kept) > MOST:
        raise TooLong(f"{len(kept)} summands")
    return kept
