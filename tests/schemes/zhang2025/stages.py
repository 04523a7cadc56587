"""The conflict graph world with a scheme of zhang2025."""

from pathlib import Path
from typing import Any

from channel_server.worlds.conflict_graph import WORLD, ConflictGraph, ConflictGraphParams, GraphState
from channel_server.worlds.graphs import Graph
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import TurnSpec
from protocol.messages.spaces import Space
from schemes.contract import Scheme, TurnContext
from tests.schemes.direct import Stage, play

_UNEVEN = "agents: {a: [10, 3], b: [7], c: [1, 2, 5]}\nconflicts: {10: [3, 7], 7: [3, 1], 5: [7], 2: [5]}\n"


def stage_of(
    scheme: Scheme, params: Any = None, *, world: ConflictGraphParams | None = None, replicas: int = 1
) -> Stage:
    """A run before its first slot."""
    built = WORLD.build(ConflictGraphParams() if world is None else world, seed=1, replicas=replicas)
    return Stage(built, scheme, params, seed=1, replicas=replicas)


def state_of(stage: Stage) -> GraphState:
    """The world's state behind a stage."""
    state: GraphState = stage.state
    return state


def graph_of(stage: Stage) -> Graph:
    """The graph of a stage."""
    assert isinstance(stage.world, ConflictGraph)
    return stage.world.graph


def turn_of(stage: Stage, node: int, turn: int, spec: TurnSpec) -> TurnContext:
    """The turn of `node` by this spec in the next slot, with an empty inbox."""
    state = stage.world.begin(stage.state, stage.slot, stage.ended > 0)
    measured = stage.world.measure(state, spec.view)[node] if spec.view else Space().empty(stage.replicas)
    rng = CounterRng(stage.seed, "node", node)
    return TurnContext(stage.slot, turn, spec.step, "eval", stage.ended, measured, [], rng, [])


def uneven(folder: Path) -> ConflictGraphParams:
    """Three agents of 2, 1 and 3 devices, not all of one agent's in conflict with each other."""
    path = folder / "uneven.yaml"
    path.write_text(_UNEVEN, "utf-8")
    return ConflictGraphParams(graph=str(path))


def delay_slots(scheme: Scheme, load: float, params: Any = None, *, slots: int, replicas: int) -> float:
    """Mean delay of a task in fig. 2."""
    world = ConflictGraphParams(load=load)
    return play(WORLD, world, scheme, params, slots=slots, replicas=replicas)["delay_slots"]
