"""The folders of `spikelet` form one line. Each may import those on its left, never those on its right.

Imports count at every level: at the top of a file, inside a function, under `if TYPE_CHECKING`, and by name through
`importlib.import_module("spikelet....")`. A device takes numpy, training takes torch and safetensors too, nothing more.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).resolve().parents[2] / "src"
PACKAGE = SRC / "spikelet"
LINE = (
    "base",
    "quant",
    "neurons",
    "nn",
    "models",
    "interop",
    "data",
    "graph",
    "lowering",
    "runtime",
    "profiling",
    "train",
    "compression",
    "fitting",
    "recipes",
    "zoo",
    "cli",
)
TOP = "the package itself"  # re-exports everything, so it stands between zoo and cli
RANK = {name: i for i, name in enumerate((*LINE[:-1], TOP, LINE[-1]))}
OPTIONAL = ("datasets", "tonic", "accelerate", "sklearn", "matplotlib", "click", "tensorboard", "PIL")


def imported_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every (line, dotted name) that the module imports, at whatever depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from ((node.lineno, str(a.value)) for a in node.args[:1] if isinstance(a, ast.Constant))


def folder_of(name: str) -> str | None:
    """The folder of the line that the dotted `name` belongs to; None for somebody else's package."""
    parts = name.split(".")
    if parts[0] != "spikelet":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in LINE else TOP


def wrong_way_imports(package: Path) -> list[str]:
    """One sentence for each import under `package` that goes to the right, or is relative."""
    found = []
    for path in sorted(package.glob("*/**/*.py")):
        here = path.relative_to(package).parts[0]
        for line, name in imported_names(ast.parse(path.read_text())):
            if name.startswith("."):
                found.append(f"{path.relative_to(package)}:{line} imports relatively ({name})")
                continue
            there = folder_of(name)
            if there is not None and RANK[there] > RANK[here]:
                found.append(f"{path.relative_to(package)}:{line} imports {name}")
    return found


def test_folders_import_only_those_on_their_left():
    assert wrong_way_imports(PACKAGE) == []


def test_every_module_lives_in_a_folder_of_the_line():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(LINE), "a new folder takes its place in LINE; a lost one leaves it"
    assert {path.name for path in PACKAGE.glob("*.py")} <= {"__init__.py", "__main__.py"}


def test_a_wrong_import_is_found_at_any_level(tmp_path: Path):
    lines = {
        "top.py": "from spikelet.lowering import lower",
        "inner.py": "def f():\n    import spikelet.train.loop",
        "typing.py": "if TYPE_CHECKING:\n    from spikelet import graph",
        "facade.py": "from spikelet import create_model",
        "relative.py": "from ..neurons import LIF",
        "by_name.py": "importlib.import_module('spikelet.zoo')",
        "fine.py": "import torch\nfrom spikelet.quant.grid import Grid",
    }
    (tmp_path / "quant").mkdir()
    for name, text in lines.items():
        (tmp_path / "quant" / name).write_text(text)
    assert wrong_way_imports(tmp_path) == [
        "quant/by_name.py:1 imports spikelet.zoo",
        "quant/facade.py:1 imports spikelet.create_model",
        "quant/inner.py:2 imports spikelet.train.loop",
        "quant/relative.py:1 imports relatively (..neurons.LIF)",
        "quant/top.py:1 imports spikelet.lowering.lower",
        "quant/typing.py:2 imports spikelet.graph",
    ]


def packages_loaded_by(statement: str) -> set[str]:
    """The top-level packages in a fresh interpreter after `statement`, but for the standard library."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) - sys.stdlib_module_names


def test_importing_spikelet_loads_nothing():
    assert packages_loaded_by("import spikelet") - packages_loaded_by("") == {"spikelet"}


def test_a_device_loads_numpy_and_nothing_else():
    road = (
        "import spikelet, numpy; graph = spikelet.load(spikelet.zoo.names()[0]); "
        "spikelet.Program(graph)(numpy.zeros((1, *graph.input.shape), numpy.uint8)); spikelet.Reference(graph)"
    )
    assert packages_loaded_by(road) - packages_loaded_by("import numpy") == {"spikelet"}


def test_training_loads_its_three_dependencies_and_nothing_else():
    loaded = packages_loaded_by(f"import {', '.join(f'spikelet.{name}' for name in LINE if name != 'cli')}")
    assert loaded.isdisjoint(OPTIONAL)
    assert loaded - packages_loaded_by("import torch, numpy, safetensors, safetensors.torch") == {"spikelet"}
