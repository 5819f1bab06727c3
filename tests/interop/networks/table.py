"""The 47 networks, others as users write them, and the table of docs/other_networks.md that is made of them.

python -m tests.interop.networks.table writes the table anew.
"""

from __future__ import annotations

from pathlib import Path

from tests.interop.networks.classes import CLASSES
from tests.interop.networks.elements import ELEMENTS
from tests.interop.networks.examples import EXAMPLES
from tests.interop.networks.functions import FUNCTIONS
from tests.interop.networks.habits import HABITS
from tests.interop.networks.in_code import IN_CODE
from tests.interop.networks.loops import LOOPS
from tests.interop.networks.network import Network
from tests.interop.networks.strangers import STRANGERS
from tests.interop.networks.tutorials import TUTORIALS
from tests.interop.networks.written import WRITTEN
from tests.interop.networks.zoo import ZOO

READY_MADE: dict[str, tuple[Network, ...]] = {
    "SpikingJelly 2.0, model zoo": ZOO,
    "SpikingJelly, example scripts": EXAMPLES,
    "snnTorch, tutorials": TUTORIALS,
}
USERS = WRITTEN + LOOPS + FUNCTIONS + CLASSES + ELEMENTS + STRANGERS + HABITS + IN_CODE
SETS = READY_MADE | {"As users write them": USERS}
NETWORKS: dict[str, Network] = {network.name: network for networks in SETS.values() for network in networks}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "other_networks.md"
BEGIN, END = "<!-- tests/interop/networks/table.py writes this -->", "<!-- end of the table -->"


def table() -> str:
    """Networks by source, and what becomes of each."""
    known = [network for networks in READY_MADE.values() for network in networks]
    goes = sum(not network.refused for network in known)
    lines = [f"{goes} of the 47 go as they stand.", ""]
    for source, networks in SETS.items():
        count = sum(not network.refused for network in networks)
        lines += [
            f"## {source}: {count} of {len(networks)}",
            "",
            "| network | built as | outcome |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {n.name} | {n.size} | {f'refused: {n.why}' if n.refused else 'goes'} |" for n in networks]
        lines.append("")
    return "\n".join(lines)


def page() -> str:
    """The page with today's table."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page())
