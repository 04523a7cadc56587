"""Orders to a run besides pausing and stopping: carried out between two slots, answered as telemetry."""

from msgspec import Struct


class ReportWeights(Struct, frozen=True, tag=True):
    """Report the newest weights that reached each node."""

    id: str


class UploadWeights(Struct, frozen=True, tag=True):
    """Send an agent these weights over the air in turn 0 of the next slot. `body`: that of a weights note."""

    id: str
    node: str
    body: bytes


Order = ReportWeights | UploadWeights
