"""What a run's owner may ask of it beside pausing and ending: carried out between two slots, answered as telemetry."""

from msgspec import Struct


class ReportWeights(Struct, frozen=True, tag=True):
    """Tell the weights that each node was given last."""

    id: str


class PutWeights(Struct, frozen=True, tag=True):
    """Give an agent these weights in turn 0 of the next slot, over the air. `body`: as of a weights note, without its
    number."""

    id: str
    node: str
    body: bytes


Order = ReportWeights | PutWeights
