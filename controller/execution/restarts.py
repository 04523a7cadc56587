"""Which nodes a launcher starts again, and how often: pure rules, told what happened to the run."""

from collections import Counter

from protocol.messages.plan import LossPlan
from protocol.messages.telemetry import Event


class Supervisor:
    """Counts what each node of one run was started again."""

    def __init__(self, plan: LossPlan) -> None:
        self._plan = plan
        self._restarts: Counter[str] = Counter()
        self._coming: set[str] = set()  # started again, not yet back
        self._back_at: dict[str, int] = {}

    def may_restart(self, node: str, *, begun: bool) -> bool:
        """Whether a node whose process has died is started again; it is counted if so.

        Before the first slot nothing is lost with it: starting it again is all that a rollback would do.
        """
        on_loss = self._plan.of(node)
        wanted = on_loss == "restart" or (on_loss == "rollback" and not begun)
        if not wanted or self._restarts[node] >= self._plan.max_restarts:
            return False
        self._restarts[node] += 1
        self._coming.add(node)
        return True

    def is_given_up(self, event: Event) -> bool:
        """Whether a node that shall be started again is lost to the run, though its process may live on.

        A trainer is lost anew for every answer that its predecessor owed: that says nothing of the one that has come.
        """
        if event.event == "rejoined":
            self._coming.discard(event.node)
            self._back_at[event.node] = event.slot
        is_news = event.node not in self._coming and event.slot >= self._back_at.get(event.node, 0)
        return event.event == "lost" and is_news and self._plan.of(event.node) == "restart"
