"""What torch.compile needs on a CPU, looked for before a training starts rather than in its first step.

On a GPU Triton compiles, and says itself what it lacks.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn


def require_compiler() -> None:
    """Passes where Inductor's C++ compiler ($CXX, else g++, on a Mac clang++) and Python's headers are there, or a GPU.

    Raises:
        OSError: one of them is missing; names it.
    """
    if torch.cuda.is_available():
        return
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    missing = [] if shutil.which(compiler) else [f"the C++ compiler {compiler}"]
    missing += [] if any((folder / "Python.h").exists() for folder in _include()) else ["Python's headers (Python.h)"]
    if missing:
        raise OSError(
            f"compile=True needs {' and '.join(missing)}, not found. On Debian install g++ and python3-dev; or train "
            "without, slower: compile=False in the configuration."
        )


def compiled(module: nn.Module) -> Callable[..., Any]:
    """`torch.compile(module)` for the sizes that come, after forgetting what this process compiled before.

    Else all modules of a class share one count of compilations, and the ninth, of a ninth training, would run
    uncompiled with no more than a warning. Sizes stay numbers: a training has few, and where they become symbols,
    because two blocks of a network have maps of two sizes, Inductor fails to order some strides.
    """
    torch.compiler.reset()
    return torch.compile(module, dynamic=False)


def _include() -> list[Path]:
    """Where a compiler looks for headers, as far as Python's may lie there."""
    searched = [folder for name in ("CPATH", "CPLUS_INCLUDE_PATH") for folder in os.environ.get(name, "").split(":")]
    return [Path(folder) for folder in (sysconfig.get_path("include"), *searched) if folder]
