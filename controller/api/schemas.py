"""The answers of the REST interface, apart from those that are dataclasses of the service."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from controller.run_folder.checkpoints import CheckpointInfo
from controller.service.queries import NodeInfo
from controller.service.store import RunHead
from controller.service.weights import NodeWeights


class RunList(BaseModel):
    """One page of runs, the newest first; `total` counts the runs on all pages."""

    runs: list[RunHead]
    total: int


class TollCounts(BaseModel):
    """`notes`: distinct; `payload_bits`: charged over the air, of all attempts, of one replica; `note_bytes`: of all
    attempts, a note to several receivers once over radio and once per receiver over wires; `copies`: delivered, of
    `copy_bytes`."""

    notes: int
    payload_bits: int
    note_bytes: int
    copies: int
    copy_bytes: int


class TollSpan(BaseModel):
    """The toll of the slots `first` to `last`, inclusive, by name."""

    first: int
    last: int
    tolls: dict[str, TollCounts]


class TollReport(BaseModel):
    """The toll by kind of note, by sending node, or by link class."""

    by: Literal["kind", "node", "link"]
    windows: list[TollSpan]


class RunMap(BaseModel):
    """The map of a world after a slot: a `protocol.messages.drawing.Drawing`, as the world's `render` gives it."""

    world: str
    slot: int | None
    map: dict[str, Any]


class FileInfo(BaseModel):
    """A file of the run's folder."""

    name: str
    bytes: int
    modified: datetime


class FileList(BaseModel):
    """The files of the run's folder, by name."""

    files: list[FileInfo]


class CheckpointList(BaseModel):
    """The stored checkpoints, the newest first."""

    checkpoints: list[CheckpointInfo]


class WeightsList(BaseModel):
    """The stored weights, by node, the newest first."""

    weights: list[NodeWeights]


class LeaseInfo(BaseModel):
    """What a worker runs under one of its leases; `node` is empty until a process starts."""

    run: str
    node: str


class WorkerInfo(BaseModel):
    """A worker of the pool. `capacity`: processes at a time, of which `idle` are not leased."""

    name: str
    role: Literal["agent", "channel"]
    host: str
    pid: int
    capacity: int
    idle: int
    leases: list[LeaseInfo]
    fingerprint: dict[str, str]
    last_seen: datetime


class NodeList(BaseModel):
    """The nodes of runs, in their order, and the pool's workers; for one run, the workers that are leased to it.

    `unreadable`: of all active runs, those whose files are damaged or gone, each with the damage; their nodes are not
    listed.
    """

    nodes: list[NodeInfo]
    workers: list[WorkerInfo]
    unreadable: dict[str, str]


class ComparedMetric(BaseModel):
    """One metric's mean over the eval phase, by run."""

    unit: str
    values: dict[str, float | None]


class Comparison(BaseModel):
    """Runs side by side. `same_channels`: their world, its parameters, seed, replicas and episodes are equal."""

    runs: list[RunHead]
    same_channels: bool
    same_trace: bool
    metrics: dict[str, ComparedMetric]
    toll: dict[str, dict[str, TollCounts]]


class WorldInfo(BaseModel):
    """A world and the JSON schema of its parameters."""

    name: str
    summary: str
    source: str
    parameters: dict[str, Any]


class SchemeInfo(BaseModel):
    """A scheme's card and the JSON schema of its parameters. `needs`: libraries that its learner imports."""

    name: str
    card: dict[str, Any]
    learns: bool
    needs: list[str]
    parameters: dict[str, Any]


class StudyInfo(BaseModel):
    """A study without slots, run by `airtoll study`: the unit of each column of numbers, the values of each column of
    text, and the JSON schema of its parameters."""

    name: str
    summary: str
    citation: str
    numbers: dict[str, str]
    labels: dict[str, list[str]]
    parameters: dict[str, Any]


class Health(BaseModel):
    """`ok`: the service works."""

    status: str
