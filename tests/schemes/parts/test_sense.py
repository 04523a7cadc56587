"""What a node knows: its measurement alone, or with its neighbours' notes; records as vectors."""

import numpy as np

from channel_server.worlds.conflict_graph import WORLD, ConflictGraphParams
from protocol.determinism.rng import CounterRng
from protocol.messages.episodes import going_on
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from protocol.messages.spaces import Field, Space
from schemes.contract import TurnContext
from schemes.parts.sense import Flattened
from schemes.zhang2025 import llq
from schemes.zhang2025.queue_notes import encode_queues, queues_around
from schemes.zhang2025.topology import local_topology
from tests.schemes.direct import welcome_for

WELCOME = welcome_for(WORLD.build(ConflictGraphParams(), seed=1, replicas=2), llq.SCHEME, 0, replicas=2)


def turn(slot: int, inbox: list[ReceivedNote]) -> TurnContext:
    measured = WELCOME.views["queues"].empty(2)
    measured["tasks"] = [[1, 2], [3, 4]]
    return TurnContext(slot, 0, "act", "eval", going_on(2), measured, inbox, CounterRng(1, "node"), [])


def test_a_record_has_the_measurement_and_the_newest_notes_until_they_are_too_old() -> None:
    topology = local_topology(WELCOME)
    sense = queues_around(WELCOME, topology, max_age_slots=1)
    source, columns = next(iter(topology.columns.items()))
    queues = np.array([[7, 8], [9, 5]])[:, : columns.stop - columns.start]
    note = ReceivedNote(source, Kind.NEIGHBOUR, 3, 0, encode_queues(queues))
    nothing = sense.record(turn(3, []))["tasks"]
    assert nothing[:, :2].tolist() == [[1, 2], [3, 4]]
    assert not nothing[:, 2:].any()
    known = sense.record(turn(3, [note]))
    np.testing.assert_array_equal(known["tasks"][:, columns], queues)
    np.testing.assert_array_equal(sense.vector(known), known["tasks"])
    assert sense.space.holds(known)
    assert sense.record(turn(4, []))["tasks"][:, columns].any()
    assert not sense.record(turn(5, []))["tasks"][:, columns].any()


def test_flattened_records_are_their_numbers_in_a_row() -> None:
    space = Space((Field("a", "i2", (2, 2)), Field("b", "f4")))
    records = space.empty(2)
    records["a"], records["b"] = [[[1, 2], [3, 4]]] * 2, [0.5, 0.25]
    assert Flattened(space)(records).tolist() == [[1, 2, 3, 4, 0.5], [1, 2, 3, 4, 0.25]]
    assert Flattened(Space())(Space().empty(3)).shape == (3, 0)
