"""Which lost nodes a launcher restarts, and how often: rules without I/O, fed with the run's events."""

from collections import Counter

from protocol.messages.plan import LossPlan
from protocol.messages.telemetry import Event


class RestartPolicy:
    """Decides about the nodes of one run, and counts their restarts."""

    def __init__(self, plan: LossPlan) -> None:
        self._plan = plan
        self._restarts: Counter[str] = Counter()
        self._restarting: set[str] = set()  # and not yet rejoined
        self._rejoined_at: dict[str, int] = {}

    def may_restart(self, node: str, *, begun: bool) -> bool:
        """Whether a node whose process has died is restarted; if so, it counts.

        Before the first slot it has no state that could be lost: a restart does the same as a rollback.
        """
        on_loss = self._plan.of(node)
        wanted = on_loss == "restart" or (on_loss == "rollback" and not begun)
        if not wanted or self._restarts[node] >= self._plan.max_restarts:
            return False
        self._restarts[node] += 1
        self._restarting.add(node)
        return True

    def should_kill(self, event: Event) -> bool:
        """Whether the run has lost a node that the plan restarts: its process, which may only hang, must end first.

        The channel server reports a trainer lost again for every reply that the old process owed. These events, of
        slots before the trainer rejoined, do not concern the new process.
        """
        if event.event == "rejoined":
            self._restarting.discard(event.node)
            self._rejoined_at[event.node] = event.slot
        is_new = event.node not in self._restarting and event.slot >= self._rejoined_at.get(event.node, 0)
        return event.event == "lost" and is_new and self._plan.of(event.node) == "restart"
