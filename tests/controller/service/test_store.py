"""The index of runs: its states, its pages, its migrations."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from controller.faults import ConfigError
from controller.service import store as store_module
from controller.service.store import Results, Run, Store
from controller.standing import ENDS, FOLLOWING, Standing, State, before

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = Run("a", "d2d_underlay", "li2020/sla", 2**62, 100, {"seed": 1}, Path("/runs/a"), NOON)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'runs.db'}")
    yield opened
    opened.close()


def test_a_run_comes_back_as_it_was(store: Store) -> None:
    store.add(RUN)
    assert store.get("a") == RUN
    assert store.get("b") is None


def test_a_store_that_is_opened_again_has_its_runs(tmp_path: Path) -> None:
    for _ in range(2):
        opened = Store(f"sqlite:///{tmp_path / 'runs.db'}")
        if opened.get("a") is None:
            opened.add(RUN)
        opened.close()
    assert opened.get("a") == RUN


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("to", State)
def test_only_allowed_transitions_are_made(store: Store, start: State, to: State) -> None:
    store.add(replace(RUN, state=start))
    assert store.move("a", to) == (to in FOLLOWING[start])
    after = store.get("a")
    assert after is not None
    assert after.state is (to if to in FOLLOWING[start] else start)


def test_a_move_from_elsewhere_than_asked_for_is_not_made(store: Store) -> None:
    store.add(replace(RUN, state=State.PAUSED))
    assert not store.move("a", State.STOPPED, since=[State.PENDING])


def test_ends_are_ends_and_every_state_but_the_first_can_be_reached() -> None:
    assert {state for state, following in FOLLOWING.items() if not following} == ENDS
    assert [state for state in State if not before(state)] == [State.PENDING]


def test_times_and_results_are_written_down(store: Store) -> None:
    store.add(RUN)
    store.move("a", State.RUNNING)
    begun = store.get("a")
    store.move("a", State.PAUSED)
    store.move("a", State.RUNNING)
    store.move("a", State.SUCCEEDED, results=Results(slot=100, metrics={"rate": 2.5, "idle": None}, trace_digest="d"))
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
    store.explain("0", "waits for 1 channel")
    store.explain("1", "has ended")
    assert [run.reason for run in store.page()[0]] == ["", "", "", "", "waits for 1 channel"]
    store.move("0", State.RUNNING)
    assert [run.id for run in store.at_work()] == ["0"]


def test_only_a_run_that_has_ended_is_forgotten(store: Store) -> None:
    store.add(RUN)
    assert not store.remove("a")
    store.move("a", State.STOPPED)
    assert store.remove("a")
    assert store.get("a") is None


@pytest.mark.parametrize("url", ["nonsense", "oracle11://x", "sqlite:////nowhere/at/all/runs.db"])
def test_a_database_that_is_not_there_is_told(url: str) -> None:
    with pytest.raises(ConfigError, match="AIRTOLL_DB: "):
        Store(url)


def test_migrations_and_mapping_describe_the_same_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    Store(url).close()
    engine = create_engine(url)
    migrated = {column["name"]: column["nullable"] for column in inspect(engine).get_columns("runs")}
    mapped = {column.name: column.nullable for column in store_module._Row.__table__.columns}
    engine.dispose()
    assert migrated == mapped


def test_a_standing_comes_back_as_it_was(tmp_path: Path) -> None:
    assert Standing.read(tmp_path) is None
    Standing(State.FAILED, 7, "it rained").write(tmp_path)
    assert Standing.read(tmp_path) == Standing(State.FAILED, 7, "it rained")
