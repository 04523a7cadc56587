"""A run's results as tables: what the radio did, and what it cost to tell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from controller.config.schedule import played
from controller.run_folder.folder import TOLD, Scalar
from protocol.messages.kinds import TRAINER_NAME, Kind
from protocol.messages.plan import PhasePlan

Tolls = Mapping[str, Mapping[str, int]]


def radio(summary: Mapping[str, Any], units: Mapping[str, str]) -> Table:
    """The means of the world's metrics over the eval phase."""
    table = Table(title=f"{summary['world']}, {summary['scheme']}", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("metric")
    table.add_column("mean over eval", justify="right")
    table.add_column("unit")
    for name, unit in units.items():
        mean = summary["metrics"].get(name)
        table.add_row(name, "-" if mean is None else f"{mean:.6g}", "" if unit == "1" else unit)
    return table


def wire(totals: Mapping[str, int]) -> str:
    """One line: what the connections carried, and for what."""
    parts = ", ".join(f"{name} {totals[f'{name}_bytes']:,}" for name in ("note", "emulation", "framing"))
    undelivered = f"; undelivered at most {totals['undelivered_bytes']:,}" if totals["undelivered_bytes"] else ""
    return f"on the wires {totals['socket_bytes']:,} bytes: {parts}{undelivered}"


def missed_turns(paced: Mapping[str, Any]) -> Table:
    """The nodes that missed turns of a paced run, most first, and all nodes together."""
    table = Table(title="missed turns", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("node")
    for heading in ("turns", "missed", "share", "late answers"):
        table.add_column(heading, justify="right")
    turns, missed, late = paced["turns"], paced["missed"], paced["late"]
    for node in sorted(missed, key=missed.__getitem__, reverse=True):
        table.add_row(node, *_misses(turns[node], missed[node], late.get(node, 0)))
    table.add_section()
    table.add_row("all", *_misses(*(sum(counted.values()) for counted in (turns, missed, late))))
    return table


def paced(told: Mapping[str, Any]) -> str:
    """One line: how long the slots were, and how late they began."""
    lasted, late = _spread(told["length_ms"]), _spread(told["lateness_ms"])
    return f"slots of {told['slot_ms']:g} ms lasted {lasted} ms; they began {late} ms late"


def toll(tolls: Tolls, *, by: str, slots: int, agents: int, probes: int = 0, title: str = "toll") -> Table:
    """Notes, bytes and bits; the share is of the bits the air was charged. Probes are airtime without notes.

    Bytes are per slot and agent, but where a row is a node's own: there per slot.
    """
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column(by)
    rate = "bytes/slot" if by == "node" else "bytes/slot/node"
    for heading in ("notes", "bytes", "payload bits", rate, "share"):
        table.add_column(heading, justify="right")
    bits, node_slots = _total(tolls, "payload_bits"), slots * (1 if by == "node" else agents)
    for name, told in tolls.items():
        table.add_row(name, *_cells(told, node_slots, bits))
    table.add_section()
    table.add_row("all", *_cells({key: _total(tolls, key) for key in _KEYS}, node_slots, bits))
    if probes:
        table.add_row("probes", f"{probes:,}", "-", "-", "-", "-")
    return table


def fates(by_kind: Mapping[str, Mapping[str, Any]]) -> Table:
    """What became of the notes under the run's signalling model. Ages are those of notes that arrived."""
    table = Table(title="under the signalling model", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("kind")
    for heading in ("attempts", "lost", "mean age, slots", "largest"):
        table.add_column(heading, justify="right")
    for kind, fate in by_kind.items():
        age = fate["mean_age_slots"]
        largest = "-" if age is None else f"{fate['largest_age_slots']:,}"
        table.add_row(kind, f"{fate['attempts']:,}", f"{fate['lost']:,}", "-" if age is None else f"{age:.2f}", largest)
    return table


def toll_of_learning(
    by_phase: Mapping[str, Tolls], *, schedule: Sequence[PhasePlan], slots: int, agents: int, probes: int = 0
) -> Iterator[Table]:
    """The toll by kind of training and of execution, each over its own slots of the `slots` that were played.

    Probes are not booked by phase: they stand below the last.
    """
    parts = [name for name, phases in _PARTS.items() if not by_phase.keys().isdisjoint(phases)]
    for name in parts:
        own, tolls = played(schedule, slots, of=_PARTS[name]), over_phases(by_phase, _PARTS[name])
        title, below = f"toll of {name}, {own:,} slots", probes if name == parts[-1] else 0
        yield toll(tolls, by="kind", slots=own, agents=agents, probes=below, title=title)


def over_phases(by_phase: Mapping[str, Tolls], phases: Iterable[str]) -> dict[str, dict[str, int]]:
    """The toll per kind of several phases together."""
    parts = [by_phase[phase] for phase in phases if phase in by_phase]
    kinds = [kind.name.lower() for kind in Kind]
    present = [kind for kind in kinds if any(kind in part for part in parts)]
    return {kind: {key: sum(part[kind][key] for part in parts if kind in part) for key in TOLD} for kind in present}


def weights(scalars: Iterable[Scalar]) -> str | None:
    """One line: which weights the agents had in the end. None for a run whose trainer told none."""
    newest = {scalar.name: scalar.value for scalar in scalars if scalar.node == TRAINER_NAME}
    if "policy_version" not in newest:
        return None
    return f"policy: version {newest['policy_version']:,.0f} after {newest.get('updates', 0):,.0f} updates"


_PARTS = {"training (warmup and train)": ("warmup", "train"), "execution (eval)": ("eval",)}
_KEYS = ("notes", "note_bytes", "payload_bits")


def _misses(turns: int, missed: int, late: int) -> Iterable[str]:
    return f"{turns:,}", f"{missed:,}", f"{missed / turns:.2%}" if turns else "-", f"{late:,}"


def _spread(times: Mapping[str, float]) -> str:
    return f"{times['mean']:.2f} (p50 {times['p50']:.2f}, p99 {times['p99']:.2f}, at most {times['max']:.2f})"


def _cells(told: Mapping[str, int], node_slots: int, bits: int) -> Iterable[str]:
    yield from (f"{told[key]:,}" for key in _KEYS)
    yield f"{told['note_bytes'] / node_slots:.4g}" if node_slots else "-"
    yield f"{told['payload_bits'] / bits:.1%}" if bits else "-"


def _total(tolls: Tolls, key: str) -> int:
    return sum(told[key] for told in tolls.values())
