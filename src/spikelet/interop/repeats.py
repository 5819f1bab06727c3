"""Whether neurons that take all time steps at once run a second time without having been reset in between."""

from __future__ import annotations

from torch import nn

from spikelet.interop.stateless import resets_of


class Repeats:
    """The runs of such neurons in one forward pass. A library's neurons would go on from the membrane of the run
    before, where converted ones start from zero; those that are told to (`reset`, they or a part of them) do in
    both."""

    def __init__(self) -> None:
        self.resets: dict[nn.Module, int] = {}  # how often each had been reset when it ran last

    def goes_on(self, neurons: nn.Module) -> bool:
        """Whether they run from a membrane that another run has left; notes this run."""
        resets = resets_of(neurons)
        before = self.resets.get(neurons)
        self.resets[neurons] = resets
        return before == resets
