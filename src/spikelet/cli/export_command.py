"""`spikelet export`: its options and its help. The work is done in exporting.py."""

from __future__ import annotations

from typing import Any

import click

from spikelet.cli.answers import give, json_option
from spikelet.cli.commands import Command
from spikelet.cli.limits import limits
from spikelet.cli.offered import ecosystems, shipped
from spikelet.cli.options import ExportOptions, Name, PathName, Size


@click.command(cls=Command)
@click.argument("model", type=Name(shipped))
@click.option(
    "--to",
    type=Name(ecosystems),
    default="c",
    show_default=True,
    help="c (a Makefile), arduino, platformio, zephyr, esp-idf or micropython.",
)
@click.option("--out", type=PathName(), metavar="DIR", help="The folder to write, new or empty.")
@click.option(
    "--name", type=Name(), default="model", show_default=True, help="What its functions are called: NAME_run and so on."
)
@click.option("--flash", type=Size(), metavar="SIZE", help="Flash of the device: 256Ki, 1M or 262144.")
@click.option("--ram", type=Size(), metavar="SIZE", help="RAM of the device that the network may take, with its stack.")
@click.option("--dry-run", is_flag=True, help="Print what it would take, and write nothing.")
@click.option(
    "--input", type=Name(), metavar="FILE", help="A picture, sound or array to count instructions on. Default: noise."
)
@json_option
@limits
def export(model: str, as_json: bool, **options: Any) -> None:
    """Write a network as C for a microcontroller.

    MODEL is a packed file, the name of a shipped model, or a run folder, which is lowered first. DIR becomes a project
    of its own: constant arrays, kernels and straight calls in C99, which needs no library, no allocation and no
    floating point, and computes exactly the integers that `spikelet run` computes. `make check` in it compares them
    on this machine. With --to it becomes a library of another ecosystem instead, with an example that makes the same
    comparison on the board. The table shows flash, RAM, stack and synaptic operations, and with the extra
    `targets` installed the instructions that a run takes on an emulated Cortex-M4. A network that --flash or --ram does
    not hold is refused, and nothing is written.

    \b
    Example:
      spikelet export qsnn-vgg-s-nmnist --to c --out nmnist-c --flash 256Ki --ram 96Ki
      make -C nmnist-c check
    """
    from spikelet.cli.exporting import export as work

    give(work(model, ExportOptions(**options)), as_json)
