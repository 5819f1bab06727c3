"""Who may import whom: a ground floor, two wings, and the rooms where they meet.

                 cli
                  spikelet                                        the package itself: re-exports
        lowering, profiling, plot, compression, fitting, conversion   where the wings meet
    quant ... train, recipes   |   graph, runtime, export, zoo    floating wing (torch) | integer wing (never torch)
                 base                                             errors, codes, bits, files, tables

A folder may import the floors below it and the folders on its left, never those on its right, above it, or in the other
wing. Imports count at every level: at the top of a file, inside a function, under `if TYPE_CHECKING`, and by name
through `importlib.import_module("spikelet....")`. A device takes numpy, training takes torch and safetensors too,
nothing more.
"""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "spikelet"

GROUND = ("base",)
FLOATING = ("quant", "neurons", "nn", "models", "interop", "data", "train", "recipes")
INTEGER = ("graph", "runtime", "export", "zoo")
MEETING = ("lowering", "profiling", "plot", "compression", "fitting", "conversion")
TOP = "the package itself"
FOLDERS = (*GROUND, *FLOATING, *INTEGER, *MEETING, "cli")
OPTIONAL = ("datasets", "tonic", "accelerate", "sklearn", "matplotlib", "click", "tensorboard", "PIL")


def below(floor: tuple[str, ...], rooms: tuple[str, ...]) -> dict[str, set[str]]:
    """What each room of a floor may import: `rooms`, its neighbours on the left, and itself."""
    return {name: {*rooms, *floor[: i + 1]} for i, name in enumerate(floor)}


MAY_IMPORT = {
    **below(GROUND, ()),
    **below(FLOATING, GROUND),
    **below(INTEGER, GROUND),
    **below(MEETING, (*GROUND, *FLOATING, *INTEGER)),
    "cli": {*FOLDERS, TOP},
}


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
    """The folder that the dotted `name` belongs to; None for somebody else's package."""
    parts = name.split(".")
    if parts[0] != "spikelet":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else TOP


def wrong_way_imports(package: Path) -> list[str]:
    """One sentence for each import under `package` that its folder may not make, or that is relative."""
    found = []
    for path in sorted(package.glob("*/**/*.py")):
        here = path.relative_to(package).parts[0]
        for line, name in imported_names(ast.parse(path.read_text())):
            if name.startswith("."):
                found.append(f"{path.relative_to(package)}:{line} imports relatively ({name})")
                continue
            there = folder_of(name)
            if there is not None and there not in MAY_IMPORT[here]:
                found.append(f"{path.relative_to(package)}:{line} imports {name}")
    return found


def imports_of(package: Path) -> dict[str, set[str]]:
    """The modules of `package` that each of its modules imports, lazily or not, by dotted name."""
    files = {_dotted(path, package): path for path in package.rglob("*.py")}
    names = {name: {said for _, said in imported_names(ast.parse(path.read_text()))} for name, path in files.items()}
    return {name: {m for said in names[name] if (m := _module(said, files))} - {name} for name in files}


