"""BSs that share a policy: what each knows, what the cloud learns from, and where the policy begins."""

from typing import Any

import numpy as np

from channel_server.worlds.downlink_cells import WORLD, DownlinkCells
from protocol.messages.choreography import Choreography
from protocol.messages.kinds import Kind
from schemes.contract import load
from schemes.khan2020.learner_powers import shared
from schemes.khan2020.local_learning import CsiVector, csi_space, to_rollout
from schemes.khan2020.network_info import network_info
from schemes.khan2020.trpo_full import TrpoFull
from schemes.khan2020.trpo_partial import TrpoPartial
from schemes.parts.history import VALID, JointTrajectory
from tests.schemes.direct import Stage, welcome_for

CELLS = DownlinkCells(cells=4, users=2)
E = 5


def stage(scheme: str, params: Any) -> Stage:
    """Without the trainer, which has nothing to learn from in evaluation."""
    one = Stage(WORLD.build(CELLS, seed=1, replicas=E), load(f"khan2020/{scheme}"), params, replicas=E)
    one.choreography = Choreography(tuple(spec for spec in one.choreography.turns if spec.who == "agents"))
    return one


def test_every_bs_begins_with_the_policy_of_the_learner() -> None:
    params = TrpoFull(hidden=(8, 8))
    one = stage("trpo_full", params)
    learner = shared(params, params, inputs=8, critic_inputs=40, powers=2, seed=1)
    for policy in one.policies:
        acting: Any = policy
        for name, weight in learner.weights(0).items():
            np.testing.assert_array_equal(acting.net.weights[name], weight)


def test_a_bs_sees_its_own_cell_first_and_acts_alike_wherever_it_is() -> None:
    one = stage("trpo_full", TrpoFull(hidden=(8, 8)))
    one.play_slot()
    gains_db = one.world.measure(one.state, "csi")
    info = network_info(welcome_for(one.world, load("khan2020/trpo_full"), 0, TrpoFull()))
    for b, policy in enumerate(one.policies):
        acting: Any = policy
        order = [(b + i) % 4 for i in range(4)]
        seen = gains_db[b]["gain_db"][:, order]
        own, other = (info.typical_db[name] for name in ("own", "other"))
        mean, deviation = (np.array([own[i], *[other[i]] * 3], np.float32)[:, None] for i in (0, 1))
        outputs = acting.net(((seen - mean) / deviation).reshape(E, -1))
        expected = np.clip(outputs[:, :2], 0, 1) * np.float32(info.max_power_w)
        np.testing.assert_allclose(one.actions[b]["power_w"], expected, rtol=1e-5)


def test_powers_are_handed_on_to_those_that_act_later_in_the_slot() -> None:
    one = stage("trpo_partial", TrpoPartial(hidden=(8, 8)))
    seen: list[tuple[int, Any]] = []
    for b, policy in enumerate(one.policies):
        acting: Any = policy
        inner = acting._sense.record

        def record(turn: Any, b: int = b, inner: Any = inner) -> Any:
            seen.append((b, inner(turn)))
            return seen[-1][1]

        acting._sense.record = record
    for _ in range(2):  # powers of the slot before count no more
        seen.clear()
        one.play_slot()
        chosen = {b: one.actions[b]["power_w"] / np.float32(CELLS.max_power_w) for b in range(4)}
        for position, (b, known) in enumerate(seen):
            before = {c for c, _ in seen[:position]}
            for i in range(3):
                c = (b + 1 + i) % 4
                expected = chosen[c] if c in before else np.zeros((E, 2))
                np.testing.assert_allclose(known["share"][:, i], expected, atol=1e-6)


def test_partial_sends_k_scalars_to_each_other_bs_and_full_nothing() -> None:
    partial, full = stage("trpo_partial", TrpoPartial(hidden=(8,))), stage("trpo_full", TrpoFull(hidden=(8,)))
    for one in (partial, full):
        one.play_slot()
    assert partial.payload_bits[Kind.NEIGHBOUR] == 4 * 2 * 32  # a note per BS; a backhaul carries 3 copies of each
    assert not full.payload_bits


def test_a_row_earns_the_sum_rate_of_the_network_and_counts_only_if_all_have_come() -> None:
    world = WORLD.build(CELLS, seed=1, replicas=E)
    welcome = welcome_for(world, load("khan2020/trpo_full"), 0, TrpoFull())
    info, space = network_info(welcome), csi_space(welcome)
    rng, slots = np.random.default_rng(1), 2
    states = [space.empty((slots + 1) * E).reshape(slots + 1, E) for _ in range(4)]
    actions = [welcome.action.empty(slots * E).reshape(slots, E) for _ in range(4)]
    for state, action in zip(states, actions, strict=True):
        state["gain_db"] = rng.uniform(-150, -90, state["gain_db"].shape)
        action["power_w"] = rng.uniform(0, info.max_power_w, action["power_w"].shape)
    flags = np.full((slots, E, 4), VALID, np.uint8)
    flags[1, 2, 3] = 0
    rates = rng.uniform(0, 5, (slots, E, 4)).astype(np.float32)
    present, versions = np.ones((slots, 4), bool), np.zeros((slots, 4), np.uint32)
    joint = JointTrajectory((0, 1, 2, 3), 0, states, actions, rates, flags, versions, present)
    rollout = to_rollout(info, CsiVector(info, space))(joint)
    np.testing.assert_allclose(rollout.rewards, np.repeat(rates.sum(axis=2, keepdims=True), 4, axis=2))
    assert rollout.valid is not None
    assert not rollout.valid[1, 2].any()
    assert rollout.valid.sum() == slots * E * 4 - 4
    assert rollout.critic_states is not None
    own = rollout.states.shape[-1]
    for b in range(4):
        in_order = np.concatenate([rollout.states[:, :, (b + i) % 4] for i in range(4)], axis=-1)
        np.testing.assert_array_equal(rollout.critic_states[:, :, b, own:], in_order)
        np.testing.assert_allclose(
            rollout.actions[:, :, b] * np.float32(info.max_power_w), actions[b]["power_w"], rtol=1e-6
        )
