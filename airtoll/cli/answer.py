"""A run's answer: what `airtoll show` prints, and `airtoll watch` in the end.

Metrics per phase, the baselines, the overhead of training and of execution, and warnings. It reads the same keys of a
summary.json and of a controller's answer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from airtoll.analysis.baselines import comparison
from airtoll.cli import output
from airtoll.cli.output import table
from controller.config.layers import from_file
from controller.run_folder.files import DamagedFileError
from controller.run_folder.reader import RunFolder
from controller.run_folder.status import FINAL_STATES, RunStatus
from controller.run_folder.summary import summarise

_WIDE = 100  # columns from which the comparison shows more metrics than the reward


def answer_of(folder: RunFolder) -> dict[str, Any]:
    """The answer of a run in a folder, finished or not, from its files alone: its summary as of now, and `state`,
    `reason`, `slot` and `slots` as a controller gives them. DamagedFileError."""
    stored = {} if not (folder.path / "summary.json").exists() else folder.summary
    summary, meta = summarise(folder), folder.meta
    last = summary["phases"][-1]["last"] + 1 if summary["phases"] else 0
    state, status = meta.state, RunStatus.read(folder.path)
    if status is not None and status.state not in FINAL_STATES:  # its baselines may be running
        state, last = status.state, status.slot
    live = "" if status is None or status.state in FINAL_STATES else status.waiting
    planned = {"slot": meta.slots or last, "slots": meta.planned_slots}
    known = {"state": state.value, "reason": meta.reason or live, "comparison": stored.get("comparison", [])}
    return summary | known | planned | {"folder": str(folder.path)}


def print_answer(answer: Mapping[str, Any]) -> None:
    """All of it; nothing but warnings of a run that has no results yet."""
    if answer["phases"]:
        tables = [phases(answer)]
        if answer["comparison"]:
            tables.append(comparison(answer["comparison"], metrics=2 if output.width() >= _WIDE else 0))
        output.print_tables(*tables, overhead(answer["overhead"]))
    for warning in answer["warnings"]:
        typer.echo(f"warning: {warning}")


def phases(answer: Mapping[str, Any]) -> Table:
    """The mean of each metric over each phase, of its last round."""
    last = {phase["phase"]: phase for phase in answer["phases"]}
    rounds = max(phase["round"] for phase in last.values())
    title = "means over each phase" + (f", of round {rounds}" if rounds > 1 else "")
    made = table("metric", "unit", title=title, right=list(last))
    for name, unit in answer["units"].items():
        means = (phase["metrics"].get(name) for phase in last.values())
        made.add_row(name, "" if unit == "1" else unit, *("-" if mean is None else f"{mean:.6g}" for mean in means))
    return made


def overhead(parts: Mapping[str, Any]) -> Table:
    """The bytes of notes by kind: of training, and of execution, each also per slot and node."""
    training, execution = parts["training"], parts["execution"]
    slots = f"{training['slots']:,} slots of training, {execution['slots']:,} of execution"
    title = f"bytes of notes in {slots}"
    # the second rate has another name, as `right` goes by names
    made = table("kind", title=title, right=["training", "/slot/node", "execution", "/slot/node "])
    for kind in dict.fromkeys([*training["kinds"], *execution["kinds"]]):
        made.add_row(kind, *_kind(training, kind), *_kind(execution, kind))
    made.add_section()
    made.add_row("all", *_total(training), *_total(execution))
    if training["late_bytes"]:
        made.caption = f"training includes {training['late_bytes']:,} bytes of its last notes, sent in eval"
    return made


def baselines_left(folder: RunFolder, answer: Mapping[str, Any]) -> str:
    """Which of the run's baselines are missing, of a run that was to have some; empty if none is."""
    wanted = from_file(folder.config_file).data.get("baselines") or []
    if not wanted or answer["comparison"]:
        return ""
    done = sum(_has_ended(path) for path in (folder.path / "baselines").glob("*"))
    return f"baselines: {done} of {len(wanted)} have ended; the table that compares comes after the last"


def _has_ended(path: Path) -> bool:
    try:
        return RunFolder(path).meta.state in FINAL_STATES
    except DamagedFileError:  # it is being created
        return False


def _kind(part: Mapping[str, Any], kind: str) -> tuple[str, str]:
    counts = part["kinds"].get(kind)
    if counts is None:
        return "-", "-"
    rate, total = part["bytes_per_slot_per_node"], part["note_bytes"]
    return (
        f"{counts['note_bytes']:,}",
        "-" if rate is None or not total else f"{rate * counts['note_bytes'] / total:.4g}",
    )


def _total(part: Mapping[str, Any]) -> tuple[str, str]:
    rate = part["bytes_per_slot_per_node"]
    return f"{part['note_bytes']:,}", "-" if rate is None else f"{rate:.4g}"
