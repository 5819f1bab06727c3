"""Imported first by each folder that computes in PyTorch: a missing PyTorch becomes an error that names the extra."""

from __future__ import annotations

from spikelet.base.optional import need

need("torch", package="PyTorch", extra="train", what="this part of spikelet")
