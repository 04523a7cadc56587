"""Central schemes of the cellular network (zhang2025 section IV-B): all CSI and queues to the cloud, which decides.

An AP reports, of each of its devices, the packets that wait (2 bytes) and this slot's gain from every AP on every
subband (4 bytes each, in dB): "real-time global CSI". The trainer sends back each AP's device and power by subband.

Stale rules: those of `central`. An AP whose report is missing, or older than `max_age_slots`, has empty queues and is
heard by nobody.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from protocol.messages.choreography import Choreography
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.messages.spaces import Field, Records, Space
from schemes.contract import NodePolicy
from schemes.parts.central import ChoiceCoding, Choices, Decider, Reporter, reports_then_decision
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader
from schemes.zhang2025.cells import AllocationCode, Integers, WholeCells, local_cells, packets_in, whole_cells

Floats = npt.NDArray[np.float64]

_MAX_PACKETS = 65_535
_DB = 1000


class NetworkCsi(NamedTuple):
    """What the trainer knows: `packets` [E, N] that wait; `gains` [E, H, K, N] from every AP, linear, 0 if unknown."""

    packets: Integers
    gains: Floats


class Allocation(NamedTuple):
    """By subband and AP the device that is served, 0 .. N - 1, -1 for none, and its power level, [E, H, K] each."""

    device: Integers
    level: Integers


Allocate = Callable[[NetworkCsi, np.random.Generator], Allocation]


def choreography(_: object) -> Choreography:
    return reports_then_decision("csi")


def access_point(welcome: Welcome) -> NodePolicy:
    """Reports, and follows the newest decision."""
    cell = local_cells(welcome)
    code = AllocationCode(cell.devices, len(cell.powers_w), cell.subbands)
    space = _report_space(cell.devices, welcome.agents, cell.subbands)

    def encode(measured: Records) -> bytes:
        report = space.empty(welcome.replicas)
        report["packets"] = np.minimum(packets_in(measured["waiting_bits"], cell.packet_bits), _MAX_PACKETS)
        report["gain_db"] = measured["gain_db"]
        return report.tobytes()

    def act(choice: Choices) -> Records:
        return code.action(choice, welcome.action)

    return Reporter(welcome, encode, ChoiceCoding(0, code.choices - 1, welcome.replicas), act)


def cloud(welcome: Welcome, allocate: Allocate, max_age_slots: int | None) -> NodePolicy:
    """The trainer: assembles the reports and sends each AP its part of the allocation."""
    cells, replicas = whole_cells(welcome), welcome.replicas
    spaces = [_report_space(n, welcome.agents, cells.subbands) for n in cells.agents]
    codes = [AllocationCode(n, len(cells.powers_w), cells.subbands) for n in cells.agents]

    def read(note: ReceivedNote) -> Records:
        records = spaces[note.source].view(note.body)
        if len(records) != replicas or not spaces[note.source].holds(records):
            raise ValueError(f"no report of {replicas} replicas with finite gains")
        return records

    def decide(reports: list[tuple[int, Records]], rng: np.random.Generator) -> Choices:
        device, level = allocate(_assembled(cells, reports, replicas), rng)
        first = np.array([own.start for own in cells.own])
        local = np.where(device >= 0, device - first + 1, 0)
        return np.stack([code.encode(local[..., k], level[..., k]) for k, code in enumerate(codes)], axis=1)

    reports = LatestNotes(NoteReader(Kind.CSI, range(len(spaces)), read), max_age_slots)
    return Decider(reports, decide, [ChoiceCoding(0, code.choices - 1, replicas) for code in codes])


def _assembled(cells: WholeCells, reports: list[tuple[int, Records]], replicas: int) -> NetworkCsi:
    packets = np.zeros((replicas, len(cells.cell)), np.int64)
    gains = np.zeros((replicas, cells.subbands, len(cells.agents), len(cells.cell)))
    for source, report in reports:
        own = cells.own[source]
        packets[:, own] = report["packets"]
        gains[..., own] = 10.0 ** (report["gain_db"].astype(float).transpose(0, 3, 2, 1) / 10.0)
    return NetworkCsi(packets, gains)


def _report_space(devices: int, cells: int, subbands: int) -> Space:
    return Space(
        (
            Field("packets", "u2", (devices,), "packets"),
            Field("gain_db", "f4", (devices, cells, subbands), "dB", low=-_DB, high=_DB),
        )
    )
