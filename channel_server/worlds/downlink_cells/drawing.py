"""The network as a drawing: BSs, their cells, and users by the power that they are sent and the rate they receive."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from protocol.messages.drawing import Bar, Circle, Drawing, Label, LegendEntry, Line, Point, Table

_MARGIN = 1.08  # of the drawing around the cells
_STATION, _USER = 16.0, 8.0  # sizes
_MAX_LABELLED_CELLS = 19
_LEGEND = (
    LegendEntry("BS", Point(0, 0, "star", size=_STATION)),
    LegendEntry("user that is served", Point(0, 0, "dot", size=_USER)),
    LegendEntry("user without power", Point(0, 0, "dot", size=_USER, hollow=True)),
    LegendEntry("its power, as a share of Pmax", bar=Bar(0, 0, 0.5)),
)


class Picture(NamedTuple):
    """One replica: sites [B, 2] and users [B, K, 2] in m; powers as shares of Pmax and rates [B, K]."""

    radius_m: float
    sites_m: npt.NDArray[Any]
    users_m: npt.NDArray[Any]
    shares: npt.NDArray[Any]
    rates_bps_hz: npt.NDArray[Any]


def draw(picture: Picture) -> Drawing:
    """The network to scale, north up. Users of a wrapped network are drawn around their own BS."""
    low, high = picture.sites_m.min(axis=0), picture.sites_m.max(axis=0)
    half = _MARGIN * picture.radius_m
    served = int(np.count_nonzero(picture.shares > 0))
    total = picture.rates_bps_hz.sum()
    return Drawing(
        summary=f"{served} of {picture.shares.size} users are served; sum rate {total:.3g} bit/s/Hz.",
        left=_rounded(low[0] - half),
        right=_rounded(high[0] + half),
        bottom=_rounded(low[1] - half),
        top=_rounded(high[1] + half),
        unit="m",
        circles=tuple(Circle(*_at(site), picture.radius_m) for site in picture.sites_m),
        lines=tuple(
            Line(*_at(site), *_at(user), resource=b)
            for b, (site, users, shares) in enumerate(_cells(picture))
            for user, share in zip(users, shares, strict=True)
            if share > 0
        ),
        points=(*_users(picture), *(Point(*_at(site), "star", size=_STATION) for site in picture.sites_m)),
        bars=tuple(
            Bar(*_at(user), round(float(share), 3))
            for _, users, shares in _cells(picture)
            for user, share in zip(users, shares, strict=True)
        ),
        labels=tuple(
            Label(*_at(site + np.array([0, 0.12 * picture.radius_m])), f"bs-{b}") for b, site in _labelled(picture)
        ),
        legend=_LEGEND,
        table=Table("Users", ("BS", "user", "share of Pmax", "bit/s/Hz"), tuple(_rows(picture))),
    )


def _cells(picture: Picture) -> list[tuple[Any, Any, Any]]:
    return list(zip(picture.sites_m, picture.users_m, picture.shares, strict=True))


def _labelled(picture: Picture) -> list[tuple[int, Any]]:
    return list(enumerate(picture.sites_m)) if len(picture.sites_m) <= _MAX_LABELLED_CELLS else []


def _users(picture: Picture) -> list[Point]:
    return [
        Point(
            *_at(user),
            resource=b,
            size=_USER,
            hollow=bool(share == 0),
            about=f"user {k} of bs-{b}: {share:.0%} of Pmax, {rate:.3g} bit/s/Hz",
        )
        for b, (users, shares, rates) in enumerate(
            zip(picture.users_m, picture.shares, picture.rates_bps_hz, strict=True)
        )
        for k, (user, share, rate) in enumerate(zip(users, shares, rates, strict=True))
    ]


def _rows(picture: Picture) -> list[tuple[str | float, ...]]:
    return [
        (f"bs-{b}", k, round(float(picture.shares[b, k]), 3), round(float(picture.rates_bps_hz[b, k]), 3))
        for b, k in np.ndindex(picture.shares.shape)
    ]


def _at(place: npt.NDArray[Any]) -> tuple[float, float]:
    return _rounded(place[0]), _rounded(place[1])


def _rounded(x: float) -> float:
    """In m, to the centimetre."""
    return round(float(x), 2)
