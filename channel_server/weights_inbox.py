"""Weights that the launcher uploads for agents, and the weights that are reported to it."""

from collections.abc import Collection

from channel_server.run_state import RunState
from protocol.accounting.trace import TraceField
from protocol.messages.node import ReceivedNote
from protocol.messages.orders import UploadWeights
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import OrderDone, Weights


class WeightsInbox:
    """Keeps uploaded weights until the next slot, in which they are sent over the air like those of a trainer.

    In a replay the uploads of the run that is replayed leave at the slots at which they left then.
    """

    def __init__(self, plan: RunPlan, state: RunState) -> None:
        self._agents = [state.attendance.names[node] for node in state.medium.agents]
        self._resend_after_slots = plan.signalling.resend_after_slots
        self._relay = state.relay
        self._recorder = state.recorder
        self._events = state.events
        self._orders: dict[int, UploadWeights] = {}  # by node, for the next slot
        self._replayed: dict[int, list[tuple[int, bytes]]] = {}  # node and body by slot
        self._reported: dict[int, ReceivedNote] = {}  # by node, what the launcher was sent last
        for event in plan.replay or ():
            if event.event == "uploaded":
                self._replayed.setdefault(event.slot, []).append((self._agents.index(event.node), event.body))

    def take(self, order: UploadWeights) -> None:
        """Keep an upload for the next slot; an earlier one for the same node and slot is dropped."""
        if order.node not in self._agents:
            self._recorder.order_done(OrderDone(order.id, f"no agent is named {order.node!r}"))
            return
        node = self._agents.index(order.node)
        if earlier := self._orders.pop(node, None):
            self._recorder.order_done(OrderDone(earlier.id, "other weights came for the same slot"))
        self._orders[node] = order

    def reject(self, reason: str) -> None:
        """Reject the uploads that wait: there is no next slot."""
        for order in self._orders.values():
            self._recorder.order_done(OrderDone(order.id, reason))
        self._orders.clear()

    def begin_slot(self, slot: int, *, returned: Collection[int], lost: Collection[int]) -> None:
        """Send nodes that came back their newest weights, and upload again what has not been acknowledged; then send
        the uploads for this slot. `returned`: who rejoins at this slot; `lost`: who is not there."""
        for node in [*returned, *self._unacknowledged(slot, {*lost, *returned})]:
            self._relay.resend_weights(slot, node)
        uploads = [*self._replayed.get(slot, []), *((node, order.body) for node, order in self._orders.items())]
        for node, body in sorted(uploads):
            self._recorder.trace.add((slot, 0, node, TraceField.WEIGHTS, body))
            self._recorder.weights(Weights(node, slot, body, uploaded=True))
            self._events.add("uploaded", self._agents[node], f"{len(body)} bytes of uploaded weights")
            self._relay.put_weights(slot, node, body, gone=lost)
        for order in self._orders.values():
            self._recorder.order_done(OrderDone(order.id))
        self._orders.clear()

    def report(self) -> None:
        """Send the launcher the newest weights of every node, except those that it has been sent before."""
        for node, received in self._relay.delivered_weights.items():
            if self._reported.get(node) is not received:
                self._reported[node] = received
                self._recorder.weights(Weights(node, received.slot, received.body))

    def _unacknowledged(self, slot: int, away: Collection[int]) -> list[int]:
        """Nodes whose upload is to be sent again, as no trainer's session resends it."""
        after = self._resend_after_slots
        return [node for node in self._relay.overdue(slot, after) if node not in away] if after else []
