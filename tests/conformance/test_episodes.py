"""Episodes of every length: no scheme loses a row to learn from, and every home of a run plays the same ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from controller.config.catalogue import schemes
from controller.execution.in_process import run_in_process
from protocol.determinism.snapshots import unpack
from protocol.messages.episodes import TRUNCATED
from tests.conformance.homes import HOMES, home_plan, homes
from tests.recording import Checkpointed, in_process

SAVED_AT = 70  # in training, which lasts from slot 20 to 69
LEARNING = [(scheme, world) for scheme, world in HOMES if schemes()[scheme].learns]


@pytest.mark.parametrize("episode_slots", [1, 2, 10])
@pytest.mark.parametrize(("scheme", "world"), LEARNING)
def test_every_slot_is_learnt_from_however_short_the_episodes(scheme: str, world: str, episode_slots: int) -> None:
    endless, short = (_states(scheme, world, episode_slots=slots) for slots in (None, episode_slots))
    assert _counts(endless) == _counts(short)
    assert all(count > 40 for count in _counts(short))
    replays, short_replays = _rows(endless), _rows(short)
    assert len(replays) == len(short_replays)
    assert replays or _counts(short)
    for (usable, no_end), (usable_too, ended) in zip(replays, short_replays, strict=True):
        assert usable.sum() > 40
        np.testing.assert_array_equal(usable_too, usable)
        assert not no_end.any()
        last = np.flatnonzero(usable_too.any(axis=1))[-1] + 1
        expected = np.where((np.arange(last) + 1) % episode_slots == 0, TRUNCATED, 0)
        np.testing.assert_array_equal(ended[:last], np.broadcast_to(expected[:, None], ended[:last].shape))


def _states(scheme: str, world: str, **settings: Any) -> list[Any]:
    """The nodes' states after training."""
    kept = Checkpointed()
    run_in_process(home_plan(scheme, world, slots=100, replicas=2, checkpoint_every=SAVED_AT, **settings), kept)
    [(past, _)] = kept.pasts
    return [unpack(past.nodes[node]) for node in sorted(past.nodes)]


def _rows(states: list[Any]) -> list[tuple[Any, Any]]:
    """Which rows each replay holds, and how their episodes ended: [rows, E] each, by slot from 0."""
    return [(rows["drawable"], rows["ended"]) for rows in _having(states, "drawable")]


def _counts(states: list[Any]) -> list[int]:
    """How many rows each learner without a replay has taken."""
    return [learner["rows_taken"] for learner in _having(states, "rows_taken")]


def _having(state: Any, key: str) -> Iterator[dict[str, Any]]:
    """All parts of a state that have this key."""
    if isinstance(state, dict) and key in state:
        yield state
    for value in state.values() if isinstance(state, dict) else state if isinstance(state, list) else ():
        yield from _having(value, key)


@pytest.mark.parametrize("episode_slots", [1, 2, 10])
@homes
def test_a_run_of_short_episodes_continues_from_its_checkpoint(scheme: str, world: str, episode_slots: int) -> None:
    """Saved between two episodes, and within one of ten slots."""
    how: dict[str, Any] = {"slots": 24, "replicas": 2, "episode_slots": episode_slots}
    whole = in_process(home_plan(scheme, world, **how))
    kept = Checkpointed()
    run_in_process(home_plan(scheme, world, **how, checkpoint_every=14), kept)
    [(past, after)] = kept.pasts
    run_in_process(home_plan(scheme, world, **how), after, past=past)
    assert after.trace == whole.trace
