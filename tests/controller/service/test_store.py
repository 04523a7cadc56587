"""The index of runs: its states, its pages, its migrations."""

import math
import multiprocessing
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.exc import StatementError
from sqlalchemy.pool import NullPool

from controller.config.errors import ConfigError
from controller.run_folder.status import FINAL_STATES, TRANSITIONS, RunStatus, State, predecessors
from controller.service import store as store_module
from controller.service.limits import STORE_TIMEOUT_S
from controller.service.run_manager import RunManager
from controller.service.settings import ServiceSettings
from controller.service.store import Run, RunResults, Store, StoreGoneError
from tests.postgres import PostgresServer
from tests.system.processes import until

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = Run(
    id="a",
    world="d2d_underlay",
    scheme="li2020/sla",
    seed=2**62,
    slots=100,
    config={"seed": 1},
    folder=Path("/runs/a"),
    created=NOON,
)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with closing(Store(database)) as opened:
        yield opened


def test_a_stored_run_is_read_back_unchanged(store: Store) -> None:
    store.add(RUN)
    assert store.get("a") == RUN
    assert store.get("b") is None


def test_a_store_that_is_opened_again_has_its_runs(database: str) -> None:
    with closing(Store(database)) as opened:
        opened.add(RUN)
    with closing(Store(database)) as opened:
        assert opened.get("a") == RUN


def test_only_allowed_transitions_succeed(store: Store) -> None:
    for start, to in product(State, State):
        run_id = f"{start.value} {to.value}"
        store.add(replace(RUN, id=run_id, state=start))
        assert store.move(run_id, to) == (to in TRANSITIONS[start]), run_id
        after = store.get(run_id)
        assert after is not None
        assert after.state is (to if to in TRANSITIONS[start] else start)


def test_concurrent_moves_succeed_only_in_an_allowed_order(store: Store) -> None:
    """A run goes from RUNNING to PAUSED and back, and stops once."""
    store.add(RUN)
    wanted = [State.RUNNING, State.PAUSED] * 40 + [State.STOPPING]
    Random(1).shuffle(wanted)
    with ThreadPoolExecutor(8) as threads:
        outcomes = threads.map(partial(store.move, "a"), wanted)
    made = Counter(state for state, moved in zip(wanted, outcomes, strict=True) if moved)
    run = store.get("a")
    assert run is not None
    assert made[State.STOPPING] == (run.state is State.STOPPING)
    may_be = {State.RUNNING: {1}, State.PAUSED: {0}, State.STOPPING: {0, 1}}
    assert made[State.RUNNING] - made[State.PAUSED] in may_be[run.state]


def test_of_concurrent_ends_one_succeeds(store: Store) -> None:
    """RunResults and state come from the same move."""
    for number in range(20):
        store.add(replace(RUN, id=str(number), state=State.RUNNING))
    ends = [(str(number), end) for number in range(20) for end in FINAL_STATES]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda end: store.move(*end, results=RunResults(reason=end[1].value)), ends))
    runs, _ = store.page(limit=20)
    assert sum(made) == 20
    assert [run.reason for run in runs] == [run.state.value for run in runs]
    assert {(run.id, run.state) for run in runs} == {end for end, moved in zip(ends, made, strict=True) if moved}


def test_a_move_from_another_state_than_requested_fails(store: Store) -> None:
    store.add(replace(RUN, state=State.PAUSED))
    assert not store.move("a", State.STOPPED, since=[State.PENDING])


def test_no_state_follows_an_end_and_every_state_but_the_first_follows_one() -> None:
    assert {state for state, following in TRANSITIONS.items() if not following} == FINAL_STATES
    assert [state for state in State if not predecessors(state)] == [State.PENDING]


def test_times_and_results_are_stored(store: Store) -> None:
    store.add(RUN)
    store.move("a", State.RUNNING)
    begun = store.get("a")
    store.move("a", State.PAUSED)
    store.move("a", State.RUNNING)
    store.move(
        "a", State.SUCCEEDED, results=RunResults(slot=100, metrics={"rate": 2.5, "idle": None}, trace_digest="d")
    )
    run = store.get("a")
    assert begun is not None
    assert run is not None
    assert begun.started is not None
    assert begun.started == run.started
    assert run.ended is not None
    assert run.ended >= run.started >= NOON
    assert (run.slot, run.metrics, run.trace_digest) == (100, {"rate": 2.5, "idle": None}, "d")


