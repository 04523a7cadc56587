"""Orders for a running run, as files in its folder: the service writes them, the run process passes them on.

orders/ID.order   one protocol.messages.orders.Order; deleted when it is done
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from controller.run_folder.files import replace_file
from protocol.messages.orders import Order
from protocol.messages.telemetry import OrderDone

ORDERS = "orders"
MAX_PENDING = 16
_ORDER = ".order"


class TooManyOrdersError(Exception):
    """The run has as many pending orders as it may have."""


class Orders:
    """The orders of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ORDERS
        self._taken: set[str] = set()

    # the service's side

    @staticmethod
    def new_id() -> str:
        """A new id; ids sort by time."""
        return f"{time.time_ns():020}-{secrets.token_hex(4)}"

    def give(self, order: Order) -> None:
        """Leave an order for the run process. TooManyOrdersError."""
        self._folder.mkdir(exist_ok=True)
        if len(self._ids) >= MAX_PENDING:
            raise TooManyOrdersError(f"{MAX_PENDING} orders are pending for this run; try again later")
        replace_file(self._path(order.id), msgspec.msgpack.encode(order))

    def withdraw(self, order_id: str) -> None:
        """Delete an order whose result is no longer needed."""
        self._path(order_id).unlink(missing_ok=True)

    def is_pending(self, order_id: str) -> bool:
        """Whether an order is not done yet."""
        return self._path(order_id).exists()

    # the run process's side

    def take(self) -> Iterator[Order]:
        """The orders that are new since the last call, oldest first."""
        for order_id in self._ids:
            if order_id not in self._taken:
                with suppress(FileNotFoundError):  # it was withdrawn
                    yield msgspec.msgpack.decode(self._path(order_id).read_bytes(), type=Order)
                self._taken.add(order_id)

    def done(self, done: OrderDone) -> None:
        """Delete an order that the channel server has executed or rejected."""
        self._path(done.order).unlink(missing_ok=True)

    def take_again(self) -> None:
        """Return pending orders again: the channel server that received them is gone."""
        self._taken.clear()

    def close(self) -> None:
        """Drop pending orders, after the run's end."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _ids(self) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(name.removesuffix(_ORDER) for name in os.listdir(self._folder) if name.endswith(_ORDER))
        return []

    def _path(self, order_id: str) -> Path:
        return self._folder / f"{order_id}{_ORDER}"
