"""A plan in a file beside its model: JSON of one spelling, checked against the graph and never trusted.

    save_plan(program.plan(still=True), "model.plan.json")
    plan = load_plan("model.plan.json", graph)
    program = Program(graph, kernels=plan.kernels, choices=plan.choices)

A plan's arrays follow from the graph and its operations from the graph and a few choices. So a file is read for its
choices, the plan is made anew from them, and whatever the file says otherwise refuses it: a kernel never runs with a
number that a file alone vouches for. docs/spec/plan.md describes the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from spikelet.base import strict_json
from spikelet.base.errors import ArtifactError, GraphError
from spikelet.base.files import atomic_write
from spikelet.base.paths import path_of
from spikelet.base.regular import read_regular
from spikelet.base.strict_json import canonical, shown
from spikelet.graph import ir
from spikelet.graph.analysis import analyse, reads_later_nodes
from spikelet.graph.fingerprint import fingerprint
from spikelet.runtime.plan.carried import Carried
from spikelet.runtime.plan.choices import checked
from spikelet.runtime.plan.constants import Packed
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.make import RESULTS, first_result, make_plan
from spikelet.runtime.plan.plan import VERSION, Plan, Wanted
from spikelet.runtime.plan.planner import Subject
from spikelet.runtime.plan.sets import SETS, set_called

MAX_BYTES = 2**26  # of a file: some hundred thousand operations
_FIELDS = {
    "plan", "graph", "kernels", "result", "steps", "still", "carried", "operations", "constants", "scratch_bytes",
    "arena_bytes", "state_bytes", "state", "exports", "calls",
}  # fmt: skip
_OTHERWISE = "Save it anew: spikelet.runtime.save_plan(plan_of(graph, ...), path)."


def save_plan(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Writes `plan` to `path`: the same bytes for the same plan, on every machine.

    Raises:
        GraphError: `plan` is no plan.
        ArtifactError: a node's name is no valid Unicode.
        OSError: the file can't be written; it is then what it was before.
    """
    if not isinstance(plan, Plan):
        raise GraphError(f"plan must be a Plan, as Program.plan gives it, got {type(plan).__name__}.")
    for operation in plan.operations:
        strict_json.string(operation.node, "plan: the name of a node")
    with atomic_write(path) as file:
        file.write(canonical(plan.to_json()).encode() + b"\n")


def load_plan(path: str | os.PathLike[str], graph: ir.IntGraph) -> Plan:
    """The plan in the file `path`, made anew for `graph` and equal to it in every number.

    Raises:
        ArtifactError: the file is no plan, was made for another graph or by another version, or was changed by hand
            beyond what can be chosen; names the first place that differs.
        GraphError: `graph` has no meaning, or a kernel in the file can't run its node.
        FileRefused, OSError: the file can't be read.
    """
    file, edges = path_of(path, "path"), analyse(graph)
    said, ours = _read(file, path), fingerprint(graph)
    if said["graph"] != ours:
        raise ArtifactError(
            f"{path}: is the plan of the graph {shown(said['graph'])}, not of this one ({ours!r}). "
            "Load the model that it was saved beside, or plan this one anew."
        )
    subject = Subject(graph, edges, Packed(), checked(graph, _choices(said["operations"], f"{path}: operations")))
    wanted, carried = Wanted(said["result"], said["steps"], said["still"]), Carried() if said["carried"] else None
    _check_wanted(subject, wanted, str(path), carried=carried is not None)
    made = make_plan(subject, set_called(said["kernels"]), wanted, carried)
    difference = _difference(said, strict_json.strict(canonical(made.to_json()), "the plan"), "")
    if difference:
        raise ArtifactError(
            f"{path}: {difference}. The file was changed by hand or made by another version. {_OTHERWISE}"
        )
    return made


def _check_wanted(subject: Subject, wanted: Wanted, path: str, *, carried: bool) -> None:
    """Raises ArtifactError unless the graph has a plan for so many steps, and for such a result."""
    graph = subject.graph
    if wanted.result == "logits" and first_result(graph, subject.edges) != "logits":
        raise ArtifactError(f"{path}: result: 'logits' have a time axis in this graph. {_OTHERWISE}")
    loop, most = reads_later_nodes(graph), graph.time_steps
    allowed = range(1, 2 if loop else most + 1) if carried else range(most, most + (not loop))
    if wanted.steps not in allowed:
        raise ArtifactError(
            f"{path}: steps: this graph has no plan of {wanted.steps} step(s) {'with' if carried else 'without'} a "
            f"state. {_OTHERWISE}"
        )


def _read(file: Path, path: str | os.PathLike[str]) -> dict[str, Any]:
    """The file's fields, those that a plan is made from checked."""
    try:
        text = read_regular(file, MAX_BYTES).decode()
    except UnicodeDecodeError:
        raise ArtifactError(f"{path}: is no plan: not text in UTF-8.") from None
    value = strict_json.strict(text, str(path))
    version = value.get("plan") if isinstance(value, dict) else None
    if version != VERSION or type(version) is not int:
        raise ArtifactError(f"{path}: plan: must be {VERSION}, the version of a saved plan, got {shown(version)}.")
    said = strict_json.fields(value, _FIELDS, str(path))
    for name, allowed in (("kernels", SETS), ("result", RESULTS)):
        if not isinstance(said[name], str) or said[name] not in allowed:
            raise ArtifactError(f"{path}: {name}: must be one of {', '.join(allowed)}, got {shown(said[name])}.")
    for name in ("still", "carried"):
        if not isinstance(said[name], bool):
            raise ArtifactError(f"{path}: {name}: must be true or false, got {shown(said[name])}.")
    strict_json.integer(said["steps"], f"{path}: steps", 1)
    return said


def _choices(operations: Any, what: str) -> dict[str, Kind | str]:
    """The kernels of operations that name several."""
    if not isinstance(operations, list):
        raise ArtifactError(f"{what}: must be a list, got {shown(operations)}.")
    found: dict[str, Kind | str] = {}
    for i, operation in enumerate(operations):
        if isinstance(operation, dict) and operation.get("candidates"):
            node = strict_json.string(operation.get("node"), f"{what}[{i}].node")
            found[node] = strict_json.string(operation.get("kind"), f"{what}[{i}].kind")
    return found


def _difference(file: Any, made: Any, where: str) -> str:
    """The first place at which the file says otherwise than the plan made anew; "" where there is none."""
    if isinstance(file, dict) and isinstance(made, dict):
        for name in sorted(file.keys() | made.keys()):
            if name not in file or name not in made:
                return f"{where}{name} is {'missing' if name in made else 'not part of the plan'}"
            if found := _difference(file[name], made[name], f"{where}{name}."):
                return found
        return ""
    if isinstance(file, list) and isinstance(made, list) and len(file) == len(made):
        pairs = enumerate(zip(file, made, strict=True))
        return next((found for i, (a, b) in pairs if (found := _difference(a, b, f"{where}{i}."))), "")
    same = type(file) is type(made) and file == made
    return "" if same else f"{where.rstrip('.')} is {shown(file)}, and {shown(made)} in the plan made anew"
