"""Optional libraries, imported when they are needed and not before."""

from __future__ import annotations

import importlib
from types import ModuleType

from spikelet.base.errors import MissingLibrary


def need(module: str, *, package: str, extra: str, what: str) -> ModuleType:
    """Imports `module`.

    Args:
        module: dotted name, such as "sklearn.datasets".
        package: what the package index calls it.
        extra: spikelet's extra that installs it.
        what: who needs it, for the error.
    Raises:
        MissingLibrary: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise  # the library is there, but something of its own is missing
        raise MissingLibrary(f"{what} needs {package}. Install it with: pip install 'spikelet[{extra}]'") from error
