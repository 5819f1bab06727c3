"""Tells one graph from another, so that a stream's state is not taken for another graph's."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from spikelet.graph.graph import IntGraph


def fingerprint(graph: IntGraph) -> str:
    """32 hexadecimal digits that graphs with other nodes or another T don't share."""
    digest = hashlib.sha256(str(graph.time_steps).encode())
    for node in graph.nodes:
        digest.update(node.word.encode())
        for field in dataclasses.fields(node):
            value = getattr(node, field.name)
            if isinstance(value, np.ndarray):
                digest.update(f"{field.name}{value.shape}".encode() + value.tobytes())
            else:
                fields = vars(value) if dataclasses.is_dataclass(value) else value
                digest.update(f"{field.name}{fields!r}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]
