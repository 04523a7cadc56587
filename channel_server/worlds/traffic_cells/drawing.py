"""The network as a drawing: APs, their devices with the subbands on which they were served, and queues."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from channel_server.worlds.traffic_cells.drop import Drop
from protocol.messages.drawing import Bar, Circle, Drawing, Label, LegendEntry, Line, Point, Table

_MARGIN = 1.2  # around the outermost sites, in cell radii
_STATION, _DEVICE, _MARKER = 10.0, 4.0, 5.0  # sizes
_NEXT_MARKER = 0.09  # from a device to its first marker and on to the next one, in cell radii
_BELOW = 0.14  # of a queue's bar below its device, in cell radii
_COLUMNS = ("device", "AP", "queue [packets]", "served on subbands", "spectral efficiency [bit/s/Hz]")


class Slot(NamedTuple):
    """What is drawn of a slot. `packets` [N] that wait; `power_w`, `efficiency` [H, N]."""

    packets: npt.NDArray[np.float64]
    power_w: npt.NDArray[np.float32]
    efficiency: npt.NDArray[np.float32]

    def subbands(self, device: int) -> list[int]:
        """On which the device was served."""
        bands: list[int] = np.flatnonzero(self.power_w[:, device]).tolist()
        return bands


def draw(drop: Drop, radius_m: float, slot: Slot) -> Drawing:
    """The network to scale."""
    half = float(np.abs(drop.sites_m).max()) + _MARGIN * radius_m
    subbands, devices = slot.power_w.shape
    served = int(np.count_nonzero(slot.power_w.any(axis=0)))
    longest = float(slot.packets.max())
    return Drawing(
        summary=f"{len(drop.own)} access points; {served} of {devices} devices served; longest queue {longest:.3g} "
        "packets.",
        left=-half,
        right=half,
        bottom=-half,
        top=half,
        unit="m",
        circles=tuple(Circle(*_rounded(site), radius_m) for site in drop.sites_m),
        lines=tuple(_links(drop, slot)),
        points=(*_stations(drop), *_devices(drop, radius_m, slot)),
        bars=tuple(_bars(drop, radius_m, slot.packets)),
        labels=tuple(Label(x, y + 0.16 * radius_m, str(k)) for k, (x, y) in enumerate(map(_rounded, drop.sites_m))),
        legend=_legend(subbands),
        table=Table("Devices", _COLUMNS, tuple(_rows(drop, slot))),
    )


def _links(drop: Drop, slot: Slot) -> Iterator[Line]:
    """From each AP to its devices: strong where one is served."""
    for device, (cell, place) in enumerate(zip(drop.cell, drop.devices_m, strict=True)):
        served = bool(slot.subbands(device))
        ends = (*_rounded(drop.sites_m[cell]), *_rounded(place))
        yield Line(*ends, "solid" if served else "dotted", tone="accent" if served else "quiet")


def _stations(drop: Drop) -> Iterator[Point]:
    for k, site in enumerate(drop.sites_m):
        yield Point(*_rounded(site), "star", size=_STATION, about=f"ap-{k}")


def _devices(drop: Drop, radius_m: float, slot: Slot) -> Iterator[Point]:
    """Each device, and to its right a marker per subband on which it was served."""
    for device, (x, y) in enumerate(map(_rounded, drop.devices_m)):
        bands = slot.subbands(device)
        about = f"device {device} of ap-{drop.cell[device]}: {slot.packets[device]:.3g} packets; subbands "
        yield Point(x, y, "dot", size=_DEVICE, about=about + _listed(bands))
        for nth, band in enumerate(bands, 1):
            efficiency = f"subband {band}: {slot.efficiency[band, device]:.3g} bit/s/Hz"
            yield Point(round(x + nth * _NEXT_MARKER * radius_m, 2), y, "marker", band, _MARKER, about=efficiency)


def _bars(drop: Drop, radius_m: float, packets: npt.NDArray[np.float64]) -> Iterator[Bar]:
    """Each device's queue, as a share of the longest."""
    longest = max(1.0, float(packets.max()))
    for (x, y), queue in zip(map(_rounded, drop.devices_m), packets.tolist(), strict=True):
        yield Bar(x, round(y - _BELOW * radius_m, 2), queue / longest, about=f"{queue:.3g} packets")


def _legend(subbands: int) -> tuple[LegendEntry, ...]:
    return (
        LegendEntry("access point", Point(0, 0, "star", size=_STATION)),
        LegendEntry("device", Point(0, 0, "dot", size=_DEVICE)),
        LegendEntry("is served", line=Line(0, 0, 1, 0, tone="accent")),
        *(LegendEntry(f"on subband {band}", Point(0, 0, "marker", band, _MARKER)) for band in range(subbands)),
        LegendEntry("its queue, as a share of the longest", bar=Bar(0, 0, 0.6)),
    )


def _rows(drop: Drop, slot: Slot) -> Iterator[tuple[str | float, ...]]:
    for device, cell in enumerate(drop.cell.tolist()):
        efficiency = round(float(slot.efficiency[:, device].sum()), 3)
        yield device, f"ap-{cell}", round(float(slot.packets[device]), 3), _listed(slot.subbands(device)), efficiency


def _listed(bands: Sequence[int]) -> str:
    return ", ".join(map(str, bands)) or "none"


def _rounded(at: npt.NDArray[np.float64]) -> tuple[float, float]:
    """A place in m, to the centimetre."""
    return round(float(at[0]), 2), round(float(at[1]), 2)
