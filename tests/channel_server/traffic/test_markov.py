"""Two-state channels: how often they are good, how they change, and groups."""

import numpy as np

from channel_server.traffic.markov import MarkovChannels

P01, P11 = np.array([0.2, 0.5]), np.array([0.9, 0.4])
GROUPS = MarkovChannels(
    p01=P01,
    p11=P11,
    group=np.array([0, 0, 1, 0]),
    opposite=np.array([False, True, False, False]),
)


def test_chains_change_with_their_probabilities_and_keep_their_share() -> None:
    rng = np.random.default_rng(1)
    before = GROUPS.start(rng, 50_000)
    np.testing.assert_allclose(before.mean(axis=0), [0.2 / 0.3, 0.5 / 1.1], atol=0.01)
    after = GROUPS.step(before, rng)
    np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), atol=0.01)
    for chain, (p01, p11) in enumerate(zip(P01.tolist(), P11.tolist(), strict=True)):
        good = before[:, chain]
        np.testing.assert_allclose(after[good, chain].mean(), p11, atol=0.015)
        np.testing.assert_allclose(after[~good, chain].mean(), p01, atol=0.015)
    assert abs(np.corrcoef(after[:, 0], after[:, 1])[0, 1]) < 0.02


def test_a_group_follows_its_chain_and_opposites_turn_it_over() -> None:
    good = GROUPS.good(np.array([[True, False], [False, True]]))
    assert good.tolist() == [[True, False, False, True], [False, True, True, False]]


def test_one_pair_of_probabilities_serves_all_chains() -> None:
    alone = MarkovChannels(0.0, 0.0, group=np.arange(3), opposite=np.zeros(3, bool))
    assert alone.chains == 3
    assert not alone.start(np.random.default_rng(1), 4).any()
    assert not alone.step(np.ones((4, 3), bool), np.random.default_rng(1)).any()
