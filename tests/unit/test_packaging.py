"""What an installation brings: little for a device, extras that hold what errors promise, no bound on later torches."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CALLED = {"PyTorch": "torch"}  # where an error says a library's name and not the index's


def name_of(requirement: str) -> str:
    """The name that a requirement begins with."""
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return found[0].lower()


def packages(extra: str) -> set[str]:
    """Everything that `spikelet[extra]` installs by name, the extras within it included."""
    found = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    for requirement in EXTRAS[extra]:
        if within := re.match(r"spikelet\[([\w,]+)\]", requirement):
            found |= set().union(*map(packages, within[1].split(",")))
        else:
            found.add(name_of(requirement))
    return found


def needed() -> list[tuple[str, str, str]]:
    """(place, package, extra) of every call of `need` in the sources."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "need":
                said = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg in ("package", "extra")}
                found.append((f"{path.name}:{node.lineno}", said["package"], said["extra"]))
    return found


def test_a_device_gets_what_it_needs_and_nothing_that_trains():
    assert {name_of(r) for r in PROJECT["dependencies"]} == {"numpy", "safetensors", "click", "pillow"}


def test_later_torches_are_not_refused_but_by_our_own_environment():
    (torch,) = [r for r in EXTRAS["train"] if name_of(r) == "torch"]
    assert "<" not in torch
    assert re.search(r"^torch>=[\d.]+,<[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert (ROOT / "Makefile").read_text().count("pip install") == (ROOT / "Makefile").read_text().count(
        "--constraint constraints.txt"
    )


@pytest.mark.parametrize(("where", "package", "extra"), needed())
def test_the_extra_that_an_error_names_installs_what_is_missing(where: str, package: str, extra: str):
    assert CALLED.get(package, package).lower() in packages(extra), where
    assert CALLED.get(package, package).lower() not in packages_of_a_device(), "always there: import it plainly"


def packages_of_a_device() -> set[str]:
    """What the plain installation brings."""
    return {name_of(r) for r in PROJECT["dependencies"]}


def test_all_is_all_that_users_need():
    assert packages("all") == set().union(
        *(packages(e) for e in EXTRAS if e not in ("bench", "interop", "docs", "targets", "dev", "all"))
    )
