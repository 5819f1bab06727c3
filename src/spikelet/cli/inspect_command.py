"""`spikelet inspect`: its options and its help. The work is done in inspecting.py."""

from __future__ import annotations

import click

from spikelet.cli.answers import give, json_option
from spikelet.cli.commands import Command
from spikelet.cli.limits import limits
from spikelet.cli.offered import shipped
from spikelet.cli.options import Name


@click.command(cls=Command)
@click.argument("model", type=Name(shipped))
@json_option
@limits
def inspect(model: str, as_json: bool) -> None:
    """Show what a packed file holds.

    MODEL is a packed file or the name of a shipped model. The first table shows every node: operation, inputs, output
    shape, weights, bits, bytes and operations of one time step. Below stand the bytes by part, the classes and the
    file's own words about its origin.

    \b
    Example:
      spikelet inspect qsnn-vgg-s-cifar10
    """
    from spikelet.cli.inspecting import inspect as work

    give(work(model), as_json)
