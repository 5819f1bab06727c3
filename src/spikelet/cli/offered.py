"""The names that a shell completes. They are read from the package's own files, so that no Tab waits for PyTorch."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def shipped() -> list[str]:
    """Packed models by name."""
    return sorted(path.stem for path in (PACKAGE / "zoo" / "models").glob("*.safetensors"))


def recipes() -> list[str]:
    """Trainings by name."""
    return _keys("recipes/__init__.py", "RECIPES")


def networks() -> list[str]:
    """Models of the catalogue by name; those that were installed beside it are not asked for."""
    value = _value("models/catalogue.py", "BUILDERS")
    return sorted(node.id for node in ast.walk(value) if isinstance(node, ast.Name))


def data_sets() -> list[str]:
    """Data sets by name."""
    return _keys("data/readers/__init__.py", "READERS")


def ecosystems() -> list[str]:
    """What `spikelet export` writes C for, by name."""
    return _keys("export/c/ecosystems/__init__.py", "ECOSYSTEMS")


def _keys(file: str, name: str) -> list[str]:
    value = _value(file, name)
    keys = value.keys if isinstance(value, ast.Dict) else []
    return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def _value(file: str, name: str) -> ast.expr:
    """What the module assigns to `name`."""
    for node in ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return node.value  # type: ignore[attr-defined]
    raise LookupError(f"{file} assigns nothing to {name}.")
