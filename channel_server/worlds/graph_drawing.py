"""A conflict graph as a drawing: devices on a circle, agent by agent, with their queues, subbands and conflicts."""

from collections.abc import Iterator, Sequence
from math import cos, pi, sin

from channel_server.worlds.graphs import Graph
from protocol.messages.drawing import Bar, Drawing, Label, LegendEntry, Line, Point, Table

_AGENTS_RADIUS, _DEVICES_RADIUS = 0.5, 1.0
_GAP = 0.6  # between the devices of two agents, in devices
_FIRST_MARKER, _NEXT_MARKER = 0.17, 0.08  # from a device outwards to the markers of its subbands
_DEVICE, _MARKER = 26.0, 10.0  # sizes
_CLEARANCE = 0.1  # between a device and an arrow
_BEND = 0.1
_COLUMNS = ("device", "agent", "queue [tasks]", "scheduled on subbands", "succeeded on")

Place = tuple[float, float]


def draw(graph: Graph, queues: Sequence[int], active: Sequence[list[int]], succeeded: Sequence[list[int]]) -> Drawing:
    """By device, in the graph's order: its queue in tasks, the subbands on which it was scheduled and succeeded."""
    agents, devices = _on_circles([len(own) for own in graph.serves])
    failed = sum(len(set(on) - set(through)) for on, through in zip(active, succeeded, strict=True))
    half = _DEVICES_RADIUS + _FIRST_MARKER + _NEXT_MARKER * max(2, *map(len, active)) + 0.05
    return Drawing(
        summary=f"{sum(queues)} tasks in the queues of {len(devices)} devices; {failed} transmissions failed.",
        left=-half,
        right=half,
        bottom=-half,
        top=half,
        lines=(*_serves(graph, agents, devices), *_conflicts(graph, devices)),
        points=(*_devices(graph, devices, queues, active), *_subbands(devices, active, succeeded)),
        bars=tuple(_bars(devices, queues)),
        labels=tuple(Label(*at, name, boxed=True) for at, name in zip(agents, graph.agents, strict=True)),
        legend=_legend(sorted({band for bands in active for band in bands})),
        table=Table("Devices", _COLUMNS, tuple(_rows(graph, queues, active, succeeded))),
    )


def _on_circles(counts: Sequence[int]) -> tuple[list[Place], list[Place]]:
    """Agents on an inner circle and devices on the outer one, clockwise from the top, with a gap between agents."""
    total, start = sum(counts) + _GAP * len(counts), 0.0
    agents: list[Place] = []
    devices: list[Place] = []
    for count in counts:
        devices += [_at(_DEVICES_RADIUS, (start + n) / total) for n in range(count)]
        agents.append(_at(_AGENTS_RADIUS, (start + (count - 1) / 2) / total))
        start += count + _GAP
    return agents, devices


def _at(radius: float, turns: float) -> Place:
    return round(radius * sin(2 * pi * turns), 4), round(radius * cos(2 * pi * turns), 4)


def _serves(graph: Graph, agents: list[Place], devices: list[Place]) -> Iterator[Line]:
    for at, own in zip(agents, graph.own, strict=True):
        yield from (Line(*at, *device, "wide", tone="accent") for device in devices[own])


def _conflicts(graph: Graph, devices: list[Place]) -> Iterator[Line]:
    """One arrow per conflict, from the interferer to its victim; one with two heads for a mutual conflict."""
    place = dict(zip(graph.devices, devices, strict=True))
    for i, n in sorted(graph.conflicts):
        if (n, i) not in graph.conflicts:
            yield Line(*place[i], *place[n], "dashed", "end", _BEND, _CLEARANCE, tone="warning")
        elif i < n:
            yield Line(*place[i], *place[n], "solid", "both", _BEND, _CLEARANCE)


def _devices(graph: Graph, devices: list[Place], queues: Sequence[int], active: Sequence[list[int]]) -> Iterator[Point]:
    for device, at, queue, bands in zip(graph.devices, devices, queues, active, strict=True):
        about = f"device {device}: {queue} tasks in its queue; subbands {_listed(bands)}"
        yield Point(*at, "ring", size=_DEVICE, label=str(device), about=about)


def _subbands(devices: list[Place], active: Sequence[list[int]], succeeded: Sequence[list[int]]) -> Iterator[Point]:
    """Outside each device a marker per subband that it was scheduled on, hollow where it failed."""
    for (x, y), bands, through in zip(devices, active, succeeded, strict=True):
        for nth, band in enumerate(bands):
            out = 1 + (_FIRST_MARKER + _NEXT_MARKER * nth) / _DEVICES_RADIUS
            place = round(x * out, 4), round(y * out, 4)
            yield Point(*place, "marker", band, _MARKER, hollow=band not in through)


def _bars(devices: list[Place], queues: Sequence[int]) -> Iterator[Bar]:
    """Each device's queue, on its inner side, as a share of the longest."""
    longest = max(1, *queues)
    for (x, y), queue in zip(devices, queues, strict=True):
        yield Bar(round(0.74 * x, 4), round(0.74 * y - 0.05, 4), queue / longest, f"q {queue}")


def _legend(bands: list[int]) -> tuple[LegendEntry, ...]:
    return (
        LegendEntry("agent serves device", line=Line(0, 0, 1, 0, "wide", tone="accent")),
        LegendEntry("mutual conflict", line=Line(0, 0, 1, 0, heads="both")),
        LegendEntry(
            "one-way conflict: disturbs the device at its arrow",
            line=Line(0, 0, 1, 0, "dashed", "end", tone="warning"),
        ),
        LegendEntry("q: tasks in the queue, as a share of the longest", bar=Bar(0, 0, 0.6)),
        *(LegendEntry(f"scheduled on subband {band}", Point(0, 0, "marker", band, _MARKER)) for band in bands),
        *([LegendEntry("hollow: failed", Point(0, 0, "marker", bands[0], _MARKER, hollow=True))] if bands else []),
    )


def _rows(
    graph: Graph, queues: Sequence[int], active: Sequence[list[int]], succeeded: Sequence[list[int]]
) -> Iterator[tuple[str | float, ...]]:
    agents = [name for name, own in zip(graph.agents, graph.serves, strict=True) for _ in own]
    yield from zip(graph.devices, agents, queues, map(_listed, active), map(_listed, succeeded), strict=True)


def _listed(bands: Sequence[int]) -> str:
    return ", ".join(map(str, bands)) or "none"
