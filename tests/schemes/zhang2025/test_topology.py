"""The static information of a conflict graph, parsed."""

import msgspec
import pytest

from channel_server.worlds.conflict_graph import ConflictGraphParams, build
from protocol.messages.node import Welcome
from schemes.zhang2025.llq import SCHEME
from schemes.zhang2025.topology import local_topology, whole_topology
from tests.schemes.direct import welcome_for


def welcome(index: int) -> Welcome:
    """The Welcome of fig. 2, as it comes over a wire."""
    sent = welcome_for(build(ConflictGraphParams(), seed=1, replicas=1), SCHEME, index)
    return msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Welcome)


def test_an_agent_knows_its_conflicts_and_whose_they_are() -> None:
    topology = local_topology(welcome(0))
    assert topology.around == (1, 2, 3, 4, 7, 8)
    assert topology.columns == {1: slice(2, 4), 3: slice(4, 6)}
    rivals = [[topology.around[i] for i in row.nonzero()[0]] for row in topology.rivals]
    assert rivals == [[2, 3, 7, 8], [1, 3, 4, 8]]


def test_the_cloud_knows_the_whole_graph() -> None:
    topology = whole_topology(welcome(4))
    assert topology.owner.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert topology.spoils.sum() == 24
    assert topology.spoils[0].nonzero()[0].tolist() == [1, 2, 7]


def test_another_world_is_rejected_with_a_suggestion() -> None:
    foreign = msgspec.structs.replace(welcome(0), static_info={"rbs": 10})
    with pytest.raises(ValueError, match="zhang2025/llq runs in the world conflict_graph"):
        SCHEME.node(foreign, SCHEME.params())
