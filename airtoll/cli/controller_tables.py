"""A controller's answers as tables and lines."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.table import Table

from airtoll.cli.output import pairs_table, table

Objects = list[dict[str, Any]]


def runs(runs: Objects) -> Table:
    """One line per run; a column of reasons if any run has one."""
    reasons = any(run["reason"] for run in runs)
    made = table("id", "state", "slot", "created", *(["reason"] if reasons else []))
    for column in made.columns[:3]:
        column.no_wrap = True  # on a narrow terminal the times and reasons are folded
    for run in runs:
        slot = f"{run['slot']:,} of {run['slots']:,}"
        cells = run["id"], run["state"], slot, _local(run["created"], "%Y-%m-%d %H:%M"), run["reason"]
        made.add_row(*cells[: len(made.columns)])
    return made


def run(run: dict[str, Any]) -> Table:
    """State of one run, and where it is."""
    about = {key: str(run.get(key) or "") for key in ("state", "reason", "world", "scheme", "seed") if key in run}
    if not about["reason"]:
        del about["reason"]
    slot = {"slot": f"{run['slot']:,} of {run['slots']:,}"}
    return pairs_table(({"id": _id(run)} | about | slot | {"folder": str(run["folder"])}).items())


def _id(run: dict[str, Any]) -> str:
    """A controller's `id`, or the `run_id` of a summary."""
    return str(run.get("id") or run.get("run_id", ""))


def event_lines(event: dict[str, Any]) -> Iterator[str]:
    """One event of a run's stream as lines: the log's, windows of metrics, a new state."""
    yield from event.get("log", [])
    for window in event.get("metrics", []):
        total, count = window.get("reward_total_sum"), window.get("reward_total_count")
        mean = f", reward_total {total / count:.4g}" if total is not None and count else ""
        yield f"slots {window['first']} to {window['last']}, {window['phase']}{mean}"
    if "state" in event:
        reason = f": {event['reason']}" if event["reason"] and event["state"] != "FAILED" else ""
        yield f"{event['state']}, slot {event['slot']} of {event['slots']}{reason}"


def weights(stored: Objects) -> Table:
    """The stored weights of each node."""
    made = table("node", "sent in slot", "bytes", "origin")
    for weights in stored:
        made.add_row(weights["node"], f"{weights['sent_slot']:,}", f"{weights['bytes']:,}", weights["origin"])
    return made


def workers(workers: Objects) -> Table:
    """The pool's workers: capacity, what they run, when each last reported."""
    made = table("worker", "role", "host", "capacity", "idle", "leased to", "torch", "last seen")
    for worker in workers:
        capacity = str(worker["capacity"]), str(worker["idle"])
        leases = "\n".join(f"{lease['run']} {lease['node']}" for lease in worker["leases"])
        torch, last_seen = worker["fingerprint"].get("torch", "none"), _local(worker["last_seen"], "%H:%M:%S")
        made.add_row(worker["name"], worker["role"], worker["host"], *capacity, leases, torch, last_seen)
    return made


def nodes(nodes: Objects) -> Table:
    """The nodes of runs: where they run, whether they are present, which policy they act by."""
    made = table("node", "run", "role", "placement", "host", "present", "slots missed", "policy version")
    for node in nodes:
        version = "-" if node["policy_version"] is None else str(node["policy_version"])
        where = node["worker"] or node["placement"], node["host"] or "-"
        present = "yes" if node["present"] else "no"
        made.add_row(node["name"], node["run"], node["role"], *where, present, f"{node['slots_missed']:,}", version)
    return made


def comparison(both: dict[str, Any]) -> Table:
    """Runs side by side: metrics, then payload bits per kind of note."""
    made = table("", *(f"{run['scheme']}\n{run['id']}" for run in both["runs"]))
    ids = [run["id"] for run in both["runs"]]
    for name, metric in both["metrics"].items():
        made.add_row(name, *(_number(metric["values"][run_id]) for run_id in ids))
    for kind in dict.fromkeys(kind for tolls in both["toll"].values() for kind in tolls):
        bits = [both["toll"][run_id].get(kind, {}).get("payload_bits", 0) for run_id in ids]
        made.add_row(f"{kind}, payload bits", *(f"{count:,}" for count in bits))
    if not both["same_channels"]:
        made.caption = "not on the same channels: world or seed differ"
    return made


def _local(time: str, form: str) -> str:
    return datetime.fromisoformat(time).astimezone().strftime(form)


def _number(mean: float | None) -> str:
    return "-" if mean is None else f"{mean:.6g}"
