"""Do this world and this scheme make a run? Asked before anything is started, so that it fails with one message."""

from importlib.util import find_spec
from typing import Any

from channel_server.welcome import names as names
from channel_server.welcome import welcome
from channel_server.worlds.contract import World as World
from channel_server.worlds.contract import WorldEntry
from controller.config.catalogue import schemes
from controller.config.errors import ConfigError, invalid
from protocol.messages.plan import RunPlan
from schemes.contract import Scheme

MAX_AGENTS = 1000


def build(entry: WorldEntry, params: Any, *, seed: int, replicas: int) -> World:
    """The world. ConfigError for parameters that are impossible together, and for too many agents."""
    try:
        world = entry.build(params, seed=seed, replicas=replicas)
    except (ValueError, MemoryError) as error:
        raise ConfigError(f"world: {error}") from error
    if len(world.agents) > MAX_AGENTS:
        raise ConfigError(f"world: {len(world.agents)} agents are not allowed: must be at most {MAX_AGENTS}")
    return world


def check_home(scheme: Scheme, world_name: str) -> None:
    """ConfigError for a scheme that was not made for the world."""
    name, homes = scheme.card.name, scheme.card.worlds
    if world_name not in homes:
        others = ", ".join(n for n, s in schemes().items() if world_name in s.card.worlds) or "none"
        cure = f"it runs in {', '.join(homes)}, not in {world_name}; schemes for {world_name}: {others}"
        raise ConfigError(invalid("scheme.name", name, cure))


def check(world: World, scheme: Scheme, params: Any, plan: RunPlan) -> None:
    """ConfigError when the scheme cannot do with this world, its parameters, or what is installed."""
    if scheme.learns and find_spec("torch") is None:
        raise ConfigError(f"scheme: {scheme.card.name} learns and needs torch: pip install 'airtoll[learn]'")
    try:
        scheme.node(welcome(plan, world, 0), params)
        for cloud_side in (scheme.cloud, scheme.training):
            if cloud_side is not None:
                cloud_side(welcome(plan, world, len(world.agents)), params)
    except ValueError as error:
        raise ConfigError(f"scheme: {error}") from error
