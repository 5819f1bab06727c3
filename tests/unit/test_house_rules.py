"""The house rules that no formatter knows: sizes, docstrings, and names that may not appear.

Every exception stands in a table here with its reason. The tables may only shrink.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "csrc", "tests", "examples", "benchmarks", "docs", "results", ".ci")
SPEAKS_TO_THE_USER = ("src/spikelet/cli/", "examples/", "benchmarks/", "tests/fuzz/")

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 450, 60, 8

LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
MANY_PARAMETERS: dict[str, str] = {}
BESIDE = {"tests/conftest.py": "the fixture that finds data beside the checkout, and skips without them"}
HOST_NAMES = {
    "LICENSE": "the licence's own text, word for word",
    "src/spikelet/export/c/ecosystems/arduino.py": "a library needs a url: the name that is kept for examples",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*suffixes: str, under: tuple[str, ...] = FOLDERS) -> list[Path]:
    """Our files with one of `suffixes`, generated folders left out."""
    found = [path for folder in under for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    return sorted(path for path in found if "__pycache__" not in path.parts and path.is_file())


def name(path: Path) -> str:
    """`path` as it is written from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def python() -> list[tuple[str, ast.Module]]:
    """Every Python file; parsed by the first rule that asks, not by whoever collects tests."""
    return [(name(path), ast.parse(path.read_text())) for path in files(".py")]


def source() -> list[tuple[str, ast.Module]]:
    """Those of the package."""
    return [(where, tree) for where, tree in python() if where.startswith("src/")]


@functools.cache
def by_kind(tree: ast.Module) -> dict[type, list[ast.AST]]:
    """The nodes of a file by their kind; a file is walked through once for all rules."""
    found: dict[type, list[ast.AST]] = {}
    for node in ast.walk(tree):
        found.setdefault(type(node), []).append(node)
    return found


