"""The git commit that a result was made from.

A repository's configuration can name programs that git runs: a file system monitor, hooks, filters of contents, a
transport for objects that are missing. None is run here: git lists what it has recorded (`rev-parse`, `ls-files`,
`ls-tree`), with all of these off, and the contents of files are hashed and compared by us.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PATIENCE_S = 20.0
OFF = ("core.fsmonitor=false", "core.hooksPath=" + os.devnull, "core.untrackedCache=false")
ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # older gits, which fetch missing objects all the same, find no transport to do so
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
FILE, LINK = "100", "120000"  # the modes of files begin so; a link's

Listed = dict[str, tuple[str, str]]  # mode and object by path


def commit_of(files: Sequence[Path]) -> str:
    """The commit of the checkout that holds `files`, files or folders, with a plus sign where one of them differs.

    The first must be known to git: "" otherwise, as in an installed package, or where git is missing.
    """
    here = files[0].absolute()
    folder = here if here.is_dir() else here.parent
    if not _git(folder, "ls-files", "--", str(here)):
        return ""
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    top = _git(folder, "rev-parse", "--show-toplevel")
    if not head or not top:
        return ""
    return f"{head.strip()}{'' if _is_as_committed(Path(top.rstrip(os.linesep)), files) else '+'}"


def _is_as_committed(top: Path, files: Sequence[Path]) -> bool:
    """Whether the index holds what the commit does, each file is as the index says, and no file is new."""
    paths = ("--", *(str(path.absolute()) for path in files))
    committed = _git(top, "ls-tree", "-r", "-z", "--full-tree", "HEAD", "--", *_from(top, files))
    indexed = _git(top, "ls-files", "-s", "-z", *paths)
    new = _git(top, "ls-files", "--others", "--exclude-standard", "-z", *paths)
    if committed is None or indexed is None or new is None or new:
        return False
    recorded = _listed(committed)
    return recorded == _listed(indexed) and all(_is_unchanged(top / path, *recorded[path]) for path in recorded)


def _from(top: Path, files: Sequence[Path]) -> list[str]:
    """`files` as git writes them, from the top of the checkout; "." is the top itself."""
    return [Path(os.path.relpath(path.resolve(), top.resolve())).as_posix() for path in files]


def _listed(text: str) -> Listed:
    """The lines `mode [type] object [stage]<TAB>path` of ls-tree and ls-files."""
    found: Listed = {}
    for line in text.split("\0")[:-1]:
        head, _, path = line.partition("\t")
        mode, *rest = head.split(" ")
        found[path] = mode, next(word for word in rest if len(word) >= 40)
    return found


def _is_unchanged(path: Path, mode: str, name: str) -> bool:
    """Whether the file's contents have the object's name, with line ends as they are or as git keeps them."""
    try:
        if mode == LINK:
            target = os.readlink(path)  # noqa: PTH115 (a Path would write it otherwise)
            return _name_of(os.fsencode(target), name) == name
        if not mode.startswith(FILE):
            return True  # a repository within, which has a commit of its own
        if path.is_symlink() or not path.is_file():
            return False
        data = path.read_bytes()
    except OSError:
        return False
    return name in (_name_of(data, name), _name_of(data.replace(b"\r\n", b"\n"), name))


def _name_of(data: bytes, like: str) -> str:
    """The name of the blob `data`, of the same hash as the name `like`."""
    make = hashlib.sha1 if len(like) == 40 else hashlib.sha256
    return make(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where git is missing, refuses, or takes too long."""
    git = shutil.which("git")
    if git is None:
        return None
    words = [git, "--no-pager", *(word for setting in OFF for word in ("-c", setting)), *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            words, cwd=folder, env={**own, **ENVIRONMENT}, stdin=subprocess.DEVNULL, capture_output=True,
            check=True, timeout=PATIENCE_S,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(done.stdout)
