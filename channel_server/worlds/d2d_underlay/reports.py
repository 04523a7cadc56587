"""The notes that the infrastructure sends: outage bits of the BS, and the CUEs' gains."""

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats
from channel_server.worlds.contract import InfrastructureNote, InfrastructureReport
from channel_server.worlds.d2d_underlay.params import D2DUnderlay
from protocol.messages.kinds import TRAINER, Kind, LinkClass
from protocol.messages.node import Note
from protocol.messages.spaces import Field, Space

BS = 0  # its index in the infrastructure; CUE m has 1 + m


def reports(params: D2DUnderlay) -> dict[str, InfrastructureReport]:
    """The reports by name."""
    return {
        "outage": InfrastructureReport(
            source="bs",
            to="each pair",
            kind=Kind.FEEDBACK,
            link=LinkClass.DOWNLINK,
            space=Space((Field("blocked", "u1", low=0, high=1),)),
            doc="whether the CUE of the pair's RB was in outage",
            payload_bits=1,
        ),
        "cue_csi": InfrastructureReport(
            source="cue-*",
            to="the trainer",
            kind=Kind.CSI,
            link=LinkClass.UPLINK,
            space=Space((Field("gain", "f4", (params.pairs + 1,), "1", low=0),)),
            doc="power gains to the CUE on its RB: from each pair's transmitter, then from the BS",
        ),
    }


def outage_notes(blocked: npt.NDArray[np.bool_]) -> list[InfrastructureNote]:
    """The BS sends each pair one bit: was the CUE of its RB in outage. `blocked` [E, N]."""
    return [
        InfrastructureNote(BS, Note((n,), Kind.FEEDBACK, bits.tobytes(), 1, LinkClass.DOWNLINK))
        for n, bits in enumerate(blocked.T.astype(np.uint8))  # [N, E]
    ]


def cue_csi_notes(pair_gain: Floats, bs_gain: Floats) -> list[InfrastructureNote]:
    """Each CUE sends the trainer the gains on its RB, float32 [E, N + 1]: from the pairs' transmitters, then the BS.

    `pair_gain` [E, N, K] and `bs_gain` [E, K], linear.
    """
    gains = np.concatenate([pair_gain, bs_gain[:, None]], axis=1).astype("<f4").transpose(2, 0, 1)  # [K, E, N + 1]
    return [
        InfrastructureNote(1 + m, Note((TRAINER,), Kind.CSI, body.tobytes(), None, LinkClass.UPLINK))
        for m, body in enumerate(gains)
    ]
