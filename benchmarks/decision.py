"""Time in which an agent of zhang2025/mappo decides: its turn of exchange and its turn to act together.

With table II's networks, one LSTM layer and 2 x 64 units, on the conflict graph of fig. 2 and in the cellular network
of 19 cells; one replica, one thread; decoding and encoding of frames is not in it. The command fails if the median on
the graph is more than LIMIT_MS.

    python -m benchmarks.decision
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from channel_server.welcome import welcome  # noqa: E402
from controller.config.resolved import load  # noqa: E402
from controller.execution.building import build_world  # noqa: E402
from protocol.determinism.rng import CounterRng  # noqa: E402
from protocol.messages.episodes import going_on  # noqa: E402
from protocol.messages.node import ReceivedNote  # noqa: E402
from protocol.messages.plan import RunPlan  # noqa: E402
from protocol.messages.spaces import Records  # noqa: E402
from schemes.contract import TurnContext, TurnOutput  # noqa: E402
from schemes.parts.actor import Actor  # noqa: E402
from schemes.parts.numpy_nets import draw  # noqa: E402
from schemes.zhang2025.mappo import agent  # noqa: E402
from schemes.zhang2025.mappo_networks import Mappo, networks_of  # noqa: E402

SLOTS, LIMIT_MS = 400, 0.15
WORLDS = {"conflict graph": {"name": "conflict_graph"}, "19 cells": {"name": "traffic_cells"}}


class Timed:
    """An agent with drawn weights; `decisions_ms`: of each slot, both turns."""

    def __init__(self, plan: RunPlan, world: Any, node: int) -> None:
        seat = welcome(plan, world, node)
        self.networks = networks_of(seat, Mappo())
        self._policy: Actor = agent(seat, Mappo())
        self._policy.load(draw(self.networks.policy, np.random.default_rng(node)), 0)
        self._rng, self.inbox, self.decisions_ms = CounterRng(1, "node", node), list[ReceivedNote](), list[float]()

    def play(self, slot: int, turn: int, measured: Records) -> TurnOutput:
        """Turn 0, the exchange, or turn 1, the act."""
        context = TurnContext(
            slot, turn, "act" if turn else "exchange", "eval", going_on(1), measured, self.inbox, self._rng, []
        )
        begun = time.perf_counter_ns()
        output = self._policy.on_turn(context)
        spent_ms = (time.perf_counter_ns() - begun) / 1e6
        self.inbox = []
        if turn:
            self.decisions_ms[-1] += spent_ms
        else:
            self.decisions_ms.append(spent_ms)
        return output


def play(settings: dict[str, Any]) -> list[Timed]:
    """All agents, after SLOTS slots."""
    plan = load({"world": settings, "scheme": "zhang2025/mappo", "slots": SLOTS, "untrained": True}).plan_for("time")
    world = build_world(plan)
    agents, state = [Timed(plan, world, node) for node in range(len(world.agents))], world.reset()
    for slot in range(SLOTS):
        state = world.begin(state, slot)
        measured, neighbours = world.measure(state, "local"), world.neighbours(state)
        for node, timed in enumerate(agents):
            for note in timed.play(slot, 0, measured[node]).notes:
                for other in neighbours[node]:
                    agents[other].inbox.append(ReceivedNote(node, note.kind, slot, 0, note.body))
        outputs = [timed.play(slot, 1, measured[node]) for node, timed in enumerate(agents)]
        state, _ = world.transmit(state, [output.action for output in outputs if output.action is not None])
    return agents


def main() -> int:
    """Print the table; 1 if a median is above the limit."""
    print(f"{'world':16}{'inputs':>8}{'outputs':>9}{'median [ms]':>13}{'95 % [ms]':>11}")
    medians = []
    for name, settings in WORLDS.items():
        agents = play(settings)
        times = [ms for timed in agents for ms in timed.decisions_ms]
        medians.append(statistics.median(times))
        policies = [timed.networks.policy for timed in agents]
        inputs, outputs = max(p.inputs for p in policies), max(p.outputs for p in policies)
        print(f"{name:16}{inputs:8}{outputs:9}{medians[-1]:13.3f}{float(np.quantile(times, 0.95)):11.3f}")
    return int(medians[0] > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
