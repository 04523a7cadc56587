"""SLA: the update step by step, late and lost bits, and the games it solves."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import going_on
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from schemes.contract import TurnContext
from schemes.li2020 import sla
from schemes.li2020.sla import Automaton, Sla, reinforce
from tests.schemes.direct import Stage, play, welcome_for

BS = 3  # any source will do
VIEW = WORLD.build(D2DUnderlay(), seed=1, replicas=1).views["interference"][0]


def automaton(*, node: int = 0, rbs: int = 2, replicas: int = 1, **params: Any) -> Automaton:
    world = WORLD.build(D2DUnderlay(pairs=2, rbs=rbs), seed=1, replicas=replicas)
    return Automaton(welcome_for(world, sla.SCHEME, node, replicas=replicas), Sla(**params))


def turn_after(
    policy: Automaton,
    slot: int,
    last_rb: Any,
    over_noise: Any,
    outage: Any,
    *,
    sent_slot: int | None = None,
    node: int = 0,
) -> TurnContext:
    """The turn of `slot`, where `last_rb` was used in the slot before; `outage` None for a lost bit."""
    measured = VIEW.empty(len(policy.probability))
    measured["last_rb"], measured["interference_over_noise"] = last_rb, over_noise
    bits = np.broadcast_to(np.asarray(outage if outage is not None else 0, np.uint8), len(measured))
    bit = ReceivedNote(BS, Kind.FEEDBACK, slot - 1 if sent_slot is None else sent_slot, 1, bits.tobytes())
    inbox = [] if outage is None else [bit]
    return TurnContext(
        slot, 0, "act", "eval", going_on(len(measured)), measured, inbox, CounterRng(5, "node", node), []
    )


@given(st.lists(st.tuples(st.integers(-1, 4), st.floats(0, 1)), max_size=60), st.integers(1, 3))
def test_probabilities_stay_on_the_simplex(rewarded: list[tuple[int, float]], replicas: int) -> None:
    p = np.full((replicas, 5), 0.2)
    for action, weight in rewarded:
        p = reinforce(p, np.full(replicas, action), np.full(replicas, weight))
        assert (p >= 0).all()
        np.testing.assert_allclose(p.sum(axis=1), 1)


def test_a_certain_rb_is_absorbing() -> None:
    policy = automaton()
    policy.probability = np.array([[0.0, 1.0]])
    for slot in range(1, 30):
        assert policy.on_turn(turn_after(policy, slot, 1, 1.0, 0)).action["rb"] == 1  # type: ignore[index]
    assert policy.probability.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(("over_noise", "outage"), [(1.0, 1), (1e7, 0), (1e6, 0)])
def test_no_utility_leaves_the_probabilities(over_noise: float, outage: int) -> None:
    policy = automaton()
    policy.on_turn(turn_after(policy, 1, 0, over_noise, outage))
    assert policy.probability.tolist() == [[0.5, 0.5]]


def test_one_step_by_hand() -> None:
    policy = automaton(step=0.1)
    policy.on_turn(turn_after(policy, 1, 1, 1e3, 0))  # 30 of 60 dB above the noise: u = 0.5
    assert policy.probability.tolist() == [pytest.approx([0.5 - 0.025, 0.5 + 0.025])]


def test_replicas_learn_apart() -> None:
    policy = automaton(replicas=3, step=0.1)
    policy.on_turn(turn_after(policy, 1, [0, 1, 1], 1.0, [0, 0, 1]))
    assert policy.probability[:, 0].tolist() == pytest.approx([0.55, 0.45, 0.5])


def test_a_late_bit_counts_for_the_rb_of_its_slot_and_a_lost_one_has_no_effect() -> None:
    policy = automaton(step=0.1)
    policy.on_turn(turn_after(policy, 1, 0, 1.0, None))
    policy.on_turn(turn_after(policy, 2, 1, 1.0, None))
    assert policy.probability.tolist() == [[0.5, 0.5]]
    policy.on_turn(turn_after(policy, 3, 1, 1.0, 0, sent_slot=0))
    assert policy.probability[0, 0] == pytest.approx(0.55)
    policy.on_turn(turn_after(policy, 4, 1, 1.0, 0, sent_slot=0))  # repeated
    assert policy.probability[0, 0] == pytest.approx(0.55)


def test_bits_that_never_come_are_given_up() -> None:
    policy = automaton()
    for slot in range(1, 300):
        policy.on_turn(turn_after(policy, slot, 0, 1.0, None))
    assert len(policy.snapshot()["awaited"]) < 100


def test_draws_follow_the_probabilities() -> None:
    policy = automaton(rbs=3, replicas=4000)
    policy.probability = np.tile([0.2, 0.0, 0.8], (4000, 1))
    action = policy.on_turn(turn_after(policy, 0, -1, 1.0, None)).action
    assert action is not None
    assert np.bincount(action["rb"], minlength=3) / 4000 == pytest.approx([0.2, 0.0, 0.8], abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_two_pairs_that_block_each_other_end_apart(seed: int) -> None:
    pair = [automaton(node=n) for n in range(2)]
    rbs, over_noise = [-1, -1], [1.0, 1.0]
    for slot in range(1500):
        outputs = [
            policy.on_turn(turn_after(policy, slot + 2000 * seed, rbs[n], over_noise[n], 0, node=n))
            for n, policy in enumerate(pair)
        ]
        rbs = [int(output.action["rb"][0]) for output in outputs]  # type: ignore[index]
        over_noise = [1e8 if rbs[0] == rbs[1] else 1.0] * 2
    certain = [policy.probability[0].argmax() for policy in pair]
    assert certain[0] != certain[1]
    assert min(policy.probability.max() for policy in pair) > 0.99


def test_cellular_outage_falls_with_time() -> None:
    world = WORLD.build(D2DUnderlay(pairs=20, d2d_intercept_db=128.1), seed=1, replicas=5)
    stage = Stage(world, sla.SCHEME, replicas=5)
    for _ in range(400):
        stage.play_slot()
    early = np.mean([slot["cellular_outage"] for slot in stage.slots[:50]])
    late = np.mean([slot["cellular_outage"] for slot in stage.slots[-50:]])
    assert late < 0.75 * early


def test_one_bit_per_pair_and_slot_is_all_that_is_sent() -> None:
    stage = Stage(WORLD.build(D2DUnderlay(pairs=7), seed=1, replicas=1), sla.SCHEME)
    for _ in range(3):
        stage.play_slot()
    assert stage.note_bytes == {Kind.FEEDBACK: 21}
    assert stage.payload_bits == {Kind.FEEDBACK: 21}


def test_a_restored_automaton_continues() -> None:
    policy, again = automaton(rbs=3), automaton(rbs=3)
    policy.on_turn(turn_after(policy, 1, 2, 10.0, 0))
    policy.on_turn(turn_after(policy, 2, 1, 1.0, None))
    again.restore(unpack(pack(policy.snapshot())))
    for one in (policy, again):
        one.on_turn(turn_after(one, 3, 0, 5.0, 0, sent_slot=1))
    np.testing.assert_array_equal(policy.probability, again.probability)
    assert policy.probability[0, 1] > 1 / 3


def test_the_last_bit_is_learnt_when_the_run_closes() -> None:
    policy = automaton(step=0.1)
    policy.close(turn_after(policy, 1, 0, 1.0, 0))
    assert policy.probability[0, 0] == pytest.approx(0.55)


def test_it_runs_over_episodes() -> None:
    means = play(WORLD, D2DUnderlay(pairs=3), sla.SCHEME, slots=3, episodes=2)
    assert means["d2d_sum_rate_bps_hz"] > 0
