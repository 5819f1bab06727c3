"""The command `spikelet`: words in, tables out. `spikelet --help` is its manual.

    app.py          the commands, their options and their help: everything a user types
    the others      one command's work each, imported when that command runs

So `--help` loads no more than it needs, and a missing library is only missed by the command that wants it.
"""

from __future__ import annotations


def main() -> None:
    """Runs the command line; the console script `spikelet` and `python -m spikelet` call this."""
    from spikelet.cli.app import app

    app(prog_name="spikelet")
