"""Kernels chosen by hand, for nodes that several kernels can run. Whatever is chosen, results are the same."""

from __future__ import annotations

from collections.abc import Mapping

from spikelet.base.errors import GraphError
from spikelet.base.strict_json import shown
from spikelet.graph import ir
from spikelet.runtime.plan.kinds import Kind

CHOSEN = (ir.Conv, ir.Linear, ir.Matmul)  # whose rules ask for a choice


def checked(graph: ir.IntGraph, choices: Mapping[str, Kind | str] | None) -> dict[str, Kind]:
    """`choices` with kinds for their names; none where it is None.

    Raises:
        GraphError: it is no mapping, names a node that has no choice, or a kind that is not there. Whether a kernel can
            run its node is seen when the node is planned.
    """
    if choices is None:
        return {}
    if not isinstance(choices, Mapping):
        raise GraphError(f"choices must map names of nodes to kernels, as Plan.choices does, got {shown(choices)}.")
    able = {node.name for node in graph.nodes if isinstance(node, CHOSEN)}
    unknown = [name for name in choices if name not in able]
    if unknown:
        raise GraphError(
            f"choices must name convolutions, linear layers and matrix products of the graph, got {shown(unknown[0])}. "
            "Plan.choices lists those of a plan."
        )
    return {name: _kind(name, kind) for name, kind in choices.items()}


def _kind(node: str, kind: Kind | str) -> Kind:
    if isinstance(kind, str) and kind in Kind.__members__:
        return Kind[kind]
    if isinstance(kind, Kind):
        return kind
    raise GraphError(f"choices must hold kernels by their names, such as 'CONV_ROWS', got {shown(kind)} for {node}.")
