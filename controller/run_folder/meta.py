"""meta.json: what readers of a run's folder need to know without resolving its configuration, and how the run ended."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from controller.config.resolved import ResolvedRun
from controller.config.run_config import Placement
from controller.config.start_weights import StartWeights
from controller.run_folder.files import DamagedFileError, replace_file
from controller.run_folder.layout import META
from controller.run_folder.status import State
from protocol.determinism.fingerprint import fingerprint
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.plan import PhasePlan, TracePhases

COUNTED = {"restarted": "restarts", "rolled back": "rollbacks", "resumed": "resumes"}  # events by their counter
_LIBRARIES = ("airtoll", "msgpack", "msgspec", "numpy", "pydantic", "pyzmq", "xxhash")


class StartMeta(Struct, frozen=True):
    """The weights that a run starts from. `source`: as it was given; `digest`: equal for equal weights; `networks`: how
    many there are, of which agents take their own in turn; 1 for all alike."""

    source: str
    digest: str
    networks: int


class RunMeta(Struct, frozen=True, kw_only=True):
    """A run as its folder describes it.

    `names`: by node index: the `agents`, the trainer (also of a scheme without one), the infrastructure. `units`: of
    metrics, by name; `distribution_units`: of distributions. `schedule`: the phases that have slots, in order.
    `world_params`: files among them are relative to the folder. `window_slots`: how many slots a window of metrics has.
    `trace`: the phases whose rows of the trace are kept. `slot_ms`: of a paced run, else None. `start`: None for a run
    that starts from no other's weights. `endpoint`: where nodes connect to the channel server. The fields from `slots`
    on are known when the run has ended.
    """

    run_id: str
    command: list[str]
    world: str
    world_params: dict[str, Any]
    scheme: str
    seed: int
    replicas: int
    placement: Placement
    names: list[str]
    agents: int
    has_trainer: bool
    learns: bool
    agents_need_torch: bool
    units: dict[str, str]
    schedule: tuple[PhasePlan, ...]
    window_slots: int
    trace: TracePhases
    ideal_signalling: bool
    slot_ms: float | None
    versions: dict[str, int | str]
    fingerprint: dict[str, str]
    distribution_units: dict[str, str] = {}
    start: StartMeta | None = None
    state: State = State.PENDING
    reason: str = ""
    restarts: int = 0
    rollbacks: int = 0
    resumes: int = 0
    endpoint: str = ""
    slots: int | None = None
    wall_s: float | None = None
    probes: int = 0
    dropped: dict[str, int] = {}
    missed: dict[str, int] | None = None
    trace_digest: str | None = None
    paced: dict[str, Any] | None = None
    air_rows_left_out: int = 0

    @property
    def agent_names(self) -> list[str]:
        """The names of the nodes that act."""
        return self.names[: self.agents]

    @property
    def planned_slots(self) -> int:
        """How many slots the run has when it is complete."""
        return sum(phase.slots for phase in self.schedule)

    @property
    def untrained(self) -> bool:
        """Whether a scheme that learns runs without training slots, with the networks it is initialised with."""
        return self.learns and self.start is None and not any(phase.name == "train" for phase in self.schedule)

    def changed(self, **fields: Any) -> "RunMeta":
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **fields)

    def counting(self, event: str) -> "RunMeta":
        """A copy with one more event of a kind that is counted, such as restarts."""
        counter = COUNTED[event]
        return self.changed(**{counter: getattr(self, counter) + 1})

    def rolled_back(self) -> "RunMeta":
        """Without the results of the slots that are rolled back: the run is RUNNING again."""
        gone = (
            "endpoint",
            "slots",
            "wall_s",
            "probes",
            "dropped",
            "missed",
            "trace_digest",
            "paced",
            "reason",
            "air_rows_left_out",
        )
        defaults = {field.name: field.default for field in msgspec.structs.fields(RunMeta) if field.name in gone}
        return self.changed(**defaults | {"state": State.RUNNING, "dropped": {}})

    @classmethod
    def read(cls, folder: Path) -> "RunMeta":
        """Read a folder's meta.json. DamagedFileError if it is missing or damaged."""
        try:
            return msgspec.json.decode((folder / META).read_bytes(), type=cls)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise DamagedFileError(f"{folder / META} cannot be read: {error}") from error

    def write(self, folder: Path) -> None:
        """Replace a folder's meta.json."""
        replace_file(folder / META, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def initial_meta(run: ResolvedRun, run_id: str, world_params: dict[str, Any], command: Sequence[str]) -> RunMeta:
    """The meta data of a run that has not started."""
    plan = run.plan
    return RunMeta(
        run_id=run_id,
        command=list(command),
        world=plan.world,
        world_params=world_params,
        scheme=plan.scheme,
        seed=plan.seed,
        replicas=plan.replicas,
        placement=run.config.placement,
        names=list(run.node_names),
        agents=run.agents,
        has_trainer=plan.choreography.has_trainer,
        learns=run.learns,
        agents_need_torch=run.agents_need_torch,
        units=run.units,
        distribution_units=run.distribution_units,
        schedule=plan.phases,
        window_slots=plan.record.window_slots,
        trace=plan.record.trace,
        ideal_signalling=plan.signalling.ideal,
        slot_ms=plan.clock.slot_ms,
        versions={name: version(name) for name in _LIBRARIES} | {"protocol": PROTOCOL_VERSION},
        fingerprint=fingerprint(),
        start=None if run.start is None else _start(run.start),
    )


def _start(start: StartWeights) -> StartMeta:
    return StartMeta(start.source, start.digest, len(start.networks))
