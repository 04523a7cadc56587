"""A run's results as tables and lines: the world's metrics, and the signalling overhead."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from airtoll.cli.output import table
from controller.config.schedule import EXECUTION_PHASES, TRAINING_PHASES, completed_slots
from controller.run_folder.distributions import PERCENTILES
from controller.run_folder.reader import Scalar
from protocol.messages.kinds import TRAINER_NAME, Kind
from protocol.messages.plan import PhasePlan

Tolls = Mapping[str, Mapping[str, int]]


LEARNING_PARTS = {"training (warmup and train)": TRAINING_PHASES, "execution (eval)": EXECUTION_PHASES}
_COUNTS = ("notes", "note_bytes", "payload_bits")


def metrics(summary: Mapping[str, Any], units: Mapping[str, str]) -> Table:
    """The means of the world's metrics over the eval phase."""
    made = table("metric", "mean over eval", "unit", title=f"{summary['world']}, {summary['scheme']}")
    made.columns[1].justify = "right"
    for name, unit in units.items():
        mean = summary["metrics"].get(name)
        made.add_row(name, "-" if mean is None else f"{mean:.6g}", "" if unit == "1" else unit)
    return made


def percentiles(summary: Mapping[str, Any], units: Mapping[str, str]) -> Table:
    """The percentiles of the world's distributions over the eval phase."""
    made = table("distribution", title="distributions over eval", right=(*PERCENTILES, "unit"))
    for name, unit in units.items():
        found = [summary["percentiles"].get(f"{name}_{of}") for of in PERCENTILES]
        made.add_row(name, *("-" if value is None else f"{value:.6g}" for value in found), unit)
    return made


def wire(totals: Mapping[str, int]) -> str:
    """One line: the bytes of the run's connections, and what they were for."""
    parts = ", ".join(f"{name} {totals[f'{name}_bytes']:,}" for name in ("note", "emulation", "framing"))
    undelivered = f"; undelivered at most {totals['undelivered_bytes']:,}" if totals["undelivered_bytes"] else ""
    return f"sockets carried {totals['socket_bytes']:,} bytes: {parts}{undelivered}"


def missed_turns(paced: Mapping[str, Any]) -> Table:
    """The nodes that missed turns of a paced run, most first, and all nodes together."""
    made = table("node", title="missed turns", right=("turns", "missed", "share of turns", "late replies"))
    turns, missed, late = paced["turns"], paced["missed"], paced["late"]
    for node in sorted(missed, key=missed.__getitem__, reverse=True):
        made.add_row(node, *_misses(turns[node], missed[node], late.get(node, 0)))
    made.add_section()
    made.add_row("all", *_misses(*(sum(counted.values()) for counted in (turns, missed, late))))
    return made


def paced(stats: Mapping[str, Any]) -> str:
    """One line: how long the slots were, and how late they began."""
    lasted, late = _spread(stats["length_ms"]), _spread(stats["lateness_ms"])
    priority = "" if stats["nice"] < 0 else "; the system did not let the channel server go before other processes"
    return f"slots of {stats['slot_ms']:g} ms lasted {lasted} ms; they began {late} ms late{priority}"


def toll(
    tolls: Tolls, *, by: str, slots: int, agents: int, replicas: int = 1, probes: int = 0, title: str = "toll"
) -> Table:
    """Notes, bytes and payload bits. Probes are airtime without notes.

    Bytes are per slot and agent; a row of one node's own notes is per slot. The share is of the payload bits, which
    the air is charged. With replicas, a caption says that bytes are those of all and bits those of one.
    """
    rate = "bytes/slot" if by == "node" else "bytes/slot/node"
    made = table(by, title=title, right=("notes", "bytes", "payload bits", rate, "share of bits"))
    if replicas > 1:
        made.caption = f"bytes of all {replicas:,} replicas, payload bits of one"
    bits, node_slots = _total(tolls, "payload_bits"), slots * (1 if by == "node" else agents)
    for name, counts in tolls.items():
        made.add_row(name, *_cells(counts, node_slots, bits))
    made.add_section()
    made.add_row("all", *_cells({key: _total(tolls, key) for key in _COUNTS}, node_slots, bits))
    if probes:
        made.add_row("probes", f"{probes:,}", "-", "-", "-", "-")
    return made


def delivery(by_kind: Mapping[str, Mapping[str, Any]]) -> Table:
    """How the signalling model delivered the notes. Ages are those of notes that arrived."""
    title = "delivery under the signalling model"
    made = table("kind", title=title, right=("attempts", "lost", "mean age, slots", "largest"))
    for kind, stats in by_kind.items():
        age = stats["mean_age_slots"]
        ages = ("-", "-") if age is None else (f"{age:.2f}", f"{stats['max_age_slots']:,}")
        made.add_row(kind, f"{stats['attempts']:,}", f"{stats['lost']:,}", *ages)
    return made


def toll_of_learning(
    by_phase: Mapping[str, Tolls],
    *,
    schedule: Sequence[PhasePlan],
    slots: int,
    agents: int,
    replicas: int = 1,
    probes: int = 0,
) -> Iterator[Table]:
    """The toll by kind of training and of execution, each over its own part of the first `slots` slots.

    Probes are not counted per phase: they are in the last table.
    """
    parts = [name for name, phases in LEARNING_PARTS.items() if not by_phase.keys().isdisjoint(phases)]
    for name in parts:
        own, tolls = (
            completed_slots(schedule, slots, of=LEARNING_PARTS[name]),
            _over_phases(by_phase, LEARNING_PARTS[name]),
        )
        title, below = f"toll of {name}, {own:,} slots", probes if name == parts[-1] else 0
        yield toll(tolls, by="kind", slots=own, agents=agents, replicas=replicas, probes=below, title=title)


def _over_phases(by_phase: Mapping[str, Tolls], phases: Iterable[str]) -> dict[str, dict[str, int]]:
    """The toll per kind of several phases together."""
    parts = [by_phase[phase] for phase in phases if phase in by_phase]
    kinds = [kind.name.lower() for kind in Kind]
    present = [kind for kind in kinds if any(kind in part for part in parts)]
    return {kind: {key: sum(part[kind][key] for part in parts if kind in part) for key in _COUNTS} for kind in present}


def weights(scalars: Iterable[Scalar]) -> str | None:
    """One line: the policy version that the trainer sent last. None for a run whose trainer sent no weights."""
    newest = {scalar.name: scalar.value for scalar in scalars if scalar.node == TRAINER_NAME}
    if "policy_version" not in newest:
        return None
    return f"weights: policy version {newest['policy_version']:,.0f} after {newest.get('updates', 0):,.0f} updates"


def _misses(turns: int, missed: int, late: int) -> Iterable[str]:
    return f"{turns:,}", f"{missed:,}", f"{missed / turns:.2%}" if turns else "-", f"{late:,}"


def _spread(times: Mapping[str, float]) -> str:
    return f"{times['mean']:.2f} (p50 {times['p50']:.2f}, p99 {times['p99']:.2f}, at most {times['max']:.2f})"


def _cells(counts: Mapping[str, int], node_slots: int, bits: int) -> Iterable[str]:
    yield from (f"{counts[key]:,}" for key in _COUNTS)
    yield f"{counts['note_bytes'] / node_slots:.4g}" if node_slots else "-"
    yield f"{counts['payload_bits'] / bits:.1%}" if bits else "-"


def _total(tolls: Tolls, key: str) -> int:
    return sum(counts[key] for counts in tolls.values())
