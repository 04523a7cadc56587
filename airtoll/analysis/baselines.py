"""A run compared with its baselines on the same channels: performance and signalling overhead."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from channel_server.worlds.contract import REWARD_METRIC
from controller.config.schedule import TRAINING_PHASES

_TRAINING_KINDS = ("history", "weights", "ack")


def comparison(
    summary: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]],
    *,
    node_slots: int,
    training_node_slots: int = 0,
) -> Table:
    """One row per scheme, the run's own last: the mean reward in eval, its gain over the first baseline (the floor),
    its share of the gap between the first and the last (the ceiling), two more metrics, and the overhead of training
    and of execution in bytes per slot and node. `node_slots`: slots of eval times nodes; `training_node_slots`:
    likewise of warmup and train.
    """
    rows = [*baselines.items(), (summary["scheme"], summary)]
    floor, *_, ceiling = [score(baseline) for baseline in baselines.values()]
    metrics = [name for name in summary["metrics"] if name != REWARD_METRIC][:2]
    table = Table(title="on the same channels, means over eval", box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("scheme", no_wrap=True)
    for name in (REWARD_METRIC, "gain over floor", "share of gap", *metrics):
        table.add_column(name.replace("_", " "), justify="right")
    for part in ("training", "execution"):
        # A Text, because a console that reads markup would swallow the unit in brackets.
        table.add_column(Text(f"{part}\noverhead\n[bytes/\nslot/node]"), justify="right", min_width=len("slot/node]"))
    if any(late_training_bytes(row) for _, row in rows):
        table.caption = "training overhead includes the last histories and weights of training, sent in eval"
        table.caption_justify = "left"
    for name, row in rows:
        gain, share = score(row) / floor - 1, gap_share(score(row), floor, ceiling)
        others = [f"{row['metrics'][metric]:.4f}" for metric in metrics]
        overhead = _rate(training_bytes(row), training_node_slots), _rate(eval_bytes(row), node_slots)
        shown = Text(name.replace(" ", "\n  "))
        table.add_row(shown, f"{score(row):.5g}", f"{gain:+.1%}", f"{share:.1%}", *others, *overhead)
    return table


def score(summary: Mapping[str, Any]) -> float:
    """The mean reward per slot over the eval phase."""
    return float(summary["metrics"][REWARD_METRIC])


def gap_share(value: float, floor: float, ceiling: float) -> float:
    """0 at the floor, 1 at the ceiling; nan when they are the same."""
    return (value - floor) / (ceiling - floor) if ceiling != floor else float("nan")


def eval_bytes(summary: Mapping[str, Any]) -> int:
    """Bytes of notes sent in the eval phase for execution; the last notes of training may be sent there, too."""
    return sum(count for kind, count in _note_bytes(summary, "eval") if kind not in _TRAINING_KINDS)


def training_bytes(summary: Mapping[str, Any]) -> int:
    """Bytes of all other notes: those of the warmup and train phases, and the last of training in eval."""
    before = (count for phase in TRAINING_PHASES for _, count in _note_bytes(summary, phase))
    return late_training_bytes(summary) + sum(before)


def late_training_bytes(summary: Mapping[str, Any]) -> int:
    """Bytes of the histories, weights and acknowledgements that are still sent in the eval phase."""
    return sum(count for kind, count in _note_bytes(summary, "eval") if kind in _TRAINING_KINDS)


def _note_bytes(summary: Mapping[str, Any], phase: str) -> Iterator[tuple[str, int]]:
    yield from ((kind, toll["note_bytes"]) for kind, toll in summary["toll_by_phase"].get(phase, {}).items())


def _rate(count: int, node_slots: int) -> str:
    return f"{count / node_slots:.4g}" if node_slots else "-"
