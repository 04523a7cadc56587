"""What a person must know before trusting a run's results, one line each: the `warnings` of summary.json."""

from collections.abc import Iterable, Iterator

from controller.run_folder.meta import RunMeta
from controller.run_folder.reader import RunFolder
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.telemetry import Event

_MAX_NAMES = 3
_MAX_REASON = 200  # characters


def warnings(folder: RunFolder, slots: int) -> list[str]:
    """Nodes that were lost and what acted for them, turns that were missed, learning that fell short, fingerprints that
    differ, rollbacks, and rows that are not kept; of a run after so many slots."""
    meta, events = folder.meta, folder.events()
    about_learning = folder.remarks().of_learning(meta.schedule, ended=meta.slots is not None, learns=meta.learns)
    return [*absences(events, slots), *about_learning, *_of_nodes(events), *_of_meta(meta)]


def absences(events: Iterable[Event], slots: int) -> Iterator[str]:
    """One line per absence of a node, from the slot it was lost in to the last before it rejoined, and what it led to.
    A node that rejoined before a slot went by without it has missed none."""
    lost: dict[str, Event] = {}
    for event in events:
        if event.event == "lost":
            lost.setdefault(event.node, event)  # a trainer is lost again for every answer it owed
        elif event.event == "rejoined" and event.node in lost:
            yield from _absence(lost.pop(event.node), event.slot - 1)
    for event in lost.values():
        yield from _absence(event, slots - 1)  # none for a node that leaves in the closing turn


def _absence(lost: Event, last: int) -> Iterator[str]:
    if last >= lost.slot:
        effect = "nothing was learnt or decided there" if lost.node == TRAINER_NAME else "its fallback acted"
        yield f"{lost.node} missed slots {lost.slot:,} to {last:,}, {effect}: {lost.reason}"


def _of_nodes(events: Iterable[Event]) -> Iterator[str]:
    """The warnings that concern nodes, such as fingerprints that differ; those of several nodes in one line. The
    channel server's own are about time, and in the log."""
    nodes: dict[str, list[str]] = {}
    for event in events:
        if event.event == "warning" and event.node != "channel server":
            names = nodes.setdefault(event.reason, [])
            names += [event.node] if event.node not in names else []
    for reason, names in nodes.items():
        more = [f"{len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
        who = ", ".join(filter(None, [*names[:_MAX_NAMES], *more]))
        line = " ".join(reason.split())
        shown = line if len(line) <= _MAX_REASON else f"{line[:_MAX_REASON]}..."
        yield f"{who}: {shown}" if who else shown


def _of_meta(meta: RunMeta) -> Iterator[str]:
    if meta.paced is not None and (missed := sum(meta.paced["missed"].values())):
        turns = sum(meta.paced["turns"].values())
        yield f"{missed:,} of {turns:,} turns were missed, fallbacks acted: nodes were slower than the clock"
    if meta.rollbacks:
        yield f"the run was rolled back {_times(meta.rollbacks)}"
    if meta.restarts:
        yield f"nodes were restarted {_times(meta.restarts)}"
    if meta.air_rows_left_out:
        yield f"the air book lacks its last {meta.air_rows_left_out:,} rows (record.air_book_rows); the toll has them"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
