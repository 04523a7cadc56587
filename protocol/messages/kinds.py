"""The purpose of a note, and the class of link that it crosses."""

from enum import IntEnum


class Kind(IntEnum):
    """A note's purpose; the toll is reported per kind."""

    NEIGHBOUR = 0
    CSI = 1
    DECISION = 2
    FEEDBACK = 3
    HISTORY = 4
    WEIGHTS = 5
    ACK = 6
    CONTROL = 7


class LinkClass(IntEnum):
    """The class of link a note crosses; the signalling model is set per class and kind."""

    SIDELINK = 0
    UPLINK = 1
    DOWNLINK = 2
    BACKHAUL = 3


# Symbolic destinations of a note, resolved by the relay.
NEIGHBOURS = -1  # a broadcast: charged once on the air, copied once per receiver on wires
TRAINER = -2

TRAINER_NAME = "trainer"  # of the node that has the index after the agents'
