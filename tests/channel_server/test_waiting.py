"""What a run waits for has a timeout, which comes from its plan."""

from math import inf

import pytest
from msgspec import structs

from channel_server.waiting import GOODBYE_TIMEOUT_S, JOIN_TIMEOUT_S, Timeouts, Waiting
from protocol.messages.plan import LossPlan

AGENT_S, TRAINER_S, PAUSE_S = 7.0, 300.0, 45.0
LOSS = LossPlan("pause", "silent", AGENT_S, TRAINER_S, pause_s=PAUSE_S)


def test_every_state_has_a_timeout() -> None:
    assert Timeouts(LOSS).seconds.keys() == set(Waiting)


@pytest.mark.parametrize(
    ("waiting", "seconds"),
    [
        (Waiting.NODES_TO_JOIN, JOIN_TIMEOUT_S),
        (Waiting.REPLIES, AGENT_S),
        (Waiting.SLOT_TIME, inf),
        (Waiting.NODE_STATES, AGENT_S),
        (Waiting.RESUME, inf),
        (Waiting.LOST_NODES, PAUSE_S),
        (Waiting.GOODBYES, GOODBYE_TIMEOUT_S),
        (Waiting.NOTHING, inf),
    ],
)
def test_timeouts_come_from_the_plan(waiting: Waiting, seconds: float) -> None:
    assert Timeouts(LOSS).of(waiting, ["pair-0", "trainer"]) == seconds


@pytest.mark.parametrize("waiting", [Waiting.REPLIES, Waiting.NODE_STATES])
def test_a_trainer_that_is_awaited_alone_has_its_own(waiting: Waiting) -> None:
    timeouts = Timeouts(LOSS)
    assert timeouts.of(waiting, ["trainer"]) == TRAINER_S
    assert timeouts.of(waiting, ["pair-0"]) == AGENT_S


def test_in_the_first_slot_nodes_may_still_load() -> None:
    timeouts = Timeouts(LOSS)
    assert timeouts.of(Waiting.REPLIES, ["pair-0"], first_slot=True) == JOIN_TIMEOUT_S
    assert timeouts.of(Waiting.REPLIES, ["trainer"], first_slot=True) == TRAINER_S
    assert timeouts.of(Waiting.LOST_NODES, ["pair-0"], first_slot=True) == PAUSE_S


def test_agents_that_learn_have_more_time_in_training_and_no_less_than_others() -> None:
    timeouts = Timeouts(structs.replace(LOSS, learner_lost_after_s=90.0))
    assert timeouts.of(Waiting.REPLIES, ["pair-0"], phase="train") == 90.0
    assert timeouts.of(Waiting.REPLIES, ["pair-0"], phase="eval") == AGENT_S
    assert timeouts.of(Waiting.REPLIES, ["pair-0"], phase="eval", first_slot=True) == 90.0  # they load what they need
    assert timeouts.of(Waiting.REPLIES, ["trainer"], phase="train") == TRAINER_S
    assert timeouts.of(Waiting.LOST_NODES, ["pair-0"], phase="train") == PAUSE_S
