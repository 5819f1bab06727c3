"""What torch.compile needs on a CPU, looked for before a training starts rather than in its first step."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def require_compiler() -> None:
    """Passes where Inductor's C++ compiler ($CXX, else g++, on a Mac clang++) and Python's headers are there.

    Raises:
        OSError: one of them is missing; names it.
    """
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    missing = [] if shutil.which(compiler) else [f"the C++ compiler {compiler}"]
    missing += [] if header.exists() else [f"Python's headers ({header})"]
    if missing:
        raise OSError(
            f"compile=True needs {' and '.join(missing)}, not found. On Debian install g++ and python3-dev; or train "
            "without, slower: dataclasses.replace(recipe, compile=False)."
        )
