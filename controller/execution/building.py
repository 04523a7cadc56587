"""Builds a plan's world and its nodes' policies, for every placement and for the checks before a run."""

import msgspec

from agent_node.core import BuildPolicy, agent_policy
from channel_server.worlds.contract import World, load
from controller.trainer import trainer_policy
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.plan import RunPlan


def build_world(plan: RunPlan) -> World:
    """The plan's world, built."""
    entry = load(plan.world)
    return entry.build(msgspec.convert(plan.world_params, entry.params), seed=plan.seed, replicas=plan.replicas)


def policy_builder(name: str) -> BuildPolicy:
    """The function that builds the policy of the node of this name."""
    return trainer_policy if name == TRAINER_NAME else agent_policy
