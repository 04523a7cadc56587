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
    endless, short = (_rows(scheme, world, episode_slots=slots) for slots in (None, episode_slots))
    assert len(endless) == len(short)
    for (usable, no_end), (usable_too, ended) in zip(endless, short, strict=True):
        assert usable.sum() > 40
        np.testing.assert_array_equal(usable_too, usable)
        assert not no_end.any()
        last = np.flatnonzero(usable_too.any(axis=1))[-1] + 1
        expected = np.where((np.arange(last) + 1) % episode_slots == 0, TRUNCATED, 0)
        np.testing.assert_array_equal(ended[:last], np.broadcast_to(expected[:, None], ended[:last].shape))


def _rows(scheme: str, world: str, **settings: Any) -> list[tuple[Any, Any]]:
    """Which rows each replay of a run holds, and how their episodes ended: [rows, E] each, by slot from 0."""
    kept = Checkpointed()
    run_in_process(home_plan(scheme, world, slots=100, replicas=2, checkpoint_every=SAVED_AT, **settings), kept)
    [(past, _)] = kept.pasts
    found = [rows for node in sorted(past.nodes) for rows in _replays(unpack(past.nodes[node]))]
    assert found
    return [(rows["drawable"], rows["ended"]) for rows in found]


def _replays(state: Any) -> Iterator[dict[str, Any]]:
    if isinstance(state, dict) and "drawable" in state:
        yield state
    for value in state.values() if isinstance(state, dict) else state if isinstance(state, list) else ():
        yield from _replays(value)


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