def test_pages_filters_and_counts(store: Store) -> None:
    for number in range(5):
        store.add(replace(RUN, id=str(number), scheme=f"scheme {number % 2}"))
    store.move("1", State.STOPPED)
    page, total = store.page(limit=2, offset=1)
    assert ([run.id for run in page], total) == (["3", "2"], 5)
    page, total = store.page(states=[State.PENDING], scheme="scheme 1", world="d2d_underlay")
    assert ([run.id for run in page], total) == (["3"], 1)
    assert (store.counts()[State.PENDING], store.counts()[State.STOPPED], store.counts()[State.FAILED]) == (4, 1, 0)
    assert [run.id for run in store.waiting()] == ["0", "2", "3", "4"]
    store.set_reason("0", "waits for 1 channel")
    store.set_reason("1", "has ended")
    assert [run.reason for run in store.page()[0]] == ["", "", "", "", "waits for 1 channel"]
    store.move("0", State.RUNNING)
    assert [run.id for run in store.at_work()] == ["0"]


def test_only_a_run_that_has_ended_is_deleted(store: Store) -> None:
    store.add(RUN)
    assert not store.remove("a")
    store.move("a", State.STOPPED)
    assert store.remove("a")
    assert store.get("a") is None


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "oracle11://x",
        "sqlite:////nowhere/at/all/runs.db",
        "postgresql+psycopg://x@/x?host=/nowhere",
        "postgresql+psycopg2://x@/x",
    ],
)
def test_a_missing_database_is_reported(url: str) -> None:
    with pytest.raises(ConfigError, match="AIRTOLL_DB: "):
        Store(url)


def test_migrations_and_mapping_describe_the_same_tables(database: str) -> None:
    Store(database).close()
    engine = create_engine(database)
    inspected = inspect(engine)
    for table in store_module._Base.metadata.sorted_tables:
        migrated = {column["name"]: column["nullable"] for column in inspected.get_columns(table.name)}
        assert migrated == {column.name: column.nullable for column in table.columns}
    engine.dispose()


def test_concurrently_opened_stores_migrate_the_tables_once(database: str) -> None:
    context = multiprocessing.get_context("spawn")
    openers = [context.Process(target=_open, args=(database,)) for _ in range(3)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert [opener.exitcode for opener in openers] == [0] * 3


def _open(database: str) -> None:
    Store(database).close()


def test_an_index_belongs_to_one_data_folder(store: Store) -> None:
    store.belong_to("one", Path("/data/one"))
    store.belong_to("one", Path("/moved/one"))
    with pytest.raises(ConfigError, match="AIRTOLL_DB: the database is the index of the runs in /data/one; give each"):
        store.belong_to("two", Path("/data/two"))


def test_two_services_with_one_database_are_refused(database: str, tmp_path: Path) -> None:
    with closing(Store(database)) as first, closing(Store(database)) as second:
        RunManager(ServiceSettings(tmp_path / "one"), first)._folder.close()
        with pytest.raises(ConfigError, match="AIRTOLL_DB: "):
            RunManager(ServiceSettings(tmp_path / "two"), second)
        RunManager(ServiceSettings(tmp_path / "one"), second)._folder.close()  # the first is gone


def test_any_text_can_be_a_reason(store: Store) -> None:
    """Characters that PostgreSQL or UTF-8 cannot store are replaced."""
    store.add(replace(RUN, state=State.RUNNING))
    assert store.move("a", State.FAILED, results=RunResults(reason="nul \0, half \ud83d, whole \U0001f4e1"))
    run = store.get("a")
    assert run is not None
    assert run.reason == "nul \ufffd, half \ufffd, whole \U0001f4e1"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_cannot_express_are_rejected(store: Store, value: float) -> None:
    store.add(replace(RUN, state=State.RUNNING))
    with pytest.raises((ValueError, StatementError), match="not JSON compliant"):
        store.move("a", State.SUCCEEDED, results=RunResults(metrics={"rate": value}))
    run = store.get("a")
    assert run is not None
    assert run.state is State.RUNNING


def test_times_are_in_utc(store: Store) -> None:
    """Whatever the zone they were given in, and the zone of the server."""
    there = timezone(timedelta(hours=-9, minutes=-30))
    store.add(replace(RUN, created=NOON.astimezone(there)))
    run = store.get("a")
    assert run is not None
    assert (run.created, run.created.tzinfo) == (NOON, UTC)


def test_a_database_that_comes_back_is_used_again(postgres: PostgresServer) -> None:
    with closing(Store(postgres.database())) as store:
        store.add(RUN)
        postgres.stop()
        with pytest.raises(StoreGoneError, match="the database does not answer: "):
            store.get("a")
        postgres.start()
        assert store.get("a") == RUN


def test_a_database_that_a_later_airtoll_has_migrated_is_refused(database: str) -> None:
    Store(database).close()
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(ConfigError, match=r"9999.*; a later version of airtoll"):
        Store(database)


def test_a_run_status_is_read_back_unchanged(tmp_path: Path) -> None:
    assert RunStatus.read(tmp_path) is None
    RunStatus(State.FAILED, 7, "it rained").write(tmp_path)
    assert RunStatus.read(tmp_path) == RunStatus(State.FAILED, 7, "it rained")


def test_a_frozen_database_keeps_nobody_waiting(postgres: PostgresServer) -> None:
    """The first call gives up in time; from then on one at a time tries, and the others fail at once."""
    with closing(Store(postgres.database())) as store, ThreadPoolExecutor(8) as threads:
        store.add(RUN)
        with postgres.frozen():
            began = time.monotonic()
            with pytest.raises(StoreGoneError, match="no answer came in time"):
                store.get("a")
            assert time.monotonic() - began < 4 * STORE_TIMEOUT_S
            began = time.monotonic()
            calls = [threads.submit(store.get, "a") for _ in range(8)]
            assert all(isinstance(call.exception(), StoreGoneError) for call in as_completed(calls))
            assert time.monotonic() - began < 4 * STORE_TIMEOUT_S  # of them, one has waited
        assert store.get("a") == RUN


def test_a_database_that_is_read_only_for_a_while_can_be_written_afterwards(postgres: PostgresServer) -> None:
    with closing(Store(postgres.database())) as store:
        store.add(RUN)
        store.belong_to("one", Path("/data/one"))
        postgres.set_read_only(read_only=True)
        try:
            with pytest.raises(StoreGoneError, match="read-only transaction"):
                until(partial(_fails, store.write_probe))  # when the server has read its settings again
        finally:
            postgres.set_read_only(read_only=False)
        until(partial(_works, store.write_probe))
        assert store.move("a", State.RUNNING)


def test_a_connection_that_was_opened_while_the_database_was_read_only_is_not_kept(postgres: PostgresServer) -> None:
    """The setting of a database holds for the connections that are opened meanwhile, also after it was reset."""
    url = postgres.database()
    admin = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with closing(Store(url)) as store:
        _set_read_only(admin, "on")
        with pytest.raises(StoreGoneError, match="read-only transaction"):
            store.write_probe()
        _set_read_only(admin, "off")
        store.write_probe()


def _set_read_only(admin: Engine, value: str) -> None:
    with admin.connect() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text("SET default_transaction_read_only = off"))
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'))


