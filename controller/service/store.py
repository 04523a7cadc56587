"""The index of all runs, in SQLite or PostgreSQL. Results are in run folders; the index has what is queried most."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict
from sqlalchemy import JSON, BigInteger, DateTime, String, delete, func, insert, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoneFreeError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from controller.config.errors import ConfigError
from controller.run_folder.status import ACTIVE_STATES, FINAL_STATES, State, predecessors
from controller.service.database import engine_of, time_limit, upgrade

_PROBE = 0  # a row of data_folder that no transaction leaves behind
_SLOW_S = 0.5  # a failure that takes longer is one of a database that hangs

# In the OpenAPI document, fields with defaults are required too: a response always has them.
ANSWER = ConfigDict(json_schema_serialization_defaults_required=True)


class _Utc(TypeDecorator[datetime]):
    """A time in UTC; SQLite does not store the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _AnyText(TypeDecorator[str]):
    """Any text, made storable in every database: NUL and lone surrogates become U+FFFD."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return value and value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Base(DeclarativeBase):
    type_annotation_map = {datetime: _Utc, dict[str, Any]: JSON}  # noqa: RUF012


class _Row(_Base):
    __tablename__ = "runs"

    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(200), unique=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    reason: Mapped[str] = mapped_column(_AnyText)
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    world: Mapped[str] = mapped_column(String(80), index=True)
    scheme: Mapped[str] = mapped_column(String(80), index=True)
    seed: Mapped[int] = mapped_column(BigInteger)
    slots: Mapped[int] = mapped_column(BigInteger)
    config: Mapped[dict[str, Any]]
    folder: Mapped[str]
    slot: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[dict[str, Any]]
    trace_digest: Mapped[str]


class _Folder(_Base):
    """The one data folder to which the index belongs."""

    __tablename__ = "data_folder"

    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(80))
    path: Mapped[str]


@dataclass(frozen=True, kw_only=True)
class RunHead:
    """One run without its configuration.

    `slots`: as planned; `slot`: completed slots. `metrics` (means over the eval phase) and `trace_digest` are known at
    its end.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ANSWER

    id: str
    state: State = State.PENDING
    reason: str = ""
    world: str
    scheme: str
    seed: int
    slots: int
    slot: int = 0
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    trace_digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Run(RunHead):
    """A run with its resolved configuration and its folder on the controller's machine."""

    config: dict[str, Any]
    folder: Path


@dataclass(frozen=True)
class RunResults:
    """What the index stores of a run at its end."""

    reason: str = ""
    slot: int = 0
    metrics: dict[str, float | None] = field(default_factory=dict)
    trace_digest: str = ""


class StoreGoneError(Exception):
    """The database does not answer. Whether a change was made is not known: repeat it."""


