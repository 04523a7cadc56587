"""What the critics of MAAC, NAAC and its independent form know in a cell, by their settings."""

from typing import Any

import pytest

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from schemes.contract import Scheme
from schemes.li2020 import dqn, maac, naac
from schemes.li2020.learner_maac import MaacLearner
from tests.schemes.direct import welcome_for

NETS: dict[str, Any] = {"actor_hidden": (8,), "critic_hidden": (16, 8)}
S, A = 6 + 3, 6  # six RBs, `compact`


def _learner(scheme: Scheme, observation: Any = "compact", **settings: Any) -> MaacLearner:
    world = WORLD.build(D2DUnderlay(pairs=5, rbs=6, observation=observation), seed=1, replicas=1)
    assert scheme.training is not None
    params = scheme.params(**NETS, **settings)
    learner = scheme.training(welcome_for(world, scheme, 5, params), params).learner()
    assert isinstance(learner, MaacLearner)
    return learner


@pytest.mark.parametrize(
    ("scheme", "settings", "known", "products"),
    [
        (maac.SCHEME, {}, 5, 1),
        (maac.SCHEME, {"observation": "per_rb"}, 5, 4),
        (maac.SCHEME, {"critic_join": "plain"}, 5, 0),
        (naac.SCHEME, {}, 4, 1),
        (naac.SCHEME, {"neighbours": 0}, 1, 1),
    ],
)
def test_what_joins_the_critics(scheme: Scheme, settings: dict[str, Any], known: int, products: int) -> None:
    learner = _learner(scheme, **settings)
    inputs = 4 * 6 if "observation" in settings else S
    assert learner.critic.states.weight.shape[1] == known * inputs
    assert learner.critic.tail.layers[0].weight.shape[1] == 16 + (known + products) * A


def test_dqn_learns_from_squared_errors_as_maac_does() -> None:
    assert dqn.Dqn().huber_threshold == 0
