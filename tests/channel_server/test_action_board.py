"""The action board holds for every agent the bytes that were written for it last."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_server.action_board import ActionBoard, ActionRows
from controller.execution.building import build_world
from protocol.determinism.rng import CounterRng
from protocol.messages.plan import Fallback
from protocol.messages.spaces import Field, Space
from tests.recording import plan_for

SMALL, LARGE = Space((Field("rb", "i2"),)), Space((Field("rb", "i2"), Field("power", "f4", (2,))))
REPLICAS = 2


def _rows(spaces: Sequence[Space]) -> tuple[ActionRows, list[bytes]]:
    initial = [bytes([node + 1]) * REPLICAS * space.dtype.itemsize for node, space in enumerate(spaces)]
    return ActionRows(spaces, initial), initial


@given(
    spaces=st.lists(st.sampled_from([SMALL, LARGE]), min_size=1, max_size=5),
    writes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 255)), max_size=20),
    cleared_after=st.none() | st.integers(0, 20),
)
def test_rows_are_the_last_bytes_of_each_agent(
    spaces: list[Space], writes: list[tuple[int, int]], cleared_after: int | None
) -> None:
    rows, initial = _rows(spaces)
    expected = list(initial)
    for number, (node, byte) in enumerate(writes):
        if number == cleared_after:
            rows.clear()
            expected = list(initial)
        if node < len(spaces):
            expected[node] = bytes([byte]) * len(initial[node])
            rows.write(node, expected[node])
    records = rows.records()
    assert [rows.read(node) for node in range(len(spaces))] == expected
    assert [records[node].tobytes() for node in range(len(spaces))] == expected
    assert [(row.dtype, row.shape) for row in records] == [(space.dtype, (REPLICAS,)) for space in spaces]


def test_agents_with_equal_spaces_share_one_array() -> None:
    rows, _ = _rows([LARGE] * 3)
    assert np.shape(rows.records()) == (3, REPLICAS)


def test_records_stay_as_they_are_when_the_next_action_is_written() -> None:
    rows, initial = _rows([SMALL] * 2)
    records = rows.records()
    rows.write(0, b"\xff" * len(initial[0]))
    assert records[0].tobytes() == initial[0]
    with pytest.raises(ValueError, match="read-only"):
        records[0]["rb"] = 7


@pytest.mark.parametrize("fallback", ["hold", "silent", "random"])
def test_the_fallback_acts_for_a_lost_node_alone(fallback: Fallback) -> None:
    world = build_world(plan_for("li2020/random", slots=1))
    board = ActionBoard(world, fallback, seed=7)
    last = [world.random(node, np.random.default_rng(node)).tobytes() for node in range(4)]
    for node, action in enumerate(last):
        board.actions.write(node, action)
    drawn = world.random(2, CounterRng(7, "fallback", 2).at(5, 3)).tobytes()
    expected = {"hold": last[2], "silent": world.silent(2).tobytes(), "random": drawn}[fallback]
    assert board.fall_back(2, 5, 3) == expected
    assert [board.actions.read(node) for node in range(4)] == [*last[:2], expected, last[3]]


def test_a_trial_is_apart_from_the_actions_and_is_silent_anew() -> None:
    world = build_world(plan_for("li2020/random", slots=1))
    board = ActionBoard(world, "hold", seed=7)
    silent, action = world.silent(1).tobytes(), world.random(1, np.random.default_rng(0)).tobytes()
    board.trial.write(1, action)
    assert [row.tobytes() for row in board.take_trial()] == [silent, action, silent, silent]
    assert [row.tobytes() for row in board.take_trial()] == [silent] * 4
    assert [row.tobytes() for row in board.actions.records()] == [silent] * 4


def test_actions_survive_a_snapshot() -> None:
    world = build_world(plan_for("li2020/random", slots=1))
    board, other = (ActionBoard(world, "hold", seed=7) for _ in range(2))
    board.actions.write(1, world.random(1, np.random.default_rng(0)).tobytes())
    other.restore(board.snapshot())
    assert [row.tobytes() for row in other.actions.records()] == [row.tobytes() for row in board.actions.records()]
