"""Optional libraries: one import, one error, and nobody who catches a missing one by hand."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import spikelet
from spikelet.base.errors import MissingLibrary
from spikelet.base.optional import need
from spikelet.fitting.picture import require_matplotlib
from spikelet.fitting.search import require_optuna

SRC = Path(spikelet.__file__).parent


def test_a_library_that_is_there_is_returned():
    assert need("json.decoder", package="json", extra="x", what="this").__name__ == "json.decoder"


def test_a_missing_library_names_who_needs_it_and_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "nothing", None)
    with pytest.raises(MissingLibrary) as raised:
        need("nothing.at_all", package="Nothing", extra="some", what="the test")
    assert str(raised.value) == "the test needs Nothing. Install it with: pip install 'spikelet[some]'"
    assert isinstance(raised.value, ImportError)


def test_a_library_that_lacks_something_of_its_own_keeps_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_library.py").write_text("import its_missing_part")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="its_missing_part"):
        need("broken_library", package="Broken", extra="some", what="the test")


@pytest.mark.parametrize(
    ("module", "require", "message"),
    [
        ("optuna", require_optuna, r"fitting needs optuna\. Install it with: pip install 'spikelet\[fit\]'"),
        ("matplotlib", require_matplotlib, r"the picture needs matplotlib\. .* 'spikelet\[fit\]'"),
    ],
)
def test_fitting_names_its_libraries(module: str, require: object, message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingLibrary, match=message):
        require()  # type: ignore[operator]


def test_nobody_else_catches_a_missing_library():
    catches = [
        f"{path.relative_to(SRC)}:{handler.lineno}"
        for path in sorted(SRC.rglob("*.py"))
        for handler in ast.walk(ast.parse(path.read_text()))
        if isinstance(handler, ast.ExceptHandler) and handler.type is not None
        if {"ImportError", "ModuleNotFoundError"} & {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
    ]
    assert [where.rpartition(":")[0] for where in catches] == ["base/optional.py"], catches