class Store:
    """The runs at a database URL, whose tables are migrated first, by one service at a time.

    ConfigError for a URL that cannot be used. Every method may raise StoreGoneError, after a few seconds at the latest,
    and may then be called again; it reconnects by itself. While the database hangs, one call at a time waits for it,
    and the others fail at once: they would keep threads that other work needs.
    """

    def __init__(self, url: str) -> None:
        self._engine = engine_of(url)
        self._hangs = ""  # the error, since a call has waited in vain
        self._trial = threading.Lock()
        try:
            upgrade(self._engine)
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def write_probe(self) -> None:
        """Write to the database, without a change. StoreGoneError when it does not answer, or cannot be written."""
        with self._session() as session:  # SQLite would write nothing for an update that changes nothing
            session.execute(insert(_Folder).values(number=_PROBE, id="", path=""))
            session.execute(delete(_Folder).where(_Folder.number == _PROBE))

    def belong_to(self, folder_id: str, path: Path) -> None:
        """Make this the index of a data folder. ConfigError if it belongs to another one."""
        with suppress(IntegrityError), self._session() as session:
            session.execute(insert(_Folder).values(number=1, id=folder_id, path=str(path)))
        with self._session() as session:
            registered = session.scalars(select(_Folder)).one()
            if registered.id != folder_id:
                fix = "give each data folder a database of its own"
                raise ConfigError(f"AIRTOLL_DB: the database is the index of the runs in {registered.path}; {fix}")

    def add(self, run: Run) -> None:
        """Add a run."""
        values = {one.name: getattr(run, one.name) for one in fields(Run)}
        with self._session() as session:
            session.add(_Row(**values | {"state": run.state.value, "folder": str(run.folder)}))

    def get(self, run_id: str) -> Run | None:
        """The run of this id, or None."""
        with self._session() as session:
            row = session.scalars(select(_Row).where(_Row.id == run_id)).first()
            return None if row is None else _run(row)

    def page(
        self,
        *,
        states: Iterable[State] = (),
        world: str | None = None,
        scheme: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[Run], int]:
        """One page of runs, the newest first, and how many there are on all pages."""
        chosen = [state.value for state in states]
        wanted = [
            *([_Row.state.in_(chosen)] if chosen else []),
            *([_Row.world == world] if world is not None else []),
            *([_Row.scheme == scheme] if scheme is not None else []),
        ]
        rows = select(_Row).where(*wanted).order_by(_Row.number.desc()).limit(limit).offset(offset)
        with self._session() as session:
            total = session.scalar(select(func.count()).select_from(_Row).where(*wanted)) or 0
            return [_run(row) for row in session.scalars(rows)], total

    def waiting(self) -> list[Run]:
        """The PENDING runs, the oldest first."""
        rows = select(_Row).where(_Row.state == State.PENDING.value).order_by(_Row.number)
        with self._session() as session:
            return [_run(row) for row in session.scalars(rows)]

    def set_reason(self, run_id: str, reason: str) -> None:
        """Store what a run that has not ended waits for or lacks; "" for nothing."""
        living = [state.value for state in State if state not in FINAL_STATES]
        with self._session() as session:
            session.execute(update(_Row).where(_Row.id == run_id, _Row.state.in_(living)).values(reason=reason))

    def at_work(self) -> list[Run]:
        """The runs that have, or should have, a run process, the oldest first."""
        wanted = [state.value for state in ACTIVE_STATES]
        with self._session() as session:
            rows = session.scalars(select(_Row).where(_Row.state.in_(wanted)).order_by(_Row.number))
            return [_run(row) for row in rows]

    def counts(self) -> dict[State, int]:
        """The number of runs in each state."""
        with self._session() as session:
            rows = session.execute(select(_Row.state, func.count()).group_by(_Row.state)).all()
        return dict.fromkeys(State, 0) | {State(state): count for state, count in rows}

    def move(self, run_id: str, to: State, *, since: Sequence[State] = (), results: RunResults | None = None) -> bool:
        """Move a run into a state that may follow its present one, if that is one of `since`; whether it was moved."""
        allowed = [state.value for state in predecessors(to) if not since or state in since]
        now = datetime.now(UTC)
        changed: dict[str, Any] = {"state": to.value}
        if to in FINAL_STATES:
            results = results or RunResults()
            changed |= {one.name: getattr(results, one.name) for one in fields(RunResults)} | {"ended": now}
        elif State.PENDING in predecessors(to):
            changed["started"] = func.coalesce(_Row.started, now)
        with self._session() as session:
            moved = session.execute(update(_Row).where(_Row.id == run_id, _Row.state.in_(allowed)).values(changed))
            return bool(getattr(moved, "rowcount", 0))

    def withdraw(self, run_id: str) -> None:
        """Delete a run whose `add` may or may not have succeeded."""
        with self._session() as session:
            session.execute(delete(_Row).where(_Row.id == run_id))

    def ids(self) -> set[str]:
        """The ids of all runs."""
        with self._session() as session:
            return set(session.scalars(select(_Row.id)))

    def remove(self, run_id: str) -> bool:
        """Delete a run that has ended; False for any other."""
        wanted = (_Row.id == run_id, _Row.state.in_([state.value for state in FINAL_STATES]))
        with self._session() as session:
            return bool(getattr(session.execute(delete(_Row).where(*wanted)), "rowcount", 0))

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """One transaction."""
        began, trial = time.monotonic(), bool(self._hangs)
        if trial and not self._trial.acquire(blocking=False):
            raise StoreGoneError(self._hangs)
        try:
            with time_limit(self._engine), Session(self._engine) as session, session.begin():
                yield session
            self._hangs = ""
        except (IntegrityError, DataError):  # of the statement, not of the database
            raise
        except (DBAPIError, NoneFreeError) as error:
            gone = f"the database does not answer: {getattr(error, 'orig', error)}"
            self._hangs = gone if time.monotonic() - began > _SLOW_S else ""
            raise StoreGoneError(gone) from error
        finally:
            if trial:
                self._trial.release()


def _run(row: _Row) -> Run:
    values = {one.name: getattr(row, one.name) for one in fields(Run)}
    return Run(**values | {"state": State(row.state), "folder": Path(row.folder)})
