"""Which lost nodes a launcher restarts, and how often: rules without I/O, fed with the run's events."""

from collections import Counter

from protocol.messages.plan import LossPlan
from protocol.messages.telemetry import Event


class RestartPolicy:
    """Decides about the nodes of one run, and counts their restarts."""

    def __init__(self, plan: LossPlan) -> None:
        self._plan = plan
        self._restarts: Counter[str] = Counter()
        self._coming: set[str] = set()  # restarted, and not yet back
        self._back_at: dict[str, int] = {}

    def may_restart(self, node: str, *, begun: bool) -> bool:
        """Whether a node whose process has died is restarted; if so, it counts.

        Before the first slot no state is lost with it: a restart does the same as a rollback.
        """
        on_loss = self._plan.of(node)
        wanted = on_loss == "restart" or (on_loss == "rollback" and not begun)
        if not wanted or self._restarts[node] >= self._plan.max_restarts:
            return False
        self._restarts[node] += 1
        self._coming.add(node)
        return True

    def is_given_up(self, event: Event) -> bool:
        """Whether the event means that a node is lost that the plan restarts; its process may still be alive.

        A trainer is reported lost again for every answer that its predecessor owed. These events, of slots before it
        rejoined, do not concern the new one.
        """
        if event.event == "rejoined":
            self._coming.discard(event.node)
            self._back_at[event.node] = event.slot
        is_news = event.node not in self._coming and event.slot >= self._back_at.get(event.node, 0)
        return event.event == "lost" and is_news and self._plan.of(event.node) == "restart"