def nodes(trees: list[tuple[str, ast.Module]], kind: type | tuple[type, ...]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of `kind` in `trees`, each with the file it stands in."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return ((where, node) for where, tree in trees for one in kinds for node in by_kind(tree).get(one, ()))


def functions() -> Iterator[tuple[str, Function]]:
    """Every Python function as ("file::name", node)."""
    for where, node in nodes(python(), (ast.FunctionDef, ast.AsyncFunctionDef)):
        assert isinstance(node, Function)
        yield f"{where}::{node.name}", node


def c_functions() -> Iterator[tuple[str, int]]:
    """Every C function as ("file::name", lines): from an unindented line that ends in `{` to an unindented `}`."""
    for path in files(".c", ".h"):
        start, title = 0, ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            head = re.match(r"[A-Za-z_].*?\b(\w+)\(", line)
            if head and not line.startswith("#"):
                start, title = number, head.group(1)
            elif line == "}" and title:
                yield f"{name(path)}::{title}", number - start + 1
                title = ""


def calls(trees: list[tuple[str, ast.Module]], *functions: str) -> list[str]:
    """Where one of `functions` (as written, dots included) is called."""
    found = ((where, node) for where, node in nodes(trees, ast.Call) if isinstance(node, ast.Call))
    return [f"{where}:{node.lineno}" for where, node in found if ast.unparse(node.func) in functions]


def longer_than(limit: int, lengths: Iterator[tuple[str, int]]) -> dict[str, int]:
    """Those of `lengths` above `limit`."""
    return {where: length for where, length in lengths if length > limit}


def unexplained(found: dict[str, int], exceptions: dict[str, str]) -> dict[str, int]:
    """What breaks a rule without a reason; an exception that is no longer needed fails too."""
    stale = exceptions.keys() - found.keys()
    assert not stale, f"no longer an exception, take it out of the table: {sorted(stale)}"
    return {where: value for where, value in found.items() if where not in exceptions}


def test_files_are_short():
    lengths = ((name(path), len(path.read_text().splitlines())) for path in files(".py", ".c", ".h"))
    assert unexplained(longer_than(MAX_FILE_LINES, lengths), LONG_FILES) == {}


def test_functions_are_short():
    lengths = ((where, (node.end_lineno or node.lineno) - node.lineno + 1) for where, node in functions())
    found = longer_than(MAX_FUNCTION_LINES, lengths) | longer_than(MAX_FUNCTION_LINES, c_functions())
    assert unexplained(found, LONG_FUNCTIONS) == {}


def test_functions_take_few_parameters():
    def parameters(node: Function) -> int:
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        return len([n for n in names if n not in ("self", "cls")])

    found = longer_than(MAX_PARAMETERS, ((where, parameters(node)) for where, node in functions()))
    assert unexplained(found, MANY_PARAMETERS) == {}


def test_every_module_says_what_it_is():
    assert [where for where, tree in python() if not ast.get_docstring(tree)] == []


def test_public_functions_and_classes_have_docstrings():
    public = (
        (f"{where}::{node.name}", node)
        for where, tree in source()
        for node in tree.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    )
    assert [where for where, node in public if not ast.get_docstring(node)] == []


def test_only_what_speaks_to_the_user_prints():
    quiet = [(where, tree) for where, tree in python() if not where.startswith(SPEAKS_TO_THE_USER)]
    assert calls(quiet, "print") == []


def test_nothing_is_global():
    assert [where for where, _ in nodes(python(), ast.Global)] == []


def test_no_star_import():
    found = ((where, node) for where, node in nodes(python(), ast.ImportFrom) if isinstance(node, ast.ImportFrom))
    assert [where for where, node in found if any(alias.name == "*" for alias in node.names)] == []


def test_nothing_is_evaluated_from_text():
    assert calls(python(), "eval", "exec", "builtins.eval", "builtins.exec") == []


def test_nothing_is_unpickled():
    unsafe = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    found = []
    for where, node in nodes(source(), (ast.Import, ast.ImportFrom)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        found += [f"{where}:{node.lineno}" for n in names if n.split(".")[0] in unsafe]
    assert found == []


def test_torch_load_takes_weights_only():
    found = ((where, node) for where, node in nodes(python(), ast.Call) if isinstance(node, ast.Call))
    loads = [(where, node) for where, node in found if ast.unparse(node.func) == "torch.load"]
    safe = {(where, node) for where, node in loads for k in node.keywords if ast.unparse(k) == "weights_only=True"}
    assert [f"{where}:{node.lineno}" for where, node in loads if (where, node) not in safe] == []


def test_numpy_load_takes_no_objects():
    found = ((where, node) for where, node in nodes(python(), ast.Call) if isinstance(node, ast.Call))
    assert [where for where, node in found if "allow_pickle=True" in map(ast.unparse, node.keywords)] == []


def test_no_exception_is_swallowed():
    found = ((where, node) for where, node in nodes(python(), ast.ExceptHandler) if isinstance(node, ast.ExceptHandler))
    silent = [(w, n) for w, n in found if all(isinstance(s, ast.Pass) for s in n.body)]
    broad = [(w, n) for w, n in silent if n.type is None or ast.unparse(n.type) in ("Exception", "BaseException")]
    assert [f"{where}:{node.lineno}" for where, node in broad] == []


def raised(trees: list[tuple[str, ast.Module]]) -> Iterator[tuple[str, str]]:
    """Where an exception is raised, and its name; a bare `raise` has none."""
    for where, node in nodes(trees, ast.Raise):
        assert isinstance(node, ast.Raise)
        if isinstance(node.exc, ast.Call):
            yield f"{where}:{node.lineno}", ast.unparse(node.exc.func)


def test_what_a_user_got_wrong_is_an_error_of_ours():
    """Python's own words for it are bases of ours (base/errors.py), so that one `except` catches everything."""
    pythons = {"ValueError", "TypeError", "FileNotFoundError", "FileExistsError", "IsADirectoryError", "ImportError"}
    assert [f"{where} {name}" for where, name in raised(source()) if name in pythons] == []


def text_files() -> list[Path]:
    """Everything we write by hand: sources, documents, configuration."""
    suffixes = (".py", ".c", ".h", ".md", ".toml", ".txt", ".yaml", ".cff", ".json", ".csv", "")
    at_root = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in suffixes and path.name != ".git"]
    return sorted([*files(*suffixes), *at_root])


@functools.cache
def texts() -> dict[str, str]:
    """What every text file holds, by its name."""
    return {name(path): path.read_text(errors="replace") for path in text_files()}


def lines_matching(pattern: str) -> dict[str, int]:
    """How many lines of each text file match `pattern`; files without one are left out."""
    counts = {where: len(re.findall(pattern, text)) for where, text in texts().items()}
    return {where: count for where, count in counts.items() if count}


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"])
def test_nothing_is_left_unfinished(word: str):
    assert lines_matching(rf"\b{word}\b") == {}


def test_sentences_begin_with_their_subject():
    """House style: no sentence begins with "Of", and nothing "is no number" or "are none"."""
    places = [*files(".py", ".c", ".h", under=("src", "csrc")), *files(".md", under=("docs",)), ROOT / "README.md"]
    pattern = r'(?:"""|^\s*(?:#|\*)?\s*|\. )Of [a-z]|\b(?<!there )(?:is|are) none\b|\bis no (?:number|tensor|leaf)\b'
    found = {name(p): re.findall(pattern, p.read_text(), re.MULTILINE) for p in places}
    assert {where: lines for where, lines in found.items() if lines} == {}


def test_no_path_of_one_machine():
    assert lines_matching("/" + r"(work|tmp|root|home)/") == {}


def test_no_path_beside_the_checkout():
    assert unexplained(lines_matching(r"\.\./" + "shared"), BESIDE) == {}


def test_no_name_of_an_internet_host():
    assert unexplained(lines_matching(r"\b(https?|ftp|git|ssh):" + "//"), HOST_NAMES) == {}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (lambda trees: calls(trees, "eval"), "eval('1')"),
        (lambda trees: calls(trees, "print"), "def f():\n    print(1)"),
        (lambda trees: [w for w, _ in nodes(trees, ast.Global)], "def f():\n    global x\n    x = 1"),
    ],
    ids=["eval", "print", "global"],
)
def test_a_broken_rule_is_seen(rule: Callable[[list[tuple[str, ast.Module]]], list], text: str):
    assert len(rule([("bad.py", ast.parse(text))])) == 1
    assert rule([("good.py", ast.parse("model.eval()\nlog.print_table(1)"))]) == []
