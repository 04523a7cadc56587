"""The medium of a run: its world, the world's state, and the actions by which the agents radiate."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from channel_server.action_board import ActionBoard
from channel_server.episodes import Episodes
from channel_server.worlds.contract import InfrastructureNote, Radio, SlotOutcome, World
from protocol.messages.kinds import LinkClass
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import MapUpdate

Measured = Mapping[int, bytes]  # encoded measurements by node


class Medium:
    """What nodes measure, and what their actions do. `probes`: trials of single agents so far, which cost airtime.
    `outcome`: of the last slot, None before the first."""

    def __init__(self, plan: RunPlan, world: World) -> None:
        self._world = world
        self.agents = range(len(world.agents))
        self.state: Any = world.reset()
        self.episodes = Episodes(len(world.agents) + plan.choreography.has_trainer, plan.replicas)
        self.board = ActionBoard(world, plan.loss.fallback, seed=plan.seed)
        self.probes = 0
        self.outcome: SlotOutcome | None = None
        self._prefetch = getattr(world, "prefetch", None)
        self._render = getattr(world, "render", None)
        self._prefetched = 0  # the slot that has been drawn ahead
        # the last measurement, with its state, view and nodes: turns of a slot may measure the same
        self._measured: tuple[Any, str, Sequence[int], Measured] = None, "", (), {}
        self._transmitted: tuple[int, Any] | None = None  # the last slot and the state it left, until it is rendered

    def begin(self, slot: int) -> None:
        """Open a slot. Where a new episode begins, every agent is silent until it acts."""
        if (restart := self.episodes.restart) is not None:
            self.board.actions.restart(restart)
        self.state = self._world.begin(self.state, slot, restart)

    def measure(self, view: str, nodes: Sequence[int]) -> Measured:
        """What these nodes measure, encoded; nothing without a view."""
        if not view:
            return dict.fromkeys(nodes, b"")
        state, measured_view, measured_nodes, measured = self._measured
        if state is not self.state or measured_view != view or measured_nodes != nodes:
            asked = () if nodes == self.agents else (nodes,)
            records = self._world.measure(self.state, view, *asked)
            measured = {node: record.tobytes() for node, record in zip(nodes, records, strict=True)}
            self._measured = self.state, view, nodes, measured
        return measured

    def probe(self, probing: int) -> None:
        """Try the actions of a probe turn, of `probing` agents. A probe costs no note, but airtime."""
        self.state = self._world.probe(self.state, self.board.take_trial())
        self.probes += probing

    def transmit(self, slot: int, *, truncate: bool) -> SlotOutcome:
        """Radiate by the actions of this slot. `truncate`: the episodes that the world does not end are cut off."""
        self.state, outcome = self._world.transmit(self.state, self.board.actions.records())
        self._transmitted = (slot, self.state)
        self.outcome = outcome._replace(ended=self.episodes.slot_done(outcome.ended, truncate=truncate))
        return self.outcome

    def report(self, name: str) -> list[InfrastructureNote]:
        """The notes that the BS and the cellular users send in the report of this name."""
        return self._world.report(self.state, name)

    def neighbours(self) -> Sequence[tuple[int, ...]]:
        """Whom each agent's broadcast reaches."""
        return self._world.neighbours(self.state)

    def radio_bits(self, source: int, receivers: tuple[int, ...], link: LinkClass) -> float:
        """How many bits a link carries in this slot if signalling has all of its radio."""
        world = cast(Radio, self._world)  # a plan that rations signalling by radio is rejected for any other world
        bps_hz = world.signalling_bps_hz(self.state, source, receivers, link)
        return world.signalling_band_hz * world.slot_s * bps_hz

    def prefetch(self, slot: int) -> None:
        """Draw a slot's fading ahead, once, if the world can."""
        if self._prefetch is not None and self._prefetched < slot:
            self._prefetched = slot
            self._prefetch(slot)

    def map_update(self) -> MapUpdate | None:
        """The map after the last slot; None if the world draws none, or none that has not been returned before."""
        if self._render is None or self._transmitted is None:
            return None
        (slot, state), self._transmitted = self._transmitted, None
        return MapUpdate(slot, self._render(state))

    def snapshot(self) -> dict[str, Any]:
        """The state between two slots."""
        return {
            "world": self._world.snapshot(self.state),
            "board": self.board.snapshot(),
            "episodes": self.episodes.snapshot(),
            "probes": self.probes,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.state = self._world.restore(data["world"])
        self.board.restore(data["board"])
        self.probes = data["probes"]
        self.episodes.restore(data["episodes"])