@contextmanager
def _without_privileges() -> Iterator[Path]:
    """A folder of a user to whom the modes of files apply, and this process as that user."""
    user = os.geteuid()
    with TemporaryDirectory() as folder:
        if user == 0:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


def test_a_file_that_is_read_only_for_a_while_can_be_written_at_once_afterwards() -> None:
    """Not only after a failure, by which a connection would show that it was opened meanwhile."""
    with _without_privileges() as folder:
        url = f"sqlite:///{folder / 'runs.db'}"
        with closing(Store(url)) as store:
            store.add(RUN)
        _set_modes(folder, 0o444)
        with closing(Store(url)) as store:
            assert store.get("a") == RUN
            _set_modes(folder, 0o644)
            assert store.move("a", State.RUNNING)
            _set_modes(folder, 0o444)
            store.write_probe()  # by a connection that is open for writing


def test_a_connection_that_turns_out_to_be_read_only_is_not_kept() -> None:
    """The file may become writable between the two moments at which it is opened, and its mode read."""
    with _without_privileges() as folder:
        url = f"sqlite:///{folder / 'runs.db'}"
        with closing(Store(url)):
            _set_modes(folder, 0o444)
        with closing(Store(url)) as store:
            event.listen(store._engine, "connect", lambda *_: _set_modes(folder, 0o644), insert=True)
            with pytest.raises(StoreGoneError, match="attempt to write a readonly database"):
                store.write_probe()
            store.write_probe()


def _set_modes(folder: Path, mode: int) -> None:
    for file in folder.iterdir():  # SQLite gives its log the mode that the database has
        file.chmod(mode)


def _fails(call: Callable[[], None]) -> bool:
    """False; or what the call raises."""
    call()
    return False


def _works(call: Callable[[], None]) -> bool:
    """Whether the database can be used."""
    try:
        call()
    except StoreGoneError:
        return False
    return True


def test_a_damaged_value_leaves_the_other_runs_readable(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        for run_id in "abc":
            store.add(replace(RUN, id=run_id))
        with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
            database.execute("UPDATE runs SET config = '{damaged' WHERE id = 'b'")
        assert [run.config for run in store.waiting()] == [RUN.config, {}, RUN.config]


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_bytes(b"\xff" * 9000)
    with pytest.raises(ConfigError, match=r"AIRTOLL_DB: the database cannot be used: .*; repair or restore it"):
        Store(f"sqlite:///{tmp_path / 'runs.db'}")


def test_a_run_is_withdrawn_whatever_became_of_its_submission(store: Store) -> None:
    store.withdraw("a")
    store.add(RUN)
    store.withdraw("a")
    assert store.ids() == set()
