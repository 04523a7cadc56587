"""A scheme whose trainer sends one policy to all agents: in one note, or each agent a note of its own.

Every `UPLOAD_EVERY_SLOTS` slots the agents upload a history, upon which the trainer sends the next version. It stands
for no paper; in a test it is installed as a package of its own, so that processes find it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from protocol.messages.choreography import Choreography, agents_act, trainer_learns
from protocol.messages.kinds import TRAINER_NAME, Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.plan import RunPlan
from protocol.params import param
from schemes.contract import NO_OUTPUT, Card, NodePolicy, Scheme, TurnContext, TurnOutput, to_trainer
from schemes.parts.weights import read_weights, write_weights
from tests.recording import CELL, GRAPH, plan_for

NAME = "tests2026/shared_policy"
WORLDS: dict[str, dict[str, Any]] = {
    "radio": CELL,
    "backhaul": GRAPH,
}  # by what lies between agents and cloud; four agents in both
AGENTS = 4
UPLOAD_EVERY_SLOTS = 5


@dataclass(frozen=True)
class SharedPolicy:
    in_one_note: bool = param(True, "or each agent a note of its own", source="ours")


class Agent(NodePolicy):
    """Uploads, and knows the newest version that it received."""

    def __init__(self, _welcome: Welcome, _params: SharedPolicy) -> None:
        self.version = 0

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        received = [read_weights(note.body)[0] for note in turn.inbox if note.kind == Kind.WEIGHTS]
        self.version = max(self.version, *received, 0)
        notes = (to_trainer(Kind.HISTORY, bytes(8)),) if turn.slot % UPLOAD_EVERY_SLOTS == 0 else ()
        return TurnOutput(notes=notes, scalars={"policy_version": self.version} if received else {})

    def snapshot(self) -> dict[str, Any]:
        return {"version": self.version}

    def restore(self, data: dict[str, Any]) -> None:
        self.version = data["version"]


class Cloud(NodePolicy):
    """Sends the next version whenever histories have come."""

    def __init__(self, welcome: Welcome, params: SharedPolicy) -> None:
        everybody = tuple(range(welcome.agents))
        self._receivers = [everybody] if params.in_one_note else [(agent,) for agent in everybody]
        self.version = 0

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if not any(note.kind == Kind.HISTORY for note in turn.inbox):
            return NO_OUTPUT
        self.version += 1
        return TurnOutput(notes=tuple(Note(to, Kind.WEIGHTS, weights(self.version)) for to in self._receivers))

    def snapshot(self) -> dict[str, Any]:
        return {"version": self.version}

    def restore(self, data: dict[str, Any]) -> None:
        self.version = data["version"]


def weights(version: int) -> bytes:
    """The body of a note with this version."""
    return write_weights({"w": np.full(50, version, np.float32)}, version, "float32")


def version_in(note: ReceivedNote) -> int:
    """The inverse."""
    return read_weights(note.body)[0]


CARD = Card(
    name=NAME,
    summary="one policy for all",
    citation="none",
    equations="none",
    worlds=("d2d_underlay", "conflict_graph"),
    observes="nothing",
    sends="histories and weights",
)
SCHEME = Scheme(CARD, lambda _: Choreography((agents_act(), trainer_learns())), Agent, Cloud, params=SharedPolicy)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the scheme as a package, for this process and those that it starts."""
    about = folder / "shared_policy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shared-policy\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[airtoll.schemes]\n{NAME} = {__name__}:SCHEME\n", "utf-8")
    monkeypatch.syspath_prepend(str(folder))


def shared_plan(cloud_link: str, *, in_one_note: bool = True, **settings: Any) -> RunPlan:
    """The plan of a run of the scheme, in a world with such links to the cloud."""
    world = WORLDS[cloud_link]
    home = "li2020/random" if world is CELL else "ours/random"
    plan = plan_for(home, world, **{"slots": 60, **settings})
    return msgspec.structs.replace(
        plan,
        nodes=(*plan.nodes, TRAINER_NAME),
        scheme=NAME,
        scheme_params={"in_one_note": in_one_note},
        choreography=SCHEME.choreography(SharedPolicy()),
    )
