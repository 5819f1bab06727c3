"""What modules inside a network give, by their names, while it runs.

    with features(model, ["heads.1", "blocks.bodies.0.query"]) as seen:
        model(x)
    seen["heads.1"]                       its last output

Names are those of `model.named_modules()`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.nn.hooks import hooks


def require_names(model: nn.Module, names: Iterable[str], owner: str) -> None:
    """Raises SpikeletError where a name is no module of `model`; says which come close."""
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 3, 0.4) or known[:3]
            raise SpikeletError(
                f"{owner} names the module {name!r}, which {type(model).__name__} does not have. Close to it: "
                f"{', '.join(close)}. (See model.named_modules().)"
            )


@contextmanager
def features(model: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Collects the last output of each named module that runs inside the block.

    Raises:
        SpikeletError: a name is no module of `model`.
    """
    wanted = list(dict.fromkeys(names))
    seen: dict[str, Tensor] = {}
    if not wanted:  # most trainings: every step passes here
        yield seen
        return
    require_names(model, wanted, "features")
    modules = dict(model.named_modules())

    def keep(name: str):
        return lambda module, inputs, output: seen.__setitem__(name, output)

    with hooks(modules[name].register_forward_hook(keep(name)) for name in wanted):
        yield seen
