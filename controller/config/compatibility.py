"""Checks that a world and a scheme make a run, on the plan that the processes receive, before anything starts."""

from typing import Any, get_args

import msgspec

from channel_server.welcome import welcome
from channel_server.worlds.contract import World
from controller.config.catalogue import schemes, worlds_of
from controller.config.errors import ConfigError, invalid
from controller.execution.building import build_world
from controller.trainer import check_training
from protocol.messages.kinds import CloudLink
from protocol.messages.plan import RunPlan
from schemes.contract import Scheme

MAX_AGENTS = 1000


def build(plan: RunPlan) -> World:
    """The plan's world. ConfigError for parameters that are impossible together, and for too many agents."""
    try:
        world = build_world(plan)
    except (ValueError, MemoryError) as error:
        raise ConfigError(f"world: {error}") from error
    if len(world.agents) > MAX_AGENTS:
        raise ConfigError(f"world: {len(world.agents)} agents are not allowed: must be at most {MAX_AGENTS}")
    if getattr(world, "cloud_link", None) not in get_args(CloudLink):
        fix = "cloud_link = 'backhaul' where agents are base stations, 'radio' where they are devices"
        raise ConfigError(f"world: {plan.world} does not say what lies between its agents and the BS/cloud; set {fix}")
    return world


def check_world(scheme: Scheme, world_name: str) -> None:
    """ConfigError for a scheme that was not made for the world."""
    name, supported = scheme.card.name, worlds_of(scheme)
    if world_name not in supported:
        others = ", ".join(n for n, s in schemes().items() if world_name in worlds_of(s)) or "none"
        fix = f"it runs in {', '.join(supported)}, not in {world_name}; schemes for {world_name}: {others}"
        raise ConfigError(invalid("scheme.name", name, fix))


def check(world: World, scheme: Scheme, plan: RunPlan) -> None:
    """Build the policies of an agent and the trainer. ConfigError if the world or the parameters do not suit them."""
    params: Any = msgspec.convert(plan.scheme_params, scheme.params)
    try:
        scheme.node(welcome(plan, world, 0), params)
        trainer = welcome(plan, world, len(world.agents))
        if scheme.cloud is not None:
            scheme.cloud(trainer, params)
        if scheme.training is not None:
            check_training(trainer, scheme.training(trainer, params))
    except ValueError as error:
        raise ConfigError(f"scheme: {error}") from error
