"""Which column of a table holds the images and which the labels, by their types or by the names asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikelet.base.errors import DataError


def image_and_label(
    features: Mapping[str, Any], asked: tuple[str, str] | None, where: str, kinds: tuple[type, type]
) -> tuple[str, str]:
    """The names of the two columns.

    Args:
        features: the type of each column.
        asked: names that were given, or None to find the only ones of these types.
        where: the data set or table, for errors.
        kinds: the types of a column of images and of a column of labels with names. A column of structures with the
            bytes of a file holds images too, and one of bytes where it was asked for.
    Raises:
        DataError: there is no such column, or more than one.
    """
    if asked is not None:
        known = [column for column in asked if isinstance(column, str)] if isinstance(asked, tuple | list) else []
        image, label = (features.get(column) for column in known) if len(known) == 2 else (None, None)
        if not (_is_image(image, kinds[0]) or _is_bytes(image)) or not (
            isinstance(label, kinds[1]) or _may_be_labels(label)
        ):
            raise DataError(
                f"columns={asked!r} must be a column of images and one of labels, integers or words; {where} has "
                f"{_described(features)}."
            )
        return known[0], known[1]
    images = [column for column, feature in features.items() if _is_image(feature, kinds[0])]
    labels = [column for column, feature in features.items() if isinstance(feature, kinds[1])]
    if not labels and _may_be_labels(features.get("label")):
        labels = ["label"]
    if (len(images), len(labels)) != (1, 1):
        raise DataError(
            f"{where} has image columns {images} and label columns {labels} among {_described(features)}; one of "
            "each was expected. Say which to use: columns=(image, label)."
        )
    return images[0], labels[0]


def _is_image(feature: Any, kind: type) -> bool:
    return isinstance(feature, kind) or (isinstance(feature, dict) and _is_bytes(feature.get("bytes")))


def _is_bytes(feature: Any) -> bool:
    return str(getattr(feature, "dtype", "")) in ("binary", "large_binary")


def _may_be_labels(feature: Any) -> bool:
    kind = str(getattr(feature, "dtype", ""))
    return "int" in kind or kind in ("string", "large_string")


def _described(features: Mapping[str, Any]) -> str:
    return ", ".join(f"{name!r} of {type(feature).__name__}" for name, feature in features.items())[:1000]
