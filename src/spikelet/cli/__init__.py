"""The command `spikelet`: words in, tables out. `spikelet --help` is its manual.

    app.py          the commands, their options and their help: everything a user types
    the others      one command's work each, imported when that command runs

So `--help` loads no more than it needs, and a missing library is only missed by the command that wants it.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; the console script `spikelet` and `python -m spikelet` call this."""
    try:
        from spikelet.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write(f"error: the command line needs {error.name}. Install it with: pip install 'spikelet[cli]'\n")
        raise SystemExit(2) from error
    app(prog_name="spikelet")