def _dotted(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(said: str, files: Mapping[str, Path]) -> str | None:
    """The module that an imported name is or comes from; None for somebody else's."""
    return said if said in files else parent if (parent := said.rpartition(".")[0]) in files else None


def includes_of(folder: Path) -> dict[str, set[str]]:
    """The files of ours that each C file includes."""
    pattern = re.compile(r'^#\s*include "([^"]+)"', re.MULTILINE)
    return {path.name: set(pattern.findall(path.read_text())) for path in sorted(folder.glob("*.[ch]"))}


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """A circle of `graph`, its first name once more at the end; [] where it has none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_folders_import_what_is_below_them_and_on_their_left():
    assert wrong_way_imports(PACKAGE) == []


def test_every_module_lives_in_a_folder_with_a_place():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(FOLDERS), "a new folder takes its place here; a lost one leaves it"
    assert {path.name for path in PACKAGE.glob("*.py")} <= {"__init__.py", "__main__.py"}


def test_no_module_imports_itself_through_others():
    assert circle_in(imports_of(PACKAGE)) == []


def test_no_header_includes_itself_through_others():
    assert circle_in(includes_of(ROOT / "csrc")) == []


def test_the_ground_floor_and_the_integer_wing_name_no_torch():
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for folder in (*GROUND, *INTEGER)
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for line, name in imported_names(ast.parse(path.read_text()))
        if name.split(".")[0] == "torch"
    ]
    assert found == []


def test_a_wrong_import_is_found_at_any_level(tmp_path: Path):
    lines = {
        "top.py": "from spikelet.lowering import lower",
        "inner.py": "def f():\n    import spikelet.train.loop",
        "typing.py": "if TYPE_CHECKING:\n    from spikelet import fitting",
        "facade.py": "from spikelet import create_model",
        "relative.py": "from ..neurons import LIF",
        "by_name.py": "importlib.import_module('spikelet.cli')",
        "wing.py": "from spikelet.graph.ir import IntGraph",
        "fine.py": "import torch\nfrom spikelet.quant.grid import Grid\nfrom spikelet.base import errors",
    }
    (tmp_path / "quant").mkdir()
    for name, text in lines.items():
        (tmp_path / "quant" / name).write_text(text)
    assert wrong_way_imports(tmp_path) == [
        "quant/by_name.py:1 imports spikelet.cli",
        "quant/facade.py:1 imports spikelet.create_model",
        "quant/inner.py:2 imports spikelet.train.loop",
        "quant/relative.py:1 imports relatively (..neurons.LIF)",
        "quant/top.py:1 imports spikelet.lowering.lower",
        "quant/typing.py:2 imports spikelet.fitting",
        "quant/wing.py:1 imports spikelet.graph.ir.IntGraph",
    ]


@pytest.mark.parametrize("lazily", [False, True])
def test_a_circle_of_imports_is_found(lazily: bool, tmp_path: Path):
    package = tmp_path / "spikelet"
    (package / "room").mkdir(parents=True)
    back = "from spikelet.room.a import f"
    texts = {
        "__init__.py": "",
        "room/__init__.py": "from spikelet.room.a import f",
        "room/a.py": "from spikelet.room import b",
        "room/b.py": "import spikelet.room.c",
        "room/c.py": f"def g():\n    {back}" if lazily else back,
    }
    for name, text in texts.items():
        (package / name).write_text(text)
    circle = circle_in(imports_of(package))
    assert circle[0] == circle[-1]
    assert set(circle) == {"spikelet.room.a", "spikelet.room.b", "spikelet.room.c"}


def test_the_places_that_the_architecture_names_exist():
    names = set(re.findall(r"`([\w/.]+/[\w.]*|[\w]+\.(?:py|md|c|h))`", (ROOT / "ARCHITECTURE.md").read_text()))
    names = {name for name in names if "foo" not in name}
    places = (ROOT, PACKAGE, *(PACKAGE / folder for folder in FOLDERS))
    assert sorted(name for name in names if not any((place / name).exists() for place in places)) == []


@pytest.mark.parametrize("what", ["operation", "neuron", "data set", "exporter, runtime", "attention layer"])
def test_a_row_says_how_to_add_it_and_names_the_test_that_does_so(what: str):
    (row,) = [line for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines() if line.startswith(f"| {what} |")]
    (test,) = re.findall(r"`(tests/[\w/]+\.py)`", row)
    assert "def test_" in (ROOT / test).read_text()


def packages_loaded_by(*statements: str) -> list[set[str]]:
    """The top-level packages in a fresh interpreter after each of `statements`, but for the standard library."""
    say = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    code = "\n".join(line for statement in statements for line in (statement, say))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [set(line.split()) - sys.stdlib_module_names for line in done.stdout.splitlines()]


def test_importing_spikelet_loads_nothing():
    before, after = packages_loaded_by("", "import spikelet")
    assert after - before == {"spikelet"}


def test_a_device_loads_numpy_and_nothing_else():
    road = (
        "import spikelet, numpy; graph = spikelet.load(spikelet.zoo.names()[0]); "
        "spikelet.Program(graph)(numpy.zeros((1, *graph.input.shape), numpy.uint8)); spikelet.Reference(graph)"
    )
    before, after = packages_loaded_by("import numpy", road)
    assert after - before == {"spikelet"}


def test_training_loads_its_three_dependencies_and_nothing_else():
    folders = f"import {', '.join(f'spikelet.{name}' for name in FOLDERS if name != 'cli')}"
    before, after = packages_loaded_by("import torch, numpy, safetensors, safetensors.torch", folders)
    assert after.isdisjoint(OPTIONAL)
    assert after - before == {"spikelet"}
