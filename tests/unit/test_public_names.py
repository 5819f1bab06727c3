"""The public surface: it grows on purpose only."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spikelet

NAMES = [
    "LIF",
    "Budget",
    "IntGraph",
    "LIFParams",
    "LoweringError",
    "Program",
    "Reference",
    "SpikeletError",
    "check",
    "compress",
    "convert",
    "create_model",
    "fit",
    "from_pretrained",
    "from_snntorch",
    "from_spikingjelly",
    "list_models",
    "load",
    "lower",
    "profile",
    "push_to_hub",
    "register_model",
    "save",
    "save_pretrained",
    "verify",
]


def test_the_public_names_are_these() -> None:
    assert spikelet.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there_and_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(spikelet, name))


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_itself_where_it_comes_from(name: str) -> None:
    value = getattr(spikelet, name)
    assert value.__module__.startswith("spikelet.")
    assert value.__name__ == name


def test_what_a_type_checker_sees_is_what_is_there() -> None:
    tree = ast.parse(Path(spikelet.__file__).read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: f"{statement.module}.{alias.name}"
        for block in blocks
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert sorted(seen) == sorted(NAMES)
    for name, home in seen.items():
        assert pkgutil.resolve_name(home.rsplit(".", 1)[0] + ":" + name) is getattr(spikelet, name)


def test_folders_are_there_without_an_import_of_their_own() -> None:
    code = "import spikelet; print(spikelet.zoo.names()[0], spikelet.quant.Uniform(4).bits)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{spikelet.zoo.names()[0]} 4\n"
    folders = {path.parent.name for path in Path(spikelet.__file__).parent.glob("*/__init__.py")}
    assert folders <= set(dir(spikelet))


def test_an_unknown_name_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'spikelet' has no attribute 'lowers'"):
        spikelet.lowers  # noqa: B018


def test_the_version_is_said_once() -> None:
    root = Path(spikelet.__file__).parents[2]
    says = re.compile(rf"version\W+{re.escape(spikelet.__version__)}", re.IGNORECASE)
    texts = [*root.glob("*.toml"), *(root / "src").rglob("*.py"), root / "CMakeLists.txt", root / "CITATION.cff"]
    assert [path.name for path in texts if says.search(path.read_text())] == []
    assert re.fullmatch(r"\d+\.\d+\.\d+", spikelet.__version__)
