"""A run's results as tables: what the radio did, and what it cost to tell."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


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


def toll(tolls: Mapping[str, Mapping[str, int]], *, by: str, slots: int, agents: int, probes: int = 0) -> Table:
    """Notes, bytes and bits; the share is of the bits the air was charged. Probes are airtime without notes.

    Bytes are per slot and agent, but where a row is a node's own: there per slot.
    """
    table = Table(title="toll", box=SIMPLE_HEAD, title_justify="left")
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


_KEYS = ("notes", "note_bytes", "payload_bits")


def _cells(told: Mapping[str, int], node_slots: int, bits: int) -> Iterable[str]:
    yield from (f"{told[key]:,}" for key in _KEYS)
    yield f"{told['note_bytes'] / node_slots:.4g}" if node_slots else "-"
    yield f"{told['payload_bits'] / bits:.1%}" if bits else "-"


def _total(tolls: Mapping[str, Mapping[str, int]], key: str) -> int:
    return sum(told[key] for told in tolls.values())
