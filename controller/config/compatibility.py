"""Checks that a world and a scheme make a run, on the plan that the processes receive, before anything starts."""

from typing import Any, get_args

import msgspec

from agent_node.core import Node
from channel_server.welcome import welcome
from channel_server.worlds.contract import Privileged, World
from controller.config.catalogue import schemes, worlds_of
from controller.config.errors import ConfigError, invalid, reported_as
from controller.execution.building import build_world, policy_builder
from controller.trainer import check_training
from protocol.messages.kinds import CloudLink
from protocol.messages.plan import RunPlan
from schemes.contract import Scheme
from schemes.parts.weights import Weights, write_weights

MAX_AGENTS = 1000


def build(plan: RunPlan) -> World:
    """The plan's world. ConfigError for parameters that are impossible together, and for too many agents."""
    with reported_as("world"):
        world = build_world(plan)
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
    """Build the policies of an agent of every role and of the trainer, but no learner: those load torch when a run
    begins. Of a run that starts from weights build every node, its learner included. ConfigError if the world, the
    parameters or the weights do not suit them."""
    params: Any = msgspec.convert(plan.scheme_params, scheme.params)
    if scheme.privileged and not isinstance(world, Privileged):
        raise ConfigError(f"scheme: {plan.scheme} needs privileged information: let {plan.world} offer privileged_info")
    with reported_as("scheme"):
        for node in _one_of_every_role(world):
            scheme.node(welcome(plan, world, node), params)
        trainer = welcome(plan, world, len(world.agents))
        if scheme.cloud is not None:
            scheme.cloud(trainer, params)
        if scheme.training is not None:
            check_training(trainer, scheme.training(trainer, params))
    if plan.start:
        _check_start(world, plan)


def _one_of_every_role(world: World) -> list[int]:
    """The first agent of all those that measure and do the same things."""
    first: dict[object, int] = {}
    for node in range(len(world.agents)):
        first.setdefault((world.actions[node], *(spaces[node] for spaces in world.views.values())), node)
    return list(first.values())


def check_evaluation(trained: RunPlan, evaluated: RunPlan) -> None:
    """ConfigError unless the nodes of the second run can start from what the first one learns."""
    try:
        networks = _first_weights(trained, build(trained))
        world = build(evaluated)
        bodies = tuple(write_weights(networks[i % len(networks)], 0, "float32") for i in range(len(world.agents)))
        _check_start(world, msgspec.structs.replace(evaluated, start=bodies))
    except ConfigError as error:
        raise ConfigError(str(error).replace("start.weights", "evaluate", 1)) from error


def _first_weights(plan: RunPlan, world: World) -> list[Weights]:
    """The weights of every agent before anything is learnt: by the trainer, or else by the agents themselves."""
    trainer = plan.nodes[-1:] if plan.choreography.has_trainer else ()
    agents = plan.nodes[: len(world.agents)]
    for first, names in ((len(agents), trainer), (0, agents)):
        policies = [policy_builder(name)(welcome(plan, world, first + i)) for i, name in enumerate(names)]
        for policy in policies:
            policy.prepare()
        if learnt := [one for policy in policies for one in policy.learnt_by_agent()]:
            return learnt
    raise ConfigError(
        f"evaluate: neither the trainer nor the nodes of {plan.scheme} show weights that an evaluation could start "
        "from: give the nodes' policy learnt_weights, or train and evaluate in the phases of one run"
    )


def _check_start(world: World, plan: RunPlan) -> None:
    """Every node as it starts, its learner included. ConfigError if the weights do not fit one."""
    for index, name in enumerate(plan.nodes):
        try:
            Node(welcome(plan, world, index), policy_builder(name))
        except ValueError as error:
            raise ConfigError(f"start.weights: {name} of {plan.scheme} cannot start from them: {error}") from error
