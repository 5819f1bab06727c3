"""Classes that are spelled in two ways, by capitals, spaces around them or the coding of letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from spikelet.base.errors import DataError


def require_one_spelling(classes: Mapping[str, Iterable[str]], where: str) -> None:
    """Refuses classes, by split, whose names differ in spelling only, unless one split has them all: it means each.

    Raises:
        DataError: names the classes.
    """
    spelled: dict[str, dict[str, set[str]]] = {}
    for split, names in classes.items():
        for name in names:
            spelling = unicodedata.normalize("NFC", name).casefold().strip()
            spelled.setdefault(spelling, {}).setdefault(split, set()).add(name)
    for by_split in spelled.values():
        alike = set[str]().union(*by_split.values())
        if alike not in by_split.values():
            raise DataError(
                f"{where} has the classes {' and '.join(map(repr, sorted(alike)))} in different splits, which differ "
                "in capitals, spaces around them or the coding of letters only. Give one class one name."
            )
