"""The learning trainer: learns from complete slots, sends weights when due, does nothing without new histories."""

from typing import Any, Literal

import numpy as np
from msgspec import structs

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from controller.trainer import LearningTrainer
from protocol.determinism.rng import CounterRng
from protocol.messages.episodes import going_on
from protocol.messages.kinds import Kind
from protocol.messages.node import NodeSpaces, ReceivedNote, Welcome
from protocol.messages.spaces import Space
from schemes.contract import NO_OUTPUT, Join, Observer, Send, Training, TurnContext, TurnOutput
from schemes.li2020 import maac
from schemes.parts.history import VALID, HistoryWriter, JointTrajectory, Layout
from schemes.parts.replay import Transitions
from schemes.parts.weights import read_weights
from tests.schemes.direct import welcome_for

PAIRS = 2


class Counting:
    """A learner that only counts."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.turns = 0

    def add(self, transitions: Transitions) -> None:
        self.slots += range(transitions.first_slot, transitions.first_slot + len(transitions.rewards))

    def learn(self, updates: int) -> dict[str, float]:
        self.turns += 1
        return {"updates": float(updates)}

    def weights(self, node: int) -> dict[str, Any]:
        return {"0.weight": np.full((1, 1), node, np.float32)}

    def save(self) -> dict[str, Any]:
        return {}

    def load(self, data: dict[str, Any]) -> None: ...


def _welcome(resend_after_slots: int) -> Welcome:
    world = WORLD.build(D2DUnderlay(pairs=PAIRS, rbs=2), seed=1, replicas=1)
    everyone = [NodeSpaces({"experience": world.views["experience"][n]}, world.actions[n]) for n in range(PAIRS)]
    welcome = welcome_for(world, maac.SCHEME, PAIRS)
    return structs.replace(welcome, everyone=everyone, resend_after_slots=resend_after_slots)


def _trainer(
    resend_after_slots: int = 0, max_upload_interval_slots: int = 0, *, to: Literal["each", "all"] = "each"
) -> tuple[LearningTrainer, Counting, list[Layout]]:
    welcome, learner = _welcome(resend_after_slots), Counting()
    layouts = [Layout(e.views["experience"], e.action, 1) for e in welcome.everyone]
    training = Training(
        learner=lambda: learner,
        updates_per_turn=3,
        join=Join(
            how="together",
            layouts=layouts,
            to_data=_to_transitions,
            max_upload_interval_slots=max_upload_interval_slots,
        ),
        send=Send(to=to, every_slots=1, precision="float32"),
    )
    return LearningTrainer(welcome, training), learner, layouts


def _to_transitions(joint: JointTrajectory) -> Transitions:
    across = joint.rewards.shape  # [T, E, N]
    states = np.zeros((across[0] + 1, *across[1:], 1), np.float32)
    return Transitions(states, np.zeros(across, int), joint.rewards, joint.first_slot)


def _row(layout: Layout, agent: int, slot: int) -> ReceivedNote:
    """A history of one slot."""
    writer, state = HistoryWriter(layout), np.zeros(1, layout.state)
    writer.start(slot, state)
    action = np.zeros(1, layout.row["action"].base)
    writer.add(action=action, reward=np.zeros(1), policy_version=0, flags=np.full(1, VALID, np.uint8), state=state)
    return ReceivedNote(agent, Kind.HISTORY, slot + 1, 0, writer.take())


def _take_turn(trainer: LearningTrainer, slot: int, *inbox: ReceivedNote) -> TurnOutput:
    return trainer.on_turn(_context(slot, *inbox))


def _context(slot: int, *inbox: ReceivedNote) -> TurnContext:
    nothing = Space().empty(1)
    return TurnContext(slot, 1, "learn", "train", going_on(1), nothing, list(inbox), CounterRng(1, "node", PAIRS), [])


def test_a_turn_without_histories_changes_nothing() -> None:
    trainer, learner, layouts = _trainer()
    output = _take_turn(trainer, 1, *(_row(layouts[agent], agent, 0) for agent in range(PAIRS)))
    assert ([note.to for note in output.notes], output.scalars["updates"]) == ([(0,), (1,)], 3)
    for slot in range(2, 30):
        assert _take_turn(trainer, slot) == NO_OUTPUT
    assert (learner.turns, learner.slots) == (1, [0])


def test_one_note_takes_a_shared_policy_to_all_agents() -> None:
    trainer, _, layouts = _trainer(to="all")
    output = _take_turn(trainer, 1, *(_row(layouts[agent], agent, 0) for agent in range(PAIRS)))
    [note] = output.notes
    assert (note.to, note.kind) == ((0, 1), Kind.WEIGHTS)
    assert read_weights(note.body)[0] == output.scalars["policy_version"] == 1


def test_updates_are_counted_over_all_turns() -> None:
    trainer, _, layouts = _trainer()
    for slot in range(5):
        output = _take_turn(trainer, slot + 1, *(_row(layouts[agent], agent, slot) for agent in range(PAIRS)))
    assert output.scalars["updates"] == 15


def test_a_slot_waits_two_uploads_and_ten_transmissions_for_a_row_and_is_then_learnt_from_without() -> None:
    for resend_after_slots, interval, waits in ((0, 0, 20), (0, 15, 30), (3, 15, 60)):
        trainer, learner, layouts = _trainer(resend_after_slots, interval)
        for slot in range(100):
            there = [0] if slot == 1 else range(PAIRS)
            _take_turn(trainer, slot + 1, *(_row(layouts[agent], agent, slot) for agent in there))
            assert (1 in learner.slots) == (slot >= 1 + waits)
        assert learner.slots == [0, *range(2, 1 + waits), 1, *range(1 + waits, 100)]


def test_while_a_pair_is_lost_the_other_is_learnt_from_and_the_missing_rows_are_counted() -> None:
    trainer, learner, layouts = _trainer()
    for slot in range(120):
        output = _take_turn(trainer, slot + 1, _row(layouts[0], 0, slot))
    assert learner.slots == list(range(100))
    assert output.scalars["rows_masked"] == 100
    _take_turn(trainer, 121, _row(layouts[1], 1, 40))
    assert _take_turn(trainer, 122, _row(layouts[0], 0, 120)).scalars["rows_dropped"] == 1


class Noting(Observer):
    """Counts the notes that it reads."""

    def __init__(self) -> None:
        self.notes = 0

    def observe(self, turn: TurnContext) -> None:
        self.notes += len(turn.inbox)


def test_a_trainer_that_only_observes_learns_in_the_turns_that_bring_it_notes() -> None:
    learner, observer = Counting(), Noting()
    training = Training(learner=lambda: learner, updates_per_turn=3, observe=lambda _: observer)
    trainer = LearningTrainer(_welcome(0), training)
    for slot in range(10):
        _take_turn(trainer, slot, *[ReceivedNote(0, Kind.CSI, slot, 0, b"gains")] * (slot % 2))
    assert (observer.notes, learner.turns) == (5, 5)


def test_a_note_that_no_part_takes_is_reported() -> None:
    trainer, _, _ = _trainer()
    turn = _context(1, ReceivedNote(0, Kind.CSI, 1, 0, b"gains"))
    assert trainer.on_turn(turn).scalars == {"notes_unread": 1}
    assert [unread.reason for unread in turn.unread] == [
        "no part of this trainer reads notes of this kind in its turn to learn"
    ]
