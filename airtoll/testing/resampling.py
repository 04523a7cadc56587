"""Whether a world's `resample_unobserved` redraws all that it may: the locality kit rests on it."""

from typing import Any

import numpy as np

from channel_server.worlds.contract import World
from protocol.determinism.snapshots import pack

_STATES = 8


def check_resampling(world: World) -> None:
    """AssertionError unless `resample_unobserved` keeps what node 0 measures in each view, and little else.

    What it redraws shows in what some other node measures in that view, or else, as in a world of one agent, in what
    any node measures in any view or in what the same actions then earn. Where it redraws nothing, the view must show
    everything.
    """
    rng = np.random.default_rng(2)
    states = [_state_after_slots(world, slots, rng) for slots in range(1, _STATES + 1)]
    for view in world.views:
        elsewhere = world.resample_unobserved(states[-1], view, 0, rng)
        before, after = _seen(world, states[-1], view), _seen(world, elsewhere, view)
        assert after[0] == before[0], f"resample_unobserved redraws what {world.agents[0]} measures in {view!r}"
        if after[1:] != before[1:]:
            continue
        if pack(world.snapshot(elsewhere)) == pack(world.snapshot(states[-1])):
            _check_it_shows_everything(world, view, states)
        else:
            assert _effects(world, elsewhere) != _effects(world, states[-1]), (
                f"what it redraws in {view!r} has no effect"
            )


def _check_it_shows_everything(world: World, view: str, states: list[Any]) -> None:
    """A view of fewer numbers than there are in the state that vary leaves some of them out."""
    records = world.measure(states[0], view)[0]
    shown = sum(records[field.name].size for field in world.views[view][0].fields)
    varying = np.count_nonzero(np.ptp(np.stack([_numbers(world, state) for state in states]), axis=0))
    assert varying <= shown, f"resample_unobserved redraws nothing, but {view!r} shows {shown} of {varying} numbers"


def _numbers(world: World, state: Any) -> Any:
    """All numbers of a state in a row."""

    def leaves(value: Any) -> list[Any]:
        return [leaf for v in value.values() for leaf in leaves(v)] if isinstance(value, dict) else [np.ravel(value)]

    return np.concatenate(leaves(world.snapshot(state))).astype(float)


def _seen(world: World, state: Any, view: str) -> list[bytes]:
    return [measured.tobytes() for measured in world.measure(state, view)]


def _effects(world: World, state: Any) -> list[bytes]:
    """What all nodes measure in all views, and earn by the same actions."""
    rng = np.random.default_rng(3)
    actions = [world.random(node, rng) for node in range(len(world.agents))]
    rewards = world.transmit(state, actions)[1].rewards.tobytes()
    return [seen for view in world.views for seen in _seen(world, state, view)] + [rewards]


def _state_after_slots(world: World, slots: int, rng: np.random.Generator) -> Any:
    """The state after so many slots of random actions."""
    state = world.reset()
    for slot in range(slots):
        state = world.begin(state, slot)
        state, _ = world.transmit(state, [world.random(node, rng) for node in range(len(world.agents))])
    return world.begin(state, slots)
