"""Where two lists of class names meet, the names decide, never the numbers.

    labels     classes of a data set, by its numbers          ("bee", "cat")
    known      classes of a network, by its logits            ("ant", "bee", "cat")
    number     y'[n] = known.index(labels[y[n]])               0, 1 -> 1, 2

A class of the network that has no samples is no fault; a class with samples that the network lacks is refused.
Names are equal where all their characters are: capitals, spaces and leading zeros count, and only lead to a hint.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence

import numpy as np

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown

_LISTED = 12  # names in a message


def check_class_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """`names` as a tuple; `where` is their owner, for the error.

    Raises:
        SpikeletError: a name is no string, or stands twice.
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise SpikeletError(f"{where} must be the names of the classes, such as ('cat', 'dog'), got {shown(names)}.")
    found: dict[str, int] = {}
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise SpikeletError(f"{where}[{number}] must be a class name, a string, got {shown(name)}.")
        if name in found:
            raise SpikeletError(
                f"{where} names the classes {found[name]} and {number} both {shown(name)}. Give each its own name."
            )
        found[name] = number
    return tuple(names)


def class_names_of(model: object) -> tuple[str, ...]:
    """The names of a model's classes, which training sets and a run folder keeps as `class_names`; () without any.

    An attribute of that name that is no list, tuple or array of strings is the user's own business.
    """
    names = getattr(model, "class_names", None)
    listed = names.tolist() if isinstance(names, np.ndarray) else names
    return tuple(listed) if isinstance(listed, list | tuple) and all(isinstance(n, str) for n in listed) else ()


def numbers_by_name(
    labels: Sequence[str], counts: Sequence[int], known: Sequence[str], where: str, owner: str
) -> list[int]:
    """For each class of `labels` its number in `known`; 0 for one without samples that `known` lacks.

    Args:
        labels: the classes of a data set.
        counts: how many samples each has.
        known: the classes of a network.
        where: the data set's name, for the error.
        owner: whose classes `known` are, for the error.
    Raises:
        SpikeletError: a class with samples is not known; names it.
    """
    numbers = {name: number for number, name in enumerate(known)}
    unknown = [name for name, count in zip(labels, counts, strict=True) if count and name not in numbers]
    if unknown:
        raise SpikeletError(_unknown(where, unknown, known, owner))
    return [numbers.get(name, 0) for name in labels]


def require_as_many(labels: Sequence[str], logits: int, where: str) -> None:
    """Raises SpikeletError unless the data set has as many classes as a network without class names has logits."""
    if len(labels) != logits:
        raise SpikeletError(
            f"the network has {logits} classes without names, and {where} has {len(labels)}: {listed(labels)}. Which "
            "is which can't be told: give the network names (labels= of lower, or class_names of a module), or take a "
            "data set of exactly its classes."
        )


def listed(names: Sequence[str]) -> str:
    """The names for a message: quoted, shortened, at most a dozen."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(shown, names[:_LISTED])) + more


def _unknown(where: str, unknown: Sequence[str], known: Sequence[str], owner: str) -> str:
    what = "a class" if len(unknown) == 1 else f"{len(unknown)} classes"
    hints = [f"{shown(near)} for {shown(name)}" for name in unknown[:_LISTED] if (near := _near(name, known))]
    hint = f" Is it {', '.join(hints)}?" if hints else ""
    return (
        f"{where} has {what} that {owner} does not know: {listed(unknown)}. It knows {listed(known)}.{hint} "
        "Names are compared letter by letter; rename the class, or take its samples out."
    )


def _near(name: str, known: Sequence[str]) -> str | None:
    """The known name that was probably meant."""
    plain = {_plain(k): k for k in reversed(known)}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.8)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    letters = "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())
    return letters.lstrip("0") or letters[:1]
