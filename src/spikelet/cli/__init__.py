"""The command `spikelet`: words in, tables out. `spikelet --help` is its manual.

    app.py          the commands, their options and their help: everything a user types
    the others      one command's work each, imported when that command runs

So `--help` loads no more than it needs, and a missing library is only missed by the command that wants it.
"""

from __future__ import annotations

import sys

from spikelet.cli.stopped import EXIT_STOPPED


def main() -> None:
    """Runs the command line; the console script `spikelet` and `python -m spikelet` call this."""
    try:
        from spikelet.cli.app import app
    except KeyboardInterrupt:  # commands.py says it once it is there
        sys.stderr.write("error: stopped.\n")
        raise SystemExit(EXIT_STOPPED) from None
    app(prog_name="spikelet")
