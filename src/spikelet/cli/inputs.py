"""What the words of a command name as its inputs.

a.png  b.npy  c.npz    one file
d.wav                  a sound, for a network that was trained on sounds
scans                  a folder: every picture and array in it and below, by name, and sounds in the place of pictures
                       where the network hears; hidden files are passed over
'scans/*.png'          a pattern, for shells that leave it as it is; ** goes through folders
-                      the standard input: one picture or sound, or one file of arrays
"""

from __future__ import annotations

import dataclasses
import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from spikelet.base.errors import NoSuchFile, SpikeletError
from spikelet.base.picture import MAX_FILE_BYTES, endings
from spikelet.base.sound import ENDINGS as SOUNDS
from spikelet.cli.errors import naming
from spikelet.cli.printing import hint

STDIN = "-"
ARRAYS = (".npy", ".npz")


@dataclasses.dataclass(frozen=True)
class Source:
    """A file by its path, or the bytes that came in its place; `name` is what was typed or found."""

    name: str
    content: Path | bytes


def sources_of(words: Sequence[str], *, hears: bool = False) -> list[Source]:
    """The inputs that `words` name, in their order; of folders the sounds where the network `hears`.

    Raises:
        FileNotFoundError, OSError: there is no such file; nothing matches a pattern; or it may not be looked at.
        SpikeletError: a folder holds nothing that the network takes, or nothing comes from the standard input.
    """
    found: list[Source] = []
    for word in words:
        with naming(word):
            found += [_stdin()] if word == STDIN else _named(word, hears)
    return found


def _named(word: str, hears: bool) -> Iterator[Source]:
    path = Path(word)
    if os.path.lexists(path):
        yield from _in_folder(path, hears) if path.is_dir() else [Source(word, path)]
        return
    if not glob.has_magic(word):
        raise NoSuchFile(f"there is no file {word}.")
    matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 (pathlib's takes no absolute pattern)
    if not matches:
        raise NoSuchFile(f"nothing matches {word}, and there is no file of this name.")
    for match in map(Path, matches):
        if not match.is_dir():
            yield Source(str(match), match)
        elif "**" not in word:  # which gives a folder's files by themselves
            yield from _in_folder(match, hears)


def _in_folder(folder: Path, hears: bool) -> list[Source]:
    kind, ends = ("sounds", {*SOUNDS, *ARRAYS}) if hears else ("pictures", {*endings(), *ARRAYS})
    files = sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names if name[0] != ".")
    taken = [path for path in files if path.suffix.casefold() in ends]
    if not taken:
        raise SpikeletError(f"{folder} is a folder without {kind} and without .npy or .npz files. Give another one.")
    if others := [path for path in files if path.suffix.casefold() not in ends]:
        hint(
            f"{folder}: {len(others):,} of {len(files):,} files are neither {kind} nor arrays, such as "
            f"{others[0].name!r}."
        )
    return [Source(str(path), path) for path in taken]


def _stdin() -> Source:
    if sys.stdin is None or sys.stdin.isatty():
        raise SpikeletError(
            f"{STDIN} reads a picture, a sound or an array from the standard input, and nothing is sent there."
        )
    content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if not content:
        raise SpikeletError(f"{STDIN} reads a picture, a sound or an array from the standard input, which was empty.")
    if len(content) > MAX_FILE_BYTES:
        raise SpikeletError(f"{STDIN}: the standard input gave more than the {MAX_FILE_BYTES} bytes that are read.")
    return Source(STDIN, content)
