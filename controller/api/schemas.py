"""The shapes of the answers, for the OpenAPI document and for those who read it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from controller.run_folder.status import State
from controller.service.event_streams import slot_of
from controller.service.store import Run


class RunHead(BaseModel):
    """A run in a line. `slots` as planned, `slot` as done; `metrics` are means over the eval phase, at the end."""

    id: str
    state: State
    reason: str
    world: str
    scheme: str
    seed: int
    slots: int
    slot: int
    created: datetime
    started: datetime | None
    ended: datetime | None
    metrics: dict[str, float | None]
    trace_digest: str

    @classmethod
    def of(cls, run: Run) -> "RunHead":
        """As the index and the run's run process say."""
        return cls(**_told(run))


class RunBody(RunHead):
    """A run with its resolved configuration and its folder on the controller's machine."""

    config: dict[str, Any]
    folder: str

    @classmethod
    def of(cls, run: Run) -> "RunBody":
        """As the index and the run's run process say."""
        return cls(**_told(run), config=run.config, folder=str(run.folder))


class RunPage(BaseModel):
    """Runs, the newest first; `total` counts those on all pages."""

    runs: list[RunHead]
    total: int


class WindowShape(BaseModel):
    """The slots `first` to `last`, inclusive."""

    phase: str
    first: int
    last: int


class SeriesShape(BaseModel):
    """One value per window; a mean is null where nothing was counted."""

    unit: str
    sum: list[float]
    count: list[float]
    mean: list[float | None]


class ScalarShape(BaseModel):
    """A figure that a node reported of itself."""

    slot: int
    node: str
    name: str
    value: float | None


class MetricsShape(BaseModel):
    """Metrics over windows of slots."""

    windows: list[WindowShape]
    series: dict[str, SeriesShape]
    scalars: list[ScalarShape]


class TollShape(BaseModel):
    """Distinct notes; bits that the air was charged; bytes of all attempts; copies as delivered."""

    notes: int
    payload_bits: int
    note_bytes: int
    copies: int
    copy_bytes: int


class TollSpan(BaseModel):
    """The toll of the notes sent in the slots `first` to `last`, inclusive."""

    first: int
    last: int
    tolls: dict[str, TollShape]


class TollsShape(BaseModel):
    """The toll per kind of note, sending node or link class."""

    by: Literal["kind", "node", "link"]
    windows: list[TollSpan]


class MapShape(BaseModel):
    """What a world shows after a slot: numbers and lists of them by name, as the world's `picture` says."""

    world: str
    slot: int | None
    map: dict[str, Any]


class WireShape(BaseModel):
    """The wire book: an account per connection, and their sums."""

    connections: list[dict[str, Any]]
    totals: dict[str, int]


class LogShape(BaseModel):
    """Lines of the log; `next` is the `after` of the lines that follow."""

    lines: list[str]
    next: int


class FileShape(BaseModel):
    """A file of the run's folder."""

    name: str
    bytes: int
    modified: datetime


class FilesShape(BaseModel):
    """The files of the run's folder, by name."""

    files: list[FileShape]


class CheckpointShape(BaseModel):
    """A checkpoint before `slot`. `damage`: why nothing can go on from it; empty for one that is whole."""

    slot: int
    bytes: int
    written: datetime
    damage: str


class CheckpointsShape(BaseModel):
    """The checkpoints that are kept, the newest first."""

    checkpoints: list[CheckpointShape]


class NodeWeightsShape(BaseModel):
    """Weights that a node was given. `version`: the slot in which they were told to it."""

    node: str
    version: int
    bytes: int
    by: Literal["trainer", "hand"]


class WeightsShape(BaseModel):
    """The weights that are kept, by node, the newest first."""

    weights: list[NodeWeightsShape]


class NodeShape(BaseModel):
    """A node of a run. `weights_version`: of the last weights it reported, if it has reported any. Of one on the pool,
    `worker`, `host`, `fingerprint` and `last_seen` are its worker's, null while it has none."""

    name: str
    run: str
    role: Literal["agent", "trainer", "network"]
    place: str
    present: bool
    slots_missed: int
    weights_version: int | None
    worker: str | None
    host: str | None
    fingerprint: dict[str, str] | None
    last_seen: datetime | None


class LeaseShape(BaseModel):
    """What one of a worker's places does; `node` is empty until it is told."""

    run: str
    node: str


class WorkerShape(BaseModel):
    """A worker of the pool. Of its `places`, so many are `idle`."""

    name: str
    role: Literal["agent", "channel"]
    host: str
    pid: int
    places: int
    idle: int
    leases: list[LeaseShape]
    fingerprint: dict[str, str]
    last_seen: datetime


class NodesShape(BaseModel):
    """The nodes of runs, in their order, and the pool's workers; with a run given, those that are leased to it."""

    nodes: list[NodeShape]
    workers: list[WorkerShape]


class ComparedMetric(BaseModel):
    """One metric's mean over the eval phase, by run."""

    unit: str
    values: dict[str, float | None]


class Comparison(BaseModel):
    """Runs side by side. `same_channels`: world, its parameters and seed are equal."""

    runs: list[RunHead]
    same_channels: bool
    same_trace: bool
    metrics: dict[str, ComparedMetric]
    toll: dict[str, dict[str, TollShape]]


class WorldShape(BaseModel):
    """A world and the JSON schema of its parameters."""

    name: str
    summary: str
    source: str
    parameters: dict[str, Any]


class SchemeShape(BaseModel):
    """A scheme's card and the JSON schema of its parameters."""

    name: str
    card: dict[str, Any]
    learns: bool
    parameters: dict[str, Any]


class Health(BaseModel):
    """`ok`, or what is missing."""

    status: str


def _told(run: Run) -> dict[str, Any]:
    given = {name: getattr(run, name) for name in RunHead.model_fields}
    return given | {"slot": slot_of(run)}
