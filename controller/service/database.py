"""Connections to the index's database, SQLite or PostgreSQL: time limits, and migrations of the tables."""

import json
import logging
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.pool import QueuePool

from controller.config.errors import ConfigError
from controller.service import sqlite
from controller.service.limits import STORE_TIMEOUT_S

_MIGRATION_TIMEOUT_S = 30.0  # for another service's migration of SQLite to end
_POOL_TIMEOUT_S = 0.5  # for one of this process's connections to be free
_POSTGRESQL = "postgresql+psycopg"
_DRIVERS = ("sqlite", "sqlite+pysqlite", _POSTGRESQL)
_READ_ONLY_TRANSACTION = "25006"  # of PostgreSQL
_MIGRATING = 0x616972746F6C6C  # key of the PostgreSQL advisory lock that is held during migrations: "airtoll" in ASCII
_LOG = logging.getLogger("airtoll")


def engine_of(url: str) -> Engine:
    """ConfigError for a URL that cannot be used."""
    try:
        parsed = make_url(url)
        if parsed.drivername not in _DRIVERS:
            raise ConfigError(f"AIRTOLL_DB: {parsed.drivername} is not supported; write sqlite:/// or {_POSTGRESQL}://")
        if "connect_timeout" in parsed.query:
            raise ConfigError(
                f"AIRTOLL_DB: connect_timeout: remove it; no call waits longer than {STORE_TIMEOUT_S:g} s"
            )
        if parsed.drivername == _POSTGRESQL:
            parsed = parsed.update_query_dict({"connect_timeout": str(int(STORE_TIMEOUT_S))})
        engine = create_engine(
            parsed,
            poolclass=QueuePool,
            pool_pre_ping=True,
            pool_timeout=_POOL_TIMEOUT_S,
            json_serializer=partial(json.dumps, allow_nan=False),
            json_deserializer=_parsed,
        )
    except (ArgumentError, ModuleNotFoundError) as error:
        fix = (
            "give a URL such as sqlite:////home/me/runs.db or postgresql+psycopg://me@host/runs"
            " (pip install 'airtoll[postgres]')"
        )
        raise ConfigError(f"AIRTOLL_DB: no database can be reached at this URL: {error}; {fix}") from error
    if parsed.drivername == _POSTGRESQL:
        from controller.service.postgres import LimitedConnection

        event.listen(
            engine, "do_connect", lambda _dialect, _record, args, named: LimitedConnection.open(*args, **named)
        )
        event.listen(engine, "connect", _prepare_postgresql)
    else:
        event.listen(engine, "connect", sqlite.prepare)
        event.listen(engine, "checkout", sqlite.check)
    event.listen(engine, "handle_error", _drop_read_only)
    return engine


def _drop_read_only(context: ExceptionContext) -> None:
    """Open other connections after a write was refused: this one, and those beside it, may stay read-only for good."""
    error = context.original_exception
    if sqlite.is_read_only(error) or getattr(error, "sqlstate", "") == _READ_ONLY_TRANSACTION:
        context.is_disconnect = True


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """Let the server drop a statement that nobody waits for any more, such as one that waits for a lock."""
    connection.execute(f"SET statement_timeout = {int(STORE_TIMEOUT_S * 1000)}")
    connection.commit()


def _parsed(text: str) -> Any:
    """A JSON column. A damaged one is empty, so that the other rows of its query can be read."""
    try:
        return json.loads(text)
    except ValueError as error:
        _LOG.error("the index has a damaged value %.80r: %s", text, error)
        return {}


def time_limit(engine: Engine) -> AbstractContextManager[None]:
    """Limit what a transaction waits for to STORE_TIMEOUT_S; SQLite has this limit in its connections."""
    if engine.dialect.name != "postgresql":
        return nullcontext()
    from controller.service import postgres

    return postgres.time_limit(STORE_TIMEOUT_S)


def upgrade(engine: Engine) -> None:
    """Migrate the tables. ConfigError for a database that cannot be used."""
    try:
        with engine.begin() as connection:
            _migrate(connection)
        engine.dispose()  # of the connection that waits longer than others may
    except OperationalError as error:
        raise ConfigError(f"AIRTOLL_DB: {error.orig}; give the URL of an existing database") from error
    except ProgrammingError as error:
        raise ConfigError(f"AIRTOLL_DB: {error.orig}; give a user who may create tables there") from error
    except DBAPIError as error:  # such as a file that is no database, or a read-only one
        fix = "repair or restore it; or move it away: the runs' folders make a new index"
        raise ConfigError(f"AIRTOLL_DB: the database cannot be used: {error.orig}; {fix}") from error
    except CommandError as error:
        raise ConfigError(
            f"AIRTOLL_DB: {error}; a later version of airtoll has used this database: use that, or give another"
        ) from error


def _migrate(connection: Connection) -> None:
    """Upgrade the tables, under a lock that keeps other services from doing so."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(_MIGRATION_TIMEOUT_S * 1000)}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
    migrations = Config()
    migrations.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    migrations.attributes["connection"] = connection
    command.upgrade(migrations, "head")
