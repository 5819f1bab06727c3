"""Which share of each group of channels leaves, as the user put it.

    0.5                                        every group
    {"features.0": 0.45, "features.[1-6]": 0.51}    by the names of layers; the others lose nothing
    {by_type(Conv2d) & ~last(): 0.5}           by filters

Layers that share channels can only have one ratio. A layer whose channels must stay is refused where it is asked for
by its own name, and passed over where a filter, a wildcard or a single number takes it in with others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from spikelet.base.errors import CompressionError
from spikelet.compression.channels import Channels, Group
from spikelet.compression.filters import Filter, by_name, select

Ratios = float | Mapping[str | Filter, float]
Layers = Sequence[tuple[str, nn.Module]]


def check_ratios(ratio: Ratios) -> None:
    """Raises CompressionError where a ratio is not a number in 0..1, or the mapping is empty."""
    values = ratio.items() if isinstance(ratio, Mapping) else [("", ratio)]
    if not values:
        raise CompressionError("Prune.ratio must name at least one layer, got an empty mapping.")
    for key, value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            where = f" for {str(key)!r}" if key else ""
            raise CompressionError(
                f"Prune.ratio must lie in [0, 1], got {value!r}{where}. (It is the share of channels that leave.)"
            )


def groups_within(channels: Channels, layers: Layers, where: Filter) -> list[Group]:
    """Groups all of whose layers `where` means: a layer left out keeps its channels. Layers that run in training alone
    go with the others of their group, and keep their channels where there are none.

    Raises:
        CompressionError: no group is left; says why.
    """
    chosen = {name for name, _ in select(layers, where, "Prune.where")}
    evaluated = {name for name, _ in layers}
    found = [group for group in channels.groups if (own := evaluated & set(group.layers)) and own <= chosen]
    if not found:
        raise CompressionError(
            f"Prune.where: no channel of {_listed(sorted(chosen))} can leave: {_why(channels, chosen)}."
        )
    return found


def ratios_by_group(channels: Channels, layers: Layers, ratio: Mapping[str | Filter, float]) -> dict[str, float]:
    """The ratio of each group that is asked for, by its name.

    Raises:
        CompressionError: a key matches no layer, or names one whose channels stay, or two keys disagree on a group.
    """
    asked: dict[str, tuple[float, str]] = {}
    for key, value in ratio.items():
        where = by_name(key) if isinstance(key, str) else key
        names = [name for name, _ in select(layers, where, "Prune.ratio")]
        groups = {name: channels.group_of(name) for name in names}
        if value > 0 and not any(groups.values()):
            raise CompressionError(
                f"Prune.ratio: no channel of {_listed(names)} can leave: {_why(channels, set(names))}."
            )
        for name, group in groups.items():
            if group is None:
                continue
            before = asked.setdefault(group.name, (value, name))
            if before[0] != value and before[1] == name:
                raise CompressionError(f"Prune.ratio: two keys match {name}, one with {before[0]}, one with {value}.")
            if before[0] != value:
                raise CompressionError(
                    f"Prune.ratio: {before[1]} and {name} share their channels and can't have two ratios, got "
                    f"{before[0]} and {value}. They belong to the group {group.name}."
                )
    return {name: value for name, (value, _) in asked.items()}


def _why(channels: Channels, names: set[str]) -> str:
    kept = [f"{name}: {channels.kept[name]}" for name in channels.kept if name in names]
    apart = [f"{g.name} leave together" for g in channels.groups if names.intersection(g.layers)]
    return "; ".join(kept + apart) or "none of them makes channels"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
