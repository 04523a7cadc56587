"""Orders for a run that goes on, as files of its folder: whoever wants something writes one, its run process takes them up.

orders/ID.order   one protocol.messages.orders.Order; there until it is answered
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from protocol.messages.orders import Order
from protocol.messages.telemetry import OrderDone

MAX_WAITING = 16
_ORDER = ".order"


class TooManyOrdersError(Exception):
    """As many orders wait as may."""


class Orders:
    """The orders of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "orders"
        self._taken: set[str] = set()

    # who wants something

    @staticmethod
    def new_id() -> str:
        """A name that no order had before; in the order of time."""
        return f"{time.time_ns():020}-{secrets.token_hex(4)}"

    def give(self, order: Order) -> None:
        """Leave an order for the keeper. TooManyOrdersError."""
        self._folder.mkdir(exist_ok=True)
        if len(self._ids) >= MAX_WAITING:
            raise TooManyOrdersError(f"{MAX_WAITING} orders wait for this run already; come again later")
        draft = self._folder / f".{order.id}.tmp"
        draft.write_bytes(msgspec.msgpack.encode(order))
        draft.replace(self._path(order.id))

    def take_back(self, order_id: str) -> None:
        """Nobody waits for the answer any more."""
        self._path(order_id).unlink(missing_ok=True)

    def waits(self, order_id: str) -> bool:
        """Whether an order has not been answered."""
        return self._path(order_id).exists()

    # the run process

    def taken_up(self) -> Iterator[Order]:
        """The orders that have come since the last call, in the order in which they came."""
        for order_id in self._ids:
            if order_id not in self._taken:
                with suppress(FileNotFoundError):  # it was taken back
                    yield msgspec.msgpack.decode(self._path(order_id).read_bytes(), type=Order)
                self._taken.add(order_id)

    def answered(self, answer: OrderDone) -> None:
        """An order is carried out, or cannot be."""
        self._path(answer.order).unlink(missing_ok=True)

    def take_again(self) -> None:
        """The channel server that had them is gone: what is not answered is taken up again."""
        self._taken.clear()

    def close(self) -> None:
        """The run has ended: what waits is not carried out."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _ids(self) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(name.removesuffix(_ORDER) for name in os.listdir(self._folder) if name.endswith(_ORDER))
        return []

    def _path(self, order_id: str) -> Path:
        return self._folder / f"{order_id}{_ORDER}"
