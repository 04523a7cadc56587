"""Time to decide one slot of zhang2025's network (19 APs, 57 devices, H = 3), by scheme: the rows of its table IV.

The policies of an in-process run are timed where they act or decide: `slot` is the time of all of a slot's decisions
one after another, `device` the same over the 57 devices, `each AP` that of one AP where APs decide by themselves. The
encoding of reports and the messages are not in it, the reading of notes is. Table IV is of another machine, with the
authors' program. Medians over slots, one thread.

    python -m benchmarks.decision_times
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

from agent_node.session import Session  # noqa: E402
from controller.config.resolved import load  # noqa: E402
from controller.execution.building import build_world, policy_builder  # noqa: E402
from controller.execution.in_process import Loopback  # noqa: E402
from protocol.messages.codec import encode  # noqa: E402
from protocol.messages.kinds import TRAINER_NAME  # noqa: E402
from protocol.messages.node import Welcome  # noqa: E402
from schemes.contract import NodePolicy, TurnContext, TurnOutput  # noqa: E402

SLOTS, FIRST = 300, 50  # the first ones have short queues
SCHEMES = {  # ms of table IV; None: not in it
    "zhang2025/fp": 58.131,
    "zhang2025/wmmse": 926.882,
    "zhang2025/itlinq": 5.223,
    "zhang2025/cells_llq": 0.166,
    "zhang2025/max_power": None,
}


class Timed(NodePolicy):
    """Another policy, with the time of its decisions: of its own, or the trainer's."""

    def __init__(self, policy: NodePolicy) -> None:
        self._policy = policy
        self.seconds: list[float] = []

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        began = time.process_time()  # what others do on the core does not count
        output = self._policy.on_turn(turn)
        if turn.step in ("act", "decide"):
            self.seconds.append(time.process_time() - began)
        return output


def timed_run(scheme: str) -> tuple[list[Timed], Timed | None]:
    """The policies of the APs and the trainer's, after a run under medium load."""
    config: dict[str, Any] = {
        "world": {"name": "traffic_cells", "drop_seed": 1, "load_packets_s": 20.0},
        "scheme": scheme,
        "slots": SLOTS,
        "record": {"trace": "none", "air_book_rows": 0},
    }
    plan = load(config).plan_for("benchmark")
    loopback = Loopback(plan, build_world(plan))
    timed: dict[str, Timed] = {}

    def join(name: str) -> None:
        def build(welcome: Welcome) -> NodePolicy:
            timed[name] = Timed(policy_builder(name)(welcome))
            return timed[name]

        session = loopback.sessions[name.encode()] = Session(plan.run_id, name, build)
        loopback.deliver(name.encode(), encode(session.hello()))

    for name in plan.nodes:
        join(name)
    while loopback.step():
        pass
    trainer = timed.pop(TRAINER_NAME, None)
    return list(timed.values()), trainer


def main() -> int:
    """Print a table."""
    print(f"{'scheme':22} {'slot [ms]':>10} {'device [us]':>12} {'each AP [us]':>13} {'table IV [ms]':>14}")
    for scheme, published_ms in SCHEMES.items():
        aps, trainer = timed_run(scheme)
        deciding = aps if trainer is None else [trainer]
        by_slot = [sum(times) for times in zip(*(node.seconds[FIRST:] for node in deciding), strict=False)]
        slot_s = statistics.median(by_slot)
        each = "-" if trainer else f"{1e6 * statistics.median([s for node in aps for s in node.seconds[FIRST:]]):.1f}"
        published = "-" if published_ms is None else f"{published_ms:.3f}"
        print(f"{scheme:22} {1e3 * slot_s:10.3f} {1e6 * slot_s / 57:12.2f} {each:>13} {published:>14}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
