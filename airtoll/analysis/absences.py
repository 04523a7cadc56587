"""Which nodes missed which slots of a run."""

from collections.abc import Iterable, Iterator

from protocol.messages.telemetry import Event


def absences(events: Iterable[Event], slots: int) -> Iterator[str]:
    """One line per absence of a node: from the slot it was lost in to the last before it rejoined."""
    lost: dict[str, Event] = {}
    for event in events:
        if event.event == "lost":
            lost.setdefault(event.node, event)  # a trainer is lost again for every answer it owed
        elif event.event == "rejoined" and event.node in lost:
            yield _line(lost.pop(event.node), event.slot - 1)
    for event in lost.values():
        if event.slot < slots:  # a node that leaves in the closing turn has missed none
            yield _line(event, slots - 1)


def _line(lost: Event, last: int) -> str:
    return f"{lost.node} missed slots {lost.slot} to {last}: {lost.reason}"
