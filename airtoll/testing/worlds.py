"""What every world keeps to, apart from runs: spaces, reports, snapshots, its drawing, its memory."""

import tracemalloc
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np

from channel_server.worlds.contract import World, WorldEntry
from protocol.determinism.snapshots import pack
from protocol.messages.drawing import Drawing


def check_spaces(world: World, replicas: int) -> None:
    """Actions and measurements are records of their spaces, within their bounds."""
    rng, state = np.random.default_rng(3), world.begin(world.reset(), 0)
    for node, space in enumerate(world.actions):
        for action in (world.silent(node), world.random(node, rng)):
            assert space.checker(replicas)(action.tobytes()), f"an action of {world.agents[node]} is outside its space"
    state, _ = world.transmit(state, [world.random(node, rng) for node in range(len(world.agents))])
    for view, spaces in world.views.items():
        for node, (space, records) in enumerate(zip(spaces, world.measure(state, view), strict=True)):
            fits = records.dtype == space.dtype and space.checker(replicas)(records.tobytes())
            assert fits, f"{world.agents[node]} measures in the view {view!r} what is outside its space"


def check_measured_alone(world: World) -> None:
    """Some nodes measure the same as among all, in the order in which they are asked."""
    rng, state = np.random.default_rng(4), world.begin(world.reset(), 0)
    state, _ = world.transmit(state, [world.random(node, rng) for node in range(len(world.agents))])
    state, asked = world.begin(state, 1), sorted({len(world.agents) - 1, 0}, reverse=True)
    for view in world.views:
        of_all, alone = world.measure(state, view), world.measure(state, view, asked)
        expected = [of_all[node].tobytes() for node in asked]
        assert [records.tobytes() for records in alone] == expected, (
            f"measure(state, {view!r}, {asked}) is not what these nodes measure among all, in this order"
        )


def check_reports(world: World, replicas: int) -> None:
    """Each report's notes are of the kind, link class and space that the world declares."""
    state = world.begin(world.reset(), 0)
    state, _ = world.transmit(state, [world.silent(node) for node in range(len(world.agents))])
    for name, declared in world.reports.items():
        notes = world.report(state, name)
        assert notes, f"the report {name!r} has no note"
        for source, note in notes:
            assert world.infrastructure[source] in declared.sources(world.infrastructure)
            assert (note.kind, note.link) == (declared.kind, declared.link)
            assert declared.space.checker(replicas)(note.body), f"a note of {name!r} is outside its space"
            assert note.charged_bits(replicas) == declared.bits, (
                f"a note of {name!r} is charged other bits than declared"
            )


def check_snapshots(world: World) -> None:
    """A restored state continues as the one that was saved."""
    rng = np.random.default_rng(4)
    actions = [[world.random(node, rng) for node in range(len(world.agents))] for _ in range(6)]
    state: Any = world.reset()
    for slot, taken in enumerate(actions):
        before = pack(world.snapshot(state))
        restored = world.restore(world.snapshot(state))
        state, _ = world.transmit(world.begin(state, slot), taken)
        again, _ = world.transmit(world.begin(restored, slot), taken)
        assert pack(world.snapshot(again)) == pack(world.snapshot(state)), "a restored state continues differently"
        assert pack(world.snapshot(restored)) == before, "begin or transmit changes the state that it is given"


def check_drawing(world: World) -> None:
    """A world that can be drawn gives a Drawing of finite numbers, and drawing changes nothing."""
    render = getattr(world, "render", None)
    if render is None:
        return
    state = world.begin(world.reset(), 0)
    state, _ = world.transmit(state, [world.silent(node) for node in range(len(world.agents))])
    before = pack(world.snapshot(state))
    drawing = render(state)
    assert isinstance(drawing, Drawing)
    try:
        again = msgspec.json.decode(msgspec.json.encode(drawing), type=Drawing)  # JSON has null for NaN and infinity
    except msgspec.ValidationError as error:
        raise AssertionError(f"the drawing has a number that is not finite: {error}") from error
    assert again == drawing
    assert pack(world.snapshot(state)) == before, "render changes the state"


def check_memory(entry: WorldEntry, params: Any, replicas: int) -> None:
    """`memory_bytes` is at least what the first slots take, and not many times more; `build` takes little of it."""
    _play(entry.build(entry.params(), seed=1, replicas=1))  # what is imported and cached at the first call
    tracemalloc.start()
    try:
        world = entry.build(params, seed=1, replicas=replicas)
        static = [world.static_info(node) for node in range(len(world.agents) + 1)]
        built = tracemalloc.get_traced_memory()[1]
        _play(world)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimate = entry.memory_bytes(params, replicas)
    assert used <= estimate, f"memory_bytes gives {estimate}, but the first slots take {used}"
    assert estimate <= 4 * used + 2**21, f"memory_bytes gives {estimate}, but the first slots take only {used}"
    assert built <= estimate / 4, f"build takes {built} of {estimate}: make what is large from reset on"
    assert len(static) == len(world.agents) + 1


def check_documented(entry: WorldEntry) -> None:
    """The entry is filled in, and every parameter has a meaning."""
    assert entry.summary, "the entry has no summary"
    assert entry.source, "the entry has no source"
    for field in fields(entry.params):
        assert field.metadata.get("doc"), f"the parameter {field.name} has no meaning: use protocol.params.param"


def _play(world: Any) -> None:
    """Two slots, with every view and a drawing."""
    state = world.reset()
    for slot in range(2):
        state = world.begin(state, slot)
        for view in world.views:
            _ = [records.tobytes() for records in world.measure(state, view)]
        rng = np.random.default_rng(slot)
        state, _ = world.transmit(state, [world.random(node, rng) for node in range(len(world.agents))])
        if hasattr(world, "prefetch"):
            world.prefetch(slot + 1)
        if hasattr(world, "render"):
            world.render(state)
