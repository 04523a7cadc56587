"""Do this world and this scheme make a run? Asked before anything is started, so that it fails with one message."""

from typing import Any

from channel_server.worlds.contract import World as World
from channel_server.worlds.contract import WorldEntry
from controller.catalogue import name_of, schemes
from controller.faults import ConfigError, not_allowed
from protocol.choreography import Choreography
from protocol.messages import Welcome
from protocol.spaces import Space
from schemes.contract import Scheme

MOST_AGENTS = 1000
TRAINER_NAME = "trainer"


def build(entry: WorldEntry, params: Any, *, seed: int, replicas: int) -> World:
    """The world. ConfigError for parameters that are impossible together, and for too many agents."""
    try:
        world = entry.build(params, seed=seed, replicas=replicas)
    except (ValueError, MemoryError) as error:
        raise ConfigError(f"world: {error}") from error
    if len(world.agents) > MOST_AGENTS:
        raise ConfigError(f"world: {len(world.agents)} agents are not allowed: must be at most {MOST_AGENTS}")
    return world


def node_names(world: World) -> list[str]:
    """All names by node index: agents, the trainer, the network's parties."""
    return [*world.agents, TRAINER_NAME, *world.parties]


def check_home(scheme: Scheme, world_name: str) -> None:
    """ConfigError for a scheme that was not made for the world."""
    name, homes = scheme.card.name, scheme.card.worlds
    if world_name not in homes:
        others = ", ".join(n for n, s in schemes().items() if world_name in s.card.worlds) or "none"
        cure = f"it runs in {', '.join(homes)}, not in {world_name}; schemes for {world_name}: {others}"
        raise ConfigError(not_allowed("scheme.name", name, cure))


def check(world: World, scheme: Scheme, params: Any, *, seed: int, replicas: int, said: dict[str, Any]) -> None:
    """ConfigError when the scheme cannot do with this world and its parameters (`said`, as in the Welcome)."""
    try:
        turns = scheme.choreography(params)
        scheme.node(_welcome(world, scheme, turns, 0, seed, replicas, said), params)
        if scheme.cloud is not None:
            scheme.cloud(_welcome(world, scheme, turns, len(world.agents), seed, replicas, said), params)
    except ValueError as error:
        raise ConfigError(f"scheme: {error}") from error


def _welcome(
    world: World, scheme: Scheme, turns: Choreography, node: int, seed: int, replicas: int, said: dict[str, Any]
) -> Welcome:
    """What the channel server would tell the first agent, or the trainer."""
    is_agent = node < len(world.agents)
    return Welcome(
        run_id="",
        index=node,
        names=node_names(world),
        agents=len(world.agents),
        scheme=name_of(scheme),
        params=said,
        seed=seed,
        replicas=replicas,
        choreography=turns,
        views={view: spaces[node] for view, spaces in world.views.items()} if is_agent else {},
        action=world.actions[node] if is_agent else Space(),
        facts=world.facts(node),
    )
