"""Rollouts by agent, pooled and together, against plain indexing."""

from dataclasses import replace

import numpy as np

from schemes.parts.rollout import Rollout

T, E, N, S, K = 3, 2, 4, 5, 2


def rollout() -> Rollout:
    rng = np.random.default_rng(1)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    return Rollout(
        states=drawn(T, E, N, S),
        actions=drawn(T, E, N, K),
        rewards=drawn(T, E, N),
        next_states=drawn(T, E, N, S),
        log_probs=drawn(T, E, N),
        terminated=rng.random((T, E)) < 0.5,
        truncated=rng.random((T, E)) < 0.5,
        valid=rng.random((T, E, N)) < 0.5,
        hidden=drawn(1, E, N, 3),
    )


def test_one_agents_rows() -> None:
    it = rollout()
    one = it.of_agent(2)
    assert one.rows == T * E
    assert (one.states[:, :, 0] == it.states[:, :, 2]).all()
    assert one.hidden is not None
    assert it.hidden is not None
    assert (one.hidden[0, :, 0] == it.hidden[0, :, 2]).all()
    assert (one.terminated == it.terminated).all()


def test_pooled_agents_are_replicas() -> None:
    it = rollout()
    one = it.pooled()
    assert it.valid is not None
    assert one.valid is not None
    for e in range(E):
        for n in range(N):
            column = e * N + n
            assert (one.states[:, column, 0] == it.states[:, e, n]).all()
            assert (one.valid[:, column, 0] == it.valid[:, e, n]).all()
            assert (one.terminated[:, column] == it.terminated[:, e]).all()
            assert (one.truncated[:, column] == it.truncated[:, e]).all()


def test_together_agents_are_one_with_the_sum_of_rewards() -> None:
    it = rollout()
    one = it.together()
    assert it.valid is not None
    assert one.valid is not None
    assert one.log_probs is not None
    assert it.log_probs is not None
    for t in range(T):
        for e in range(E):
            assert one.states[t, e, 0].tolist() == [x for n in range(N) for x in it.states[t, e, n].tolist()]
            assert one.actions[t, e, 0].tolist() == [x for n in range(N) for x in it.actions[t, e, n].tolist()]
            np.testing.assert_allclose(one.rewards[t, e, 0], sum(it.rewards[t, e].tolist()), rtol=1e-5)
            np.testing.assert_allclose(one.log_probs[t, e, 0], sum(it.log_probs[t, e].tolist()), rtol=1e-5)
            assert one.valid[t, e, 0] == all(it.valid[t, e])


def test_together_the_oldest_version_counts() -> None:
    versions = np.random.default_rng(3).integers(0, 9, (T, E, N)).astype(np.uint32)
    one = replace(rollout(), policy_versions=versions, valid=None).together()
    assert one.policy_versions is not None
    assert one.policy_versions[..., 0].tolist() == versions.min(axis=2).tolist()
    assert one.newer_than(4).usable_rows == (versions.min(axis=2) > 4).sum()
