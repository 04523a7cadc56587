"""The purpose of a note, and the class of link that it crosses."""

from enum import IntEnum
from typing import Literal, assert_never


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
    """The class of link a note crosses; the signalling model is set per class and kind.

    The first three are radio, where a note to many is transmitted once. A backhaul consists of wires: a note to many is
    transmitted once per receiver.
    """

    SIDELINK = 0
    UPLINK = 1
    DOWNLINK = 2
    BACKHAUL = 3


CloudLink = Literal["radio", "backhaul"]  # what lies between the agents and the BS/cloud

# Symbolic destinations of a note, resolved by the relay.
NEIGHBOURS = -1  # a broadcast
TRAINER = -2

TRAINER_NAME = "trainer"  # of the node that has the index after the agents'


def cloud_link_classes(cloud_link: CloudLink) -> tuple[LinkClass, LinkClass]:
    """The classes of the links to the BS/cloud and of those from it."""
    match cloud_link:
        case "radio":
            return LinkClass.UPLINK, LinkClass.DOWNLINK
        case "backhaul":
            return LinkClass.BACKHAUL, LinkClass.BACKHAUL
        case _:
            assert_never(cloud_link)
