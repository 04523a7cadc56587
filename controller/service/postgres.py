"""Connections to PostgreSQL that never wait for longer than a limit, not even for a server that is frozen.

A frozen server's kernel still acknowledges what is sent to it, so neither the server's statement_timeout nor TCP's
timeouts end the wait: the client must.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import ceil
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

_DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)
_POLL_S = 0.1
_LATE = "no answer came in time"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit everything that the connections of this thread wait for in the block, together."""
    token = _DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


class LimitedConnection(psycopg.Connection[Any]):
    """A connection whose waits end at the block's deadline, with an OperationalError and the connection closed."""

    @classmethod
    def open(cls, *arguments: Any, **parameters: Any) -> "LimitedConnection":
        """Connect, if there is time left."""
        left_s = _left_s()
        if left_s is not None and left_s <= 0:
            raise psycopg.OperationalError(_LATE)
        if left_s is not None:
            parameters["connect_timeout"] = max(2, ceil(left_s))  # libpq takes no less
        return cls.connect(*arguments, **parameters)

    def wait(self, gen: PQGen[RV], interval: float = _POLL_S, timeout: float | None = None) -> RV:
        """As the base class's, within the time that is left."""
        left_s = _left_s()
        try:
            return super().wait(gen, interval, timeout if left_s is None else max(0.0, left_s))
        except psycopg.OperationalError as error:
            if left_s is None or (_left_s() or 0.0) > 0:
                raise
            self.close()  # its answer may still come, and must not be taken for that to the next statement
            raise psycopg.OperationalError(_LATE) from error


def _left_s() -> float | None:
    deadline = _DEADLINE.get()
    return None if deadline is None else deadline - time.monotonic()
