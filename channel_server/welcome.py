"""The Welcome: all that a node knows of its run before the first slot, sent when it takes its seat."""

from typing import Any

from channel_server.worlds.contract import Privileged, World
from protocol.messages.choreography import PHASES
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.node import NodeSpaces, Welcome
from protocol.messages.plan import RunPlan
from protocol.messages.spaces import Space


def names(world: World) -> list[str]:
    """All names by node index: agents, the trainer, the infrastructure."""
    return [*world.agents, TRAINER_NAME, *world.infrastructure]


def welcome(plan: RunPlan, world: World, node: int) -> Welcome:
    """The Welcome of an agent, or of the trainer for node == len(agents)."""
    everyone = [_spaces(world, agent) for agent in range(len(world.agents))]
    is_agent = node < len(everyone)
    own = everyone[node] if is_agent else NodeSpaces({}, Space())
    return Welcome(
        run_id=plan.run_id,
        index=node,
        names=names(world),
        agents=len(everyone),
        scheme=plan.scheme,
        params=plan.scheme_params,
        seed=plan.seed,
        replicas=plan.replicas,
        choreography=plan.choreography,
        views=own.views,
        action=own.action,
        static_info=_static_info(plan, world, node),
        everyone=[] if is_agent else everyone,
        resend_after_slots=plan.signalling.resend_after_slots,
        phases=[(PHASES.index(phase.name), phase.slots) for phase in plan.phases],
        start=list(plan.start[node : node + 1] if is_agent else plan.start),
    )


def _static_info(plan: RunPlan, world: World, node: int) -> dict[str, Any]:
    static = world.static_info(node)
    return static | world.privileged_info() if plan.privileged and isinstance(world, Privileged) else static


def _spaces(world: World, agent: int) -> NodeSpaces:
    return NodeSpaces({view: spaces[agent] for view, spaces in world.views.items()}, world.actions[agent])
