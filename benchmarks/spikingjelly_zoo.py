"""SpikingJelly's own networks of the shapes that are measured, as its users run them.

    implementation(subject, x)()        logits [T, B, K] of its network, in evaluation mode, its state reset behind it

Its multi-step layers and neurons in eager PyTorch: batch norms are not folded and nothing is compiled, as its zoo does
it. Weights are random; with floats what they are costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.cases import Subject
from spikelet.base.optional import need

SHAPES = {"spikformer_4_384": {"patch_size": 4, "embed_dims": 384, "num_heads": 12, "depths": 4, "num_classes": 10}}


def implementation(subject: Subject, x: Tensor) -> Callable[[], Tensor]:
    """A call that runs `x`, uint8 [B, C, H, W], through SpikingJelly's network of the subject's shape.

    Raises:
        SystemExit: its zoo has none, or one with another number of weights.
        MissingLibrary: SpikingJelly is not installed.
    """
    if subject.name not in SHAPES:
        raise SystemExit(f"{subject.name}: SpikingJelly's zoo has no such network; known are {', '.join(SHAPES)}")
    package = "spikingjelly.activation_based"
    zoo = need(f"{package}.model.spikformer", package="spikingjelly", extra="bench", what="SpikingJelly's own network")
    reset = need(f"{package}.functional", package="spikingjelly", extra="bench", what="SpikingJelly's own network")
    rows, columns = x.shape[-2:]
    size = {"T": subject.graph.time_steps, "img_size_h": rows, "img_size_w": columns, "in_channels": x.shape[-3]}
    network: nn.Module = zoo.Spikformer(**size, **SHAPES[subject.name]).eval()
    if subject.model is not None:
        _require_same_size(network, subject.model)
    pixels = x / 255

    @torch.no_grad()
    def call() -> Tensor:
        logits = network(pixels)
        reset.reset_net(network)
        return logits

    return call


def _require_same_size(theirs: nn.Module, ours: nn.Module) -> None:
    a, b = (sum(w.numel() for w in net.parameters() if w.dim() > 1) for net in (theirs, ours))
    if a != b:
        raise SystemExit(f"SpikingJelly's network has {a:,} weights, the one that is measured {b:,}: leave it out")
