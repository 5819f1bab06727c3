"""Layers and totals as rows of text, for whoever prints them.

A column is a title and the name of a figure; a row shows "-" where its subject has no such figure.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from spikelet.base.errors import SpikeletError
from spikelet.base.table import Table

Part = Literal["size", "operations", "energy"]
PARTS: tuple[Part, ...] = ("size", "operations", "energy")
TITLES: dict[Part, str] = {
    "size": "Size",
    "operations": "Operations, means per sample over all time steps",
    "energy": "Energy per sample in uJ, by table",
}
MAIN_COUNTS = (
    *("layer", "MACs", "rate in", "rate out", "SOPs (papers)"),
    *("MACs (papers)", "ACs (NeuroBench)", "membrane updates"),
)  # columns of operations that a narrow page has room for
NOTHING = "-"
PJ_PER_UJ = 1e6


@dataclasses.dataclass(frozen=True)
class Subject:
    """One row: its name, the object whose attributes it shows, and its energies by title in pJ."""

    name: str
    figures: Any
    energy_pj: Mapping[str, float | None]


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _share(value: float) -> str:
    return f"{value:.4f}"


def _energy(value_pj: float) -> str:
    return f"{value_pj / PJ_PER_UJ:.4g}"


Format = Callable[[float], str]
COLUMNS: dict[Literal["size", "operations"], tuple[tuple[str, str, Format], ...]] = {
    "size": (
        ("parameters", "parameters", _count),
        ("weight bits", "weight_bits", _count),
        ("packed [B]", "packed_bytes", _count),
        ("neurons", "neurons", _count),
        ("membrane bits", "membrane_bits", _count),
        ("membranes [B]", "membrane_bytes", _count),
        ("largest layer's membranes [B]", "peak_membrane_bytes", _count),
        ("peak arena [B]", "peak_arena_bytes", _count),
    ),
    "operations": (
        ("MACs/step", "macs_per_step", _count),
        ("MACs", "macs", _count),
        ("rate in", "input_rate", _share),
        ("rate out", "output_rate", _share),
        ("SOPs (papers)", "paper_sops", _count),
        ("MACs (papers)", "paper_macs", _count),
        ("SOPs (unrolled)", "unrolled_sops", _count),
        ("ACs (NeuroBench)", "neurobench.effective_acs", _count),
        ("MACs (NeuroBench)", "neurobench.effective_macs", _count),
        ("dense (NeuroBench)", "neurobench.dense", _count),
        ("BOPs", "bops", _count),
        ("NS-ACE", "ns_ace", _count),
        ("spikes/synapse", "spikes_per_synapse", _share),
        ("membrane updates", "membrane_updates", _count),
    ),
}


def table_of(parts: Sequence[Part], layers: Sequence[Subject], footer: Sequence[Subject]) -> Table:
    """The named parts side by side: one row a layer; below, the total and the network without spikes.

    Raises:
        SpikeletError: a part has another name.
    """
    for part in parts:
        if part not in PARTS:
            raise SpikeletError(f"a table has the parts {', '.join(PARTS)}, got {part!r}.")
    figures = [column for part in parts if part != "energy" for column in COLUMNS[part]]
    energies = list(footer[0].energy_pj) if "energy" in parts else []

    def row(subject: Subject) -> tuple[str, ...]:
        cells = [_text(_figure(subject.figures, path), style) for _, path, style in figures]
        return (subject.name, *cells, *(_text(subject.energy_pj[title], _energy) for title in energies))

    titles = ("layer", *(title for title, _, _ in figures), *energies)
    return Table(titles, tuple(map(row, layers)), tuple(map(row, footer)))


def _figure(figures: Any, path: str) -> float | None:
    return functools.reduce(lambda subject, name: getattr(subject, name, None), path.split("."), figures)


def _text(value: float | None, style: Format) -> str:
    return NOTHING if value is None else style(value)
